"""A store of immutable parts under DVC -> the cost of one new part with each kind of link.

DVC has the output of a stage twice: in the workspace and in its cache. `cache.type` sets whether
the two are copies or share the disk. Before a stage with a persistent output runs (`persist`), DVC
replaces links by copies, so that the stage cannot write into the cache.
"""

import argparse
import fcntl
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.measuring import Value, show

LINKS: Final = ("copy", "reflink", "hardlink", "symlink")
MB: Final = 2**20
BLOCK_BYTES: Final = 512  # what the kernel counts written bytes in
FICLONE: Final = 0x40049409  # of linux/fs.h
FIEMAP: Final = 0xC020660B
FIEMAP_SYNC: Final = 1
MAX_EXTENTS: Final = 1_000
EXTENT: Final = struct.Struct("=QQQ32x")  # logical and physical start, length, flags
PIPELINE: Final = """
stages:
  add_parts:
    cmd: {python} add_parts.py {part_bytes}
    deps: [add_parts.py, num_parts]
    outs:
      - store: {{persist: true}}
"""
ADD_PARTS: Final = """
import os, pathlib, sys
store = pathlib.Path("store")
store.mkdir(exist_ok=True)
for number in range(int(pathlib.Path("num_parts").read_text())):
    part = store / f"part-{number:06d}"
    if not part.exists():
        part.write_bytes(os.urandom(int(sys.argv[1])))
"""


def main() -> None:
    """Add a part to a store of some, with each kind of link."""
    options = read_options()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = [
            measure(Path(folder) / link, link, num_parts=options.parts, part_mb=options.part_mb)
            for link in LINKS
        ]
        show(
            "links", f"One part of {options.part_mb} MB more, beside {options.parts}", rows,
            file_system=file_system_of(Path(folder)),
        )  # fmt: skip


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.links", description=__doc__)
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--part-mb", type=int, default=16)
    parser.add_argument("--folder", type=Path, help="on the file system to measure")
    return parser.parse_args()


class Repro(NamedTuple):
    """Seconds of one `dvc repro`, and all that it and its stage wrote, also what was removed."""

    seconds: float
    written_mb: float


def measure(project: Path, link: str, *, num_parts: int, part_mb: int) -> dict[str, Value]:
    """Fill a store, add one part, and return the cost of that."""
    project.mkdir()
    row: dict[str, Value] = {"cache.type": link, "seconds": None, "MB written": None}
    row |= {"MB on disk": None, "rewrites the store": None}
    if link == "reflink" and not can_reflink(project):
        return row | {"rewrites the store": "not on this file system"}
    make_project(project, link, part_bytes=part_mb * MB)
    repro(project, num_parts)
    added = repro(project, num_parts + 1)
    return row | {
        "seconds": round(added.seconds, 1),
        "MB written": round(added.written_mb),
        "MB on disk": round(disk_bytes(project) / MB),
        "rewrites the store": "yes" if added.written_mb > num_parts * part_mb else "no",
    }


def make_project(project: Path, link: str, *, part_bytes: int) -> None:
    """Make a repository of one stage, whose store DVC links in this way."""
    (project / "dvc.yaml").write_text(PIPELINE.format(python=sys.executable, part_bytes=part_bytes))
    (project / "add_parts.py").write_text(ADD_PARTS)
    run(project, "git", "init", "--quiet")
    run(project, "dvc", "init", "--quiet")
    run(project, "dvc", "config", "core.analytics", "false")
    run(project, "dvc", "config", "cache.type", link)


def repro(project: Path, num_parts: int) -> Repro:
    """Run the stage for a store of so many parts."""
    (project / "num_parts").write_text(str(num_parts))
    blocks_before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock
    start = time.perf_counter()
    run(project, "dvc", "repro", "--quiet")
    seconds = time.perf_counter() - start
    num_blocks = resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock - blocks_before
    return Repro(seconds, num_blocks * BLOCK_BYTES / MB)


def run(project: Path, *command: str) -> None:
    """Run a command of this environment; it must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, cwd=project, env=os.environ | {"PATH": path}, check=True)


def can_reflink(folder: Path) -> bool:
    """Return whether two files can share their blocks here."""
    with (folder / "source").open("w+b") as source, (folder / "clone").open("wb") as clone:
        try:
            fcntl.ioctl(clone, FICLONE, source.fileno())
        except OSError:
            return False
    return True


def disk_bytes(project: Path) -> int:
    """Return the bytes of the store and DVC's cache together; shared blocks count once."""
    folders = (project / "store", project / ".dvc" / "cache")
    files = [path for folder in folders for path in folder.rglob("*") if is_plain_file(path)]
    return sum({start: length for path in files for start, length in extents(path)}.values())


def is_plain_file(path: Path) -> bool:
    """Return whether it is a file, and not a link to one."""
    return path.is_file() and not path.is_symlink()


def extents(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the start on the disk and the length of each extent of a file, in bytes."""
    # struct fiemap: start, length, flags, mapped, capacity, reserved; then its struct fiemap_extent
    request = bytearray(struct.pack("=QQLLLL", 0, 2**64 - 1, FIEMAP_SYNC, 0, MAX_EXTENTS, 0))
    request += bytes(MAX_EXTENTS * EXTENT.size)
    with path.open("rb") as file:
        fcntl.ioctl(file, FIEMAP, request)
    num_mapped = struct.unpack_from("=L", request, 20)[0]
    assert num_mapped < MAX_EXTENTS, f"{path} is scattered"
    for number in range(num_mapped):
        _, physical, length = EXTENT.unpack_from(request, 32 + number * EXTENT.size)
        yield physical, length


def file_system_of(folder: Path) -> str:
    """Return the kind of file system."""
    found = subprocess.run(
        ["stat", "--file-system", "--format=%T", str(folder)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return found.stdout.strip()


if __name__ == "__main__":
    main()

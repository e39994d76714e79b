"""A corpus of six files and a table in CSV -> its records and its clips table."""

from pathlib import Path

from oragen.corpora.csv import read_csv
from oragen.corpora.manifest import Manifest, build_manifest
from oragen.corpora.records import ClipRecord


def make_files(root: Path) -> Path:
    """Write the files a.mp4 to f.mp4, each holding its name."""
    for name in "abcdef":
        write(root / f"{name}.mp4", name)
    return root


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def read(root: Path, text: str | bytes) -> list[ClipRecord]:
    content = text.encode() if isinstance(text, str) else text
    (root / "labels.csv").write_bytes(content)
    return list(read_csv("mine", root, Path("labels.csv")))


def list_text(root: Path, text: str) -> Manifest:
    return build_manifest("mine", root, read(root, text), root.parent / "hashes.parquet")


def reasons(manifest: Manifest) -> dict[str, str]:
    return {item.clip_id: item.reason for item in manifest.skipped}

"""A store of many tiny rows -> seconds and memory of finding all rows of its corpus.

Parts are written and rows are found by processes of their own, whose memory is measured alone. With
`--before` an earlier state of the code does both, too, and its parts are also read by this one.
Which parts hold rows of one level is read from the table of places.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.measuring import Row, show

REPOSITORY: Final = Path(__file__).parents[1]
WRITE: Final = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from oragen.features.spec import FeatureSpec
from oragen.store.parts import PartStore
try:
    from oragen.store.writing import PartWriter
except ImportError:  # in an earlier state of the code
    from oragen.store.parts import PartWriter
folder, num_rows, rows_a_part = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
spec = FeatureSpec("audio", "tiny", "embedded", "f" * 64, "late", "fp32", (1, 1)).as_json()
rng = np.random.default_rng(0)
with PartWriter(PartStore(Path(folder), "zarr"), spec, None) as writer:
    for start in range(0, num_rows, rows_a_part):
        for number in range(start, min(start + rows_a_part, num_rows)):
            clip = f"voxceleb2/id{number // 700:05}/{number // 28:011}/{number // 4 % 7:05}"
            writer.add(rng.bytes(16).hex(), clip, np.full((1, 1), number % 99, np.float16))
        writer.write_part()
"""
FIND: Final = """
import json, re, sys, time
from pathlib import Path
import pyarrow as pa
import pyarrow.parquet as pq
from oragen.features.rows import locate_features
def peak_mb():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
folder, is_list = sys.argv[1], sys.argv[3] == "list"
batches = pq.ParquetFile(sys.argv[2]).iter_batches(columns=["key"])
keys = pa.chunked_array([batch.column(0) for batch in batches])
pa.default_memory_pool().release_unused()
Path("/proc/self/clear_refs").write_text("5")  # forget the peak of reading them
done = {"at start, MB": peak_mb()}
start, work = time.perf_counter(), time.process_time()
found = locate_features({folder: keys.to_pylist() if is_list else keys})
done |= {"seconds": time.perf_counter() - start, "seconds on cores": time.process_time() - work}
print(json.dumps({"rows": len(found), **done, "peak, MB": peak_mb()}))
"""
NAME: Final = """
import json, os, sys, time
from pathlib import Path
import pandas as pd
import pyarrow.parquet as pq
from oragen.config import paths
from oragen.features.places import PLACES, list_places, name_parts
store = Path(sys.argv[1])
keys = pq.read_table(sys.argv[2])["key"].to_pandas()
rows = pd.DataFrame({"feature_key": keys, "store": str(store), "level": "late"})
os.chdir(store.parent)
PLACES.write(paths.places_table(store.parent.name, "audio"),
             list_places(rows.assign(next_feature_key=None)))
start = time.perf_counter()
names = name_parts(store, "late")
print(json.dumps({"parts": len(names), "naming_parts_s": time.perf_counter() - start}))
"""


class Way(NamedTuple):
    """Whose code finds the rows, in whose parts."""

    title: str
    code: Path
    store: Path


def main(
    num_rows: Annotated[int, typer.Option(help="Rows of the corpus.")] = 200_000,
    rows_a_part: Annotated[int, typer.Option(help="Rows in a part.")] = 20_000,
    repeats: Annotated[int, typer.Option(help="Processes for each way; the least counts.")] = 3,
    before: Annotated[Path | None, typer.Option(help="An earlier state of the code.")] = None,
) -> None:
    """Find all rows of a corpus by their keys, as training does before it begins."""
    with tempfile.TemporaryDirectory() as place:
        writers = {"now": REPOSITORY} | ({"before": before.resolve()} if before else {})
        stores = {name: Path(place) / name for name in writers}
        for name, code in writers.items():
            run(code, WRITE, str(stores[name]), str(num_rows), str(rows_a_part))
        keys = write_keys(Path(place) / "keys.parquet", num_rows)
        ways = [Way("now", REPOSITORY, stores["now"])]
        if before:
            ways.append(Way("now, in parts from before", REPOSITORY, stores["before"]))
            ways.append(Way("before", writers["before"], stores["before"]))
        rows = [measure(way, keys, repeats) for way in ways]
        named = json.loads(run(REPOSITORY, NAME, str(stores["now"]), str(keys)))
    show(
        "many_rows", f"Finding {num_rows:,} rows in parts of {rows_a_part:,}", rows,
        cores=os.cpu_count(), **named,
    )  # fmt: skip


def measure(way: Way, keys: Path, repeats: int) -> Row:
    """Find the rows in several processes; return the least seconds and memory."""
    keys_as = "list" if way.title == "before" else "column"
    runs = [
        json.loads(run(way.code, FIND, str(way.store), str(keys), keys_as)) for _ in range(repeats)
    ]
    least = {name: min(done[name] for done in runs) for name in runs[0]}
    return {"": way.title, **least}


def run(code: Path, script: str, *arguments: str) -> str:
    """Run a script with one state of the code; return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(code)}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(
        command, cwd=code, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def write_keys(path: Path, num_rows: int) -> Path:
    """Write the keys of all rows as the tables name them, in another order."""
    import numpy as np

    drawn = np.random.default_rng(0).bytes(16 * num_rows)
    keys = sorted(drawn[start : start + 16].hex() for start in range(0, len(drawn), 16))
    pq.write_table(pa.table({"key": keys}), path, use_dictionary=False)  # which no two share
    return path


if __name__ == "__main__":
    typer.run(main)

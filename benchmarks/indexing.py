"""A million clips of Common Voice -> time and memory of the first and the second indexing.

The release is synthetic: tables in the published format, and for each row a tiny file with bytes of
its own. Each indexing does the work of the stage, in a process of its own.
"""

import hashlib
import logging
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer
from tqdm import tqdm

from benchmarks.measuring import Value, show

CORPUS: Final = "common_voice"
COLUMNS: Final = (
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes",
    "age", "gender", "accents", "variant", "locale", "segment",
)  # fmt: skip
AGES: Final = ("teens", "twenties", "thirties", "fourties", "fifties", "sixties")
GENDERS: Final = ("female_feminine", "male_masculine")
CLIPS_A_SPEAKER: Final = 40
GOLDEN_RATIO: Final = (1 + 5**0.5) / 2  # whose multiples are spread evenly


def main(
    num_clips: Annotated[int, typer.Option(help="Rows of the table, each with a file.")] = 10**6,
    unlabelled: Annotated[float, typer.Option(help="Share without gender and age.")] = 0.0,
    folder: Annotated[Path | None, typer.Option(help="Where to work; 4 kB a clip free.")] = None,
) -> None:
    """Index a release twice; nothing is new the second time."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        root = Path(place) / "cv-corpus-17.0-2024-03-15"
        write_release(root, num_clips, unlabelled)
        rows = [
            to_row(title, num_clips, measure(Path(place), root))
            for title in ("first indexing", "nothing new")
        ]
    show(
        "indexing", f"Indexing {num_clips:,} clips of Common Voice", rows,
        unlabelled=unlabelled, cores=os.cpu_count(),
    )  # fmt: skip


class Cost(NamedTuple):
    """Time and memory of one indexing, and how many clips it returned."""

    clips: int
    seconds: float
    processor_seconds: float
    peak_bytes: int


def to_row(title: str, num_clips: int, cost: Cost) -> dict[str, Value]:
    """Return the row of one indexing in the table."""
    return {
        "": title,
        "clips": cost.clips,
        "seconds": cost.seconds,
        "rows/s": num_clips / cost.seconds,
        "processor seconds": cost.processor_seconds,
        "peak memory, MB": cost.peak_bytes / 1e6,
    }


def measure(folder: Path, root: Path) -> Cost:
    """Index in a new process, whose memory is measured alone."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(index, folder, root).result()


def index(folder: Path, root: Path) -> Cost:
    """Do the work of the stage, with its outputs in `folder`."""
    from oragen.config import paths
    from oragen.corpora.common_voice import read_common_voice
    from oragen.corpora.manifest import build_manifest
    from oragen.schema.tables import CLIPS
    from stages.running import account

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.chdir(folder)
    start = time.perf_counter()
    records = read_common_voice(CORPUS, root, languages=None, splits="ours")
    manifest = build_manifest(CORPUS, root, records, paths.hash_memory(CORPUS))
    CLIPS.write(paths.clips_table(CORPUS), manifest.clips)
    account(
        "index_clips",
        CORPUS,
        clips_in=manifest.clip_ids,
        clips_out=manifest.clips["clip_id"].tolist(),
        skipped=manifest.skipped,
        made="",
    )
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Cost(len(manifest.clips), seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def write_release(root: Path, num_clips: int, unlabelled: float) -> None:
    """Write a release of one language: `validated.tsv`, and a small file for each of its rows."""
    clips = root / "en" / "clips"
    clips.mkdir(parents=True)
    with (root / "en" / "validated.tsv").open("w", encoding="utf-8") as file:
        file.write("\t".join(COLUMNS) + "\n")
        for name, line in tqdm(draw_rows(num_clips, unlabelled), total=num_clips, unit="clip"):
            file.write(line)
            (clips / name).write_text(name)


def draw_rows(num_clips: int, unlabelled: float) -> Iterator[tuple[str, str]]:
    """Yield the name of each file, and its line in the table."""
    for number in range(num_clips):
        speaker = number // CLIPS_A_SPEAKER
        is_labelled = speaker * GOLDEN_RATIO % 1 >= unlabelled
        name = f"common_voice_en_{10_000_000 + number}.mp3"
        fields = {
            "client_id": hashlib.sha512(str(speaker).encode()).hexdigest(),
            "path": name,
            "sentence_id": hashlib.sha256(str(number).encode()).hexdigest(),
            "sentence": f'He said "number {number}, and nothing closes it.',
            "up_votes": "2",
            "down_votes": "0",
            "age": AGES[speaker % len(AGES)] if is_labelled else "",
            "gender": GENDERS[speaker % len(GENDERS)] if is_labelled else "",
            "locale": "en",
        }
        yield name, "\t".join(fields.get(column, "") for column in COLUMNS) + "\n"


if __name__ == "__main__":
    typer.run(main)

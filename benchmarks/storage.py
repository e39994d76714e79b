"""Windows -> bytes and files on the disk, compared with a pickle for each window."""

import logging
import tempfile
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.measuring import Value, show
from benchmarks.published_way import write_pickle
from benchmarks.windows import AUDIO_SHAPE, FACE_SHAPE, NUM_SLOTS, write_dataset

NUM_TOKENS = 197  # of ViT-B/16: a pickled view of its CLS rows contains them all
NUM_PICKLES = 8


def main(
    num_windows: Annotated[int, typer.Option(help="How many windows are stored our way.")] = 2000,
    folder: Annotated[Path | None, typer.Option(help="Where to write; default: /tmp.")] = None,
) -> None:
    """Store random features both ways, and count."""
    logging.disable(logging.INFO)
    rows: list[dict[str, Value]] = []
    for name, compact in (("one pickle a window", False), ("... with compact tensors", True)):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            for number in range(NUM_PICKLES):
                write_random_pickle(Path(place) / f"{number:06}.pickle", compact=compact)
            rows.append(describe(name, Path(place), NUM_PICKLES))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        write_dataset(Path(place), num_windows)
        rows.append(describe("ours", Path(place), num_windows))
    show("storage", f"On the disk, {num_windows} windows of random features", rows)


def write_random_pickle(path: Path, *, compact: bool) -> None:
    """Write a window as the published code does: fp32, the face a view of all tokens."""
    tokens = torch.randn(NUM_SLOTS, FACE_SHAPE[0], NUM_TOKENS, FACE_SHAPE[1])
    face = tokens[:, :, 0]
    write_pickle(
        path, {"audio": torch.randn(AUDIO_SHAPE), "face": face.clone() if compact else face}
    )


def describe(name: str, folder: Path, num_windows: int) -> dict[str, Value]:
    """Count the bytes and the files of a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return {
        "way": name,
        "MB a window": sum(sizes) / num_windows / 1e6,
        "files for 10,000 windows": round(len(sizes) * 10_000 / num_windows),
        "files a GB": len(sizes) / (sum(sizes) / 1e9),
    }


if __name__ == "__main__":
    typer.run(main)

"""Windows of some splits -> a folder that holds each split in one format, and its description."""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, assert_never

import numpy as np
from rich.filesize import decimal
from tqdm import tqdm

from oragen.features.dataset import WindowDataset
from oragen.features.exports.arrow import write_lance, write_parquet
from oragen.features.exports.description import KIND, Origin, describe
from oragen.features.exports.tar_files import write_webdataset
from oragen.features.exports.windows import WindowBatch, count_bytes, read_windows
from oragen.schema.choices.exports import ExportFormat
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_folder, remove, remove_leftovers, write_text
from oragen.schema.names import shorten
from oragen.schema.vocabulary import Json

DESCRIPTION: Final = "description.json"
SEED: Final = 0  # of the order of the windows
MOST_BYTES: Final = 2**20  # of a description


class ExportError(UserError):
    """Features cannot be exported to where they shall go."""


def export_windows(
    dataset: WindowDataset,
    folder: Path,
    to: ExportFormat,
    origin: Origin,
    *,
    splits: Sequence[str],
    file_bytes: int,
    replace: bool,
) -> None:
    """Write the windows of each split, and `description.json`; the folder appears when it is whole.

    Args:
        dataset: all windows.
        folder: new, empty, or an earlier export that `replace` allows to be replaced.
        to: the format.
        origin: of the windows, for the description.
        splits: those to write; each has windows.
        file_bytes: about the size of a file, except for Lance, which decides for itself.
        replace: whether an earlier export may be removed.

    Raises:
        ExportError: there is something else, or the disk is too small.
    """
    refuse_folder(folder, replace=replace)
    _refuse_small_disk(folder, count_bytes(dataset))
    remove_leftovers(folder)
    described: dict[str, dict[str, Json]] = {}
    with atomic_folder(folder) as unfinished:
        for split in splits:
            windows = dataset.choose(np.flatnonzero(dataset.table["split"] == split))
            name = f"{split}.lance" if to == "lance" else split
            _write(windows, unfinished / name, to, file_bytes=file_bytes)
            described[split] = {"folder": name, **_count(windows)}
        description = describe(dataset, to, origin, described)
        write_text(unfinished / DESCRIPTION, json.dumps(description, indent=2) + "\n")
        if replace:
            remove(folder)


def refuse_folder(folder: Path, *, replace: bool) -> None:
    """Refuse to write where something is.

    Raises:
        ExportError: it is neither new nor empty, nor an export that may be replaced.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not _is_export(folder):
        raise ExportError(
            f"{folder} is there, and is no export of oragen. Name a new or empty folder."
        )
    if not replace:
        raise ExportError(
            f"{folder} holds an export. Name another folder, or replace it by `--force`."
        )


def _is_export(folder: Path) -> bool:
    path = folder / DESCRIPTION
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        return False
    try:
        found: Any = json.loads(path.read_bytes())
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("kind") == KIND


def _refuse_small_disk(folder: Path, num_bytes: int) -> None:
    existing = next(parent for parent in folder.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(existing).free
    if num_bytes > free:
        raise ExportError(
            f"The features take {decimal(num_bytes)}, and the disk of {shorten(str(folder))} has "
            f"{decimal(free)} free. Name a folder on another disk, or fewer splits by `--split`."
        )


def _write(windows: WindowDataset, target: Path, to: ExportFormat, *, file_bytes: int) -> None:
    modalities = windows.specs
    with tqdm(total=len(windows), unit="window", desc=target.name) as bar:
        batches = _watch(read_windows(windows, seed=SEED), bar)
        match to:
            case "parquet":
                write_parquet(target, batches, modalities, file_bytes=file_bytes)
            case "lance":
                write_lance(target, batches, modalities)
            case "webdataset":
                write_webdataset(target, batches, modalities, file_bytes=file_bytes)
            case _:
                assert_never(to)


def _watch(batches: Iterable[WindowBatch], bar: "tqdm[Any]") -> Iterator[WindowBatch]:
    for batch in batches:
        yield batch
        bar.update(len(batch.labels))


def _count(windows: WindowDataset) -> dict[str, int]:
    table = windows.table
    return {
        "windows": len(table),
        "clips": int(table["clip_id"].nunique()),
        "speakers": len(table[["corpus", "speaker_id"]].drop_duplicates()),
    }

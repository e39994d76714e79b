"""Batches of windows -> tar files of WebDataset: a sample a window."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from oragen.features.exports.windows import WindowBatch
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Modality


def write_webdataset(
    folder: Path,
    batches: Iterable[WindowBatch],
    modalities: Collection[Modality],
    *,
    file_bytes: int,
) -> None:
    """Write windows into a new folder, in tar files of about so many bytes.

    Raises:
        UserError: the package is not installed.
    """
    try:
        from webdataset import ShardWriter
    except ImportError as error:
        raise UserError(
            "`--to webdataset` needs the package webdataset: run "
            "`pip install 'oragen[webdataset]'`."
        ) from error
    folder.mkdir()
    # An absolute path: what begins otherwise may be taken for an address, or for a command.
    pattern = f"{str(folder.absolute()).replace('%', '%%')}/%05d.tar"
    with ShardWriter(pattern, maxsize=file_bytes, verbose=0, mtime=0) as writer:
        for number, sample in enumerate(to_samples(batches, modalities)):
            # A name of a clip may hold dots and slashes, which part the fields of a sample.
            writer.write({"__key__": f"{number:09}", **sample})


def to_samples(
    batches: Iterable[WindowBatch], modalities: Collection[Modality]
) -> Iterator[dict[str, Any]]:
    """Yield the files of each window by their endings: labels as JSON, features as NumPy's."""
    for batch in batches:
        labels = batch.labels.astype(object).where(batch.labels.notna(), None).to_dict("records")
        columns = (labels, batch.audio_of_windows, batch.face, batch.face_valid)
        for of_window, audio, face, face_valid in zip(*columns, strict=True):
            sample: dict[str, np.ndarray] = {}
            if "audio" in modalities:
                sample["audio.npy"] = audio
            if "face" in modalities:
                sample |= {"face.npy": face, "face_valid.npy": face_valid}
            yield {"json": of_window, **sample}

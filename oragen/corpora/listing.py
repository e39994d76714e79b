"""Records of clips, as a corpus describes them -> the checked clips table.

What every reader shares: paths that stay under the corpus root, files that exist, content hashes,
one row a clip, speakers in one split only. What cannot be used is left out with its reason.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from oragen.corpora.splits import assign_split
from oragen.schema import CLIPS, Skipped, UserError

logger = logging.getLogger(__name__)

STAGE = "index_clips"
MAX_AGE_YEARS = 120
MAX_NAMED = 10


class CorpusError(UserError):
    """A corpus is not where or what params.yaml says."""


@dataclass(frozen=True)
class ClipRecord:
    """One clip as its corpus describes it; None = unknown. Paths are relative to the root.

    Without a split one is assigned; `TRAIN_OR_DEV` says that it is one of these two. A clip that
    the reader cannot use carries the reason in `unusable`.
    """

    stem: str
    speaker_id: str | None = None
    split: str | None = None
    audio_path: str | None = None
    video_path: str | None = None
    image_path: str | None = None
    audio_encoding: str | None = None  # of headerless sound: <sample format>@<rate in Hz>
    face_box: tuple[float, float, float, float] | None = None
    gender: str | None = None
    age_years: float | None = None
    age_low: float | None = None
    age_high: float | None = None
    mask_type: str | None = None
    camera: str | None = None
    language: str | None = None
    unusable: str | None = None


@dataclass(frozen=True)
class Listing:
    """What a corpus holds: its clips table, and what was left out."""

    clips: pd.DataFrame
    skipped: list[Skipped]


def list_clips(
    corpus: str, root: Path, records: Iterable[ClipRecord], hash_memory: Path
) -> Listing:
    """Check every record and join them into the clips table.

    Raises:
        CorpusError: when the root is no folder, no clip is usable, or a speaker is in two splits.
    """
    if not root.is_dir():
        raise CorpusError(
            f"Corpus {corpus!r}: its root {root} is no folder. Put the corpus (or a link to it) "
            f"there, or mend corpora.{corpus}.root in params.yaml."
        )
    rows: list[dict[str, object]] = []
    skipped: list[Skipped] = []
    resolved = root.resolve()
    with HashMemory(hash_memory, root) as hashes:
        for clip_id, (record, *others) in _group_by_clip(corpus, records).items():
            reason = record.unusable or _find_fault(resolved, record)
            if others and not reason:
                reason = "listed twice, with different files or labels"
            if reason:
                skipped.append(Skipped(clip_id, STAGE, reason))
            else:
                rows.append(_to_row(corpus, clip_id, record, hashes))
    if not rows:
        raise CorpusError(
            f"Corpus {corpus!r}: none of {len(skipped)} listed clips in {root} is "
            f"usable{_example(skipped)}."
        )
    clips = CLIPS.frame(rows)
    refuse_shared_speakers(corpus, clips)
    return Listing(clips, skipped)


def _group_by_clip(corpus: str, records: Iterable[ClipRecord]) -> dict[str, list[ClipRecord]]:
    """Records by `clip_id`; what is listed twice in the same words counts once."""
    groups: dict[str, list[ClipRecord]] = {}
    for record in dict.fromkeys(records):
        groups.setdefault(f"{corpus}/{record.stem}", []).append(record)
    return groups


def refuse_shared_speakers(corpus: str, clips: pd.DataFrame) -> None:
    """Raise a CorpusError that names the speakers who stand in more than one split."""
    splits = clips.groupby("speaker_id")["split"].agg(lambda found: sorted(set(found)))
    shared = splits[splits.map(len) > 1]
    if len(shared):
        shown = shared.iloc[:MAX_NAMED]
        named = ", ".join(f"{speaker} ({'+'.join(found)})" for speaker, found in shown.items())
        named += f" and {len(shared) - MAX_NAMED} more" if len(shared) > MAX_NAMED else ""
        raise CorpusError(
            f"Corpus {corpus!r}: {len(shared)} speakers are in two splits: {named}. Scores would "
            "be too good. Give each speaker one split, or leave the split empty."
        )


class _Known(NamedTuple):
    size: int
    mtime_ns: int
    sha256: str


class HashMemory:
    """SHA-256 of media files, remembered by size and modification time; a context manager.

    The memory is only a convenience: without it, or when it is damaged, every file is read again.
    It is kept when the block ends, also in an error, so that a long listing can be taken up again.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._root = root
        self._known: dict[str, _Known] = {}

    def __enter__(self) -> "HashMemory":
        try:
            rows = pq.ParquetFile(self._path).read().to_pylist()
            self._known = {row.pop("path"): _Known(**row) for row in rows}
        except (OSError, KeyError, TypeError, pa.ArrowException):
            logger.debug("no usable hash memory at %s", self._path)
        return self

    def __exit__(self, *_: object) -> None:
        rows = [{"path": path, **known._asdict()} for path, known in self._known.items()]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".unfinished")
        pq.write_table(pa.Table.from_pylist(rows), unfinished)
        unfinished.replace(self._path)

    def hash_of(self, relative: str) -> str:
        """Return the SHA-256 of the file's bytes, in hexadecimal."""
        status = (self._root / relative).stat()
        known = self._known.get(relative)
        if known is None or known[:2] != (status.st_size, status.st_mtime_ns):
            known = _Known(status.st_size, status.st_mtime_ns, self._read(relative))
            self._known[relative] = known
        return known.sha256

    def _read(self, relative: str) -> str:
        with (self._root / relative).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _find_fault(root: Path, record: ClipRecord) -> str | None:
    paths = [record.audio_path, record.video_path, record.image_path]
    if not any(paths):
        return "no media file named"
    for path in filter(None, paths):
        if fault := _find_path_fault(root, path):
            return fault
    if record.age_years is not None and not 0 <= record.age_years <= MAX_AGE_YEARS:
        return f"age outside 0..{MAX_AGE_YEARS}: {record.age_years:g}"
    return None


def _find_path_fault(root: Path, path: str) -> str | None:
    full = root / path
    try:
        if not full.resolve().is_relative_to(root):
            return f"path leaves the corpus root: {path}"
        if not full.exists():
            return "no such file"
        if not full.is_file():
            return "not a file"
        full.open("rb").close()
    except PermissionError:
        return "no permission to read the file"
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a null character
        return "not a usable path"
    return None


def _to_row(corpus: str, clip_id: str, record: ClipRecord, hashes: HashMemory) -> dict[str, object]:
    row = vars(record) | {"clip_id": clip_id, "corpus": corpus}
    row["speaker_id"] = record.speaker_id or clip_id
    row["split"] = record.split or assign_split(f"{corpus}/{row['speaker_id']}")
    picture_path = record.video_path or record.image_path
    row["audio_hash"] = hashes.hash_of(record.audio_path) if record.audio_path else None
    row["picture_hash"] = hashes.hash_of(picture_path) if picture_path else None
    return {name: row[name] for name in CLIPS.columns.names}


def _example(skipped: list[Skipped]) -> str:
    return f", e.g. {skipped[0].clip_id}: {skipped[0].reason}" if skipped else ""

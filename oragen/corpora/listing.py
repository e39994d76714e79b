"""Records of clips, as a corpus describes them -> the checked clips table.

What every reader shares: paths that stay under the corpus root, files that exist, content hashes,
one row a clip, speakers in one split only. What cannot be used is left out with its reason.
"""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from oragen.corpora.splits import assign_split
from oragen.schema import CLIPS, Skipped, UserError

logger = logging.getLogger(__name__)

STAGE = "index_clips"
MAX_AGE_YEARS = 120


class CorpusError(UserError):
    """A corpus is not where or what params.yaml says."""


@dataclass(frozen=True)
class ClipRecord:
    """One clip as its corpus describes it; None = unknown. Paths are relative to the root.

    A clip that the reader cannot use carries the reason in `unusable`.
    """

    stem: str
    speaker_id: str | None = None
    split: str | None = None
    audio_path: str | None = None
    video_path: str | None = None
    image_path: str | None = None
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
    hashes = HashMemory(hash_memory, root)
    rows: dict[str, dict[str, object]] = {}
    skipped: list[Skipped] = []
    for record in records:
        clip_id = f"{corpus}/{record.stem}"
        if clip_id in rows:
            reason: str | None = "listed twice"
        else:
            reason = record.unusable or _find_fault(root, record)
        if reason:
            skipped.append(Skipped(clip_id, STAGE, reason))
        else:
            rows[clip_id] = _to_row(corpus, clip_id, record, hashes)
    hashes.save()
    if not rows:
        raise CorpusError(f"Corpus {corpus!r}: none of {len(skipped)} listed clips in {root} is "
                          f"usable{_example(skipped)}.")  # fmt: skip
    clips = CLIPS.frame(list(rows.values()))
    refuse_shared_speakers(corpus, clips)
    return Listing(clips, skipped)


def refuse_shared_speakers(corpus: str, clips: pd.DataFrame) -> None:
    """Raise a CorpusError that names the speakers who stand in more than one split."""
    splits = clips.groupby("speaker_id")["split"].agg(lambda found: sorted(set(found)))
    shared = splits[splits.map(len) > 1]
    if len(shared):
        named = ", ".join(f"{speaker} ({'+'.join(found)})" for speaker, found in shared.items())
        raise CorpusError(
            f"Corpus {corpus!r}: {len(shared)} speakers are in two splits: {named}. Scores would "
            "be too good. Give each speaker one split, or leave the split empty."
        )


class HashMemory:
    """SHA-256 of media files, remembered by size and modification time.

    The memory is only a convenience: without it every file is read again.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self._path = path
        self._root = root
        self._known: dict[tuple[str, int, int], str] = {}
        self._used: dict[tuple[str, int, int], str] = {}
        if path.is_file():
            table = pd.read_parquet(path)
            keys = zip(table["path"], table["size"], table["mtime_ns"], strict=True)
            self._known = dict(zip(keys, table["sha256"], strict=True))

    def hash_of(self, relative: str) -> str:
        """Return the SHA-256 of the file's bytes, in hexadecimal."""
        status = (self._root / relative).stat()
        key = (relative, status.st_size, status.st_mtime_ns)
        if key not in self._used:
            self._used[key] = self._known.get(key) or self._read(relative)
        return self._used[key]

    def save(self) -> None:
        """Keep what was asked for."""
        rows = [(*key, digest) for key, digest in self._used.items()]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".unfinished")
        columns = ["path", "size", "mtime_ns", "sha256"]
        pd.DataFrame(rows, columns=columns).to_parquet(unfinished)
        unfinished.replace(self._path)

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
    if not full.resolve().is_relative_to(root.resolve()):
        return f"path leaves the corpus root: {path}"
    if not full.exists():
        return "no such file"
    if not full.is_file():
        return "not a file"
    try:
        full.open("rb").close()
    except PermissionError:
        return "no permission to read the file"
    return None


def _to_row(corpus: str, clip_id: str, record: ClipRecord, hashes: HashMemory) -> dict[str, object]:
    row = asdict(record) | {"clip_id": clip_id, "corpus": corpus}
    row["speaker_id"] = record.speaker_id or clip_id
    row["split"] = record.split or assign_split(f"{corpus}/{row['speaker_id']}")
    picture_path = record.video_path or record.image_path
    row["audio_hash"] = hashes.hash_of(record.audio_path) if record.audio_path else None
    row["picture_hash"] = hashes.hash_of(picture_path) if picture_path else None
    return {name: row[name] for name in CLIPS.columns.names}


def _example(skipped: list[Skipped]) -> str:
    return f", e.g. {skipped[0].clip_id}: {skipped[0].reason}" if skipped else ""

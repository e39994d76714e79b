"""Records of clips, as a corpus describes them -> the checked clips table.

What every reader shares: paths that stay under the corpus root, files that exist, content hashes,
one row a clip, speakers in one split only. What cannot be used is left out with its reason.
Records come one by one and are kept as columns, so that millions of them fit into memory.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from oragen.corpora.files import CANNOT_BE_READ, Files, HashMemory, find_files
from oragen.corpora.splits import assign_splits
from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS
from oragen.schema.vocabulary import SPLITS, Skipped

logger = logging.getLogger(__name__)

STAGE = "index_clips"
MAX_AGE_YEARS = 120
MAX_NAMED = 10
PATHS: Final = ("audio_path", "video_path", "image_path")
HASHES: Final = ("audio_hash", "picture_hash")
BATCH: Final = 4_000  # records

Column: TypeAlias = pa.Array | pa.ChunkedArray


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


RECORDS: Final = pa.schema(
    [
        (field.name, CLIPS.columns.field(field.name).type)
        if field.name in CLIPS.columns.names
        else (field.name, pa.string())
        for field in fields(ClipRecord)
    ]
)


@dataclass(frozen=True)
class Manifest:
    """What a corpus holds: its clips table, what was left out, and the ids of all that came in."""

    clips: pd.DataFrame
    skipped: list[Skipped]
    listed: list[str]


def list_clips(
    corpus: str, root: Path, records: Iterable[ClipRecord], hash_memory: Path | None
) -> Manifest:
    """Check every record and join them into the clips table.

    The same bytes in two splits are kept, and a warning says so.

    Args:
        corpus: its name.
        root: the folder that all media lie under.
        records: of its clips, in any number: each is asked for once, and not kept.
        hash_memory: where the hashes of media are remembered; None = no file is read, and the
            table has no hashes.

    Raises:
        CorpusError: when the root is no folder, no clip is usable, or a speaker is in two splits.
    """
    table, skipped, listed = _check_records(corpus, root, records, hash_memory)
    if not table.num_rows:
        raise CorpusError(
            f"Corpus {corpus!r}: none of {len(skipped)} listed clips in {root} is "
            f"usable{_example(skipped)}."
        )
    clips = table.to_pandas()
    del table
    pa.default_memory_pool().release_unused()  # the checks needed as much again
    clips["split"] = assign_splits(corpus, clips)
    refuse_shared_speakers(corpus, clips)
    warn_of_shared_content(corpus, clips)
    return Manifest(clips, skipped, listed)


def _check_records(
    corpus: str, root: Path, records: Iterable[ClipRecord], hash_memory: Path | None
) -> tuple[pa.Table, list[Skipped], list[str]]:
    """Records -> rows of the clips table, what was left out, and the ids of all."""
    table, has_rivals = _keep_first(gather_records(records))
    if not root.is_dir():  # not before: a reader says better what its corpus lacks
        raise CorpusError(
            f"Corpus {corpus!r}: its root {root} is no folder. Put the corpus (or a link to it) "
            f"there, or mend corpora.{corpus}.root in params.yaml."
        )
    media = _find_media(root, table)
    reasons = pc.coalesce(
        table["unusable"],
        media.problems(),
        _find_age_problems(table["age_years"]),
        pc.if_else(has_rivals, "listed twice, with different files or labels", None),
    )
    if hash_memory is None:
        hashes = dict.fromkeys(HASHES, pa.nulls(table.num_rows, pa.string()))
    else:
        hashes, unread = media.hash_usable(pc.is_null(reasons), hash_memory, corpus)
        reasons = pc.coalesce(reasons, unread)
    clip_ids = pc.binary_join_element_wise(corpus, table["stem"], "/")
    clips = _to_clips(corpus, clip_ids, table, hashes).filter(pc.is_null(reasons))
    return clips, _to_skipped(clip_ids, reasons), clip_ids.to_pylist()


def gather_records(records: Iterable[ClipRecord]) -> pa.Table:
    """Records -> a row each, a column for each field, and `words`, a hash of the record.

    An empty word is an unknown one.
    """
    to_row = attrgetter(*RECORDS.names)
    schema = RECORDS.append(pa.field("words", pa.int64()))
    batches = []
    rows = map(to_row, records)
    while batch := list(islice(rows, BATCH)):
        words = pa.array(map(hash, batch), pa.int64())
        try:
            columns = _to_columns(batch)
        except UnicodeEncodeError:
            columns = _to_columns([_spell_out(row) for row in batch])
        batches.append(pa.RecordBatch.from_arrays([*columns, words], schema=schema))
    return pa.Table.from_batches(batches, schema)


def _to_columns(rows: Sequence[tuple[object, ...]]) -> list[pa.Array]:
    columns = zip(zip(*rows, strict=True), RECORDS.types, strict=True)
    arrays = [pa.array(column, kind) for column, kind in columns]
    return [
        pc.if_else(pc.equal(array, ""), None, array) if array.type == pa.string() else array
        for array in arrays
    ]


def _spell_out(row: tuple[object, ...]) -> tuple[object, ...]:
    """Make a row that holds bytes of a file name which are no UTF-8 writable, and unusable."""
    spelled = [
        value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
        for value in row
    ]
    changed = (new for new, old in zip(spelled, row, strict=True) if new != old)
    if (first := next(changed, None)) is not None:
        spelled[RECORDS.get_field_index("unusable")] = f"not UTF-8: {first}"
    return tuple(spelled)


def _combine(column: Column) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _keep_first(table: pa.Table) -> tuple[pa.Table, Column]:
    """Keep the first record of each clip -> those, and which of them have others in other words.

    What is listed twice in the same words counts once.
    """
    clips = _combine(table["stem"]).dictionary_encode().indices.to_numpy()
    words = table["words"].to_numpy()
    _, first = np.unique(clips, return_index=True)
    has_rivals = np.zeros(len(first), dtype=bool)
    has_rivals[clips[words != words[first[clips]]]] = True
    if len(first) < len(clips):
        is_first = np.zeros(len(clips), dtype=bool)
        is_first[first] = True
        table = table.filter(pa.array(is_first))
    return table, pa.array(has_rivals)


@dataclass(frozen=True)
class _Media:
    """The distinct files that clips name, and the number of each clip's file, by column."""

    files: Files
    numbers: dict[str, pa.Array]

    def problems(self) -> Column:
        """Return what is amiss with the files of each clip, or null."""
        named = pc.coalesce(*self.numbers.values())
        problems = [self.files.problems.take(numbers) for numbers in self.numbers.values()]
        return pc.coalesce(*problems, pc.if_else(pc.is_null(named), "no media file named", None))

    def hash_usable(
        self, is_usable: Column, memory: Path, corpus: str
    ) -> tuple[dict[str, Column], Column]:
        """Return the columns of hashes of usable clips, and what is amiss where one is missing."""
        audio, video, image = (
            _combine(pc.if_else(is_usable, numbers, None)) for numbers in self.numbers.values()
        )
        used = {"audio_hash": audio, "picture_hash": pc.coalesce(video, image)}
        wanted = np.zeros(len(self.files.paths), dtype=bool)
        for found in used.values():
            wanted[found.drop_null().to_numpy()] = True
        with HashMemory(memory) as remembered:
            hashes = remembered.hashes_of(self.files, wanted, title=f"{STAGE} {corpus}")
        columns = {name: hashes.take(found) for name, found in used.items()}
        unread = [
            pc.and_(pc.is_valid(found), pc.is_null(columns[name])) for name, found in used.items()
        ]
        return columns, pc.if_else(pc.or_(*unread), CANNOT_BE_READ, None)


def _find_media(root: Path, table: pa.Table) -> _Media:
    """Look for the files of records that are not marked as unusable."""
    is_usable = pc.is_null(table["unusable"])
    columns = [_combine(pc.if_else(is_usable, table[name], None)) for name in PATHS]
    named = pa.concat_arrays(columns).dictionary_encode()
    numbers = {
        name: named.indices.slice(index * table.num_rows, table.num_rows)
        for index, name in enumerate(PATHS)
    }
    return _Media(find_files(root, named.dictionary), numbers)


def _find_age_problems(ages: Column) -> Column:
    found = ages.to_numpy()
    is_outside = ages.is_valid().to_numpy() & ~((found >= 0) & (found <= MAX_AGE_YEARS))
    problems = np.full(len(found), None, dtype=object)
    problems[is_outside] = [f"age outside 0..{MAX_AGE_YEARS}: {age:g}" for age in found[is_outside]]
    return pa.array(problems, pa.string())


def _to_clips(
    corpus: str, clip_ids: Column, table: pa.Table, hashes: Mapping[str, Column]
) -> pa.Table:
    """Rows of records -> rows of the clips table, whose splits may still be missing."""
    made = {
        "clip_id": clip_ids,
        "corpus": pa.repeat(corpus, table.num_rows),
        "speaker_id": pc.coalesce(table["speaker_id"], clip_ids),
        **hashes,
    }
    columns = {name: made[name] if name in made else table[name] for name in CLIPS.columns.names}
    return pa.table(columns)


def _to_skipped(clip_ids: Column, reasons: Column) -> list[Skipped]:
    is_out = pc.is_valid(reasons)
    out = (clip_ids.filter(is_out).to_pylist(), reasons.filter(is_out).to_pylist())
    return [Skipped(clip_id, STAGE, reason) for clip_id, reason in zip(*out, strict=True)]


def _example(skipped: list[Skipped]) -> str:
    return f", e.g. {skipped[0].clip_id}: {skipped[0].reason}" if skipped else ""


def refuse_shared_speakers(corpus: str, clips: pd.DataFrame) -> None:
    """Raise a CorpusError that names the speakers who stand in more than one split."""
    found = clips[["speaker_id", "split"]].drop_duplicates()
    found = found[found.duplicated("speaker_id", keep=False)]
    shared = found.groupby("speaker_id")["split"].agg(lambda splits: "+".join(sorted(splits)))
    if len(shared):
        shown = shared.iloc[:MAX_NAMED]
        named = ", ".join(f"{speaker} ({splits})" for speaker, splits in shown.items())
        named += f" and {len(shared) - MAX_NAMED} more" if len(shared) > MAX_NAMED else ""
        raise CorpusError(
            f"Corpus {corpus!r}: {len(shared)} speakers are in two splits: {named}. Scores would "
            "be too good. Give each speaker one split, or leave the split empty."
        )


def warn_of_shared_content(corpus: str, clips: pd.DataFrame) -> None:
    """Log a warning where the same bytes, of sound or of pictures, are in more than one split."""
    splits = pd.Categorical(clips["split"], categories=SPLITS).codes
    is_shared = np.zeros(len(clips), dtype=bool)
    for column in HASHES:
        known = np.flatnonzero(clips[column].notna())
        contents, hashes = pd.factorize(clips[column].iloc[known])
        stands_in = np.zeros((len(hashes), len(SPLITS)), dtype=bool)
        stands_in[contents, splits[known]] = True
        is_shared[known] |= (stands_in.sum(axis=1) > 1)[contents]
    if is_shared.any():
        shared = clips[is_shared]
        one = shared.iloc[0]
        same = pd.concat([shared[shared[column] == one[column]] for column in HASHES])
        other = same[same["split"] != one["split"]].iloc[0]
        logger.warning(
            "Corpus %r: %d clips have the same bytes as a clip of another speaker in another "
            "split, e.g. %s (%s) and %s (%s). They are kept, and scores may be too good.",
            corpus, len(shared), one["clip_id"], one["split"], other["clip_id"], other["split"],
        )  # fmt: skip

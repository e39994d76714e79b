"""Records of clips, see `oragen.corpora.records` -> the manifest: the checked clips table.

All readers share these checks: paths stay under the corpus root, files exist and have content
hashes, each clip has one row, each speaker one split. Unusable clips are skipped with their reason.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from oragen.corpora.clip_names import PATHS, join_spellings, tell_apart
from oragen.corpora.files import CANNOT_BE_READ, Files, HashMemory, find_files
from oragen.corpora.records import ClipRecord, CorpusError, gather_records
from oragen.corpora.splits import assign_splits
from oragen.schema.names import printable, shorten
from oragen.schema.tables import CLIPS
from oragen.schema.vocabulary import SPLITS, Skipped

logger = logging.getLogger(__name__)

STAGE = "index_clips"
MAX_AGE_YEARS = 120
MAX_NAMED = 10
HASHES: Final = ("audio_hash", "picture_hash")

Column: TypeAlias = pa.Array | pa.ChunkedArray


@dataclass(frozen=True)
class Manifest:
    """The clips table of a corpus, the skipped clips, and the ids of both together."""

    clips: pd.DataFrame
    attributes: pd.DataFrame
    skipped: list[Skipped]
    clip_ids: list[str]


def build_manifest(
    corpus: str,
    root: Path,
    records: Iterable[ClipRecord],
    hash_memory: Path | None,
    *,
    follow_links: bool = False,
) -> Manifest:
    """Check every record and join them into the clips table.

    Clips with the same bytes in two splits are kept, with a warning.

    Args:
        corpus: its name.
        root: the folder of all media.
        records: of its clips, in any number: each is read once, and not kept.
        hash_memory: where the hashes of media are remembered; None = no file is read, and the
            table has no hashes.
        follow_links: also use files that a link in the root leads to elsewhere.

    Raises:
        CorpusError: the root is no folder, no clip is usable, or a speaker is in two splits.
    """
    table, attributes, skipped, clip_ids = _check_records(
        corpus, root, records, hash_memory, follow_links=follow_links
    )
    if not table.num_rows:
        raise CorpusError(
            f"Corpus {corpus!r}: none of {len(skipped)} listed clips in {root} is "
            f"usable{_example(skipped)}. Correct what is listed there, or corpora.{corpus} in "
            "params.yaml."
        )
    clips = table.to_pandas()
    del table
    pa.default_memory_pool().release_unused()  # the checks needed as much again
    clips["split"] = assign_splits(corpus, clips)
    refuse_shared_speakers(corpus, clips)
    warn_of_shared_content(corpus, clips)
    return Manifest(clips, attributes, skipped, clip_ids)


def _check_records(
    corpus: str,
    root: Path,
    records: Iterable[ClipRecord],
    hash_memory: Path | None,
    *,
    follow_links: bool,
) -> tuple[pa.Table, pd.DataFrame, list[Skipped], list[str]]:
    """Records -> rows of the clips and attributes tables, the skipped clips, the ids of all."""
    table, has_rivals = _keep_first(tell_apart(gather_records(records)))
    if not root.is_dir():  # not before: the error of a reader is more helpful
        raise CorpusError(
            f"Corpus {corpus!r}: its root {root} is no folder. Put the corpus (or a link to it) "
            f"there, or correct corpora.{corpus}.root in params.yaml."
        )
    media = _find_media(root, table, follow_links=follow_links)
    table = media.respell(table)
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
    is_used = pc.is_null(reasons)
    clips = _to_clips(corpus, clip_ids, table, hashes).filter(is_used)
    attributes = _to_attributes(clips["clip_id"], table["attributes"].filter(is_used))
    return clips, attributes, _to_skipped(clip_ids, reasons), clip_ids.to_pylist()


def _combine(column: Column) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _keep_first(table: pa.Table) -> tuple[pa.Table, Column]:
    """Keep the first record of each clip -> those, and which of them have a different duplicate.

    A record that is listed twice with the same fields counts once.
    """
    clips = _combine(table["stem"]).dictionary_encode().indices.to_numpy()  # record -> clip number
    digests = table["digest"].to_numpy()
    _, first = np.unique(clips, return_index=True)  # clip number -> its first record
    has_rivals = np.zeros(len(first), dtype=bool)
    has_rivals[clips[digests != digests[first[clips]]]] = True  # per record -> per clip
    if len(first) < len(clips):
        is_first = np.zeros(len(clips), dtype=bool)
        is_first[first] = True
        table = table.filter(pa.array(is_first))
    return table, pa.array(has_rivals)


@dataclass(frozen=True)
class _Media:
    """The distinct files of all clips, and the number of each clip's file, by column of paths."""

    files: Files
    numbers: dict[str, pa.Array]

    def problems(self) -> Column:
        """Return the problem of the files of each clip, or null."""
        named = pc.coalesce(*self.numbers.values())
        problems = [self.files.problems.take(numbers) for numbers in self.numbers.values()]
        return pc.coalesce(*problems, pc.if_else(pc.is_null(named), "no media file named", None))

    def respell(self, table: pa.Table) -> pa.Table:
        """Return the records with the paths of the files that were found."""
        for name, numbers in self.numbers.items():
            found = pc.coalesce(self.files.paths.take(numbers), table[name])
            table = table.set_column(table.column_names.index(name), name, found)
        return table

    def hash_usable(
        self, is_usable: Column, memory: Path, corpus: str
    ) -> tuple[dict[str, Column], Column]:
        """Return the columns of hashes of usable clips, and the problem of those without one."""
        audio, video, image = (
            _combine(pc.if_else(is_usable, numbers, None)) for numbers in self.numbers.values()
        )
        used = {"audio_hash": audio, "picture_hash": pc.coalesce(video, image)}
        wanted = np.zeros(len(self.files.paths), dtype=bool)
        for numbers in used.values():  # clip -> file; null = no file
            wanted[numbers.drop_null().to_numpy()] = True
        with HashMemory(memory) as remembered:
            hashes = remembered.hashes_of(self.files, wanted, title=f"{STAGE} {corpus}")
        columns = {name: hashes.take(numbers) for name, numbers in used.items()}  # file -> clip
        unread = [
            pc.and_(pc.is_valid(numbers), pc.is_null(columns[name]))
            for name, numbers in used.items()
        ]
        return columns, pc.if_else(pc.or_(*unread), CANNOT_BE_READ, None)


def _find_media(root: Path, table: pa.Table, *, follow_links: bool) -> _Media:
    """Look for the files of records that are not marked as unusable."""
    is_usable = pc.is_null(table["unusable"])
    columns = [_combine(pc.if_else(is_usable, table[name], None)) for name in PATHS]
    named = pa.concat_arrays(columns).dictionary_encode()  # column, clip -> column * clip
    numbers = {
        name: named.indices.slice(index * table.num_rows, table.num_rows)
        for index, name in enumerate(PATHS)
    }
    return _Media(find_files(root, named.dictionary, follow_links=follow_links), numbers)


def _find_age_problems(ages: Column) -> Column:
    years = ages.to_numpy()
    is_outside = ages.is_valid().to_numpy() & ~((years >= 0) & (years <= MAX_AGE_YEARS))
    problems = np.full(len(years), None, dtype=object)
    problems[is_outside] = [f"age outside 0..{MAX_AGE_YEARS}: {age:g}" for age in years[is_outside]]
    return pa.array(problems, pa.string())


def _to_clips(
    corpus: str, clip_ids: Column, table: pa.Table, hashes: Mapping[str, Column]
) -> pa.Table:
    """Rows of records -> rows of the clips table, whose splits may still be missing."""
    computed = {
        "clip_id": clip_ids,
        "corpus": pa.repeat(corpus, table.num_rows),
        "speaker_id": pc.coalesce(join_spellings(_combine(table["speaker_id"])), clip_ids),
        **hashes,
    }
    columns = {
        name: computed[name] if name in computed else table[name] for name in CLIPS.columns.names
    }
    return pa.table(columns)


def _to_attributes(clip_ids: Column, attributes: Column) -> pd.DataFrame:
    """Names and values of each clip -> a row for each of them."""
    maps = _combine(attributes)
    counts = np.diff(maps.offsets.to_numpy())  # clip -> number of its attributes
    ids = clip_ids.take(pa.array(np.repeat(np.arange(len(maps)), counts)))
    rows = {"clip_id": ids, "name": maps.keys, "value": maps.items}
    return pa.table(rows).to_pandas()


def _to_skipped(clip_ids: Column, reasons: Column) -> list[Skipped]:
    is_skipped = pc.is_valid(reasons)
    pairs = zip(
        clip_ids.filter(is_skipped).to_pylist(), reasons.filter(is_skipped).to_pylist(), strict=True
    )
    return [Skipped(clip_id, STAGE, shorten(reason)) for clip_id, reason in pairs]


def _example(skipped: list[Skipped]) -> str:
    return f", e.g. {shorten(skipped[0].clip_id)}: {skipped[0].reason}" if skipped else ""


def refuse_shared_speakers(corpus: str, clips: pd.DataFrame) -> None:
    """Raise a CorpusError that names the speakers who are in more than one split."""
    pairs = clips[["speaker_id", "split"]].drop_duplicates()
    repeated = pairs[pairs.duplicated("speaker_id", keep=False)]
    shared = repeated.groupby("speaker_id")["split"].agg(lambda splits: "+".join(sorted(splits)))
    if len(shared):
        shown = shared.iloc[:MAX_NAMED]
        named = ", ".join(f"{shorten(speaker)} ({splits})" for speaker, splits in shown.items())
        named += f" and {len(shared) - MAX_NAMED} more" if len(shared) > MAX_NAMED else ""
        raise CorpusError(
            f"Corpus {corpus!r}: {len(shared)} speakers are in two splits: {named}. Scores would "
            "be too good. Give each speaker one split, or leave the split empty."
        )


def warn_of_shared_content(corpus: str, clips: pd.DataFrame) -> None:
    """Log a warning if the same bytes, of audio or of pictures, are in more than one split."""
    splits = pd.Categorical(clips["split"], categories=SPLITS).codes
    is_shared = np.zeros(len(clips), dtype=bool)
    for column in HASHES:
        known = np.flatnonzero(clips[column].notna())
        contents, hashes = pd.factorize(clips[column].iloc[known])
        is_in_split = np.zeros((len(hashes), len(SPLITS)), dtype=bool)  # content, split
        is_in_split[contents, splits[known]] = True
        is_shared[known] |= (is_in_split.sum(axis=1) > 1)[contents]  # content -> clip
    if is_shared.any():
        shared = clips[is_shared]
        one = shared.iloc[0]
        same = pd.concat([shared[shared[column] == one[column]] for column in HASHES])
        other = same[same["split"] != one["split"]].iloc[0]
        logger.warning(
            "Corpus %r: %d clips have the same bytes as a clip of another speaker in another "
            "split, e.g. %s (%s) and %s (%s). They are kept, and scores may be too good.",
            corpus, len(shared), printable(one["clip_id"]), one["split"],
            printable(other["clip_id"]), other["split"],
        )  # fmt: skip

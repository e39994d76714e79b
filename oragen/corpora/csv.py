"""Any folder of clips and a table of labels -> records of clips: for data of your own.

The header has `media` (or `audio_path`, `video_path`, `image_path` if the audio and the pictures of
a clip are separate files), and any of the other `COLUMNS`. A map gives the table's own names for
them, so that an audformat table is read as it is:
`columns={"media": "file", "age_years": "age", "speaker_id": "speaker"}`. Further columns are not
read, unless they are to be grouped by, and one that looks like ours is refused.

An empty field, or one of the words for it, is an unknown label. A missing split is assigned by a
hash of the speaker, so that no speaker is in two. Fields are separated by comma, semicolon or tab.
Numbers have a decimal point or comma.
"""

import logging
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from oragen.corpora.columns import (
    FACE_BOX_COLUMNS,
    MEDIA_COLUMNS,
    NO_COLUMNS,
    SEGMENT_COLUMNS,
    check_columns,
)
from oragen.corpora.corpus_card import CorpusCard
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.corpora.tables import Line, read_table
from oragen.corpora.words import (
    GENDER_WORDS,
    MASK_TYPE_WORDS,
    SPLIT_WORDS,
    Age,
    is_unknown,
    is_unknown_speaker,
    look_up,
    to_number,
)
from oragen.schema.names import shorten

logger = logging.getLogger(__name__)

# A file with another suffix may hold both audio and video.
SOUND_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".amr",
    ".au", ".sph",
)  # fmt: skip
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
CARD: Final = CorpusCard(
    title="your own clips",
    modalities="audio, face",
    labels="gender, age, mask type, as far as they are known",
    licence="yours",
    access="a folder with a table, see README.md",
    splits="a column `split`, one table a split, or drawn by speaker",
    layout="""
labels.csv      media,speaker_id,gender,age_years,mask_type,split
<media>         videos, sounds or pictures, as the table names them
""",
)


def read_csv(
    corpus: str,
    root: Path,
    table: Path,
    columns: Mapping[str, str] = NO_COLUMNS,
    *,
    split: str | None = None,
    ignored: Collection[str] = (),
    group_columns: Collection[str] = (),
) -> Iterator[ClipRecord]:
    """Yield a record for each line of the table.

    Args:
        corpus: its name, for messages.
        root: the folder that media paths are relative to.
        table: the table's path, relative to the root.
        columns: the table's own names for any of `COLUMNS`, by ours.
        split: of every line; a line that names another one is unusable.
        ignored: names of columns that are not used, and may look like ours.
        group_columns: names of further columns that clips may be grouped by.

    Raises:
        CorpusError: there is no table, it cannot be read, it has no column of media, it lacks a
            mapped column, a column that is not used looks like one of ours, or `split` is no
            split.
    """
    path = root / table
    if not path.is_file():
        raise CorpusError(
            f"Corpus {corpus!r}: there is no table at {path}. Put one there with the columns "
            "media,speaker_id,gender,age_years,mask_type,split, or name it in "
            f"corpora.{corpus}.table."
        )
    whole_split = None if split is None else _to_split(corpus, split)
    check_columns(corpus, path, columns, ignored=ignored, group_columns=group_columns)
    renamed = {name: column.strip().lower() for name, column in columns.items()}
    any_of = [renamed.get(name, name) for name in MEDIA_COLUMNS]
    unknown = Counter[str]()
    for line in read_table(corpus, path, any_of=any_of):
        fields = line.fields | {name: line[column] for name, column in renamed.items()}
        speaker = fields.get("speaker_id", "")
        if speaker and is_unknown_speaker(speaker):
            unknown[speaker] += 1
        record = _to_record(replace(line, fields=fields), whole_split)
        yield replace(record, attributes=_take_attributes(line, group_columns))
    _warn_of_unknown_speakers(corpus, path, unknown)


def read_csv_tables(
    corpus: str,
    root: Path,
    tables: Mapping[str, Path],
    columns: Mapping[str, str] = NO_COLUMNS,
    *,
    ignored: Collection[str] = (),
    group_columns: Collection[str] = (),
) -> Iterator[ClipRecord]:
    """Yield a record for each line of several tables, one for each split, as audformat has them.

    Args:
        corpus: its name, for messages.
        root: the folder that media paths are relative to.
        tables: the path of each split's table, relative to the root. If there are tables of train
            and test but none of dev, some speakers of train become dev.
        columns: the tables' own names for any of `COLUMNS`, by ours.
        ignored: names of columns that are not used, and may look like ours.
        group_columns: names of further columns that clips may be grouped by.

    Raises:
        CorpusError: as `read_csv`.
    """
    splits = {word: _to_split(corpus, word) for word in tables}
    has_no_dev = {"train", "test"} == set(splits.values())
    for word, table in tables.items():
        split = TRAIN_OR_DEV if has_no_dev and splits[word] == "train" else splits[word]
        yield from read_csv(
            corpus, root, table, columns, split=split, ignored=ignored, group_columns=group_columns
        )


def _warn_of_unknown_speakers(corpus: str, path: Path, unknown: Counter[str]) -> None:
    if unknown:
        named = ", ".join(f"{shorten(name)} ({count})" for name, count in unknown.most_common())
        logger.warning(
            "Corpus %r: %d lines of %s name a speaker who is not known: %s. Each of their clips "
            "counts as a speaker of its own. If this is somebody's name, change it.",
            corpus, unknown.total(), path, named,
        )  # fmt: skip


def _to_split(corpus: str, word: str) -> str:
    words = SPLIT_WORDS | {TRAIN_OR_DEV: TRAIN_OR_DEV}
    if word.lower() not in words:
        raise CorpusError(
            f"Corpus {corpus!r}: {word!r} is no split of a table, expected one of "
            f"{', '.join(words)}. Correct corpora.{corpus}.tables in params.yaml."
        )
    return words[word.lower()]


def _to_record(line: Line, whole_split: str | None) -> ClipRecord:
    media = media_paths(_known(line["media"]))
    encoding = _known(line["audio_encoding"]) or None
    if encoding and media:
        media = {"audio_path": line["media"]}
    audio, video, image = (_known(line[name]) or media.get(name) for name in MEDIA_COLUMNS[1:])
    problems = [*line.problems, *_find_segment(line)]
    split = _choose_split(line, whole_split, problems)
    gender = look_up("gender", line["gender"], GENDER_WORDS, problems)
    mask_type = look_up("mask_type", line["mask_type"], MASK_TYPE_WORDS, problems)
    age = _to_age(line, problems)
    return ClipRecord(
        stem=_name_clip(_known(line["media"]) or audio or video or image or f"line {line.number}"),
        speaker_id=None if is_unknown_speaker(line["speaker_id"]) else line["speaker_id"],
        split=split,
        gender=gender,
        mask_type=mask_type,
        age_years=age.years,
        age_low=age.low,
        age_high=age.high,
        face_box=_to_face_box(line, problems),
        camera=_known(line["camera"]) or None,
        language=_known(line["language"]) or None,
        unusable="; ".join(problems) or None,
        audio_path=audio,
        video_path=video,
        image_path=image,
        audio_encoding=encoding,
    )


def _take_attributes(line: Line, columns: Collection[str]) -> tuple[tuple[str, str], ...]:
    """Return what is known of further columns: their names and values."""
    values = ((name, _known(line[name.strip().lower()])) for name in columns)
    return tuple((name, shorten(value)) for name, value in values if value)


def _known(cell: str) -> str:
    """Return a cell, empty if it says that nothing is known."""
    return "" if is_unknown(cell) else cell


def _name_clip(media: str) -> str:
    name = PurePosixPath(media)
    return str(name).removesuffix(name.suffix)


def media_paths(media: str) -> dict[str, str]:
    """One file -> its columns of media by its suffix: an image, audio, or audio and video."""
    match PurePosixPath(media).suffix.lower():
        case _ if not media:
            return {}
        case suffix if suffix in IMAGE_SUFFIXES:
            return {"image_path": media}
        case suffix if suffix in SOUND_SUFFIXES:
            return {"audio_path": media}
        case _:
            return {"audio_path": media, "video_path": media}


def _find_segment(line: Line) -> list[str]:
    """Report an audformat line about a segment of its file: a clip is a whole file."""
    if not line.fields.keys() >= SEGMENT_COLUMNS:
        return []
    start, end = _known(line["start"]).lower(), _known(line["end"])
    if start.replace("days", "").strip("0:. ") or end:
        return [f"a segment of a file: {line['start'] or '0'} to {line['end'] or 'its end'}"]
    return []


def _choose_split(line: Line, whole_split: str | None, problems: list[str]) -> str | None:
    own = look_up("split", line["split"], SPLIT_WORDS, problems)
    allowed = ("train", "dev") if whole_split == TRAIN_OR_DEV else (whole_split,)
    if own and whole_split and own not in allowed:
        problems.append(f"split {line['split']} in the table of {whole_split}")
    return own or whole_split


def _to_age(line: Line, problems: list[str]) -> Age:
    years, low, high = (
        to_number(name, line[name], problems) for name in ("age_years", "age_low", "age_high")
    )
    if low is None and high is None:
        return Age(years)
    if low is None or high is None or not low <= high:
        problems.append(f"age_low and age_high are no range: {line['age_low']}..{line['age_high']}")
        return Age(years)
    return Age((low + high) / 2 if years is None else years, low, high)


def _to_face_box(line: Line, problems: list[str]) -> tuple[float, float, float, float] | None:
    texts = _known(line["face_box"]).split() or [_known(line[name]) for name in FACE_BOX_COLUMNS]
    if not any(texts):
        return None
    match [to_number("face_box", text, []) for text in texts]:
        case [float(x1), float(y1), float(x2), float(y2)] if (
            x1 < x2 and y1 < y2 and all(map(math.isfinite, (x1, y1, x2, y2)))
        ):
            return x1, y1, x2, y2
    problems.append(f"face_box is no x1 y1 x2 y2: {' '.join(texts).strip()}")
    return None

"""Any folder of clips with a table of labels: how most people bring their own data.

The table has a header with `media` (or `audio_path`, `video_path`, `image_path` where a clip's
sound and pictures are separate files), and any of `speaker_id`, `gender`, `age_years`, `mask_type`,
`split`; other columns are passed over. An empty field is an unknown label. A missing split is
assigned by a hash of the speaker, so that no speaker is in two. Comma, semicolon or tab between the
fields, a decimal point or comma in the age.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from oragen.corpora.listing import ClipRecord, CorpusError
from oragen.schema import MASK_TYPES

MEDIA_COLUMNS = ("media", "audio_path", "video_path", "image_path")
# What is neither may hold both sound and pictures.
SOUND_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".amr",
    ".au", ".sph",
)  # fmt: skip
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
GENDER_WORDS = {"f": "female", "m": "male", "female": "female", "male": "male", "child": "child"}
SPLIT_WORDS = {
    "train": "train", "dev": "dev", "devel": "dev", "valid": "dev", "val": "dev",
    "validation": "dev", "test": "test",
}  # fmt: skip
MASK_TYPE_WORDS = {word: word for word in MASK_TYPES} | {
    "no mask": "none",
    "tissue mask": "tissue",
    "medical mask": "medical",
    "protective mask (ffp2/ffp3)": "ffp",
    "respirator": "respirator",
    "protective face shield": "shield",
}


def read_csv(corpus: str, root: Path, table: Path) -> Iterator[ClipRecord]:
    """Yield a record for each line of the table.

    Args:
        corpus: its name, for messages.
        root: the folder that media paths are relative to.
        table: the table's path, relative to the root.

    Raises:
        CorpusError: when there is no table, it cannot be read, or it has no column of media.
    """
    path = root / table
    if not path.is_file():
        raise CorpusError(
            f"Corpus {corpus!r}: no table at {path}. Put one there with the columns "
            "media,speaker_id,gender,age_years,mask_type,split, or name it in "
            f"corpora.{corpus}.table."
        )
    try:
        text = path.read_bytes().decode("utf-8-sig").lstrip("\r\n")
        yield from map(_to_record, _read_lines(corpus, path, text))
    except UnicodeDecodeError as error:
        raise CorpusError(f"Corpus {corpus!r}: {path} is not UTF-8 text: {error}.") from error
    except csv.Error as error:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} is no table: {error}. Look for a stray quotation mark."
        ) from error


@dataclass(frozen=True)
class Line:
    """One line of the table: what stands in each column; nothing where there is no such column."""

    number: int
    fields: dict[str, str]
    is_too_long: bool

    def __getitem__(self, column: str) -> str:
        return self.fields.get(column, "")


def _read_lines(corpus: str, path: Path, text: str) -> Iterator[Line]:
    header = next(iter(text.splitlines()), "")
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names = [name.strip().lower() for name in next(lines, [])]
    if not set(names) & set(MEDIA_COLUMNS):
        raise CorpusError(
            f"Corpus {corpus!r}: {path} has no column of media: expected one of "
            f"{', '.join(MEDIA_COLUMNS)}, found {', '.join(names) or 'nothing'}."
        )
    for fields in lines:
        stripped = [field.strip() for field in fields]
        if any(stripped):
            named = dict(zip(names, stripped, strict=False))
            yield Line(lines.line_num, named, is_too_long=any(stripped[len(names) :]))


def _to_record(line: Line) -> ClipRecord:
    media = media_paths(line["media"])
    audio, video, image = (line[name] or media.get(name) for name in MEDIA_COLUMNS[1:])
    named = PurePosixPath(line["media"] or audio or video or image or f"line {line.number}")
    faults = ["more fields than columns"] if line.is_too_long else []
    return ClipRecord(
        stem=str(named).removesuffix(named.suffix),
        speaker_id=line["speaker_id"] or None,
        split=_word(line, "split", SPLIT_WORDS, faults),
        gender=_word(line, "gender", GENDER_WORDS, faults),
        mask_type=_word(line, "mask_type", MASK_TYPE_WORDS, faults),
        age_years=_number(line, "age_years", faults),
        camera=line["camera"] or None,
        language=line["language"] or None,
        unusable="; ".join(faults) or None,
        audio_path=audio,
        video_path=video,
        image_path=image,
    )


def media_paths(media: str) -> dict[str, str]:
    """One file -> what it may hold, by its name: a picture, sound, or both."""
    match PurePosixPath(media).suffix.lower():
        case _ if not media:
            return {}
        case suffix if suffix in IMAGE_SUFFIXES:
            return {"image_path": media}
        case suffix if suffix in SOUND_SUFFIXES:
            return {"audio_path": media}
        case _:
            return {"audio_path": media, "video_path": media}


def _word(line: Line, column: str, words: dict[str, str], faults: list[str]) -> str | None:
    found = line[column]
    if not found:
        return None
    if (known := words.get(found.lower())) is None:
        faults.append(f"unknown {column}: {found}")
    return known


def _number(line: Line, column: str, faults: list[str]) -> float | None:
    found = line[column]
    try:
        return float(found.replace(",", ".")) if found else None
    except ValueError:
        faults.append(f"{column} is no number: {found}")
        return None

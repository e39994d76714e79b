"""Any folder of clips with a table of labels: how most people bring their own data.

The table has a header with `media` (or `audio_path`, `video_path`, `image_path` where a clip's
sound and pictures are separate files), and any of `speaker_id`, `gender`, `age_years`, `mask_type`,
`split`; other columns are passed over. An empty field is an unknown label. A missing split is
assigned by a hash of the speaker, so that no speaker is in two. Comma, semicolon or tab.
"""

import csv
import io
import mimetypes
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from oragen.corpora.listing import ClipRecord, CorpusError
from oragen.schema import MASK_TYPES

MEDIA_COLUMNS = ("media", "audio_path", "video_path", "image_path")
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
        CorpusError: when there is no table, or it has no column of media.
    """
    path = root / table
    if not path.is_file():
        raise CorpusError(
            f"Corpus {corpus!r}: no table at {path}. Put one there with the columns "
            "media,speaker_id,gender,age_years,mask_type,split, or name it in "
            f"corpora.{corpus}.table."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line in _read_lines(corpus, path, file.read()):
                yield _to_record(line)
    except UnicodeDecodeError as error:
        raise CorpusError(f"Corpus {corpus!r}: {path} is not UTF-8 text: {error}.") from error


def _read_lines(corpus: str, path: Path, text: str) -> Iterator[dict[str, str]]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, restkey="", restval="")
    names = [name.strip().lower() for name in reader.fieldnames or []]
    if not set(names) & set(MEDIA_COLUMNS):
        raise CorpusError(
            f"Corpus {corpus!r}: {path} has no column of media: expected one of "
            f"{', '.join(MEDIA_COLUMNS)}, found {', '.join(names) or 'nothing'}."
        )
    reader.fieldnames = names
    for line in reader:
        yield {name: value.strip() for name, value in line.items() if isinstance(value, str)}


def _to_record(line: dict[str, str]) -> ClipRecord:
    media = media_paths(line.get("media", ""))
    audio, video, image = (line.get(name) or media.get(name) for name in MEDIA_COLUMNS[1:])
    named = line.get("media") or audio or video or image
    faults: list[str] = []
    return ClipRecord(
        stem=str(PurePosixPath(named).with_suffix("")) if named else "(no media)",
        speaker_id=line.get("speaker_id") or None,
        split=_word(line, "split", SPLIT_WORDS, faults),
        gender=_word(line, "gender", GENDER_WORDS, faults),
        mask_type=_word(line, "mask_type", MASK_TYPE_WORDS, faults),
        age_years=_number(line, "age_years", faults),
        camera=line.get("camera") or None,
        language=line.get("language") or None,
        unusable="; ".join(faults) or None,
        audio_path=audio,
        video_path=video,
        image_path=image,
    )


def media_paths(media: str) -> dict[str, str]:
    """One file -> what it may hold, by its name: a picture, sound, or both."""
    kind = (mimetypes.guess_type(media)[0] or "").partition("/")[0]
    match kind:
        case _ if not media:
            return {}
        case "image":
            return {"image_path": media}
        case "audio":
            return {"audio_path": media}
        case _:
            return {"audio_path": media, "video_path": media}


def _word(
    line: dict[str, str], column: str, words: dict[str, str], faults: list[str]
) -> str | None:
    found = line.get(column, "")
    if not found:
        return None
    if (known := words.get(found.lower())) is None:
        faults.append(f"unknown {column}: {found}")
    return known


def _number(line: dict[str, str], column: str, faults: list[str]) -> float | None:
    found = line.get(column, "")
    try:
        return float(found) if found else None
    except ValueError:
        faults.append(f"{column} is no number: {found}")
        return None

"""Any folder of clips with a table of labels: how most people bring their own data.

The table has a header with `media` (or `audio_path`, `video_path`, `image_path` where a clip's
sound and pictures are separate files), and any of `speaker_id`, `gender`, `age_years`, `mask_type`,
`split`; other columns are passed over. An empty field is an unknown label. A missing split is
assigned by a hash of the speaker, so that no speaker is in two. Comma, semicolon or tab between the
fields, a decimal point or comma in the age.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from oragen.corpora.listing import ClipRecord, CorpusError
from oragen.corpora.tables import Line, read_table
from oragen.corpora.words import GENDER_WORDS, MASK_TYPE_WORDS, SPLIT_WORDS, look_up, to_number

MEDIA_COLUMNS = ("media", "audio_path", "video_path", "image_path")
# What is neither may hold both sound and pictures.
SOUND_SUFFIXES = (
    ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".amr",
    ".au", ".sph",
)  # fmt: skip
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


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
    yield from map(_to_record, read_table(corpus, path, any_of=MEDIA_COLUMNS))


def _to_record(line: Line) -> ClipRecord:
    media = media_paths(line["media"])
    audio, video, image = (line[name] or media.get(name) for name in MEDIA_COLUMNS[1:])
    named = PurePosixPath(line["media"] or audio or video or image or f"line {line.number}")
    faults = ["more fields than columns"] if line.is_too_long else []
    return ClipRecord(
        stem=str(named).removesuffix(named.suffix),
        speaker_id=line["speaker_id"] or None,
        split=look_up("split", line["split"], SPLIT_WORDS, faults),
        gender=look_up("gender", line["gender"], GENDER_WORDS, faults),
        mask_type=look_up("mask_type", line["mask_type"], MASK_TYPE_WORDS, faults),
        age_years=to_number("age_years", line["age_years"], faults),
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

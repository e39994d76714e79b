"""The titles of a table and a map of names -> which columns are read, or why they cannot be.

A title that only looks like one of ours is not read. Its labels would be lost without a word, so it
is refused, unless the entry of the corpus lists it in `ignored_columns`.
"""

import logging
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Final

from oragen.corpora.records import CorpusError
from oragen.corpora.tables import list_repeated, read_titles, refuse_repeated
from oragen.schema.choices.grouping import GROUP_COLUMNS
from oragen.schema.names import printable, shorten

logger = logging.getLogger(__name__)

MEDIA_COLUMNS: Final = ("media", "audio_path", "video_path", "image_path")
FACE_BOX_COLUMNS: Final = ("face_x1", "face_y1", "face_x2", "face_y2")
COLUMNS: Final = (
    *MEDIA_COLUMNS,
    "audio_encoding",  # of headerless audio, such as s16le@8000
    "speaker_id",
    "gender",
    "age_years",
    "age_low",  # first and last whole year of a range; without `age_years`, the age is its middle
    "age_high",
    "mask_type",
    "split",
    "camera",
    "language",
    "face_box",  # x1 y1 x2 y2 in pixels, with blanks between
    *FACE_BOX_COLUMNS,  # or one by one
)
NO_COLUMNS: Final[Mapping[str, str]] = MappingProxyType({})
SEGMENT_COLUMNS: Final = {"file", "start", "end"}  # the index of an audformat table
GROUPED_ANYWAY: Final = ("gender", "age band", "mask type")  # by each report
MIN_ALIKE: Final = 0.8  # of difflib: one wrong letter in five

# What other tables call what is ours, in letters and digits alone.
_OTHER_NAMES: Final = {
    "media": ("file", "filename", "filepath", "path", "clip", "clippath"),
    "audio_path": ("audio", "audiofile", "sound", "wav"),
    "video_path": ("video", "videofile"),
    "image_path": ("image", "imagefile", "img", "imgname", "picture", "photo"),
    "speaker_id": (
        "speaker", "spk", "spkid", "speakername", "subject", "subjectid", "person", "personid",
        "participant", "participantid", "clientid", "identity",
    ),
    "gender": ("sex",),
    "age_years": ("age", "ageinyears", "years"),
    "age_low": ("agemin", "minage", "agefrom"),
    "age_high": ("agemax", "maxage", "ageto"),
    "mask_type": ("mask", "facemask", "facecovering", "covering"),
    "split": ("set", "subset", "partition"),
    "face_box": ("box", "bbox", "facebbox", "boundingbox"),
}  # fmt: skip
_GROUPS: Final = (  # of names of which one says what the others would
    MEDIA_COLUMNS,
    ("face_box", *FACE_BOX_COLUMNS),
    ("age_years", "age_low", "age_high"),
)
_OURS_BY_NAME: Final = {
    simple: ours
    for ours, others in _OTHER_NAMES.items()
    for simple in (ours.replace("_", ""), *others)
}


def check_columns(
    corpus: str,
    path: Path,
    columns: Mapping[str, str],
    *,
    ignored: Collection[str] = (),
    group_columns: Collection[str] = (),
) -> None:
    """Check the header of a table of clips, and warn of columns that are not used.

    Args:
        corpus: its name, for messages.
        path: the table.
        columns: the table's own names for any of `COLUMNS`, by ours.
        ignored: names of columns that the user knows are not used.
        group_columns: names of further columns that clips may be grouped by.

    Raises:
        CorpusError: a column is listed twice, a mapped one or one to group by is missing, or one
            that would not be used looks like one of ours.
    """
    titles = read_titles(corpus, path)
    check_column_map(corpus, path, columns, titles, known=COLUMNS)
    refuse_repeated(corpus, path, list_repeated(titles))
    _check_group_columns(corpus, path, group_columns, titles)
    mapped = {name: column.strip().lower() for name, column in columns.items()}
    used = {*mapped.values(), *(name for name in COLUMNS if name not in mapped)}
    if set(titles) >= SEGMENT_COLUMNS:
        used |= SEGMENT_COLUMNS
    known = {title.strip().lower() for title in (*ignored, *group_columns)}
    unused = [title for title in titles if title and title not in used | known]
    present = {name for name in COLUMNS if mapped.get(name, name) in titles}
    if meant := guess_columns(unused, present):
        raise CorpusError(_explain(corpus, path, meant, titles, present))
    if unused:
        logger.warning(
            "Corpus %r: these columns of %s are not used: %s. Map those that are meant in "
            "corpora.%s.columns, or list them in corpora.%s.ignored_columns.",
            corpus, path, shorten(", ".join(unused)), corpus, corpus,
        )  # fmt: skip


def _check_group_columns(
    corpus: str, path: Path, group_columns: Collection[str], titles: Sequence[str]
) -> None:
    """Raise a CorpusError for a column to group by that is ours, or is not there."""
    place = f"corpora.{corpus}.group_columns"
    for name in group_columns:
        title = name.strip().lower()
        if title in (*COLUMNS, *GROUP_COLUMNS, *GROUPED_ANYWAY):
            raise CorpusError(
                f"{place} names {name!r}, which is a word of ours. Rename the column, or take it "
                "out of there: report.group_by takes corpus, camera and language as they are."
            )
        if title not in titles:
            raise CorpusError(
                f"{place} names {name!r}, which is no column of {path}{_suggest(title, titles)}; "
                f"found {shorten(', '.join(titles)) or 'nothing'}."
            )


def guess_columns(unused: Sequence[str], present: Collection[str]) -> dict[str, str]:
    """Return which of our names the unused titles seem to mean, where we have no other column."""
    said = {*present}
    for group in _GROUPS:
        if said & {*group}:
            said |= {*group}
    meant: dict[str, str] = {}
    for title in unused:
        ours = _guess(title)
        if ours is not None and ours not in said and ours not in meant:
            meant[ours] = title
    return meant


def _guess(title: str) -> str | None:
    letters = unicodedata.normalize("NFKC", title).casefold()
    simple = re.sub(r"[^a-z0-9]", "", letters)
    close = get_close_matches(simple, _OURS_BY_NAME, n=1, cutoff=MIN_ALIKE)
    exact = next((name for name in (simple, simple.rstrip("s")) if name in _OURS_BY_NAME), None)
    near = close[0] if close and len(simple) > 4 else None  # `cage` is no age
    return _OURS_BY_NAME[found] if (found := exact or near) else None


def _explain(
    corpus: str,
    path: Path,
    meant: Mapping[str, str],
    titles: Sequence[str],
    present: Collection[str],
) -> str:
    named = shorten(", ".join(f"{title} ({name}?)" for name, title in meant.items()))
    entries = ", ".join(f"{name}: {printable(title)}" for name, title in meant.items())
    lacking = (
        ""
        if {*present} & {*MEDIA_COLUMNS}
        else f" has no column of media: expected one of {', '.join(MEDIA_COLUMNS)}, found "
        f"{shorten(', '.join(titles))}. It"
    )
    return (
        f"Corpus {corpus!r}: {path}{lacking} has columns that look like ours and would not be "
        f"read: {named}. Rename them, or set corpora.{corpus}.columns to {{{shorten(entries)}}} in "
        f"params.yaml. Those that mean something else belong to corpora.{corpus}.ignored_columns."
    )


def check_column_map(
    corpus: str,
    path: Path,
    columns: Mapping[str, str],
    titles: Sequence[str],
    *,
    known: Collection[str],
) -> None:
    """Raise a CorpusError for an unknown name, or for one mapped to a missing column.

    Args:
        corpus: its name, for messages.
        path: the table.
        columns: the table's own names, by ours.
        titles: of the table, see `read_titles`.
        known: our names.
    """
    place = f"corpora.{corpus}.columns"
    for name in columns:
        if name not in known:
            raise CorpusError(
                f"{place} names {name!r}{_suggest(name, known)}, expected any of "
                f"{', '.join(known)}."
            )
    for name, column in columns.items():
        if (title := column.strip().lower()) not in titles:
            raise CorpusError(
                f"{place} maps {name} to {column!r}, which is no column of {path}"
                f"{_suggest(title, titles)}; found {shorten(', '.join(titles)) or 'nothing'}."
            )


def _suggest(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name.lower(), known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""

"""An index of BRAVE-MASKS, a row for each camera of a clip -> records of the chosen cameras.

Thirty speakers of Russian, fifteen women and fifteen men of 19 to 86 years, without a mask and with
five types of masks, before three cameras: 14 940 clips of five seconds on average, 21 hours; audio
in WAV, 48 kHz; video in MPEG-4, 3840 x 2160.

The folders of the corpus are not public, so an index is needed: a CSV file with the columns of the
published code. Any column but the media and `mask_type` may be missing:

    audio_file_path,image_file_path,video_file_path,speaker_id,gender,age,mask_type,channel,subset

The words of `mask_type` are those of the published code. It numbers them in another order than the
table on the corpus' page, where `Respirator` is called FFP2/FFP3. So numbers and abbreviations are
refused: only full names are unambiguous.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from oragen.corpora.corpus_card import CorpusCard, Statistics, wrong_layout
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.tables import Line, read_table
from oragen.corpora.words import (
    GENDER_WORDS,
    MASK_TYPE_WORDS,
    SPLIT_WORDS,
    is_unknown,
    is_unknown_speaker,
    look_up,
    to_number,
)

logger = logging.getLogger(__name__)

MEDIA_COLUMNS: Final = ("audio_file_path", "image_file_path", "video_file_path")
CAMERA_WORDS: Final = {"c": "c", "r": "r", "l": "l"}  # centre, right, left
DEFAULT_CAMERA: Final = "c"  # of an index without the column, as in the published code

CARD: Final = CorpusCard(
    title="BRAVE-MASKS",
    modalities="audio, face",
    labels="gender, age, mask type",
    licence="by agreement with its authors, not verified",
    access="on request: hci.nw.ru, SPC RAS",
    splits="train, dev and test of the index",
    layout="""
index.csv      audio_file_path,image_file_path,video_file_path,speaker_id,gender,age,mask_type,
               channel,subset; paths relative to the root
...            the media, as the index names them
""",
    statistics=Statistics(
        source="corpus table on the ORAGEN page; clips of all three cameras",
        clips=14_940,
        by_gender={"female": 15, "male": 15},
        age_range_years=(19, 86),
        age_mean_years=40.8,
        age_std_years=19.0,
        hours=21.0,
    ),
)


def read_brave_masks(
    corpus: str, root: Path, *, table: Path, cameras: Sequence[str] = (DEFAULT_CAMERA,)
) -> Iterator[ClipRecord]:
    """Yield a record for each row of one of the cameras; rows of others are only counted.

    Args:
        corpus: its name, for messages.
        root: the folder that the paths in the index are relative to.
        table: the index, relative to the root.
        cameras: some of `c`, `r`, `l`. All cameras of a clip share its sound.

    Raises:
        CorpusError: there is no index, it lacks a column, a camera is unknown, or no row is of one
            of the cameras.
    """
    _check_cameras(corpus, cameras)
    path = root / table
    if not path.is_file():
        raise wrong_layout(corpus, root, CARD, f"there is no index {table}")
    other_cameras = Counter[str]()
    num_taken = 0
    for line in read_table(corpus, path, any_of=MEDIA_COLUMNS, all_of=["mask_type"]):
        record = _to_record(line)
        if record.camera is None or record.camera in cameras:
            num_taken += 1
            yield record
        else:
            other_cameras[record.camera] += 1
    others = ", ".join(f"{count} of {camera}" for camera, count in sorted(other_cameras.items()))
    if not num_taken:
        raise CorpusError(
            f"Corpus {corpus!r}: {path} has no row of camera {' or '.join(cameras)}; found "
            f"{others or 'no rows'}. Correct corpora.{corpus}.cameras in params.yaml."
        )
    logger.info("%s: %d rows; rows of other cameras: %s", corpus, num_taken, others or "none")


def _check_cameras(corpus: str, cameras: Sequence[str]) -> None:
    if not cameras or not set(cameras) <= CAMERA_WORDS.keys():
        raise CorpusError(
            f"Corpus {corpus!r}: corpora.{corpus}.cameras in params.yaml is {list(cameras)}, "
            f"expected one or more of {', '.join(CAMERA_WORDS)}."
        )


def _to_record(line: Line) -> ClipRecord:
    audio, image, video = (None if is_unknown(line[name]) else line[name] for name in MEDIA_COLUMNS)
    problems = [*line.problems]
    camera = look_up("channel", line.fields.get("channel", DEFAULT_CAMERA), CAMERA_WORDS, problems)
    gender = look_up("gender", line["gender"], GENDER_WORDS, problems)
    mask_type = look_up("mask_type", line["mask_type"], MASK_TYPE_WORDS, problems)
    age_years = to_number("age", line["age"], problems)
    split = look_up("subset", line["subset"], SPLIT_WORDS, problems)
    if is_unknown(line["channel"]) and "channel" in line.fields:
        problems.append("no channel")
    speaker_id = None if is_unknown_speaker(line["speaker_id"]) else line["speaker_id"]
    if not speaker_id and not split and is_unknown(line["subset"]):
        problems.append("neither speaker_id nor subset")
    if not (gender or mask_type or age_years is not None or problems):
        problems.append("no label")
    return ClipRecord(
        stem=_name_clip(audio or video or image or f"line {line.number}", camera),
        speaker_id=speaker_id,
        split=split,
        audio_path=audio,
        video_path=video,
        image_path=None if video else image,  # beside a video it is one of its frames
        gender=gender,
        age_years=age_years,
        mask_type=mask_type,
        camera=camera,
        unusable="; ".join(problems) or None,
    )


def _name_clip(media: str, camera: str | None) -> str:
    """Name a clip by its file and its camera, as all cameras share a sound file."""
    return f"{media.removesuffix(PurePosixPath(media).suffix)}/{camera or 'no camera'}"

"""VoxCeleb2's tree of audio and video files, with ages from another project -> records of clips.

Celebrities in interviews on YouTube, cut to one speaker's face and voice. The corpus itself has
genders. Ages are from other projects, by the years of birth and of recording: hechmik's enrichment
(github.com/hechmik/voxceleb_enrichment_age_gender, arXiv 2109.13510) has one for each speaker in a
video, AgeVoxCeleb (github.com/nttcslab-sp/agevoxceleb) one for each clip.

Licence and access are in `CARD`. The enrichment has 149 350 rows of VoxCeleb1 and 2; the column
`speaker_age` (the year is in the title and the description) has 6601 ages, and
`speaker_age_title_only` more. The clips used in the published experiments: 109 thousand, 238 hours.
"""

import logging
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, assert_never

from oragen.corpora.corpus_card import CorpusCard, Statistics, wrong_layout
from oragen.corpora.records import ClipRecord
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.corpora.tables import read_table
from oragen.corpora.voxceleb2_ages import (
    AGE_LISTS,
    ENRICHMENT,
    Ages,
    is_of_voxceleb1,
    read_age_lists,
    read_enrichment,
)
from oragen.corpora.words import GENDER_WORDS, is_unknown, look_up
from oragen.schema.choices.corpora import AgeSource, Tracks

logger = logging.getLogger(__name__)


META: Final = "vox2_meta.csv"
TABLE_FOLDERS: Final = (
    "", "meta", "metadata", "voxceleb_enrichment_age_gender/dataset", "agevoxceleb",
)  # fmt: skip
_TRACK_NAMES: Final[dict[Tracks, str]] = {
    "both": "a track", "audio": "sound", "video": "pictures",
}  # fmt: skip
SPLIT_WORDS: Final = {"dev": TRAIN_OR_DEV, "test": "test"}

# Folders that may be above the speakers in the tree, in any order and number.
_LEVEL = re.compile(
    r"dev|test|aac|m4a|wav|mp4|audio|video|(voxceleb2|vox2)([_-].*)?", re.IGNORECASE
)
_MAX_LEVELS = 4
_SPEAKER = re.compile(r"id\d{5}")
# Of several files of one track the first is used: the published form before converted ones.
AUDIO_SUFFIXES: Final = (".m4a", ".aac", ".wav", ".flac")
VIDEO_SUFFIXES: Final = (".mp4", ".avi")

# <video>/<utterance> that the published code excludes by name, without a reason.
EXCLUDED: Final = frozenset(
    {"lQxVumsa0QE/00053", "x9K8-IfuOMg/00490", "x9K8-IfuOMg/00491", "StiTPpXXhe0/00079"}
)

CARD: Final = CorpusCard(
    title="VoxCeleb2",
    modalities="audio, face",
    labels="gender, age",
    licence="media: of YouTube, terms on the corpus' page, not verified; ages: enrichment MIT, "
    "AgeVoxCeleb evaluation licence of NTT",
    access="media on request at robots.ox.ac.uk/~vgg/data/voxceleb, links change often; ages free "
    "at github.com/hechmik/voxceleb_enrichment_age_gender or github.com/nttcslab-sp/agevoxceleb",
    splits="official dev and test, no speaker in both; dev is divided into train and dev here",
    layout=f"""
{{dev,test}}/aac/id00012/<video>/00001.m4a    or wav/*.wav; any of these levels may be missing
{{dev,test}}/mp4/id00012/<video>/00001.mp4
{META:<40}id, gender and set of each speaker
{ENRICHMENT:<40}for ages: enrichment
{", ".join(AGE_LISTS):<40}for ages: agevoxceleb
The tables may lie in {", ".join(f"{name}/" for name in TABLE_FOLDERS[1:])} as well.
""",
    statistics=Statistics(
        source="corpus table on the ORAGEN page, clips rounded; clips with an age alone, of 5333 "
        "female and 8888 male pairs of speaker and video",
        clips=109_000,
        age_range_years=(10, 95),
        age_mean_years=40.8,
        age_std_years=14.1,
        hours=238.0,
    ),
)


class Speaker(NamedTuple):
    """The labels of a speaker in the corpus; `problems` are words that are not known."""

    split: str | None
    gender: str | None
    problems: list[str]


class _Clip(NamedTuple):
    """One clip on the disk: its name, and its tracks relative to the root."""

    name: str
    audio: str | None
    video: str | None


def read_voxceleb2(
    corpus: str,
    root: Path,
    *,
    ages: AgeSource,
    age_column: str = "speaker_age_title_only",
    tracks: Tracks,
) -> Iterator[ClipRecord]:
    """Yield a record for each clip in the tree, one speaker after the other.

    No media file is opened. An mp4 file counts as video alone, as most copies have no sound.

    Args:
        corpus: its name, for messages.
        root: the folder of the corpus.
        ages: the project whose ages are used.
        age_column: of the enrichment: `speaker_age_title_only` or `speaker_age`.
        tracks: the tracks of a clip to use; `audio` reads the mp4 file if there is no other file.

    Raises:
        CorpusError: a table is missing or cannot be read, or there are no media.
    """
    counts = Counter[str]()
    speakers = _read_speakers(corpus, root)
    known_ages = _read_ages(corpus, root, ages, age_column, speakers, counts)
    _count_disagreements(speakers, known_ages, counts)
    aged: set[str] = set()
    for clip in _walk(root, speakers, counts):
        audio, video = _choose_tracks(clip, tracks)
        counts["clips" if audio or video else "without the track"] += 1
        if audio or video:
            aged.add(known_ages.key(clip.name))
            yield _to_record(clip._replace(audio=audio, video=video), speakers, known_ages)
    if not counts["clips"]:
        raise wrong_layout(corpus, root, CARD, f"there is no clip with {_TRACK_NAMES[tracks]}")
    counts["ages without media"] = len(known_ages.texts.keys() - aged)
    logger.info("%s: %s", corpus, ", ".join(f"{count} {what}" for what, count in counts.items()))


def _choose_tracks(clip: _Clip, tracks: Tracks) -> tuple[str | None, str | None]:
    match tracks:
        case "both":
            return clip.audio, clip.video
        case "audio":
            return clip.audio or clip.video, None
        case "video":
            return None, clip.video
        case _:
            assert_never(tracks)


def _to_record(clip: _Clip, speakers: dict[str, Speaker], ages: Ages) -> ClipRecord:
    speaker_id, video_and_utterance = clip.name.split("/", maxsplit=1)
    speaker = speakers.get(
        speaker_id, Speaker(None, None, [f"speaker not in {META}: {speaker_id}"])
    )
    problems = [*speaker.problems]
    gender = speaker.gender or ages.genders.get(speaker_id)
    age = ages.look_up(clip.name, problems)
    if video_and_utterance in EXCLUDED:
        problems.append(f"excluded by the published experiments: {video_and_utterance}")
    if not gender and age.years is None and not problems:
        problems.append("no label")
    return ClipRecord(
        stem=clip.name,
        speaker_id=speaker_id,
        split=speaker.split,
        audio_path=clip.audio,
        video_path=clip.video,
        gender=gender,
        age_years=age.years,
        age_low=age.low,
        age_high=age.high,
        unusable="; ".join(problems) or None,
    )


# The tables


def _find_table(corpus: str, root: Path, name: str) -> Path:
    paths = [root / folder / name for folder in TABLE_FOLDERS]
    if path := next(filter(Path.is_file, paths), None):
        return path
    raise wrong_layout(corpus, root, CARD, f"there is no table {name}")


def _read_speakers(corpus: str, root: Path) -> dict[str, Speaker]:
    """Read speakers by their ids; copies of the table differ in delimiter, columns and padding."""
    speakers = {}
    table = _find_table(corpus, root, META)
    for line in read_table(corpus, table, all_of=["voxceleb2 id", "gender", "set"]):
        problems: list[str] = []
        speakers[line["voxceleb2 id"]] = Speaker(
            split=look_up("set", line["set"], SPLIT_WORDS, problems),
            gender=look_up("gender", line["gender"], GENDER_WORDS, problems),
            problems=[*problems, "no set"] if is_unknown(line["set"]) else problems,
        )
    return speakers


def _read_ages(
    corpus: str,
    root: Path,
    source: AgeSource,
    column: str,
    speakers: dict[str, Speaker],
    counts: Counter[str],
) -> Ages:
    match source:
        case "enrichment":
            table = _find_table(corpus, root, ENRICHMENT)
            return read_enrichment(corpus, table, column, speakers, counts)
        case "agevoxceleb":
            return read_age_lists(corpus, (_find_table(corpus, root, name) for name in AGE_LISTS))
        case _:
            assert_never(source)


def _count_disagreements(speakers: dict[str, Speaker], ages: Ages, counts: Counter[str]) -> None:
    """Count the speakers whose gender differs between the corpus and the enrichment."""
    for speaker_id, gender in ages.genders.items():
        known = speakers.get(speaker_id)
        if gender and known and known.gender and gender != known.gender:
            counts["speakers of another gender in the enrichment"] += 1


# The media


def _walk(root: Path, speakers: dict[str, Speaker], counts: Counter[str]) -> Iterator[_Clip]:
    """Yield the clips of one speaker after the other; their tracks may be in several trees."""
    trees: defaultdict[str, list[str]] = defaultdict(list)
    for folder in _find_speaker_folders(str(root), _MAX_LEVELS):
        trees[folder.name].append(folder.path)
    for speaker_id in sorted(trees):
        if is_of_voxceleb1(speaker_id, speakers):
            counts["speakers of VoxCeleb1"] += 1
            continue
        yield from _read_speaker_folders(str(root), sorted(trees[speaker_id]), counts)


def _find_speaker_folders(folder: str, levels_left: int) -> Iterator[os.DirEntry[str]]:
    for entry in _scan_folders(folder):
        if _SPEAKER.fullmatch(entry.name):
            yield entry
        elif levels_left and _LEVEL.fullmatch(entry.name):
            yield from _find_speaker_folders(entry.path, levels_left - 1)


def _read_speaker_folders(
    root: str, folders: Sequence[str], counts: Counter[str]
) -> Iterator[_Clip]:
    """Join the tracks of a speaker's clips, in the order of their names."""
    files: defaultdict[str, dict[str, str]] = defaultdict(dict)  # by clip, then by suffix
    for folder in folders:
        for clip, suffix, path in _find_files(folder):
            if suffix in AUDIO_SUFFIXES + VIDEO_SUFFIXES:
                files[clip].setdefault(suffix, path.removeprefix(f"{root}/"))
            else:
                counts["other files"] += 1
    for name in sorted(files):
        audio = next(filter(None, map(files[name].get, AUDIO_SUFFIXES)), None)
        video = next(filter(None, map(files[name].get, VIDEO_SUFFIXES)), None)
        yield _Clip(name, audio, video)


def _find_files(folder: str) -> Iterator[tuple[str, str, str]]:
    """Yield clip, suffix and path of each file in `<folder>/<video>/` that is not hidden."""
    speaker = folder.rpartition("/")[2]
    for video in _scan_folders(folder):
        with os.scandir(video.path) as entries:
            for entry in entries:
                if entry.name.startswith("."):  # such as the files that macOS adds to copies
                    continue
                stem, dot, suffix = entry.name.rpartition(".")
                yield f"{speaker}/{video.name}/{stem}", f"{dot}{suffix.lower()}", entry.path


def _scan_folders(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.is_dir())

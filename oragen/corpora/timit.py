"""The TIMIT tree -> records of clips: read sentences, with the sex and the age of the speaker.

TIMIT (LDC93S1) has 6300 sentences, ten of each of 630 speakers of American English, recorded in a
quiet room in 1986. The Linguistic Data Consortium sells it; it may not be redistributed. Copies
differ in case and in the folders around the tree, so the tree is searched for, in any case. The
`.WAV` files are NIST SPHERE; a `.WAV.wav` beside one is a converted copy, and is ignored.

An age is the time from birth to recording in years of 365.25 days, with its fraction. Except for
the days around a birthday, its whole part is the age in completed years. A date with question marks
gives a null age; the clip keeps its gender.
"""

import re
from collections import deque
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from oragen.corpora.corpus_card import CorpusCard, Statistics, wrong_layout
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV

CARD: Final = CorpusCard(
    title="TIMIT Acoustic-Phonetic Continuous Speech Corpus (LDC93S1)",
    modalities="audio",
    labels="gender, age",
    licence="Linguistic Data Consortium, no redistribution (not verified)",
    access="bought from the Linguistic Data Consortium: https://catalog.ldc.upenn.edu/LDC93S1",
    splits="TEST (168 speakers) is test; of TRAIN (462), some speakers become dev",
    layout="""
TRAIN/DR1/FABC0/SA1.WAV  (TRAIN and TEST, DR1 to DR8, F or M and a name; any case)
TEST/DR1/MABC0/SA1.WAV
DOC/SPKRINFO.TXT         (or beside or above TRAIN and TEST)
""",
    statistics=Statistics(
        source="corpus table on the ORAGEN page",
        clips=6300,
        by_gender={"female": 192, "male": 438},
        age_range_years=(20, 75),
        age_mean_years=29.9,
        age_std_years=7.9,
        hours=6.0,
    ),
)

TABLE: Final = "spkrinfo.txt"
SPLITS: Final = {"TRAIN": TRAIN_OR_DEV, "TEST": "test"}
GENDERS: Final = {"F": "female", "M": "male"}
_USES: Final = {"TRN": "TRAIN", "TST": "TEST"}
# data/lisa/data/timit/raw/TIMIT, as one of the copies has it
_MAX_DEPTH: Final = 6
_MAX_FOLDERS: Final = 10_000
_DAYS_PER_YEAR: Final = 365.25


class _Speaker(NamedTuple):
    """A line of SPKRINFO.TXT."""

    folder: str  # where the speaker's sentences should be, such as TRAIN/DR3/FABX0
    recorded: str  # MM/DD/YY
    born: str


def read_timit(corpus: str, root: Path) -> Iterator[ClipRecord]:
    """Yield a record for each sentence, named by its place in the tree: TRAIN/DR1/FABC0/SA1.

    The tree may be up to six folders below the root; of several, the least deep is read. A speaker
    is unusable without a folder, without a line in SPKRINFO.TXT, or if the two contradict each
    other.

    Raises:
        CorpusError: there is no such tree, or no SPKRINFO.TXT with it.
    """
    tree = _find_tree(corpus, root)
    speakers: dict[str, list[_Speaker]] = {}
    for number, line in _read_lines(_find_table(corpus, root, tree)):
        if speaker := _to_speaker(line):
            speakers.setdefault(Path(speaker.folder).name, []).append(speaker)
        else:
            yield ClipRecord(
                f"SPKRINFO.TXT line {number}", unusable=f"no line of a speaker: {line}"
            )
    for folder in _find_speakers(tree):
        place = folder.relative_to(tree).as_posix().upper()
        yield from _read_folder(root, folder, place, speakers.pop(Path(place).name, []))
    for name, (speaker, *_) in speakers.items():
        yield ClipRecord(
            speaker.folder, name, unusable=f"no folder of the speaker: {speaker.folder}"
        )


def _find_tree(corpus: str, root: Path) -> Path:
    """Return the folder that holds TRAIN and TEST; the search is breadth first."""
    waiting = deque([(root, 0)])
    for _ in range(_MAX_FOLDERS):
        if not waiting:
            break
        folder, depth = waiting.popleft()
        below = [entry for entry in _list(folder) if entry.is_dir() and not entry.is_symlink()]
        if _is_tree(below):
            return folder
        if depth < _MAX_DEPTH:
            waiting.extend((entry, depth + 1) for entry in below)
    present = ", ".join(entry.name for entry in _list(root)[:10]) or "nothing"
    raise wrong_layout(
        corpus,
        root,
        CARD,
        f"no folder down to {_MAX_DEPTH} levels below holds TRAIN/DR1 and TEST (links are not "
        f"followed); at its top is {present}",
    )


def _is_tree(folders: list[Path]) -> bool:
    by_name = {folder.name.lower(): folder for folder in folders}
    has_parts = {part.lower() for part in SPLITS} <= by_name.keys()
    return has_parts and any(_is_dialect(entry) for entry in _list(by_name["train"]))


def _is_dialect(folder: Path) -> bool:
    return re.fullmatch(r"dr\d", folder.name.lower()) is not None


def _find_table(corpus: str, root: Path, tree: Path) -> Path:
    """Return SPKRINFO.TXT: beside TRAIN or above it up to the root, or in a folder DOC there."""
    above = [tree, *tree.parents]
    for folder in above[: above.index(root) + 1]:
        documents = [entry for entry in _list(folder) if entry.name.lower() == "doc"]
        for place in (*documents, folder):
            for entry in _list(place):
                if entry.name.lower() == TABLE and entry.is_file():
                    return entry
    raise wrong_layout(corpus, root, CARD, f"there is no SPKRINFO.TXT with {tree}")


def _list(folder: Path) -> list[Path]:
    """Return the entries of a folder by name, without hidden ones; none if it cannot be read."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return []


def _read_lines(table: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are no comments, with their numbers."""
    try:
        with table.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.strip() and not line.lstrip().startswith(";"):
                    yield number, line.strip()
    except OSError as error:
        raise CorpusError(
            f"{table} cannot be read: {error}. Check the permissions of the file."
        ) from error


def _to_speaker(line: str) -> _Speaker | None:
    # Split at blanks, without quoting: a height such as 5'11" has a quotation mark. The last column
    # is a comment: free text, or missing.
    name, sex, dialect, use, recorded, born, *_ = (*line.upper().split(), *[""] * 6)
    if not born or sex not in GENDERS or use not in _USES:
        return None
    return _Speaker(f"{_USES[use]}/DR{dialect}/{sex}{name}", recorded, born)


def _find_speakers(tree: Path) -> Iterator[Path]:
    for part in _list(tree):
        if part.name.upper() in SPLITS:
            for dialect in _list(part):
                if _is_dialect(dialect):
                    yield from (entry for entry in _list(dialect) if entry.is_dir())


def _read_folder(
    root: Path, folder: Path, place: str, speakers: list[_Speaker]
) -> Iterator[ClipRecord]:
    """Yield a speaker's sentences; `place` is the folder in the tree, such as TRAIN/DR3/FABX0."""
    part, _, name = place.split("/")
    problems: list[str] = []
    age_years = None
    match sorted(set(speakers)):
        case []:
            problems.append(f"no line in SPKRINFO.TXT: {name}")
        case [speaker] if speaker.folder == place:
            age_years = _to_age(speaker, problems)
        case several:
            folders = ", ".join(dict.fromkeys(speaker.folder for speaker in several))
            problems.append(f"SPKRINFO.TXT contradicts the folder or itself: {folders}")
    recordings = _find_recordings(folder)
    if not recordings:
        yield ClipRecord(place, name, unusable="; ".join([*problems, f"no recordings: {place}"]))
    for sentence, path in recordings.items():
        yield ClipRecord(
            stem=f"{place}/{sentence}",
            speaker_id=name,
            split=SPLITS[part],
            gender=GENDERS.get(name[0]),
            age_years=age_years,
            audio_path=path.relative_to(root).as_posix(),
            unusable="; ".join(problems) or None,
        )


def _find_recordings(folder: Path) -> dict[str, Path]:
    """Return the recording of each sentence; the original if a converted twin is beside it."""
    recordings: dict[str, Path] = {}
    for path in sorted(_list(folder), key=lambda path: len(path.name)):
        if path.suffix.lower() == ".wav":
            sentence = path.stem.upper().removesuffix(".WAV")
            recordings.setdefault(sentence, path)
    return recordings


def _to_age(speaker: _Speaker, problems: list[str]) -> float | None:
    if "?" in speaker.recorded + speaker.born:
        return None
    recorded, born = _to_date(speaker.recorded), _to_date(speaker.born)
    if recorded and born and born > recorded:  # two digits of a year of the 19th century
        born = _to_date(speaker.born, century=1800)
    if recorded is None or born is None:
        problems.append(f"no dates in SPKRINFO.TXT: {speaker.recorded}, {speaker.born}")
        return None
    return (recorded - born).days / _DAYS_PER_YEAR


def _to_date(text: str, *, century: int = 1900) -> date | None:
    if not re.fullmatch(r"\d\d/\d\d/\d\d", text):
        return None
    month, day, year = (int(part) for part in text.split("/"))
    try:
        return date(century + year, month, day)
    except ValueError:
        return None

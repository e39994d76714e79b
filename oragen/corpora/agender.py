"""The aGender distribution -> records of clips: short German telephone speech of all ages.

aGender is the corpus of the INTERSPEECH 2010 Paralinguistic Challenge, 53 074 labelled utterances
of 770 speakers. The Bavarian Archive for Speech Signals distributes it for research on request.
Only the columns of path, age and gender of its lists are known for certain, so the columns are an
argument. Every line is checked against the rules of the corpus: ages of 3 to 90 years, the letters
f, m and x (a child), and seven classes that follow from age and gender. A speaker of up to 14 years
is a child, whatever the letter.

The audio is headerless `.raw`, at 8 kHz in 16 bits; a copy converted to `.wav` is read as well.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final, NamedTuple

from oragen.corpora.corpus_card import CorpusCard, Statistics, wrong_layout
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.splits import TRAIN_OR_DEV
from oragen.corpora.words import look_up, to_number

CARD: Final = CorpusCard(
    title="aGender (INTERSPEECH 2010 Paralinguistic Challenge)",
    modalities="audio",
    labels="gender (with child), age",
    licence="for research only",
    access="on request, from the Bavarian Archive for Speech Signals (BAS, CLARIN)",
    splits="devel is test; of train, some speakers become dev; the challenge's own test set has no "
    "published labels and is not read",
    layout="""
trainSampleList_train.txt   (these may lie in a folder agender_distribution)
trainSampleList_devel.txt
wav_traindevel/<speaker>/<session>/<name>.raw   (or .wav)
""",
    statistics=Statistics(
        source="corpus table on the ORAGEN page; train and devel together",
        clips=53_074,
        by_gender={"female": 335, "male": 329, "child": 106},
        age_range_years=(7, 80),
        age_mean_years=39.3,
        age_std_years=21.4,
        hours=38.1,
    ),
)

LISTS: Final = {
    "trainSampleList_train.txt": TRAIN_OR_DEV,
    "trainSampleList_devel.txt": "test",
}
FOLDER: Final = "agender_distribution"
COLUMNS: Final = MappingProxyType({"path": 0, "speaker": 1, "class": 2, "age": 3, "gender": 4})
GENDERS: Final = {"f": "female", "m": "male", "x": "child"}
AGE_RANGE_YEARS: Final = (3, 90)
MAX_AGE_OF_CHILD_YEARS: Final = 14
_FIRST_ADULT_YEARS: Final = 25
_FIRST_SENIOR_YEARS: Final = 55
_NUM_PROBED: Final = 100  # lines that decide whether the columns can be right


class _Item(NamedTuple):
    """The fields of a line of a list, and the rules of the corpus that it breaks."""

    line: str
    stem: str
    path: str
    speaker: str
    gender: str | None
    age_years: float | None
    problems: list[str]


def read_agender(
    corpus: str,
    root: Path,
    *,
    columns: Mapping[str, int] = COLUMNS,
    sample_format: str = "s16le",
    rate_hz: int = 8000,
) -> Iterator[ClipRecord]:
    """Yield a record for each line of the lists of train and devel.

    Where a `.raw` file is missing and its `.wav` twin is there, the `.wav` file is used.

    Args:
        corpus: its name, for messages.
        root: the distribution, or the folder that holds it as `agender_distribution`.
        columns: the column, from 0, of the `path`, `speaker`, `age` and `gender`; and of the
            `class`, which is checked if it is named.
        sample_format: of the `.raw` files, by FFmpeg's name, such as s16le or alaw.
        rate_hz: of the `.raw` files.

    Raises:
        CorpusError: a list is missing, the columns are no such map, or most of the first lines of
            a list contradict it.
    """
    _check_columns(corpus, columns)
    distribution = _find_distribution(corpus, root)
    prefix = PurePosixPath(distribution.relative_to(root))
    for name, split in LISTS.items():
        items = _read_items(corpus, distribution / name, columns)
        for item in _refuse_wrong_columns(corpus, distribution / name, columns, items):
            path = _choose_twin(distribution, item.path)
            is_raw = path.lower().endswith(".raw")
            yield ClipRecord(
                stem=item.stem,
                speaker_id=item.speaker or None,
                split=split,
                gender=item.gender,
                age_years=item.age_years,
                audio_path=str(prefix / path) if path else None,
                audio_encoding=f"{sample_format}@{rate_hz}" if is_raw else None,
                unusable="; ".join(item.problems) or None,
            )


def _find_distribution(corpus: str, root: Path) -> Path:
    for folder in (root / FOLDER, root):
        missing = [name for name in LISTS if not (folder / name).is_file()]
        if not missing:
            return folder
    raise wrong_layout(corpus, root, CARD, f"there is no {' and no '.join(missing)}")


def _check_columns(corpus: str, columns: Mapping[str, int]) -> None:
    place = f"corpora.{corpus}.columns"
    for name in columns:
        if name not in COLUMNS:
            close = get_close_matches(name, COLUMNS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else "."
            raise CorpusError(f"{place} names {name!r}, expected {', '.join(COLUMNS)}{hint}")
    if missing := [name for name in COLUMNS if name not in columns and name != "class"]:
        raise CorpusError(
            f"{place} lacks {', '.join(missing)}. Add the number of each column, counted from 0."
        )
    if len(set(columns.values())) < len(columns) or min(columns.values()) < 0:
        raise CorpusError(
            f"{place} is {dict(columns)}, expected a different column for each name, from 0."
        )


def _read_items(corpus: str, path: Path, columns: Mapping[str, int]) -> Iterator[_Item]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _to_item(line.strip(), f"{path.name} line {number}", columns)
    except UnicodeDecodeError as error:
        raise CorpusError(f"Corpus {corpus!r}: {path} is not UTF-8 text: {error}.") from error


def _refuse_wrong_columns(
    corpus: str, path: Path, columns: Mapping[str, int], items: Iterator[_Item]
) -> Iterator[_Item]:
    """Pass the items on, unless most of the first ones break the rules of the corpus."""
    probed = list(islice(items, _NUM_PROBED))
    broken = [item for item in probed if item.problems]
    if 2 * len(broken) > len(probed):
        raise CorpusError(
            f"Corpus {corpus!r}: {len(broken)} of the first {len(probed)} lines of {path} do not "
            f"fit its columns {dict(columns)}. The first is {broken[0].line!r}: "
            f"{'; '.join(broken[0].problems)}. Correct the column numbers, counted from 0, in "
            f"corpora.{corpus}.columns. Remove `class` if it is not one of 1 to 7."
        )
    return chain(probed, items)


def _to_item(line: str, place: str, columns: Mapping[str, int]) -> _Item:
    fields = line.split()
    if len(fields) <= max(columns.values()):
        return _Item(line, place, "", "", None, None, [f"too few columns: {line}"])
    named = {name: fields[column] for name, column in columns.items()}
    problems: list[str] = []
    age_years = to_number("age", named["age"], problems)
    gender = look_up("gender", named["gender"], GENDERS, problems)
    path = PurePosixPath(named["path"])
    if path.suffix.lower() not in (".raw", ".wav"):
        problems.append(f"neither .raw nor .wav: {path}")
    if age_years is not None and not problems:
        problems += _find_contradictions(age_years, gender, named.get("class"))
        gender = "child" if age_years <= MAX_AGE_OF_CHILD_YEARS else gender
    stem = str(path).removesuffix(path.suffix)
    return _Item(line, stem, str(path), named["speaker"], gender, age_years, problems)


def _find_contradictions(
    age_years: float, gender: str | None, class_id: str | None
) -> Iterable[str]:
    """Yield how a line breaks the rules of age, gender and class."""
    youngest, oldest = AGE_RANGE_YEARS
    if not youngest <= age_years <= oldest:
        yield f"age outside {youngest}..{oldest}: {age_years:g}"
    elif gender == "child" and age_years > MAX_AGE_OF_CHILD_YEARS:
        yield f"a child of more than {MAX_AGE_OF_CHILD_YEARS} years: {age_years:g}"
    elif class_id not in (None, (expected := _class_of(age_years, gender))):
        yield f"class {class_id}, but age and gender are those of class {expected}"


def _class_of(age_years: float, gender: str | None) -> str:
    """Return the challenge's class: 1 for children, then young, adult, senior, female first."""
    if age_years <= MAX_AGE_OF_CHILD_YEARS:
        return "1"
    group = (age_years >= _FIRST_ADULT_YEARS) + (age_years >= _FIRST_SENIOR_YEARS)
    return str(2 + 2 * group + (gender == "male"))


def _choose_twin(distribution: Path, path: str) -> str:
    """Return the path, or that of its `.wav` twin if only the twin exists."""
    if path.lower().endswith(".raw") and not _is_file(distribution / path):
        for suffix in (".wav", ".WAV"):
            if _is_file(distribution / (twin := path[:-4] + suffix)):
                return twin
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False

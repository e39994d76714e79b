"""A Common Voice release -> records of clips: sentences read by volunteers in many languages.

A release is a folder `cv-corpus-<version>-<date>` with a folder for each language: MP3 files and
tables in TSV. About a third of the English clips have neither gender nor age; ages are decades.
Release 17.0 of English, German and Russian has 3,583 K clips of 4,352 women and 16,828 men.

Licence: CC0 1.0; users agree not to identify the speakers (the latter not verified). The Mozilla
Data Collective offers it for download after a log-in.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.csv as arrow_csv

from oragen.corpora.corpus_card import CorpusCard, Statistics, wrong_layout
from oragen.corpora.records import ClipRecord, CorpusError
from oragen.corpora.words import look_up
from oragen.schema.choices.corpora import SplitRule

OFFICIAL: Final = ("train", "dev", "test")  # a speaker in two of them is put in the later one
OURS: Final = "validated"
COLUMNS: Final = ("client_id", "path", "age", "gender", "locale")
BLOCK_BYTES: Final = 2**22

# Inclusive whole years. "teens" means below 19; there are no children, so from 13.
DECADES: Final = {
    "teens": (13, 18), "twenties": (19, 29), "thirties": (30, 39), "fourties": (40, 49),
    "forties": (40, 49), "fifties": (50, 59), "sixties": (60, 69), "seventies": (70, 79),
    "eighties": (80, 89), "nineties": (90, 99),
}  # fmt: skip
AGE_WORDS: Final = {word: word for word in DECADES}
GENDER_WORDS: Final = {
    "male": "male", "female": "female",
    "male_masculine": "male", "female_feminine": "female",  # since 17.0
    "other": None, "transgender": None, "non-binary": None, "do_not_wish_to_say": None,
    "intersex": None,  # since 25.0
}  # fmt: skip

CARD: Final = CorpusCard(
    title="Common Voice",
    modalities="audio",
    labels="gender, age (decade)",
    licence="CC0 1.0; speakers must not be identified (not verified)",
    access="Mozilla Data Collective, after a log-in, a file a language",
    splits="train, dev, test of the release, no speaker in two; or ours over all validated clips",
    layout="""
cv-corpus-<version>-<date>/    the root; or a folder that holds this one; or one language's folder
  <language>/                  such as en, de, ru
    clips/*.mp3
    train.tsv dev.tsv test.tsv not in delta releases
    validated.tsv              for `splits: ours`
""",
    statistics=Statistics(
        source="corpus table on the ORAGEN page, clips rounded; English, German and Russian, "
        "of release 17.0 by their number",
        clips=3_583_000,
        by_gender={"female": 4_352, "male": 16_828},
        age_range_years=(13, 99),
        hours=5203.0,
    ),
)


def read_common_voice(
    corpus: str,
    root: Path,
    *,
    languages: Sequence[str] | None,
    splits: SplitRule,
) -> Iterator[ClipRecord]:
    """Yield a record for each clip of some languages, as its tables are read.

    A speaker is the same one in all languages. A speaker may be in several official splits, each of
    another language. Then the clips of the last of train, dev and test are kept and the others are
    skipped. If a speaker's gender or age differs between clips, each clip keeps its own. An age is
    a decade: `age_low` and `age_high` are its first and last year, `age_years` is their mean.

    Args:
        corpus: its name, for messages.
        root: the folder of a release, one that holds a single release, or that of one language.
        languages: their codes, such as `en`; None = all of the release.
        splits: `official`, those of the release; `ours`: all validated clips are read, and their
            speakers are assigned to splits.

    Raises:
        CorpusError: a language or a table is missing, or a table cannot be read.
    """
    names = OFFICIAL if splits == "official" else (OURS,)
    tables = [
        _Table(folder, name, language)
        for language, folder in _find_languages(corpus, root, languages).items()
        for name in names
    ]
    for table in tables:
        _check_table(corpus, root, table)
    spread = _find_spread_speakers(corpus, tables) if splits == "official" else {}
    for table in tables:
        yield from _read_clips(corpus, root, table, spread)


class _Table(NamedTuple):
    folder: Path
    name: str
    language: str

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.tsv"

    @property
    def split(self) -> str | None:
        return self.name if self.name in OFFICIAL else None


def _find_languages(corpus: str, root: Path, wanted: Collection[str] | None) -> dict[str, Path]:
    """Return the folders of the languages, by code."""
    if not root.is_dir():
        raise wrong_layout(corpus, root, CARD, "there is no such folder")
    if _is_language(root):
        by_code = {root.resolve().name: root}
    else:
        releases = sorted(path for path in root.glob("cv-corpus-*") if path.is_dir())
        if len(releases) > 1:
            names = ", ".join(path.name for path in releases)
            raise wrong_layout(corpus, root, CARD, f"it holds several releases, {names}")
        (release,) = releases or [root]
        by_code = {path.name: path for path in sorted(release.iterdir()) if _is_language(path)}
    if not by_code:
        raise wrong_layout(corpus, root, CARD, "no folder of a language with tables in TSV")
    if missing := [language for language in wanted or () if language not in by_code]:
        there = ", ".join(by_code)
        raise wrong_layout(corpus, root, CARD, f"no {', '.join(missing)}, only {there}")
    return {language: by_code[language] for language in wanted or by_code}


def _is_language(folder: Path) -> bool:
    return any((folder / f"{name}.tsv").is_file() for name in (*OFFICIAL, OURS, "other"))


def _check_table(corpus: str, root: Path, table: _Table) -> None:
    place = table.path.relative_to(root)
    if not table.path.is_file():
        problem = f"{place} is missing"
        if table.split and (table.folder / f"{OURS}.tsv").is_file():
            problem += (
                f" (delta releases have no official splits: set corpora.{corpus}.splits to `ours` "
                f"to divide the speakers of {OURS}.tsv)"
            )
        raise wrong_layout(corpus, root, CARD, problem)
    with table.path.open(encoding="utf-8-sig", errors="replace") as file:
        names = file.readline().rstrip("\n").split("\t")
    if "path" not in names:
        there = ", ".join(names)
        raise wrong_layout(corpus, root, CARD, f"{place} has no column `path`, only {there}")


def _find_spread_speakers(corpus: str, tables: Sequence[_Table]) -> dict[str, str]:
    """Return the split to keep of each speaker who is in several, each of another language.

    Within one language this is an error of the tables: such a speaker is refused later.
    """
    if len({table.language for table in tables}) < 2:
        return {}
    tables_of: dict[str, list[_Table]] = {}
    for table in tables:
        speakers: set[str] = set()
        for rows in _read_columns(corpus, table, ["client_id"]):
            speakers.update(rows["client_id"].unique().to_pylist())
        for speaker in speakers - {"", None}:
            tables_of.setdefault(speaker, []).append(table)
    return {
        speaker: max((table.name for table in taken), key=OFFICIAL.index)
        for speaker, taken in tables_of.items()
        if len({table.name for table in taken}) > 1
        and len({table.language for table in taken}) == len(taken)
    }


def _read_clips(
    corpus: str, root: Path, table: _Table, spread: Mapping[str, str]
) -> Iterator[ClipRecord]:
    place = f"{table.folder.relative_to(root).as_posix()}/".removeprefix("./")
    broken: list[arrow_csv.InvalidRow] = []
    number = 1
    for rows in _read_columns(corpus, table, COLUMNS, broken):
        skipped = {row.number for row in broken}
        for fields in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            number += 1
            while number in skipped:
                number += 1
            yield _to_record(table, place, spread, number, fields)
    for row in broken:
        yield ClipRecord(
            f"{place}{table.name}.tsv row {row.number}",
            unusable=f"wrong number of fields: {row.actual_columns}",
        )


def _to_record(
    table: _Table,
    place: str,
    spread: Mapping[str, str],
    number: int,
    fields: tuple[str | None, ...],
) -> ClipRecord:
    speaker, path, age, gender, locale = fields
    labels = _to_labels(age or "", gender or "")
    unusable = labels.unusable
    if (kept := spread.get(speaker or "", table.split)) != table.split:
        unusable = f"speaker is in {kept} of another language"
    if not path:
        return ClipRecord(f"{place}{table.name}.tsv row {number}", unusable="no path")
    stem, point, _ = path.rpartition(".")
    return ClipRecord(
        stem=f"{place}clips/{stem or path}",
        speaker_id=speaker,
        split=table.split,
        audio_path=f"{place}clips/{path}" if point else f"{place}clips/{path}.mp3",
        gender=labels.gender,
        age_years=labels.age_years,
        age_low=labels.age_low,
        age_high=labels.age_high,
        language=locale or table.language,
        unusable=unusable,
    )


class _Labels(NamedTuple):
    gender: str | None
    age_years: float | None
    age_low: float | None
    age_high: float | None
    unusable: str | None


@lru_cache(maxsize=1024)  # there are few pairs, and millions of clips
def _to_labels(age: str, gender: str) -> _Labels:
    problems: list[str] = []
    decade = DECADES.get(look_up("age", age, AGE_WORDS, problems) or "")
    known_gender = look_up("gender", gender, GENDER_WORDS, problems)
    if decade is None and known_gender is None and not problems:
        problems.append("no label")
    unusable = "; ".join(problems) or None
    if decade is None:
        return _Labels(known_gender, None, None, None, unusable)
    low, high = map(float, decade)
    return _Labels(known_gender, (low + high) / 2, low, high, unusable)


def _read_columns(
    corpus: str,
    table: _Table,
    columns: Sequence[str],
    broken: list[arrow_csv.InvalidRow] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a table in batches of rows; a missing column is null.

    Rows with too few or too many fields are skipped, and added to `broken`.
    """

    def skip(row: arrow_csv.InvalidRow) -> str:
        if broken is not None:
            broken.append(row)
        return "skip"

    try:
        with arrow_csv.open_csv(
            table.path,
            arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES),
            arrow_csv.ParseOptions(
                delimiter="\t",
                quote_char=False,  # sentences have quotation marks that nothing closes
                escape_char=False,
                invalid_row_handler=skip,
            ),
            arrow_csv.ConvertOptions(
                include_columns=columns,
                include_missing_columns=True,
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=False,
            ),
        ) as reader:
            yield from reader
    except pa.ArrowInvalid as error:
        raise CorpusError(
            f"Corpus {corpus!r}: {table.path} is no table of Common Voice: {error}. "
            "Unpack it again."
        ) from error

"""Tables of ages from other projects -> the age of each clip of VoxCeleb2, or of its video.

The rows of VoxCeleb1 in them are left out. Where the tables are from: see `voxceleb2`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oragen.corpora.records import CorpusError
from oragen.corpora.tables import read_table
from oragen.corpora.words import Age, is_unknown, to_number

ENRICHMENT: Final = "final_dataframe_extended.csv"
AGE_LISTS: Final = ("utt2age.train", "utt2age.test")
MAX_DIFFERENCE_YEARS: Final = 1
ENRICHED_GENDERS: Final = ("female", "male")  # `transgender female` is neither

_VOXCELEB1_SPEAKER = re.compile(r"id1\d{4}")


@dataclass(frozen=True)
class Ages:
    """Ages as text, by `<speaker>/<video>` or `<speaker>/<video>/<utterance>`.

    `texts` has each different age once. `genders` has the gender of each speaker where it is given.
    """

    column: str
    by_clip: bool
    texts: dict[str, list[str]] = field(default_factory=dict)
    genders: dict[str, str | None] = field(default_factory=dict)

    def add(self, name: str, age: str) -> None:
        """Add an age, once."""
        texts = self.texts.setdefault(name, [])
        if age not in texts:
            texts.append(age)

    def key(self, clip: str) -> str:
        """Return the name under which the age of a clip is stored."""
        return clip if self.by_clip else clip.rpartition("/")[0]

    def look_up(self, clip: str, problems: list[str]) -> Age:
        """Return the years of a clip, if they are known.

        Ages that differ by a year, as around a birthday, are a range. Others, or what is no number,
        add to `problems`.
        """
        texts = self.texts.get(self.key(clip), [])
        numbers = [to_number(self.column, text, problems) for text in texts]
        years = sorted(number for number in numbers if number is not None)
        if not years:
            return Age()
        if years[-1] - years[0] > MAX_DIFFERENCE_YEARS:
            problems.append(f"more than one {self.column}: {' and '.join(texts)}")
            return Age()
        if years[0] == years[-1]:
            return Age(years[0])
        return Age((years[0] + years[-1]) / 2, years[0], years[-1])


def read_enrichment(
    corpus: str, table: Path, column: str, speakers: Collection[str], counts: Counter[str]
) -> Ages:
    """Read the ages and genders of the enrichment, for `speakers` of VoxCeleb2."""
    ages = Ages(column, by_clip=False)
    needed = ["voxceleb_id", "video_id", column.lower()]
    for line in read_table(corpus, table, all_of=needed):
        speaker = line["voxceleb_id"]
        if is_of_voxceleb1(speaker, speakers):
            counts["rows of VoxCeleb1"] += 1
            continue
        if not is_unknown(age := line[column.lower()]):
            ages.add(f"{speaker}/{line['video_id']}", age)
        if gender := line["gender"].lower():
            ages.genders[speaker] = gender if gender in ENRICHED_GENDERS else None
    return ages


def read_age_lists(corpus: str, paths: Iterable[Path]) -> Ages:
    """Read the ages of AgeVoxCeleb."""
    ages = Ages("age", by_clip=True)
    for path in paths:
        _read_age_list(corpus, path, ages)
    return ages


def _read_age_list(corpus: str, path: Path, ages: Ages) -> None:
    """Read lines of `<speaker>/<video>/<utterance> <age>`."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            match line.split():
                case [clip, age]:
                    ages.add(clip, age)
                case []:
                    pass
                case _:
                    raise CorpusError(
                        f"Corpus {corpus!r}: line {number} of {path} is not "
                        f"`<speaker>/<video>/<utterance> <age>`: {line.strip()!r}. Download the "
                        "list again from github.com/nttcslab-sp/agevoxceleb."
                    )


def is_of_voxceleb1(speaker_id: str, speakers: Collection[str]) -> bool:
    """Tell a speaker of VoxCeleb1 from one of VoxCeleb2, of whom all `speakers` are."""
    return speaker_id not in speakers and bool(_VOXCELEB1_SPEAKER.fullmatch(speaker_id))

"""The texts of the page: in one file for each language, alike, and nowhere else."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from oragen.app.application import PAGE
from oragen.app.jobs import ENDING, TOO_MANY_WATCHERS, Jobs
from oragen.app.measured import Measured
from oragen.app.options import ServeOptions
from oragen.app.problems import ProblemError
from oragen.app.worker import FAILED
from oragen.media.errors import UnusableMediaError
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, Modality
from oragen.training.model_warnings import warn_of_age, warn_of_distances, warn_of_model
from oragen.training.training_data import TrainingCorpus, TrainingData

LANGUAGES = {path.stem: json.loads(path.read_text("utf-8")) for path in PAGE.glob("texts/*.json")}
SCRIPTS = sorted(PAGE.glob("*.js"))
PLURALS = {"en": {"one", "other"}, "ru": {"one", "few", "many", "other"}}  # of CLDR
NAMES = {"oragen", "English", "Русский", "JSON", "CSV", "Language / Язык"}  # in all languages


def forms(text: Any) -> list[str]:
    return [text] if isinstance(text, str) else [*text.values()]


def placeholders(text: Any) -> set[str]:
    return {name for form in forms(text) for name in re.findall(r"\{(\w+)\}", form)}


def said_keys() -> Iterator[str]:
    """Yield the keys that HTML and scripts ask for as they stand."""
    html = (PAGE / "index.html").read_text("utf-8")
    yield from re.findall(r'data-(?:text|label)="([^"]+)"', html)
    for script in SCRIPTS:
        yield from re.findall(r'"([a-z]+\.[a-z.-]+)"', script.read_text("utf-8"))


def test_all_languages_have_the_same_texts_with_the_same_placeholders() -> None:
    english = LANGUAGES["en"]
    assert set(LANGUAGES) == set(PLURALS)
    for language, texts in LANGUAGES.items():
        assert set(texts) == set(english), language
        for key in texts.keys() - {"sentences"}:
            assert placeholders(texts[key]) == placeholders(english[key]), (language, key)
            if not isinstance(texts[key], str):
                assert set(texts[key]) == PLURALS[language], (language, key)


def test_no_text_is_missing() -> None:
    keys = {key for key in said_keys() if not key.endswith((".js", ".json", ".png", ".mp4"))}
    known = set(LANGUAGES["en"])
    wanted = {
        key for key in keys if key.partition(".")[0] in {one.partition(".")[0] for one in known}
    }
    assert wanted - known == set()
    assert {f"gender.{label}" for label in GENDERS} <= known
    assert {f"mask.{label}" for label in MASK_TYPES} <= known


class Words(HTMLParser):
    """Gathers what a page says by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tags.append(tag)
        values = dict(attrs)
        self.found |= {
            values.get(name) or "" for name in ("aria-label", "title", "placeholder", "alt")
        }

    def handle_data(self, data: str) -> None:
        if not self._tags or self._tags[-1] not in ("noscript", "p") or "JavaScript" not in data:
            self.found.add(data.strip())


def test_the_page_has_no_words_of_its_own() -> None:
    words = Words()
    words.feed((PAGE / "index.html").read_text("utf-8"))
    assert words.found - {""} <= NAMES


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_have_no_words_of_their_own_and_make_no_markup(script: Path) -> None:
    lines = script.read_text("utf-8").splitlines()
    code = "\n".join(line for line in lines if not line.strip().startswith(("*", "/*", "//")))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", code)
    sentences = re.findall(r'"([A-ZА-Я][a-zа-я]+ [^"]*)"', code)
    assert sentences == []


def service_sentences() -> list[str]:
    """Return what the service says to a reader, made by the code that makes it."""
    drawn, few = TrainingCorpus("studio", 30, 75, True), TrainingCorpus("clinic", 12, None, False)
    unknown = TrainingCorpus("old", None, None, True)
    shares = [(drawn,), (drawn, few), (few,), (unknown,)]
    distances: list[dict[Modality, float]] = [
        {"audio": 1.5, "face": 0.72}, {"audio": 1.5}, {"face": 2.0}
    ]  # fmt: skip
    jobs = Jobs(ServeOptions(queue=0), Measured())
    refusals = []
    for ask in (jobs.place().__enter__, lambda: jobs.get("none")):
        with pytest.raises(ProblemError) as caught:
            ask()
        refusals.append(caught.value.detail)
    return [
        *(warning for share in shares for warning in warn_of_model(TrainingData(share))),
        *warn_of_model(None),
        *warn_of_model(None, ["studio"]),
        *(warning for measured in distances for warning in warn_of_distances(measured)),
        *warn_of_age(12.0, TrainingData((drawn,), 16.0, 84.0)),
        *re.findall(r'"([^"]+)"', (UnusableMediaError.__doc__ or "").replace("\n    ", " ")),
        ENDING,
        FAILED,
        TOO_MANY_WATCHERS,
        *refusals,
    ]


@pytest.mark.parametrize("sentence", service_sentences())
def test_the_service_speaks_russian(sentence: str) -> None:
    patterns = dict(LANGUAGES["ru"]["sentences"])
    [pattern] = [known for known in patterns if re.fullmatch(known, sentence)]
    groups = {int(number) for number in re.findall(r"\$(\d)", patterns[pattern])}
    assert groups == set(range(1, re.compile(pattern).groups + 1))

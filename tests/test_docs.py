"""README, docs/ and the other pages -> what they name exists, and their lines are short."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

import pytest
import typer.main
import yaml
from pydantic import BaseModel

from oragen.cli.main import app
from oragen.config.params import Params
from tests.project import REPOSITORY

PAGES: Final = [
    REPOSITORY / name
    for name in (
        "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "data/README.md",
        "data/encoders/README.md",
    )
] + sorted((REPOSITORY / "docs").glob("*.md"))  # fmt: skip
MAX_PROSE: Final = 120
MAX_README_LINES: Final = 200
# Names that the changelog says are gone.
FORMER: Final = {"encoders.catalogue.<name>.finetuning.summary"}
FILE_SUFFIXES: Final = {
    "md", "py", "json", "csv", "parquet", "lance", "html", "safetensors", "onnx", "npy", "npz",
}  # fmt: skip


class Line(NamedTuple):
    """One line of a page, and what it is."""

    number: int
    text: str
    is_code: bool  # in a fence, or indented by four blanks


def read_lines(page: Path) -> Iterator[Line]:
    in_fence = False
    before = ""
    in_list = False
    for number, text in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if text.startswith("```"):
            in_fence = not in_fence
            yield Line(number, text, True)
            continue
        in_list = bool(re.match(r"\s*([-*]|\d+\.) ", text)) or (in_list and bool(text.strip()))
        is_indented = text.startswith("    ") and not in_list
        yield Line(number, text, in_fence or is_indented)
        before = text
    assert not in_fence, f"{page}: a fence is open at {before!r}"


def find_code(page: Path) -> list[str]:
    """Return the lines of code blocks, and what stands between backticks."""
    lines = list(read_lines(page))
    inline = [
        words for line in lines if not line.is_code for words in re.findall(r"`([^`]+)`", line.text)
    ]
    return [line.text.strip() for line in lines if line.is_code] + inline


def by_page(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=by_page)


@every_page
def test_no_line_of_prose_is_long(page: Path) -> None:
    long = [
        (line.number, len(line.text))
        for line in read_lines(page)
        if len(line.text) > MAX_PROSE and not line.is_code and not line.text.startswith("|")
    ]
    assert long == []


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= MAX_README_LINES


def test_the_tree_of_the_readme_is_the_listing_of_the_package() -> None:
    rooms = re.findall(r"^  (\w+)/ ", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    folders = {path.parent.name for path in (REPOSITORY / "oragen").glob("*/__init__.py")}
    assert sorted(rooms) == sorted(folders)


@every_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = "\n".join(line.text for line in read_lines(page) if not line.is_code)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if heading:
            assert heading in find_anchors(target), link


def find_anchors(page: Path) -> set[str]:
    """Return the anchors of headings, as forges make them."""
    titles = [line.text for line in read_lines(page) if line.text.startswith("#")]
    words = [re.sub(r"[^\w\- ]", "", title.lstrip("# ").lower()) for title in titles]
    return {word.replace(" ", "-") for word in words}


@every_page
def test_commands_and_their_options_exist(page: Path) -> None:
    group = typer.main.get_command(app)
    for text in find_code(page):
        for call in re.findall(r"(?:^|[|`&] ?)oragen ([a-z][^|&#]*)", text):
            assert_command(group, call.split())


def assert_command(command: Any, words: list[str]) -> None:
    while hasattr(command, "commands") and words:
        name, *words = words
        assert name in command.commands, f"there is no command {name!r}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in words:
        option = word.rstrip("`,.;:)").partition("=")[0]
        if option.startswith("-") and option != "-":
            assert option in known, f"{command.name} has no option {option!r}"


@every_page
def test_parameters_exist(page: Path) -> None:
    sections = "|".join(Params.model_fields)
    for text in find_code(page):
        for name in re.findall(rf"(?<![\w./-])((?:{sections})(?:\.[\w<>*-]+)+)", text):
            if name.rpartition(".")[2] not in FILE_SUFFIXES and name not in FORMER:
                assert names_a_parameter(name), f"there is no parameter {name!r}"


def names_a_parameter(name: str) -> bool:
    """Return whether `section.key` is there; a name of a catalogue may be anything."""
    return exists(Params, name.split("."))


def exists(kind: Any, path: list[str]) -> bool:
    """Return whether a path leads from a type of the parameters to a field."""
    if not path:
        return True
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if path[0] == "*":
            return any(exists(field.annotation, path[1:]) for field in kind.model_fields.values())
        field = kind.model_fields.get(path[0])
        return field is not None and exists(field.annotation, path[1:])
    arguments = get_args(kind)
    if getattr(kind, "__origin__", None) is dict:
        return exists(arguments[1], path[1:])
    return any(exists(argument, path) for argument in arguments)


def test_parameters_that_are_missing_are_found() -> None:
    """The test above is worth nothing if it takes anything."""
    assert names_a_parameter("encoders.catalogue.<name>.finetuning.pooling")
    assert names_a_parameter("heads.<name>.level")
    assert not names_a_parameter("encoders.catalogue.<name>.finetuning.summary")
    assert not names_a_parameter("train.level")


@every_page
def test_stages_that_are_named_exist(page: Path) -> None:
    stages = set(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"])
    verbs = {stage.partition("_")[0] for stage in stages if "_" in stage}
    shapes = "|".join(sorted(verbs - {"make"}))
    nouns = "|".join(sorted({stage.partition("_")[2] for stage in stages} - {""}))
    for text in find_code(page):
        for name in re.findall(rf"(?<![\w.])((?:{shapes})_(?:{nouns}))(?![\w(])", text):
            assert name in stages, name


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    for text in find_code(page):
        for name in re.findall(
            r"(?<![\w/.])((?:oragen|stages|tests|benchmarks|docs|examples)/[\w/.<>]+)", text
        ):
            assert "<" in name or (REPOSITORY / name.rstrip(".")).exists(), name
        for name in re.findall(r"python -m ((?:stages|benchmarks)\.\w+)", text):
            assert (REPOSITORY / f"{name.replace('.', '/')}.py").is_file(), name


@every_page
def test_targets_of_make_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    for text in find_code(page):
        for name in re.findall(r"^make ([a-z-]+)", text):
            assert name in targets, name


@every_page
def test_imports_in_examples_work(page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    for node in (node for block in blocks for node in ast.walk(ast.parse(block))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("oragen"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")


def test_the_predictor_example_of_the_readme_has_three_lines() -> None:
    block = re.search(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert block is not None
    assert len([line for line in block[1].splitlines() if line.strip()]) == 3


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert f'version = "{citation["version"]}"' in project
    assert citation["preferred-citation"]["doi"] in (REPOSITORY / "README.md").read_text()
    assert f"## {citation['version']}" in (REPOSITORY / "CHANGELOG.md").read_text()

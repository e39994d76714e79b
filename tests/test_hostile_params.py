"""A params.yaml from elsewhere, or with a slip: a sentence with its line, and little memory."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from oragen.config.messages import ParamsError
from oragen.config.params import Params, load_params
from oragen.config.reading import read_document
from tests.shipped_params import SHIPPED, load

LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
# No line is deep, and all of them together are.
LADDER = "a0: &a0 x\n" + "".join(
    f"a{level}: &a{level} {'[' * 25}*a{level - 1}{']' * 25}\n" for level in range(1, 50)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def refusal(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    return str(caught.value)


def list_numbers(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number in a JSON schema, with its place."""
    match schema:
        case {"type": "number" | "integer"}:
            yield place, schema
        case dict():
            for key, inner in schema.items():
                yield from list_numbers(inner, f"{place}/{key}")
        case list():
            for number, inner in enumerate(schema):
                yield from list_numbers(inner, f"{place}/{number}")


def test_every_number_has_both_bounds() -> None:
    numbers = dict(list_numbers(Params.model_json_schema()))
    assert len(numbers) > 60
    for place, schema in numbers.items():
        assert schema.keys() & {"minimum", "exclusiveMinimum"}, place
        assert schema.keys() & {"maximum", "exclusiveMaximum"}, place


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ("windows.length_s", 1e9, "Input should be less than or equal to 120 (found 1000000000.0)"),
        ("windows.hop_s", 1e-9, "Input should be greater than or equal to 0.02 (found 1e-09)"),
        ("faces.crop_px", 8, "expected auto, or a whole number from 16 to 1024, found 8"),
        ("faces.crop_px", "autos", "or a whole number from 16 to 1024, found 'autos'"),
        ("faces.crop_px", True, "expected auto, or a whole number from 16 to 1024, found True"),
        ("heads.joint.width", 10**9, "Input should be less than or equal to 4096"),
        ("train.batch_size", 10**9, "Input should be less than or equal to 65536"),
        ("execution.num_workers", 10**9, "expected auto, or a whole number from 1 to 1024"),
        ("execution.part_mb", 1e-9, "Input should be greater than or equal to 0.001"),
        ("train.max_epochs", 10**30, "Input should be less than or equal to 100000"),
        ("train.seeds", [2**32], "Input should be less than 4294967296"),
        ("train.seeds", [-1], "Input should be greater than or equal to 0"),
        ("train.seeds", list(range(2000)), "List should have at most 1000 items"),
        ("train.learning_rate", float("inf"), "Input should be a finite number"),
        ("train.learning_rate", "1e999", "Input should be a finite number"),
        ("audio.max_duration_s", float("nan"), "Input should be a finite number"),
        ("faces.weights", "a\0b", "none that controls a terminal"),
        ("corpora.studio.root", "../outside", "it must be inside the project"),
        ("corpora.studio.root", "/etc", "it must be inside the project"),
        ("encoders.catalogue.vit-age.source", "x\u202ey", "none that controls a terminal"),
        ("evaluate.splits", ["test", "test"], "'test' is listed twice"),
        ("execution.device", "cuda:99999", "String should match pattern"),
        ("use_heads", ["x" * 10**5], "'xxx"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_named_with_its_place_and_line(
    path: Path, place: str, value: object, complaint: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        load(path, *place.split("."), value=value)
    message = str(caught.value)
    assert complaint in message
    assert f": {place}" in message
    assert message.count("\n  line ") == 1
    assert len(message) < 1000


def test_the_line_is_that_of_the_mistake(path: Path) -> None:
    text = SHIPPED.read_text().replace("hop_s: 2", "hop_s: -2")
    line = next(n for n, text in enumerate(text.splitlines(), 1) if "hop_s: -2" in text)
    assert f"  line {line}: windows.hop_s: Input should be" in refusal(path, text)
    text = SHIPPED.read_text().replace("seeds: [0, 1, 2]", "seeds:\n  - 0\n  - -1\n")
    line = text.splitlines().index("  - -1") + 1
    assert f"  line {line}: train.seeds.1: Input should be" in refusal(path, text)


@pytest.mark.parametrize("section", ["train", "finetuning"])
def test_tasks_that_all_weigh_nothing_are_refused(path: Path, section: str) -> None:
    sections = yaml.safe_load(SHIPPED.read_text())
    training = sections["train"]
    if section == "finetuning":
        training = sections["encoders"]["catalogue"]["tiny-vit"]["finetuning"]
    training |= {"gender_weight": 0, "age_weight": 0, "mask_type_weight": 0}
    message = refusal(path, yaml.safe_dump(sections))
    assert f"{section}: gender_weight, age_weight and mask_type_weight are all 0" in message


def test_a_head_without_any_task_is_refused(path: Path) -> None:
    sections = yaml.safe_load(SHIPPED.read_text())
    sections["train"] |= {"gender_weight": 0, "age_weight": 0}
    sections["heads"]["joint"]["mask_type"] = "none"
    message = refusal(path, yaml.safe_dump(sections))
    assert "heads.joint.mask_type: none trains on gender and age, but" in message


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a: " + "[" * 100_000, "nested deeper than 30 levels"),
        ("a: " + "[" * 40 + "]" * 40, "line 1: nested deeper than 30 levels"),
        ("a: &a [*a]", "nested deeper than 30 levels"),
        (LADDER + "? *a49\n: 1\n", "line 2: nested deeper than 30 levels"),
        (LAUGHS, "more than 100,000 values"),
        ("x" * 2**20, "is larger than 524,288 bytes"),
        ("train:\n  a: 1\n  b: 2\n  a: 3\n", "line 4: 'a' is in line 2 already"),
        ("audio: {}\naudio: {}\n", "line 2: 'audio' is in line 1 already"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n", "line 4: '<<' is in line 3 already"),
        ("a: &a {x: 1}\nb: &b\n  x: 2\nc: {<<: [*a, *b]}\n", "line 3: 'x' is in line 1 already"),
        ("a: &a {x: 1, x: 2}\nb: {<<: *a}\n", "line 1: 'x' is in line 1 already"),
        ("a: 1\nb: !!python/object/apply:os.system [touch PWNED]\n", "line 2: could not determine"),
        ("a: !!int ''", "is not valid YAML"),
        ("a: " + "9" * 5000, "is not valid YAML"),
        ("a: 2020-99-99", "is not valid YAML"),
        ("a: 1\n---\nb: 2\n", "is not valid YAML: line 2: but found another document"),
        ("a: \0", "is not valid YAML"),
        ("a:\n\t- 1\n", "is not valid YAML: line 2: "),
        ("%YAML 1.1\n---\na: on\n", "says `%YAML 1.1`, in which `on` is true"),
        ("? [a, b]\n: 1\n", "there is no"),
    ],
    ids=range(20),
)
def test_a_hostile_file_is_one_sentence_and_little_memory(
    path: Path, content: str, complaint: str
) -> None:
    tracemalloc.start()
    try:
        message = refusal(path, content)
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()
    assert message.startswith(str(path))
    assert complaint in message
    assert len(message) < 1000
    assert not Path("PWNED").exists()


def test_thirty_levels_are_read(path: Path) -> None:
    path.write_text("a: " + "[" * 29 + "]" * 29)
    assert str(read_document(path).content["a"]) == "[" * 29 + "]" * 29


def test_a_merged_section_may_be_changed_by_what_stands_beside_it(path: Path) -> None:
    text = SHIPPED.read_text().replace("  joint: {variant", "  joint: &joint {variant")
    text = text.replace("  joint_early:", "  wide: {<<: *joint, width: 256}\n  joint_early:")
    path.write_text(text)
    heads = load_params(path).heads
    assert (heads["wide"].width, heads["joint"].width, heads["wide"].dropout) == (256, 128, 0.5)


def test_many_mistakes_are_not_all_listed(path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        load(path, "train", "balance_sampling", value=["zzz"] * 500)
    assert str(caught.value).splitlines()[-1] == "  and 480 more"


def test_dvc_reads_by_the_compiled_parser() -> None:
    """Without it `dvc repro` takes three times as long to find that nothing is new."""
    assert YAML(typ="safe").Parser is not YAML(typ="safe", pure=True).Parser


def test_numbers_are_read_as_dvc_reads_them(path: Path) -> None:
    """YAML 1.2: `010` is ten, and `1e-3` a number."""
    text = SHIPPED.read_text().replace("batch_size: 32", "batch_size: 010")
    path.write_text(
        text.replace("learning_rate: 0.0005\n  weight", "learning_rate: 1e-3\n  weight")
    )
    train = load_params(path).train
    assert (train.batch_size, train.learning_rate) == (10, 0.001)

"""What `oragen convert` refuses: in a sentence, and before anything is run or written."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from oragen.models.heads import load_head
from oragen.models.published import Origin, convert_checkpoint
from oragen.schema.errors import UserError
from tests.convert_command import Convert
from tests.published_heads import make_published_head


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return make_published_head("MaskAgenderAVModelV1", "LATE")


class Dangerous:
    """An object whose unpickling makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("it-ran"),)


def test_a_checkpoint_with_code_is_refused_and_the_code_not_run(
    weights: dict[str, Tensor], convert: Convert
) -> None:
    torch.save({"state_dict": weights, "config": Dangerous()}, "torch.pt")
    Path("plain.pt").write_bytes(pickle.dumps({**weights, "config": Dangerous()}, protocol=2))
    for name in ("torch.pt", "plain.pt"):
        ended = convert(name, "out")
        assert ended.exit_code == 2
        assert f"{name} holds more than tensors" in ended.output
        assert len(ended.output.strip().splitlines()) == 1
    assert not Path("it-ran").exists()
    assert not Path("out").exists()


def truncate(path: Path, state_dict: dict[str, Tensor]) -> None:
    torch.save(state_dict, path)
    path.write_bytes(path.read_bytes()[:5000])


def without_last(path: Path, state_dict: dict[str, Tensor]) -> None:
    torch.save(dict(list(state_dict.items())[:-1]), path)


REFUSED: dict[str, tuple[Callable[[Path, dict[str, Tensor]], object], str]] = {
    "missing file": (lambda path, state_dict: None, "there is no such file"),
    "a folder": (lambda path, state_dict: path.mkdir(), "there is no such file"),
    "truncated": (truncate, "its archive is damaged"),
    "no torch file": (
        lambda path, state_dict: path.write_bytes(b"hello"),
        "torch.save did not write it",
    ),
    "empty file": (lambda path, state_dict: path.write_bytes(b""), "checkpoint"),
    "empty dict": (
        lambda path, state_dict: torch.save({}, path),
        "holds nothing, expected a state",
    ),
    "one tensor": (lambda path, state_dict: torch.save(torch.ones(3), path), "holds a Tensor"),
    "a number": (lambda path, state_dict: torch.save({"a": 3}, path), "'a' is a int, not a tensor"),
    "missing entry": (without_last, "missing: cl_maskhead.bias"),
    "misshapen": (
        lambda path, state_dict: torch.save(state_dict | {"cl_maskhead.bias": torch.ones(5)}, path),
        "of another shape: cl_maskhead.bias (expected 6, found 5)",
    ),
    "extra entry": (
        lambda path, state_dict: torch.save(state_dict | {"loss.weight": torch.ones(5)}, path),
        "unknown: loss.weight",
    ),
    "another network": (
        lambda path, state_dict: torch.save({"conv1.weight": torch.ones(5)}, path),
        "is of no published model (its 1 entries begin with conv1.weight)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_whole_checkpoint_is_refused_in_one_sentence(
    case: str, weights: dict[str, Tensor], convert: Convert
) -> None:
    write, message = REFUSED[case]
    write(Path("model.pt"), weights)
    ended = convert("model.pt", "out")
    assert ended.exit_code == 2
    assert message in ended.output
    assert "Traceback" not in ended.output
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "AVModelV4"], "'AVModelV4' is no published model. Did you mean"),
        (["--source", "origin"], "'origin' is no published source. Did you mean 'orig'?"),
        (["--level", "late"], "Did you mean 'LATE'?"),
        (["--level", "EARLY"], "at level EARLY: missing: av_model.downsampling_a.0.weight"),
        (["--model", "AVModelV3"], "not the state dict of AVModelV3 at level LATE"),
        (["--encoder-config", "none.json"], "none.json cannot be read as an encoder's config"),
        (["--model", "AVModelV3", "--like", "."], "name only one"),
        (["--like", "nowhere"], "nowhere has no head.json"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: list[str], message: str, weights: dict[str, Tensor], convert: Convert
) -> None:
    torch.save(weights, "mask.pt")
    ended = convert("mask.pt", "out", *options)
    assert ended.exit_code == 2
    assert message in ended.output
    assert not Path("out").exists()


def test_a_folder_that_is_not_empty_is_replaced_only_by_force(
    weights: dict[str, Tensor], convert: Convert
) -> None:
    torch.save(weights, "mask.pt")
    Path("out").mkdir()
    assert convert("mask.pt", "out").exit_code == 0
    Path("out/notes.txt").write_text("mine")
    before = Path("out/head.json").read_bytes()
    refused = convert("mask.pt", "out", "--source", "orig")
    assert refused.exit_code == 2
    assert "out is not empty" in refused.output
    assert Path("out/head.json").read_bytes() == before
    assert convert("mask.pt", "out", "--source", "orig", "--force").exit_code == 0
    assert load_head(Path("out")).head.spec.std_correction == 1
    assert Path("out/notes.txt").read_text() == "mine"


def test_a_file_is_no_folder_to_write_to(weights: dict[str, Tensor], convert: Convert) -> None:
    torch.save(weights, "mask.pt")
    ended = convert("mask.pt", "mask.pt", "--force")
    assert ended.exit_code == 2
    assert "mask.pt is a file" in ended.output
    below = convert("mask.pt", "mask.pt/out")
    assert below.exit_code == 2
    assert "cannot be written to mask.pt/out: Not a directory" in below.output


def test_a_model_of_ours_is_not_also_a_published_one(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1)}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="name only one"):
        convert_checkpoint(
            tmp_path / "x.pt", tmp_path / "out", Origin(model="VIT_GSA"), like=tmp_path
        )

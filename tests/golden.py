"""Reference numbers of the published models, and the synthetic weights they were made with.

The numbers lie outside the repository, in ../shared/golden; a test that needs them is skipped where
they are not there. The recipe is in their README.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER: Final = Path(__file__).resolve().parents[2] / "shared" / "golden"

_ATTENTION_ENDINGS: Final = (
    "query_w.weight",
    "keys_w.weight",
    ".query.weight",
    ".key.weight",
    "q_proj.weight",
    "k_proj.weight",
)


def read_json(name: str) -> dict[str, Any]:
    """Read `<name>.json`, or skip the test where there is no golden data."""
    return _read_json(_path(f"{name}.json"))


def read_arrays(name: str) -> Mapping[str, np.ndarray[Any, Any]]:
    """Read `<name>.npz`, or skip the test where it is not there."""
    return _read_arrays(_path(f"{name}.npz"))


def case_names(name: str) -> list[str]:
    """Name the cases of `<name>.json`, for parametrization; one stand-in without the folder."""
    if not FOLDER.is_dir():
        return ["golden data missing"]
    return [case["case"] for case in _read_json(FOLDER / f"{name}.json")["cases"]]


def make_input(seed: int, shape: Sequence[int]) -> Tensor:
    """Make an input of a case."""
    return torch.from_numpy(
        np.random.default_rng(seed).standard_normal(tuple(shape)).astype(np.float32)
    )


def make_state_dict(listed: Sequence[Sequence[Any]]) -> dict[str, Tensor]:
    """Make the weights of a model, but for buffers named `pe`: those are the model's own."""
    named = {name: (shape, seed[0] if seed else name) for name, shape, *seed in listed}
    return {
        name: make_weight(seed_name, shape)
        for name, (shape, seed_name) in named.items()
        if name.rpartition(".")[2] != "pe"
    }


def make_weight(name: str, shape: Sequence[int]) -> Tensor:
    """Make one entry from the name that seeds it."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    noise = generator.standard_normal(tuple(shape)).astype(np.float32)
    if name.endswith(_ATTENTION_ENDINGS):
        return torch.from_numpy(noise * np.float32(0.1))
    scaled = torch.from_numpy(noise * np.float32(0.05))
    return 1 + scaled if len(shape) == 1 and name.endswith(".weight") else scaled


def compare_statistics(array: Any, expected: dict[str, Any], *, atol: float) -> None:
    """Compare an array with what is kept of a large one."""
    assert list(array.shape) == expected["shape"]
    statistics = [array.mean(), array.std(), array.min(), array.max(), np.linalg.norm(array)]
    wanted = [expected[key] for key in ("mean", "std", "min", "max", "l2")]
    np.testing.assert_allclose(statistics, wanted, atol=atol, rtol=1e-5)


def _path(name: str) -> Path:
    if not FOLDER.is_dir():
        pytest.skip(f"no golden data at {FOLDER}")
    return FOLDER / name


@cache
def _read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@cache
def _read_arrays(path: Path) -> Mapping[str, np.ndarray[Any, Any]]:
    with np.load(path) as arrays:
        return dict(arrays)

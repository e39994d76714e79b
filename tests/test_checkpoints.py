"""Files of weights -> a state dict, or a sentence; no code in them runs, no memory is wasted."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from oragen.models.unimodal import read_checkpoint
from oragen.schema.errors import UserError


def test_a_state_dict_comes_back_from_each_kind_of_file(tmp_path: Path) -> None:
    weights = {"fc1.weight": torch.arange(6.0).reshape(2, 3)}
    torch.save(weights, tmp_path / "plain.pt")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "nested.ckpt")
    save_file(weights, tmp_path / "new.safetensors")
    for name in ("plain.pt", "nested.ckpt", "new.safetensors"):
        found = read_checkpoint(tmp_path / name)
        assert found.keys() == weights.keys()
        torch.testing.assert_close(found["fc1.weight"], weights["fc1.weight"])


def test_a_checkpoint_that_needs_code_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Path("x"), protocol=2))
    for name in ("module.pt", "plain.pt"):
        with pytest.raises(UserError, match=r"unpickling it\s+could run any code"):
            read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("length", [0, 1, 5, 100, 1000])
def test_a_file_of_anything_is_refused(length: int, tmp_path: Path) -> None:
    generator = np.random.default_rng(length)
    for name in ("noise.pt", "noise.safetensors"):
        for _ in range(20):
            (tmp_path / name).write_bytes(generator.bytes(length))
            with pytest.raises(UserError, match=name):
                read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["broken.pt", "broken.safetensors", "missing.pt"])
def test_a_file_that_cannot_be_read_is_refused(name: str, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "whole.pt")
    for broken in ("broken.pt", "broken.safetensors"):
        (tmp_path / broken).write_bytes((tmp_path / "whole.pt").read_bytes()[:2000])
    with pytest.raises(
        UserError,
        match=f"{name} (cannot be read as a checkpoint|is not read: its archive is damaged)",
    ):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}])
def test_a_file_without_a_state_dict_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"expected a state dict|is no state dict"):
        read_checkpoint(tmp_path / "other.pt")


def test_a_checkpoint_that_grows_when_it_is_unpacked_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(UserError, match=r"bytes unpack to 40\d+, and torch\.save packs nothing"):
        read_checkpoint(tmp_path / "packed.pt")


@pytest.mark.parametrize(
    ("record", "place"),
    [(b"PK\x06\x07", 16), (b"PK\x01\x02", 6)],
    ids=["number of disks", "version of ZIP"],
)
def test_a_checkpoint_whose_archive_is_damaged_is_refused(
    tmp_path: Path, record: bytes, place: int
) -> None:
    torch.save({"a": torch.zeros(100)}, tmp_path / "x.pt")
    content = bytearray((tmp_path / "x.pt").read_bytes())
    content[content.rindex(record) + place] = 255
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(UserError, match="its archive is damaged"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_checkpoint_that_repeats_one_number_a_billion_times_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(10**9)}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="bytes describe tensors of 4000000000 bytes"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_checkpoint_whose_tensors_share_memory_is_read(tmp_path: Path) -> None:
    shared = torch.randn(1000)
    torch.save({"a": shared, "b": shared, "c": shared[:10]}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt")["b"].equal(shared)

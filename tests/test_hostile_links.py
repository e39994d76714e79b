"""Links and pipes in models from elsewhere: which are followed; none of them is packed."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from oragen.encoders import load_face_encoder
from oragen.models.heads import load_head
from oragen.predictor.packing import pack_model
from oragen.predictor.pretrained import load_pretrained
from oragen.schema.errors import UserError
from oragen.schema.links import find_inside
from tests.hostile_models import copy_without_sums, write_good_model
from tests.small_models import save_as_transformers_does


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed model with small encoders."""
    made = tmp_path_factory.mktemp("hostile")
    return write_good_model(made / "good", of=made / "of")


@pytest.fixture
def head(good: Path, tmp_path: Path) -> Path:
    """A copy without sums."""
    return copy_without_sums(good, tmp_path / "model")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A vision transformer as transformers writes it."""
    return Path(save_as_transformers_does(tmp_path / "encoders")[1])


def test_a_link_out_of_a_model_is_refused(head: Path, tmp_path: Path) -> None:
    (head / "model.safetensors").rename(tmp_path / "elsewhere")
    (head / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link that leads out of its folder"):
        load_head(head)


def test_a_link_out_of_an_encoder_is_refused(pictures: Path, tmp_path: Path) -> None:
    (pictures / "model.safetensors").rename(tmp_path / "elsewhere")
    (pictures / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link that leads out of its folder"):
        load_face_encoder(str(pictures))


@pytest.mark.parametrize(
    "place",
    ["models--someone--model/blobs/" + "a" * 64, "cache/files/md5/0f/" + "a" * 30],
)
def test_links_into_a_cache_that_is_named_by_content_are_followed(
    place: str, tmp_path: Path
) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text("content")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "file").symlink_to(tmp_path / place)
    assert find_inside(tmp_path / "snapshot", "file").read_text() == "content"


def test_a_model_in_the_cache_of_the_hub_is_loaded_and_packed(good: Path, tmp_path: Path) -> None:
    """Every file is a link into `blobs/`, whose names have no suffix."""
    repository = tmp_path / "models--someone--model"
    snapshot, blobs = repository / "snapshots" / ("a" * 40), repository / "blobs"
    blobs.mkdir(parents=True)
    for file in (path for path in good.rglob("*") if path.is_file()):
        blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copyfile(file, blob)
        link = snapshot / file.relative_to(good)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    load_pretrained(snapshot)
    pack_model(snapshot, tmp_path / "packed")
    assert not any(path.is_symlink() for path in (tmp_path / "packed").rglob("*"))
    load_pretrained(tmp_path / "packed")


@pytest.mark.parametrize("target", ["/dev/zero", "itself"])
def test_a_device_or_a_link_to_itself_is_no_file(target: str, tmp_path: Path) -> None:
    (tmp_path / "itself").symlink_to(target)
    with pytest.raises(UserError, match=r"leads out of its folder|link to itself"):
        find_inside(tmp_path, "itself")


def test_a_pipe_is_not_waited_for(head: Path) -> None:
    (head / "head.json").unlink()
    os.mkfifo(head / "head.json")
    with pytest.raises(UserError, match="is no regular file"):
        load_head(head)


def test_links_and_files_beside_an_encoder_are_not_packed(head: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    (head / "audio_encoder" / "notes.txt").symlink_to(tmp_path / "secret")
    (head / "audio_encoder" / "history.csv").write_text("epoch")
    (head / "audio_encoder" / "diary.json").write_text("{}")
    pack_model(head, tmp_path / "packed")
    assert sorted(path.name for path in (tmp_path / "packed" / "audio_encoder").iterdir()) == [
        "head.json", "model.safetensors", "preprocessor_config.json",
    ]  # fmt: skip


def test_a_link_in_the_place_of_a_model_is_not_packed(head: Path, tmp_path: Path) -> None:
    preparation = head / "audio_encoder" / "preprocessor_config.json"
    preparation.rename(tmp_path / "elsewhere.json")
    preparation.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UserError, match="is a link that leads out of its folder"):
        pack_model(head, tmp_path / "packed")


def test_a_link_in_the_place_of_the_target_is_not_written_through(
    head: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "packed").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="packed is a link"):
        pack_model(head, tmp_path / "packed")
    assert not list((tmp_path / "precious").iterdir())

"""Packed models -> a hub: a stand-in of its HTTP interface takes them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oragen.cli import app
from oragen.predictor import ModelError
from oragen.predictor.packing import pack_model
from oragen.predictor.pushing import push_model
from oragen.schema.errors import UserError
from tests.file_servers import COMMIT, HubInbox, take_model
from tests.small_models import write_model

NAME = "somebody/voices"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    pack_model(write_model(folder / "head"), folder / "packed")
    return folder / "packed"


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubInbox]:
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with take_model(NAME) as taking:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", taking.address)
        yield taking


def test_a_model_arrives_whole_in_a_private_repository(packed: Path, inbox: HubInbox) -> None:
    address = push_model(packed, NAME)
    assert address == f"{inbox.address}/{NAME}/commit/{COMMIT}"
    assert inbox.is_private
    assert inbox.tokens == {"Bearer hf_of_a_test"}
    expected = {
        file.relative_to(packed).as_posix(): file.read_bytes()
        for file in packed.rglob("*")
        if file.is_file()
    }
    assert inbox.files == expected
    assert {"README.md", "SHA256SUMS", "head.json", "model.safetensors"} <= set(expected)


def test_others_see_it_only_if_they_may(packed: Path, inbox: HubInbox) -> None:
    push_model(packed, NAME, public=True)
    assert inbox.is_private is False
    inbox.files.clear()
    with pytest.raises(ModelError, match=r"is public, and others would see .* Add --public"):
        push_model(packed, NAME)
    assert not inbox.files
    push_model(packed, NAME, public=True)
    assert inbox.files


def test_the_command_tells_the_address(packed: Path, inbox: HubInbox) -> None:
    told = CliRunner().invoke(app, ["push", NAME, str(packed)])
    assert told.exit_code == 0
    assert told.stdout.strip() == f"{inbox.address}/{NAME}/commit/{COMMIT}"


@pytest.mark.parametrize("part", ["repos/create", "commit"])
def test_a_refusal_of_the_hub_is_one_sentence(packed: Path, inbox: HubInbox, part: str) -> None:
    inbox.refusal = part, 403
    with pytest.raises(ModelError, match=rf"The hub refuses {NAME}: .* `hf auth login`"):
        push_model(packed, NAME)
    assert not inbox.files


def test_without_a_network_nothing_is_sent(
    packed: Path, inbox: HubInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="The hub cannot be reached to send"):
        push_model(packed, NAME)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        push_model(packed, NAME)


def test_what_is_not_packed_or_was_changed_is_not_sent(tmp_path: Path, inbox: HubInbox) -> None:
    head = write_model(tmp_path / "head")
    with pytest.raises(
        ModelError, match=r"no packed model: it has no SHA256SUMS\. Run `oragen pack"
    ):
        push_model(head, NAME)
    pack_model(head, tmp_path / "packed")
    with pytest.raises(ModelError, match="no name of a repository, expected OWNER/NAME"):
        push_model(tmp_path / "packed", "voices")
    (tmp_path / "packed" / ".env").write_text("secret")
    (tmp_path / "packed" / "notes.md").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="link that leads out"):
        push_model(tmp_path / "packed", NAME)
    (tmp_path / "packed" / "notes.md").unlink()
    push_model(tmp_path / "packed", NAME)
    assert ".env" not in inbox.files
    (tmp_path / "packed" / "head.json").write_text("{}")
    with pytest.raises(UserError, match="is not what its SHA256SUMS says"):
        push_model(tmp_path / "packed", NAME)

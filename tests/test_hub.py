"""A model of the hub, as it lies in the hub's cache after a download; the network is not asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oragen.models.hub import find_folder
from oragen.models.places import ModelError
from tests.project import REPOSITORY
from tests.small_models import save_model

REVISION = "a" * 40
LOAD = """
import json
from oragen import Predictor
predictor = Predictor.from_pretrained("someone/oragen-model", device="cpu")
print(json.dumps(predictor.description))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with one model in it, laid out as `huggingface_hub` does."""
    home = tmp_path_factory.mktemp("hub")
    model = home / "hub" / "models--someone--oragen-model"
    save_model(model / "snapshots" / REVISION)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(REVISION)
    return home


def run(cache: Path, code: str = LOAD) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_model_that_was_downloaded_once_loads_without_a_network(cache: Path) -> None:
    done = run(cache)
    assert done.returncode == 0, done.stderr
    described = json.loads(done.stdout.splitlines()[-1])
    assert described["head"] == "cross_attention"
    assert REVISION in described["folder"]


def test_a_model_that_was_never_downloaded_is_reported_in_a_sentence(cache: Path) -> None:
    done = run(cache, LOAD.replace("someone/oragen-model", "someone/else"))
    assert done.returncode != 0
    assert "ModelError: There is no folder someone/else, and the hub cannot be" in done.stderr
    assert "run `hf download someone/else --revision main`" in done.stderr


@pytest.mark.parametrize("source", ["data/heads/nobody/seed-0", "/nowhere/at/all", "model"])
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

"""Encoders from elsewhere: only their own weights are read, and nothing beside them runs."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import huggingface_hub.constants
import pytest
import safetensors.torch
import torch

from oragen.encoders import EncoderError, load_audio_encoder, load_face_encoder
from oragen.encoders.files import count_weights
from oragen.models.unimodal.timm_arguments import check_arguments
from oragen.schema.errors import UserError
from tests.hostile_models import change
from tests.small_models import TIMM_ARGUMENTS, save_as_timm_does, save_as_transformers_does

FILE_OF_AN_ATTACK: Final = "PWNED"


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A speech encoder and a vision transformer as transformers writes them."""
    voices, pictures = save_as_transformers_does(tmp_path_factory.mktemp("encoders"))
    return Path(voices), Path(pictures)


@pytest.fixture
def pictures(encoders: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the vision transformer, to tamper with."""
    shutil.copytree(encoders[1], tmp_path / "pictures")
    return tmp_path / "pictures"


@pytest.fixture
def timm_folder(tmp_path: Path) -> Path:
    """A vision transformer as timm writes it."""
    return Path(save_as_timm_does(tmp_path / "timm")[1])


# ---- Encoders of transformers


def test_code_beside_an_encoder_is_neither_run_nor_offered(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "evil.py").write_text(f"open({str(pictures / FILE_OF_AN_ATTACK)!r}, 'w').close()\n")
    for name in ("config.json", "preprocessor_config.json"):
        kinds = ("AutoConfig", "AutoModel", "AutoImageProcessor", "AutoFeatureExtractor")
        change(pictures / name, "auto_map", value=dict.fromkeys(kinds, "evil.Evil"))
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("somebody was asked"))
    load_face_encoder(str(pictures))
    change(pictures / "config.json", "model_type", value="evil")
    with pytest.raises(EncoderError, match="model_type is 'evil', expected a speech transformer"):
        load_face_encoder(str(pictures))
    assert not (pictures / FILE_OF_AN_ATTACK).exists()


@pytest.mark.parametrize(
    ("file", "key", "value", "reason"),
    [
        ("config.json", "hidden_size", 10**9, "hidden_size is 1000000000"),
        ("config.json", "num_labels", 10**9, "num_labels is 1000000000"),
        ("config.json", "intermediate_size", 131_072, "describes a network of"),
        ("config.json", "model_type", "bert", "model_type is 'bert'"),
        ("preprocessor_config.json", "size", {"height": 10**6, "width": 10**6}, "height 1000000"),
        ("preprocessor_config.json", "size", {"height": 48, "width": 48}, "cannot be loaded"),
        ("preprocessor_config.json", "image_std", [0, 0, 0], "not finite for silence or a blank"),
    ],
)
def test_an_encoder_that_asks_for_what_cannot_be_is_refused(
    file: str, key: str, value: object, reason: str, pictures: Path
) -> None:
    change(pictures / file, key, value=value)
    with pytest.raises(EncoderError, match=reason):
        load_face_encoder(str(pictures))


def test_an_adapter_that_names_another_model_is_refused(pictures: Path) -> None:
    (pictures / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    with pytest.raises(EncoderError, match="names another model to load"):
        load_face_encoder(str(pictures))


def test_an_adapter_on_a_hub_is_refused_too(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    repository = tmp_path / "models--someone--model"
    shutil.copytree(pictures, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match="names another model to load"):
        load_face_encoder("someone/model")


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", 7])
def test_an_index_that_names_files_elsewhere_is_refused(name: object, pictures: Path) -> None:
    (pictures / "model.safetensors").rename(pictures.parent / "secret.safetensors")
    index = {"metadata": {}, "weight_map": {"a": name}}
    (pictures / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(EncoderError, match="expected files beside it"):
        load_face_encoder(str(pictures))


def test_weights_that_would_run_code_are_refused(pictures: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return os.mkdir, (str(pictures / FILE_OF_AN_ATTACK),)

    (pictures / "model.safetensors").unlink()
    torch.save({"a": Attack()}, pictures / "pytorch_model.bin")
    with pytest.raises(UserError, match="could run any code"):
        load_face_encoder(str(pictures))
    assert not (pictures / FILE_OF_AN_ATTACK).exists()


def test_weights_of_torch_save_that_are_only_weights_are_used(pictures: Path) -> None:
    expected = load_face_encoder(str(pictures)).fingerprint()
    weights = safetensors.torch.load((pictures / "model.safetensors").read_bytes())
    (pictures / "model.safetensors").unlink()
    torch.save(weights, pictures / "pytorch_model.bin")
    assert load_face_encoder(str(pictures)).fingerprint() == expected


def test_weights_of_torch_save_are_counted_without_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"a": torch.zeros(30, 40), "b": torch.zeros(7)}, tmp_path / "pytorch_model.bin")
    places: list[str] = []
    load = torch.load

    def note(file: Path, *, map_location: str, weights_only: bool) -> Any:
        places.append(map_location)
        return load(file, map_location=map_location, weights_only=weights_only)

    monkeypatch.setattr("torch.load", note)
    assert count_weights(tmp_path / "pytorch_model.bin") == 1207
    assert places == ["meta"]


def test_a_header_of_weights_of_any_length_takes_no_memory(pictures: Path) -> None:
    file = pictures / "model.safetensors"
    file.write_bytes((2**40).to_bytes(8, "little") + file.read_bytes()[8:])
    with pytest.raises(EncoderError, match="header has 1099511627776 bytes"):
        load_face_encoder(str(pictures))


def test_an_encoder_of_nan_is_refused(pictures: Path) -> None:
    file = pictures / "model.safetensors"
    weights = safetensors.torch.load(file.read_bytes())
    weights["encoder.layer.0.output.dense.bias"][3] = torch.inf
    safetensors.torch.save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"numbers in .*bias that are not finite"):
        load_face_encoder(str(pictures))


def test_a_speech_encoder_of_another_rate_is_refused(
    encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(encoders[0], tmp_path / "voices")
    change(tmp_path / "voices" / "preprocessor_config.json", "sampling_rate", value=8000)
    with pytest.raises(EncoderError, match="expected a Wav2Vec2FeatureExtractor at 16000 Hz"):
        load_audio_encoder(str(tmp_path / "voices"))


# ---- Encoders of timm


@pytest.mark.parametrize(
    "argument",
    ["checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "file", "url", "custom_load",
     "cache_dir", "features_only", "scriptable"],
)  # fmt: skip
def test_arguments_of_timm_that_read_or_fetch_are_refused(argument: str, timm_folder: Path) -> None:
    change(timm_folder / "config.json", "model_args", argument, value="/tmp/evil.pt")
    with pytest.raises(EncoderError, match=f"'{argument}' is no argument of timm's"):
        load_face_encoder(str(timm_folder))


@pytest.mark.parametrize(
    "name", ["hf-hub:someone/model", "local-dir:/tmp", "vit_nothing", "../x", 3]
)
def test_a_folder_of_timm_names_a_network_of_timm_and_no_place(
    name: object, timm_folder: Path
) -> None:
    change(timm_folder / "config.json", "architecture", value=name)
    with pytest.raises(EncoderError, match="Unknown model of timm"):
        load_face_encoder(str(timm_folder))


def test_a_folder_of_timm_is_read_from_its_own_weights_alone(timm_folder: Path) -> None:
    expected = load_face_encoder(str(timm_folder)).fingerprint()
    for key in ("url", "file", "hf_hub_id"):
        change(timm_folder / "config.json", "pretrained_cfg", key, value="/tmp/evil.pt")
    change(timm_folder / "config.json", "pretrained_cfg", "custom_load", value=True)
    change(timm_folder / "config.json", "pretrained_cfg", "source", value="url")
    assert load_face_encoder(str(timm_folder)).fingerprint() == expected


@pytest.mark.parametrize(("field", "value"), [("mean", 0.5), ("interpolation", [1, 1])])
def test_a_preparation_of_timm_that_is_none_is_refused(
    field: str, value: object, timm_folder: Path
) -> None:
    change(timm_folder / "config.json", "pretrained_cfg", field, value=value)
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_face_encoder(str(timm_folder))


@pytest.mark.parametrize(("argument", "value"), [("depth", 10**6), ("embed_dim", 10**9)])
def test_a_network_of_timm_has_a_size_that_exists(
    argument: str, value: int, timm_folder: Path
) -> None:
    change(timm_folder / "config.json", "model_args", argument, value=value)
    with pytest.raises(EncoderError, match=f"{argument} is {value}"):
        load_face_encoder(str(timm_folder))


def test_the_arguments_of_our_own_folders_are_taken() -> None:
    assert check_arguments(TIMM_ARGUMENTS) == TIMM_ARGUMENTS

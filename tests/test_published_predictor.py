"""The three published checkpoints as they are downloaded -> a predictor."""

import hashlib
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from oragen.corpora.generator.clip import write_clip
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from oragen.models.published import convert_checkpoint
from oragen.models.released import REPOSITORY
from oragen.models.unimodal.published_names import _OLD_NAMES
from oragen.predictor import ModelError, Predictor
from oragen.predictor.origin import describe_origin
from oragen.predictor.published import find_model
from oragen.schema.errors import UserError
from tests.hub_cache import make_snapshot, move_to_blobs, use_hub_cache
from tests.published_heads import make_published_head
from tests.unimodal_models import make_published

# What does not show in the weights is as released: convolutions, patches, heads of 64.
SIZES: Final[dict[str, Any]] = {
    "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 96,
}  # fmt: skip
SPEECH_CONFIG: Final = SIZES | {
    "do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True,
}  # fmt: skip
FACE_CONFIG: Final = SIZES | {"num_labels": 5}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A talking head of some seconds."""
    plan = plan_clips(CorpusSpec("studio", 6, 1))[0]
    path = tmp_path / "clip.mp4"
    write_clip(plan, path)
    return path


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State dicts of the published classes, with random weights and as small as they may be."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "published"
    folder.mkdir()
    for name, weights in {
        "audio.pt": make_published("AGenderAudioW2V2Model", config=SPEECH_CONFIG),
        "image.pt": make_published("AGenderImageVITDPALModel", config=FACE_CONFIG),
        "fusion.pt": make_published_head("MaskAgenderAVModelV3", "LATE"),
    }.items():
        torch.save(weights, folder / name)
    return folder


def test_published_checkpoints_predict_on_a_clip(checkpoints: Path, clip: Path) -> None:
    prediction = Predictor.from_pretrained(checkpoints)(clip)
    assert not isinstance(prediction, list)
    assert prediction.is_predicted
    assert prediction.mask_type is not None
    assert prediction.modalities["audio"].usable
    assert prediction.age is not None
    assert prediction.age.interval is None  # nothing is known of dev clips
    assert prediction.model["head"] == "joint"
    assert prediction.model["face_detector"] == "cascade"  # where YuNet is not


def test_they_are_converted_once(checkpoints: Path, tmp_path: Path) -> None:
    Predictor.from_pretrained(checkpoints)
    (converted,) = (tmp_path / "cache" / "oragen").iterdir()
    written = (converted / "model.safetensors").stat().st_mtime_ns
    Predictor.from_pretrained(checkpoints)
    assert [path.name for path in (tmp_path / "cache" / "oragen").iterdir()] == [converted.name]
    assert (converted / "model.safetensors").stat().st_mtime_ns == written


def test_the_folder_above_trained_seeds_is_no_published_checkpoint(tmp_path: Path) -> None:
    for seed in range(2):
        (tmp_path / "joint" / f"seed-{seed}").mkdir(parents=True)
        for name in ("head.json", "model.safetensors"):
            (tmp_path / "joint" / f"seed-{seed}" / name).touch()
    encoder = tmp_path / "joint" / "seed-1" / "audio_encoder"
    encoder.mkdir()
    (encoder / "head.json").write_text('{"format_version": 1, "kind": "unimodal_audio"}')
    expected = r"joint holds no model itself, but those in seed-0, seed-1: name one of them"
    with pytest.raises(ModelError, match=expected):
        Predictor.from_pretrained(tmp_path / "joint")
    with pytest.raises(ModelError, match=r"those in joint/seed-0, joint/seed-1: name one"):
        Predictor.from_pretrained(tmp_path)


def test_a_checkpoint_that_is_missing_is_named(checkpoints: Path, tmp_path: Path) -> None:
    (checkpoints / "image.pt").unlink()
    with pytest.raises(ModelError, match="lacks a checkpoint of unimodal_face"):
        Predictor.from_pretrained(checkpoints)
    assert list((tmp_path / "cache" / "oragen").iterdir()) == []


def rename(folder: Path) -> Path:
    """Give the checkpoints the names of the released ones."""
    names = {"audio.pt": "audio_model.pt", "image.pt": "image_model.pt"}
    for old, new in (names | {"fusion.pt": "multimodal_model.pt"}).items():
        (folder / old).replace(folder / new)
    return folder


@pytest.mark.slow
def test_a_prediction_names_the_released_model_its_files_and_its_training(
    checkpoints: Path,
) -> None:
    folder = rename(checkpoints)
    (folder / "optimizer.pt").write_bytes(b"nothing that is looked at")
    predictor = Predictor.from_pretrained(folder)
    described = predictor.description
    assert described["published_model"] == "ORAGEN MaskAgenderAVModelV3 LATE (chimera)"
    for part, name in {"voice": "audio", "face": "image", "fusion": "multimodal"}.items():
        content = (folder / f"{name}_model.pt").read_bytes()
        assert described[f"{part}_checkpoint_sha256"] == hashlib.sha256(content).hexdigest()
    weights = (Path(described["folder"]) / "model.safetensors").read_bytes()
    assert described["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert described["trained_on"].startswith("VoxCeleb2, BRAVE-MASKS, aGender")
    assert predictor.training_data is not None
    assert predictor.training_data.names == described["trained_on"].split(", ")
    assert predictor.warnings == []


@pytest.mark.slow
def test_the_released_model_answers_from_the_cache_of_the_hub_without_a_network(
    checkpoints: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = make_snapshot(use_hub_cache(tmp_path / "home", monkeypatch), REPOSITORY)
    rename(checkpoints).rename(snapshot)
    move_to_blobs(snapshot)
    prediction = Predictor.from_pretrained(REPOSITORY)(clip)
    assert not isinstance(prediction, list)
    assert prediction.is_predicted
    assert prediction.model["published_model"].startswith("ORAGEN")
    blob = (snapshot / "multimodal_model.pt").resolve()
    assert prediction.model["fusion_checkpoint_sha256"] == blob.name


@pytest.mark.slow
def test_of_other_checkpoints_nobody_knows_on_whom_they_were_trained(checkpoints: Path) -> None:
    predictor = Predictor.from_pretrained(checkpoints)
    assert predictor.description["published_model"] == "MaskAgenderAVModelV3 LATE (chimera)"
    assert "voice_checkpoint_sha256" in predictor.description
    assert predictor.training_data is None
    assert predictor.warnings == ["This model does not say on whom it was trained."]


@pytest.mark.slow
def test_fp16_exports_with_names_of_transformers_4_convert_to_the_same_model(
    checkpoints: Path, tmp_path: Path
) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    names = set()
    for path in checkpoints.iterdir():
        halves = {name: weight.half() for name, weight in torch.load(path).items()}
        torch.save({name: weight.float() for name, weight in halves.items()}, path)
        older = {old_name(name): weight for name, weight in halves.items()}
        export = {"model_state_dict": older, "source_checkpoint": "a.pt", "precision": "fp16"}
        torch.save(export, exports / path.name)
        names |= set(older)
    assert "vit_model.vit.encoder.layer.0.attention.attention.query.weight" in names
    assert "wav2vec2.encoder.pos_conv_embed.conv.weight_g" in names
    for part in ("", "audio_encoder", "face_encoder"):
        weights = [
            (find_model(folder) / part / "model.safetensors").read_bytes()
            for folder in (checkpoints, exports)
        ]
        assert weights[0] == weights[1]


@pytest.mark.parametrize(
    "published", [{"model": 1}, {"model": "x"}, {"checkpoints": {"voice": {"sha256": "0"}}}, []]
)
def test_what_a_head_says_of_its_checkpoints_is_checked(published: object, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"damaged: head\.json has wrong metadata: published"):
        describe_origin(tmp_path, {"published": published})


def old_name(name: str) -> str:
    """Turn a name of transformers 5 into that of transformers 4."""
    for old, current in reversed(_OLD_NAMES):
        name = name.replace(current, old)
    return name


def test_the_pointer_that_git_lfs_leaves_is_named(checkpoints: Path) -> None:
    folder = rename(checkpoints)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1a2b\nsize 353531647\n"
    (folder / "image_model.pt").write_text(pointer)
    with pytest.raises(ModelError, match=r"image_model\.pt is the pointer that Git LFS .* pull`"):
        Predictor.from_pretrained(folder)
    with pytest.raises(ModelError, match=r"image_model\.pt is the pointer that Git LFS"):
        convert_checkpoint(folder / "image_model.pt", folder / "converted")

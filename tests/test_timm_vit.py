"""Vision transformers of timm as face encoders: from a folder, or built; no network."""

import json
from pathlib import Path
from typing import Any, Final

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import ViTConfig, ViTImageProcessor, ViTModel

from oragen.encoders import EncoderError, FaceEncoder, load_face_encoder, timm_source
from oragen.encoders import face as face_module
from oragen.models.unimodal import build_face_model, save_unimodal
from oragen.models.unimodal.timm_vit import TimmVit
from oragen.schema.vocabulary import Level

TINY: Final[dict[str, Any]] = {
    "img_size": 32,
    "patch_size": 8,
    "embed_dim": 16,
    "depth": 2,
    "num_heads": 2,
}
ARCHITECTURE: Final = "vit_tiny_patch16_224"


def build(architecture: str = ARCHITECTURE, **arguments: Any) -> TimmVit:
    torch.manual_seed(1)
    arguments = TINY | arguments
    return TimmVit.from_description({"architecture": architecture, "arguments": arguments}).eval()


def make_encoder(vit: TimmVit) -> FaceEncoder:
    return FaceEncoder(vit, ViTImageProcessor(size={"height": 32, "width": 32}))


def make_images(number: int = 2) -> Tensor:
    return torch.randn(number, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def make_crops(number: int = 2) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return list(rng.integers(0, 256, (number, 48, 48, 3), dtype=np.uint8))


def save_as_timm_does(folder: Path, architecture: str = ARCHITECTURE, **arguments: Any) -> Path:
    torch.manual_seed(1)
    network = timm.create_model(architecture, num_classes=3, **arguments)
    timm.models.save_for_hf(network, str(folder), model_args=arguments, safe_serialization=True)
    return folder


def copy_weights(source: ViTModel, target: nn.Module) -> None:
    """Give timm's ViT the weights of transformers'; query, key and value are one map in timm."""
    theirs = source.state_dict()
    renamed = {
        "cls_token": theirs["embeddings.cls_token"],
        "pos_embed": theirs["embeddings.position_embeddings"],
    }
    pairs = [
        ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        ("norm", "layernorm"),
    ]
    for block in range(2):
        ours, other = f"blocks.{block}", f"layers.{block}"
        pairs += [
            (f"{ours}.norm1", f"{other}.layernorm_before"),
            (f"{ours}.norm2", f"{other}.layernorm_after"),
            (f"{ours}.attn.proj", f"{other}.attention.o_proj"),
            (f"{ours}.mlp.fc1", f"{other}.mlp.fc1"),
            (f"{ours}.mlp.fc2", f"{other}.mlp.fc2"),
        ]
        for kind in ("weight", "bias"):
            fused = [theirs[f"{other}.attention.{name}_proj.{kind}"] for name in "qkv"]
            renamed[f"{ours}.attn.qkv.{kind}"] = torch.cat(fused)
    for ours, other in pairs:
        for kind in ("weight", "bias"):
            renamed[f"{ours}.{kind}"] = theirs[f"{other}.{kind}"]
    target.load_state_dict(renamed)


# --- hidden states ---------------------------------------------------------------------------


def test_equal_weights_give_the_hidden_states_of_transformers() -> None:
    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        layer_norm_eps=1e-6,
        initializer_range=0.3,
    )
    theirs, ours = ViTModel(config, add_pooling_layer=False).eval(), build()
    copy_weights(theirs, ours.vit)
    with torch.inference_mode():
        expected = theirs(make_images(), output_hidden_states=True).hidden_states
        found = ours(make_images(), output_hidden_states=True).hidden_states
    assert len(found) == 3
    for one, other in zip(found, expected, strict=True):
        assert one.std() > 0.1
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    rows = FaceEncoder(ours, processor).encode(make_crops())
    expected_rows = FaceEncoder(theirs, processor).encode(make_crops())
    np.testing.assert_allclose(rows, expected_rows, atol=1e-5)


def test_the_first_state_is_before_the_first_block_and_the_last_before_the_norm() -> None:
    network = build()
    with torch.inference_mode():
        states = network(make_images()).hidden_states
        first, second = network.vit.blocks
        torch.testing.assert_close(first(states[0]), states[1])
        torch.testing.assert_close(second(states[1]), states[2])
        whole = network.vit.forward_features(make_images())
        torch.testing.assert_close(network.vit.norm(states[2]), whole)
    assert not network.vit.blocks[0]._forward_pre_hooks


@pytest.mark.parametrize(
    ("architecture", "num_tokens"),
    [  # 4 x 4 patches
        (ARCHITECTURE, 17),
        ("vit_small_patch14_reg4_dinov2", 21),
        ("deit_tiny_distilled_patch16_224", 18),
        ("vit_small_patch16_dinov3", 21),
    ],
)
def test_the_cls_row_comes_before_registers_and_patches(architecture: str, num_tokens: int) -> None:
    network = build(architecture)
    weights = dict(network.vit.named_parameters())
    with torch.no_grad():
        weights["cls_token"][:] = 3.0
        if "pos_embed" in weights:
            weights["pos_embed"][:] = 0.0
    with torch.inference_mode():
        states = network(make_images()).hidden_states
    assert [state.shape for state in states] == [(2, num_tokens, 16)] * 3
    assert (states[0][:, 0] == 3).all()
    assert (states[0][:, 1] != 3).any()


def test_a_dinov2_with_registers_is_a_face_encoder() -> None:
    encoder = make_encoder(build("vit_small_patch14_reg4_dinov2"))
    assert encoder.feature_shape() == (3, 16)
    assert encoder.feature_shape("early") == (21, 16)  # CLS, 4 registers, 4 x 4 patches
    crops = make_crops(3)
    for crop, rows in zip(crops, encoder.encode(crops), strict=True):
        np.testing.assert_allclose(rows, encoder.encode([crop])[0], atol=1e-5)


def test_it_can_be_trained() -> None:
    network = build().train()
    torch.stack(network(make_images()).hidden_states)[..., 0, :].square().sum().backward()
    without = {name for name, weight in network.vit.named_parameters() if weight.grad is None}
    assert without == {"norm.weight", "norm.bias"}


# --- again -----------------------------------------------------------------------------------


def test_a_description_is_json_from_which_the_network_is_built_again() -> None:
    network = build(reg_tokens=2)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    again = TimmVit.from_description(json.loads(json.dumps(network.description)))
    assert torch.equal(torch.rand(1), expected)  # the caller's randomness stays as it was
    again.load_state_dict(network.state_dict())
    assert again.description == network.description
    assert make_encoder(again).fingerprint("early") == make_encoder(network).fingerprint("early")
    np.testing.assert_array_equal(
        make_encoder(again).encode(make_crops()), make_encoder(network).encode(make_crops())
    )


def test_the_fingerprint_knows_weights_and_architecture() -> None:
    encoder, other = make_encoder(build()), make_encoder(build(drop_rate=0.0))
    assert encoder.fingerprint() != other.fingerprint()
    before = encoder.fingerprint()
    with torch.no_grad():
        encoder.model.get_parameter("vit.blocks.1.mlp.fc1.bias")[3] += 1e-6
    assert encoder.fingerprint() != before


def test_the_fingerprint_does_not_know_the_version_of_timm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = make_encoder(build()).fingerprint()
    monkeypatch.setattr(timm, "__version__", "9.9.9")
    assert make_encoder(build()).fingerprint() == before


@pytest.mark.parametrize("prefix", ["", "timm:"])
def test_a_folder_of_timm_is_loaded_with_its_own_scale(tmp_path: Path, prefix: str) -> None:
    folder = save_as_timm_does(tmp_path / "saved", **TINY)
    encoder = load_face_encoder(f"{prefix}{folder}")
    weights = load_file(folder / "model.safetensors")
    name = "blocks.1.attn.qkv.weight"
    torch.testing.assert_close(encoder.model.get_parameter(f"vit.{name}").data, weights[name])
    assert encoder.feature_shape() == (3, 16)
    white = np.full((20, 20, 3), 255, np.uint8)
    images = face_module.prepare_crops(encoder.processor, [white])
    torch.testing.assert_close(images, torch.ones(1, 3, 32, 32))  # (1 - 0.5) / 0.5


def test_mean_and_deviation_are_those_of_the_pretraining(tmp_path: Path) -> None:
    folder = save_as_timm_does(tmp_path, "vit_small_patch14_dinov2", **TINY)
    processor: Any = load_face_encoder(str(folder)).processor
    assert processor.image_mean == pytest.approx([0.485, 0.456, 0.406])
    assert processor.image_std == pytest.approx([0.229, 0.224, 0.225])
    assert (processor.resample, processor.do_center_crop) == (3, None)  # bicubic, nothing cut


@pytest.mark.parametrize("level", ["early", "intermediate", "late"])
def test_a_finetuned_vit_of_timm_comes_back_with_all_levels(tmp_path: Path, level: Level) -> None:
    vit = build(reg_tokens=2)
    processor = ViTImageProcessor(size={"height": 32, "width": 32})
    model = build_face_model(vit)
    save_unimodal(tmp_path, model, {})
    processor.save_pretrained(tmp_path)
    loaded = load_face_encoder(str(tmp_path))
    expected = FaceEncoder(model, processor)
    assert loaded.fingerprint() == expected.fingerprint()
    rows = loaded.encode(make_crops(), level)
    np.testing.assert_array_equal(rows, expected.encode(make_crops(), level))


# --- refused ---------------------------------------------------------------------------------


def test_a_vit_without_a_cls_token_is_refused(tmp_path: Path) -> None:
    folder = save_as_timm_does(tmp_path, class_token=False, global_pool="avg", **TINY)
    with pytest.raises(EncoderError, match="has no CLS token"):
        load_face_encoder(str(folder))


def test_a_convolutional_network_is_refused(tmp_path: Path) -> None:
    folder = save_as_timm_does(tmp_path, "test_resnet")
    with pytest.raises(EncoderError, match="is a ResNet; expected one of timm's vision"):
        load_face_encoder(str(folder))


def test_a_folder_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    folder = save_as_timm_does(tmp_path, **TINY)
    weights = load_file(folder / "model.safetensors")
    del weights["cls_token"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(EncoderError, match="cannot be loaded") as caught:
        load_face_encoder(str(folder))
    assert "\n" not in str(caught.value)


def test_a_name_that_timm_does_not_know_is_refused() -> None:
    with pytest.raises(EncoderError, match=r"timm:vit_nothing.*Unknown model"):
        load_face_encoder("timm:vit_nothing")


def test_without_network_a_name_is_an_error_of_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EncoderError, match=r"vit_tiny_patch16_224.*without network") as caught:
        load_face_encoder("timm:vit_tiny_patch16_224")
    assert "\n" not in str(caught.value)


def test_a_name_has_no_revisions() -> None:
    with pytest.raises(EncoderError, match=r"has no revisions.*timm:hf-hub:timm/vit_tiny"):
        load_face_encoder("timm:vit_tiny_patch16_224", "v1")


def test_a_lost_network_is_not_taken_for_a_lack_of_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = save_as_timm_does(tmp_path, **TINY)

    def fetch(_: str, name: str, **__: object) -> str:
        if name == "config.json":
            return str(folder / name)
        raise LocalEntryNotFoundError("the network is gone")

    monkeypatch.setattr(timm_source, "hf_hub_download", fetch)
    (folder / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match="cannot be loaded: the network is gone"):
        load_face_encoder("timm:hf-hub:someone/model")

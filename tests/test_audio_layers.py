"""Hidden layers of an audio encoder: kept side by side, with keys of their own, and weighed."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from transformers import SEWConfig, SEWModel

from oragen.config.params import Params, load_params
from oragen.encoders import AudioEncoder, EncoderError, load_audio_encoder, prepare_sounds
from oragen.features.encoder_notes import EncoderUse, LateEncoder
from oragen.features.spec import FeatureSpec
from oragen.models.heads import HeadSizes, build_head, load_head, save_head
from oragen.models.heads.layer_weights import LayerWeights
from oragen.predictor.cards import write_card
from oragen.predictor.pretrained import load_pretrained
from oragen.schema.choices.heads import HeadName
from oragen.schema.errors import UserError
from oragen.training.evaluation import OtherFeaturesError, refuse_other_features
from stages import extract_audio_features
from tests.project import REPOSITORY
from tests.small_models import predict, write_model
from tests.tiny_encoders import (
    SPEECH,
    SPEECH_MODELS,
    make_audio_encoder,
    make_extractor,
    make_noise,
    save_encoder,
)

HEADS: Final[tuple[HeadName, ...]] = (
    "shared", "separate", "joint", "cross_attention", "audio_only", "concatenation", "late_fusion",
)  # fmt: skip
SPEC: Final = FeatureSpec(
    "audio", "voices", "embedded", "a" * 64, "intermediate", "fp32", (199, 32)
)
# WavLM hands torch a key mask and a position bias of two types.
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")


# --- what is kept ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPEECH_MODELS)
def test_layers_are_the_hidden_states_of_transformers_side_by_side(name: str) -> None:
    encoder = make_audio_encoder(name, layers=(0, 1, 2))
    sound = make_noise(16_000)
    samples, _ = prepare_sounds(encoder.extractor, [sound])
    with torch.inference_mode():
        output = encoder.network(samples, output_hidden_states=True)
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    expected = torch.cat(states, dim=-1)[0, : encoder.num_steps(len(sound))]
    [rows] = encoder.encode([sound])
    assert rows.shape == encoder.feature_shape(len(sound)) == (len(expected), 48)
    np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("name", SPEECH_MODELS)
def test_the_last_layer_is_what_is_kept_without_a_choice(name: str) -> None:
    sound = make_noise(16_000)
    [last], [chosen] = (
        make_audio_encoder(name, layers=layers).encode([sound]) for layers in (None, (2,))
    )
    np.testing.assert_array_equal(last, chosen)


def test_all_layers_pooled_are_mean_and_deviation_of_each(tmp_path: Path) -> None:
    save_encoder(make_audio_encoder("hubert"), tmp_path)
    encoder = load_audio_encoder(str(tmp_path), levels=["pooled"], layers="all")
    assert encoder.layers == (0, 1, 2)
    sounds = [make_noise(24_000), make_noise(9_000, seed=1)]
    for pooled, sound in zip(encoder.encode(sounds, "pooled"), sounds, strict=True):
        steps = encoder.encode([sound])[0]
        assert pooled.shape == encoder.feature_shape(len(sound), "pooled") == (2, 48)
        np.testing.assert_allclose(pooled, [steps.mean(axis=0), steps.std(axis=0)], atol=1e-5)


def test_levels_that_are_not_of_layers_stay_as_they_are() -> None:
    sound = make_noise(16_000)
    plain, chosen = (make_audio_encoder("hubert", layers=layers) for layers in (None, (1,)))
    [before], [after] = plain.encode([sound], "early"), chosen.encode([sound], "early")
    np.testing.assert_array_equal(before, after)
    assert plain.fingerprint() == chosen.fingerprint()


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(EncoderError, match=r"'embedded' has no layer 3; its layers are 0 .* to 2"):
        load_audio_encoder("embedded", layers=[1, 3])
    use = EncoderUse("audio", "embedded", None, "fp32", ["intermediate"], 64_000, [1, 3])
    with pytest.raises(EncoderError, match=r"no layer 3; .* `features.audio.layers: last`, in par"):
        extract_audio_features.load(use, "cpu")


def test_layers_with_other_frames_than_the_output_are_refused() -> None:
    sizes = SPEECH | {"conv_dim": (8,) * 13}
    network = SEWModel(SEWConfig(**sizes))  # whose layers see two audio frames as one
    extractor = make_extractor("hubert")
    sound = make_noise(16_000)
    assert AudioEncoder(network, extractor, layers=(2,)).encode([sound])[0].shape == (49, 16)
    with pytest.raises(EncoderError, match=r"layer 1 .* has 24 audio frames .* has 49\."):
        AudioEncoder(network, extractor, layers=(1, 2)).encode([sound])


# --- keys, sizes and notes -------------------------------------------------------------------


def test_without_a_choice_keys_and_specs_are_those_of_before() -> None:
    assert SPEC.key_of("b" * 64) == "7e17026238469fe4f1861ebe87256fff"
    assert "layers" not in SPEC.as_json()


def test_rows_of_layers_have_a_key_and_a_size_of_their_own() -> None:
    of_two = FeatureSpec(
        "audio", "voices", "embedded", "a" * 64, "intermediate", "fp32", (199, 32), layers=(0, 2)
    )
    assert of_two.key_of("b" * 64) != SPEC.key_of("b" * 64)
    assert of_two.as_json()["layers"] == [0, 2]
    assert of_two.row_bytes == 199 * 32 * 2


def test_a_note_keeps_which_layers_all_are(tmp_path: Path) -> None:
    use = EncoderUse("audio", "embedded", None, "fp32", ["pooled"], 64_000, "all")
    encoder = LateEncoder(use, lambda: load_audio_encoder("embedded", layers="all"), tmp_path)
    assert encoder.noted is None
    assert encoder.described.layers == (0, 1, 2)
    again = LateEncoder(use, lambda: pytest.fail("it was loaded"), tmp_path)
    assert again.noted == encoder.described
    assert again.noted.shapes == {"pooled": (2, 384)}


def test_a_head_refuses_features_of_other_layers(tmp_path: Path) -> None:
    other = SPEC.as_json() | {"layers": [0, 2]}
    with pytest.raises(OtherFeaturesError, match=r"layers last\).*\(layers \[0, 2\]\)"):
        refuse_other_features(tmp_path, {"audio": SPEC.as_json()}, {"audio": other})


def test_a_model_hears_the_layers_that_its_head_was_trained_on(tmp_path: Path) -> None:
    folder = write_model(tmp_path, level="pooled", layers="all")
    loaded = load_pretrained(folder)
    assert loaded.audio is not None
    assert loaded.audio.feature_shape(16_000, "pooled") == (2, 384)
    assert "| audio | voices | pooled (layers 0 to 2) |" in write_card(loaded)
    age = predict(folder).age
    assert age is not None
    assert np.isfinite(age.value)


def test_a_head_of_layers_that_are_not_there_says_nothing_of_params(tmp_path: Path) -> None:
    folder = write_model(tmp_path, level="pooled", layers="all")
    file = folder / "head.json"
    saved = json.loads(file.read_text())
    saved["metadata"]["features"]["audio"]["layers"] = [0, 1, 9]
    file.write_text(json.dumps(saved))
    expected = r"layers \[0, 1, 9\], .* no layer 9; its layers .* to 2\. Fetch the model again"
    with pytest.raises(UserError, match=expected):
        load_pretrained(folder)


# --- params.yaml -----------------------------------------------------------------------------


def read_params(**changes: Any) -> Params:
    found = load_params(REPOSITORY / "params.yaml").model_dump(mode="json")
    found["features"]["audio"] |= changes
    return Params.model_validate(found)


def test_params_without_layers_keep_what_an_encoder_returns() -> None:
    found = load_params(REPOSITORY / "params.yaml").model_dump(mode="json")
    del found["features"]["audio"]["layers"]
    assert Params.model_validate(found).features.audio.layers == "last"


def test_all_layers_are_not_kept_frame_by_frame() -> None:
    with pytest.raises(ValueError, match=r"layers is all, and features\.levels has"):
        read_params(layers="all")
    assert read_params(layers=[1, 2]).features.audio.layers == [1, 2]


@pytest.mark.parametrize(
    ("head", "changes", "layers", "reason"),
    [
        ("cross_attention", {}, "last", r"features\.audio\.layers names one layer.*\[6, 12\]"),
        ("cross_attention", {}, [1], r"features\.audio\.layers names one layer"),
        ("cross_attention", {"level": "late"}, [1, 2], "the level late is of no hidden layers"),
        ("face_only", {}, [1, 2], "the variant face_only weighs no layers. Leave it out"),
        ("frozen_probe", {}, [1, 2], "the variant frozen_probe weighs no layers"),
    ],
)
def test_layers_are_not_weighted_where_there_is_nothing_to_weigh(
    head: str, changes: dict[str, str], layers: Any, reason: str
) -> None:
    found = load_params(REPOSITORY / "params.yaml").model_dump(mode="json")
    found["features"] |= {"levels": ["intermediate", "late"]}
    found["use_heads"] = [head]
    found["features"]["audio"] |= {"layers": layers}
    found["heads"][head] |= {"audio_layers": "weighted"} | changes
    with pytest.raises(ValueError, match=rf"heads\.{head}\.audio_layers is weighted, and {reason}"):
        Params.model_validate(found)
    found["heads"][head] |= {"variant": "joint", "level": "intermediate"}
    found["features"]["audio"] |= {"layers": [1, 2]}
    Params.model_validate(found)


# --- heads that weigh layers -----------------------------------------------------------------


def test_weights_begin_even_and_add_up_to_one() -> None:
    weigh = LayerWeights(3)
    audio = torch.tensor([[[1.0, 2.0, 3.0, 4.0, 8.0, 9.0]]])  # three layers of width 2
    torch.testing.assert_close(weigh(audio), torch.tensor([[[4.0, 5.0]]]))
    with torch.no_grad():
        weigh.logits.copy_(torch.tensor([0.0, 0.0, 1.0]).log())
    torch.testing.assert_close(weigh(audio), torch.tensor([[[8.0, 9.0]]]))


def make_head(name: HeadName, audio_layers: int) -> Any:
    torch.manual_seed(0)
    sizes = HeadSizes(5, 24 if audio_layers > 1 else 8, 2, 3, 6, 2, 6)
    return build_head(name, sizes, width=16, audio_layers=audio_layers).eval()


@pytest.mark.parametrize("name", HEADS)
def test_a_head_of_layers_is_the_head_of_their_weighted_sum(name: HeadName) -> None:
    torch.manual_seed(1)
    audio, face = torch.randn(4, 5, 24), torch.randn(4, 2, 3, 6)
    audio_valid, face_valid = torch.ones(4, 5).bool(), torch.ones(4, 2).bool()
    head, plain = make_head(name, 3), make_head(name, 1)
    weights = {key: value for key, value in head.state_dict().items() if "logits" not in key}
    plain.load_state_dict(weights)
    with torch.inference_mode():
        found = head(audio, audio_valid, face, face_valid)
        expected = plain(audio.unflatten(-1, (3, 8)).mean(dim=2), audio_valid, face, face_valid)
    torch.testing.assert_close(found.age_logit, expected.age_logit)
    torch.testing.assert_close(found.mask_type_logits, expected.mask_type_logits)


@pytest.mark.parametrize("name", HEADS)
def test_the_weights_of_layers_are_learned_and_saved(name: HeadName, tmp_path: Path) -> None:
    head = make_head(name, 3).train()
    valid = torch.ones(4, 5).bool(), torch.ones(4, 2).bool()
    output = head(torch.randn(4, 5, 24), valid[0], torch.randn(4, 2, 3, 6), valid[1])
    output.age_logit.sum().backward()
    [logits] = [weight for key, weight in head.named_parameters() if "logits" in key]
    assert logits.grad.abs().sum() > 0
    save_head(tmp_path, head, {})
    loaded = load_head(tmp_path).head
    assert loaded.spec.audio_layers == 3
    assert head.state_dict().keys() == loaded.state_dict().keys()


def test_a_width_that_is_not_of_so_many_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="an audio width of 24 is not that of 5 layers"):
        make_head("audio_only", 5)


def test_a_saved_head_of_earlier_versions_weighs_no_layers(tmp_path: Path) -> None:
    save_head(tmp_path, make_head("audio_only", 1), {})
    file = tmp_path / "head.json"
    saved = json.loads(file.read_text())
    del saved["audio_layers"]
    file.write_text(json.dumps(saved))
    assert load_head(tmp_path).head.spec.audio_layers == 1
    file.write_text(json.dumps(saved | {"audio_layers": 7}))
    with pytest.raises(UserError, match="an audio width of 8 is not that of 7 layers"):
        load_head(tmp_path)

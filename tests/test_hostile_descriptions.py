"""What a model from elsewhere says of itself: what cannot be is refused by its field."""

import json
from pathlib import Path
from typing import Any

import pytest

from oragen.models.heads import load_head
from oragen.models.unimodal import load_unimodal
from oragen.predictor import Predictor
from oragen.predictor.onnx import export_head
from oragen.predictor.pretrained import load_pretrained
from oragen.schema.choices.heads import HeadName
from oragen.schema.errors import UserError
from oragen.schema.strict_json import JsonError, parse_object
from tests.hostile_models import CROPS, change, copy_without_sums, try_out, write_good_model
from tests.small_models import make_sound, write_model


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed model with small encoders."""
    made = tmp_path_factory.mktemp("hostile")
    return write_good_model(made / "good", of=made / "of")


@pytest.fixture
def head(good: Path, tmp_path: Path) -> Path:
    """A copy without sums."""
    return copy_without_sums(good, tmp_path / "model")


# ---- JSON


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' is there twice"),
        (b'{"a": {"b": 1, "b": 1}}', "the key 'b' is there twice"),
        (b'{"a": NaN}', "it holds NaN, expected finite numbers"),
        (b'{"a": -Infinity}', "it holds -Infinity"),
        (b'{"a": 1e999}', "it holds 1e999"),
        (b'{"a": ' + b"9" * 5000 + b"}", "it is not JSON"),
        (b'{"a": ' * 40 + b"1" + b"}" * 40, "nested more than 30 deep"),
        (b"[" * 200_000, "nested more than 30 deep"),
        (b'{"a": "' + b"x" * 4_000_000 + b'"}', "expected at most 4000000"),
        (b'{"a": "\\ud800"}', "is not Unicode text"),
        (b"[1]", "it holds a list, expected an object"),
        (b"\xff", "it is not JSON"),
    ],
)
def test_json_that_says_two_things_or_nothing_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(JsonError, match=reason):
        parse_object(content)


def test_json_without_a_trick_is_read() -> None:
    assert parse_object(b'{"a": [1, 0.5, null, true, "\\u00fc"]}') == {
        "a": [1, 0.5, None, True, "ü"]
    }


# ---- head.json


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("sizes", "audio_width"), 10**9, "sizes.audio_width"),
        (("sizes", "num_genders"), 1, "sizes.num_genders"),
        (("width",), 10**7, "width"),
        (("width",), 16.5, "width"),
        (("num_heads",), 0, "num_heads"),
        (("dropout",), 2, "dropout"),
        (("metadata", "genders"), ["female", "female"], "'female' is listed twice in the genders"),
        (("metadata", "genders"), ["female", "robot"], "'robot' is none of the genders"),
        (("metadata", "genders"), [], "has 2 genders, its labels are"),
        (("metadata", "genders"), "fm", "has 2 genders, its labels are fm"),
        (("metadata", "calibration", "gender_temperature"), 0, "calibration: gender_temperature"),
        (("metadata", "calibration", "gender_temperature"), -1, "calibration: gender_temperature"),
        (("metadata", "calibration", "age_half_width_years"), -3, "age_half_width_years"),
        (("metadata", "calibration", "coverage"), 1.5, "calibration: coverage"),
        (("metadata", "calibration"), [1], "metadata.calibration"),
        (("metadata", "preprocessing", "windows", "hop_s"), 0, "preprocessing: windows.hop_s"),
        (("metadata", "preprocessing", "windows", "hop_s"), 0.01, "preprocessing: windows.hop_s"),
        (("metadata", "preprocessing", "windows", "hop_s"), 2, "must not exceed length_s"),
        (("metadata", "preprocessing", "windows", "length_s"), 600, "windows.length_s"),
        (("metadata", "preprocessing", "speech", "min_speech_ms"), 0, "speech.min_speech_ms"),
        (("metadata", "preprocessing", "faces", "crop_px"), 10**6, "faces.crop_px"),
        (("metadata", "preprocessing", "faces", "detector"), "rm", "faces.detector"),
        (("metadata", "preprocessing", "audio"), {}, "audio.max_duration_s: Field required"),
        (("metadata", "features", "audio", "shape"), [1], "features.audio.shape"),
        (("metadata", "features", "audio", "shape"), [99, 7], "takes audio features of width"),
        (("metadata", "features", "audio", "level"), "deep", "features.audio.level"),
        (("metadata", "features", "smell"), {}, "features.smell"),
        (("metadata", "trained_on"), [1], "trained_on.0"),
        (("metadata", "training_data"), {"corpora": [{"name": 1}]}, "training_data.corpora.0.name"),
        (("metadata", "training_data"), {"corpora": [], "oldest_years": 900}, "oldest_years"),
    ],
)
def test_a_description_that_cannot_be_is_refused_by_its_field(
    path: tuple[str, ...], value: object, place: str, head: Path
) -> None:
    change(head / "head.json", *path, value=value)
    with pytest.raises(UserError, match=place.replace(".", r"\.")):
        load_pretrained(head)


@pytest.mark.parametrize("name", ["audio_only", "face_only"])
def test_a_head_of_one_modality_may_follow_the_published_rules(
    name: HeadName, tmp_path: Path
) -> None:
    head = write_model(tmp_path / "head", name=name)
    missing = {"audio_only": "face", "face_only": "audio"}[name]
    fields = json.loads((head / "head.json").read_text())
    del fields["metadata"]["features"][missing]
    fields["sizes"] |= {size: 1 for size in fields["sizes"] if size.startswith(missing)}
    fields["metadata"]["preprocessing"]["rules"] = "published_inference"
    (head / "head.json").write_text(json.dumps(fields))
    assert try_out(head, CROPS, make_sound()[:40_000]) == "predicted"


def test_a_head_that_is_larger_than_its_weights_takes_no_memory(head: Path) -> None:
    change(head / "head.json", "width", value=65_536)  # 200 GB of weights
    with pytest.raises(UserError, match="the weights do not fit the model that it describes"):
        load_head(head)


def test_an_encoder_that_is_larger_than_its_weights_takes_no_memory(head: Path) -> None:
    config = ("encoder", "config")
    change(head / "audio_encoder" / "head.json", *config, "intermediate_size", value=131_072)
    change(head / "audio_encoder" / "head.json", *config, "num_hidden_layers", value=100)
    with pytest.raises(UserError, match="the weights do not fit the model that it describes"):
        load_unimodal(head / "audio_encoder")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"hidden_size": 10**9}, "hidden_size is 1000000000, expected 1 to 16384"),
        ({"num_hidden_layers": 10**6}, "num_hidden_layers is 1000000"),
        ({"conv_dim": [16] * 1000}, "conv_dim has 1000 entries"),
        ({"conv_stride": [0] * 7}, "conv_stride is 0"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config is there"),
        ({"attn_implementation": "someone/kernels"}, "attn_implementation is 'someone/kernels'"),
    ],
)
def test_a_config_of_no_encoder_is_refused_before_it_is_built(
    config: dict[str, Any], reason: str, head: Path
) -> None:
    for key, value in config.items():
        change(head / "audio_encoder" / "head.json", "encoder", "config", key, value=value)
    with pytest.raises(UserError, match=rf"head\.json describes no model: {reason}"):
        load_unimodal(head / "audio_encoder")


def test_labels_in_another_order_are_those_of_the_model(head: Path) -> None:
    before = Predictor.from_pretrained(head, device="cpu").predict(faces=CROPS)
    change(head / "head.json", "metadata", "genders", value=["male", "female"])
    turned = ["shield", "respirator", "ffp", "medical", "tissue", "none"]
    change(head / "head.json", "metadata", "mask_types", value=turned)
    after = Predictor.from_pretrained(head, device="cpu").predict(faces=CROPS)
    assert before.mask_type is not None
    assert after.mask_type is not None
    shares = list(before.mask_type.probabilities.values())
    assert after.mask_type.probabilities == dict(zip(turned, shares, strict=True))


def test_a_calibration_of_zero_is_refused_by_the_export_too(head: Path, tmp_path: Path) -> None:
    change(head / "head.json", "metadata", "calibration", "gender_temperature", value=0)
    with pytest.raises(UserError, match=r"metadata\.calibration: gender_temperature"):
        export_head(head, tmp_path / "x.onnx")

"""What `auto` in `faces` of params.yaml stands for: by what is here, and by the encoders."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import timm
import yaml
from timm.models import save_for_hf
from transformers import ViTConfig, ViTImageProcessor, ViTModel

from oragen.cli.checks.project import check_detector, check_settled
from oragen.config.params import load_params
from oragen.config.settled_faces import (
    UnsettledError,
    find_settled_faces,
    settle,
    unsettle,
)
from oragen.detection.detector_choice import choose_detector
from oragen.detection.yunet_weights import FaceWeightsError, keep_yunet
from oragen.encoders import find_input_px
from oragen.models.unimodal import build_face_model, save_unimodal
from oragen.predictor.preprocessing import read_preprocessing
from oragen.store.keys import faces_key
from stages.settle_faces import main
from tests.project import REPOSITORY

NETWORK = b"a network"
FACES_OF_THE_DEMO = {
    "detector": "cascade", "min_score": 0.6, "max_gap": 2, "margin": 0.15, "crop_px": 96,
    "max_duration_s": 7200.0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped params.yaml in a folder of its own, and a machine on which nothing is kept."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "oragen.detection.yunet_weights.KNOWN_YUNET", (hashlib.sha256(NETWORK).hexdigest(),)
    )
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def yunet(tmp_path: Path) -> Path:
    """A file that stands for YuNet; not yet kept."""
    file = tmp_path / "yunet.onnx"
    file.write_bytes(NETWORK)
    return file


def change(project: Path, *place: str, value: Any) -> None:
    path = project / "params.yaml"
    sections = yaml.safe_load(path.read_text())
    here = sections
    for step in place[:-1]:
        here = here[step]
    here[place[-1]] = value
    path.write_text(yaml.safe_dump(sections, sort_keys=False))


def run_stage() -> dict[str, Any]:
    """Run the stage; return its note."""
    main()
    note: dict[str, Any] = json.loads(Path("data/params/faces.json").read_text())
    return note


def test_auto_is_yunet_where_its_weights_are_named_or_kept(yunet: Path) -> None:
    assert choose_detector("auto") == "cascade"
    assert choose_detector("auto", yunet) == "yunet"
    keep_yunet(yunet)
    assert choose_detector("auto") == "yunet"
    assert choose_detector("cascade") == "cascade"


def test_keys_of_the_demo_stay_what_they_were_without_yunet() -> None:
    run_stage()
    faces = settle(load_params().faces).as_cache_parameters()
    assert faces == FACES_OF_THE_DEMO
    assert faces_key("a" * 64, faces, "d") == faces_key("a" * 64, FACES_OF_THE_DEMO, "d")


def test_yunet_that_has_come_since_changes_the_note_and_says_so(
    yunet: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = run_stage()
    assert "cascade: YuNet finds more faces, and is not here" in caplog.text
    assert run_stage() == before  # so nothing else runs again
    keep_yunet(yunet)
    after = run_stage()
    assert after["detector"] == "yunet"
    assert after["fingerprint"] != before["fingerprint"]
    assert "settle_faces: detector yunet; crops of 96 px, for embedded" in caplog.text


def test_fetching_yunet_lets_the_stage_run_again_and_doctor_says_where_it_must(
    yunet: Path,
) -> None:
    assert not unsettle()  # no project, or none that has run
    note = run_stage()
    faces = load_params().faces
    assert check_settled(faces, find_settled_faces()) == []
    keep_yunet(yunet)
    [finding] = check_settled(faces, find_settled_faces())
    assert (finding.state, finding.found[:16]) == ("warning", "found by cascade")
    assert "dvc repro --force settle_faces" in finding.advice
    assert unsettle()
    noted = find_settled_faces()
    assert noted is not None
    assert noted.model_dump() == note | {"fingerprint": None}  # so DVC sees another output
    assert run_stage()["detector"] == "yunet"
    assert check_settled(faces, find_settled_faces()) == []
    assert not unsettle()


def test_faces_found_by_yunet_are_not_found_again_without_it_unasked(
    project: Path, yunet: Path, tmp_path: Path
) -> None:
    kept = keep_yunet(yunet)
    note = run_stage()
    kept.unlink()
    with pytest.raises(FaceWeightsError, match=r"found by YuNet, and it is not on this machine"):
        main()
    assert json.loads(Path("data/params/faces.json").read_text()) == note
    change(project, "faces", "detector", value="cascade")
    assert run_stage()["detector"] == "cascade"


def test_yunet_that_was_named_and_never_here_has_found_no_faces(project: Path) -> None:
    """As where all boxes are given."""
    change(project, "faces", "detector", value="yunet")
    assert run_stage()["fingerprint"] is None
    change(project, "faces", "detector", value="auto")
    assert run_stage()["detector"] == "cascade"


def test_other_weights_in_the_same_place_change_the_note(project: Path, yunet: Path) -> None:
    change(project, "faces", "weights", value=str(yunet))
    before = run_stage()
    yunet.write_bytes(b"another network")
    assert run_stage()["fingerprint"] != before["fingerprint"]


def test_named_weights_that_are_missing_are_no_reason_for_the_cascade(project: Path) -> None:
    change(project, "faces", "weights", value="absent.onnx")
    with pytest.raises(FaceWeightsError, match=r"No YuNet weights at absent\.onnx"):
        main()
    change(project, "faces", "detector", value="yunet")  # a corpus with boxes needs none
    assert run_stage()["fingerprint"] is None


def test_what_is_said_outright_needs_no_note(project: Path) -> None:
    change(project, "faces", "detector", value="none")
    change(project, "faces", "crop_px", value=48)
    faces = load_params().faces
    assert settle(faces) == faces


def test_auto_without_a_note_names_the_stage_that_writes_it(project: Path) -> None:
    with pytest.raises(UnsettledError, match=r"Run `dvc repro settle_faces`"):
        settle(load_params().faces)
    (project / "data" / "params").mkdir(parents=True)
    (project / "data" / "params" / "faces.json").write_text('{"detector": "auto"}')
    with pytest.raises(UnsettledError, match=r"it is damaged\. Remove it and run `dvc repro"):
        settle(load_params().faces)


# -- The size of crops -----------------------------------------------------------------------------


@pytest.fixture
def vit(project: Path) -> Path:
    """The folder of a ViT of transformers, without its weights, which takes 40 px."""
    folder = project / "vit"
    ViTConfig(image_size=40, patch_size=8).save_pretrained(folder)
    ViTImageProcessor(size={"height": 40, "width": 40}).save_pretrained(folder)
    return folder


def test_crops_are_as_large_as_the_largest_face_encoder_takes(project: Path, vit: Path) -> None:
    catalogue = ("encoders", "catalogue")
    change(project, *catalogue, "vit-age", "source", value=str(vit))
    change(project, *catalogue, "dinov2-small", "source", value="timm:vit_tiny_patch16_224")
    change(project, "features", "face", "encoder", value="vit-age")
    assert run_stage()["input_px"] == {"embedded": 96, str(vit): 40}  # the one is fine-tuned
    assert run_stage()["crop_px"] == 96
    change(project, "encoders", "finetune", value=[])
    assert run_stage()["crop_px"] == 40
    change(project, "features", "face", "encoder", value="dinov2-small")
    assert run_stage()["crop_px"] == 224
    change(project, *catalogue, "dinov2-small", "source", value="off-the-shelf")
    assert run_stage()["crop_px"] == 128


def test_an_encoder_of_the_hub_is_asked_for_its_size_once(project: Path) -> None:
    change(project, "encoders", "catalogue", "vit-age", "revision", value="v1")
    change(project, "encoders", "finetune", value=[])
    change(project, "features", "face", "encoder", value="vit-age")
    note = {
        "detector": "cascade", "fingerprint": "x", "crop_px": 224,
        "input_px": {"nateraw/vit-age-classifier@v1": 224},
    }  # fmt: skip
    (project / "data" / "params").mkdir(parents=True)
    (project / "data" / "params" / "faces.json").write_text(json.dumps(note))
    assert run_stage()["crop_px"] == 224  # and no network was needed


def test_the_size_is_read_from_configs_and_no_weights(vit: Path, tmp_path: Path) -> None:
    assert find_input_px("embedded") == 64
    assert find_input_px(str(vit)) == 40
    assert find_input_px("timm:vit_small_patch14_dinov2") == 518
    saved = tmp_path / "timm"
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, embed_dim=24)
    save_for_hf(model, str(saved), model_args={"img_size": 32, "depth": 1, "embed_dim": 24})
    for weights in [*saved.glob("*.safetensors"), *saved.glob("*.bin")]:
        weights.unlink()
    assert find_input_px(str(saved)) == 32


def test_the_size_of_a_fine_tuned_encoder_is_that_of_its_preparation(tmp_path: Path) -> None:
    config = ViTConfig(
        hidden_size=24, num_hidden_layers=1, num_attention_heads=1, intermediate_size=24,
        image_size=48, patch_size=8,
    )  # fmt: skip
    model = build_face_model(
        ViTModel(config, add_pooling_layer=False), pooling="gated", num_genders=2, num_mask_types=6
    )
    means = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    save_unimodal(tmp_path / "said", model, {"input": {"image_px": 48, **means}})
    assert find_input_px(str(tmp_path / "said")) == 48


# -- Doctor and heads ------------------------------------------------------------------------------


def test_doctor_says_what_auto_stands_for(yunet: Path) -> None:
    finding = check_detector("auto", None)
    assert (finding.state, finding.found) == ("ok", "auto: cascade, as YuNet is not here")
    assert finding.advice == "Run `oragen models fetch yunet`: it finds more faces."
    kept = keep_yunet(yunet)
    finding = check_detector("auto", None)
    assert (finding.state, finding.found) == ("ok", f"auto: YuNet is here, {kept}")
    kept.write_bytes(b"other")
    assert check_detector("auto", None).state == "problem"


def saved(detector: str, weights: str | None = None) -> dict[str, Any]:
    """The preprocessing in a head.json."""
    return {
        "audio": {"max_duration_s": 60.0},
        "speech": {"threshold": 0.5, "min_speech_ms": 1, "min_silence_ms": 1, "pad_ms": 0},
        "faces": FACES_OF_THE_DEMO | {"detector": detector, "weights": weights},
        "windows": {"rule": "every_overlap", "length_s": 4, "hop_s": 2, "min_length_s": 1},
    }


def test_a_head_that_leaves_the_detector_open_takes_yunet_where_it_is(
    yunet: Path, tmp_path: Path
) -> None:
    faces = read_preprocessing(saved("auto"), tmp_path).faces
    assert (faces.detector, faces.weights) == ("cascade", None)
    kept = keep_yunet(yunet)
    faces = read_preprocessing(saved("auto"), tmp_path).faces
    assert (faces.detector, faces.weights) == ("yunet", kept)


def test_a_head_of_yunet_is_used_with_the_kept_weights_where_its_own_are_missing(
    yunet: Path, tmp_path: Path
) -> None:
    absent = tmp_path / "absent.onnx"
    assert read_preprocessing(saved("yunet"), tmp_path).faces.weights is None
    assert read_preprocessing(saved("yunet", str(absent)), tmp_path).faces.weights == absent
    kept = keep_yunet(yunet)
    assert read_preprocessing(saved("yunet"), tmp_path).faces.weights == kept
    assert read_preprocessing(saved("yunet", str(absent)), tmp_path).faces.weights == kept
    assert read_preprocessing(saved("cascade"), tmp_path).faces.detector == "cascade"


def test_a_foreign_head_cannot_bring_a_network_by_leaving_the_detector_open(
    tmp_path: Path,
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"another network")
    with pytest.raises(FaceWeightsError, match=r"other\.onnx is not YuNet as it was published"):
        read_preprocessing(saved("auto", str(other)), tmp_path)

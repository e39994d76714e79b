"""Models from elsewhere: each ends in a prediction or in one sentence, and nothing foreign runs."""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from oragen.detection.yunet_weights import YUNET_FILE, FaceWeightsError
from oragen.encoders import EncoderError, load_audio_encoder, load_face_encoder
from oragen.models.finite import find_not_finite
from oragen.models.heads import load_head
from oragen.models.unimodal import load_unimodal, read_checkpoint
from oragen.models.unimodal.timm_arguments import check_arguments
from oragen.predictor import Predictor
from oragen.predictor.onnx import export_head
from oragen.predictor.packing import pack_model
from oragen.predictor.pretrained import load_pretrained
from oragen.predictor.sums import SUMS_FILE, SumsError
from oragen.schema.errors import UserError
from oragen.schema.links import find_inside
from oragen.schema.strict_json import JsonError, parse_object
from tests.hostile_models import fit_sums, tamper, try_out, write_good_model
from tests.test_packing import (
    TIMM_ARGUMENTS,
    make_sound,
    predict,
    save_as_timm_does,
    save_as_transformers_does,
)

CROPS: Final = list(np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8))
FILE_OF_AN_ATTACK: Final = "PWNED"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed model with small encoders."""
    made = tmp_path_factory.mktemp("hostile")
    return write_good_model(made / "good", of=made / "of")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    """A copy of it, to tamper with."""
    shutil.copytree(good, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def head(folder: Path) -> Path:
    """The same without sums, which would notice every change."""
    (folder / SUMS_FILE).unlink()
    return folder


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


def change(file: Path, *path: str, value: object) -> None:
    """Set a field of a JSON file, which may be nested."""
    fields = json.loads(file.read_text())
    inner = fields
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file.write_text(json.dumps(fields))


def set_weights(folder: Path, **changed: Tensor) -> None:
    """Change weights in a folder of ours, with a SHA-256 that fits."""
    file = folder / "model.safetensors"
    names = {name.replace("__", "."): weight for name, weight in changed.items()}
    safetensors.torch.save_file(safetensors.torch.load(file.read_bytes()) | names, file)
    keeps_sums = (folder / SUMS_FILE).exists()
    fit_sums(folder)
    if not keeps_sums:
        (folder / SUMS_FILE).unlink()


# ---- All together


def test_a_model_that_was_tampered_with_ends_in_a_prediction_or_a_sentence(
    good: Path, tmp_path: Path
) -> None:
    sound = make_sound()[:16_000]
    for seed in range(12):
        said = tamper(good, tmp_path / str(seed), np.random.default_rng(seed))
        assert try_out(tmp_path / str(seed), CROPS, sound), said


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
        (("metadata", "preprocessing", "windows", "length_s"), 1e9, "windows.length_s"),
        (("metadata", "preprocessing", "faces", "crop_px"), 10**6, "faces.crop_px"),
        (("metadata", "preprocessing", "faces", "detector"), "rm", "faces.detector"),
        (("metadata", "preprocessing", "audio"), {}, "audio.max_duration_s: Field required"),
        (("metadata", "features", "audio", "shape"), [1], "features.audio.shape"),
        (("metadata", "features", "audio", "shape"), [99, 7], "takes audio features of width"),
        (("metadata", "features", "audio", "level"), "deep", "features.audio.level"),
        (("metadata", "features", "smell"), {}, "features.smell"),
        (("metadata", "trained_on"), [1], "trained_on.0"),
    ],
)
def test_a_description_that_cannot_be_is_refused_by_its_field(
    path: tuple[str, ...], value: object, place: str, head: Path
) -> None:
    change(head / "head.json", *path, value=value)
    with pytest.raises(UserError, match=place.replace(".", r"\.")):
        load_pretrained(head)


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


def test_a_header_of_weights_of_any_length_takes_no_memory(pictures: Path) -> None:
    file = pictures / "model.safetensors"
    file.write_bytes((2**40).to_bytes(8, "little") + file.read_bytes()[8:])
    with pytest.raises(EncoderError, match="header has 1099511627776 bytes"):
        load_face_encoder(str(pictures))


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


# ---- Checkpoints


def test_a_checkpoint_that_grows_when_it_is_unpacked_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10**6)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(UserError, match=r"bytes unpack to 40\d+, and torch\.save packs nothing"):
        read_checkpoint(tmp_path / "packed.pt")


def test_a_checkpoint_whose_archive_is_damaged_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(100)}, tmp_path / "x.pt")
    content = (tmp_path / "x.pt").read_bytes()
    end = content.rindex(b"PK\x06\x07")  # of the record that says how many disks there are
    (tmp_path / "x.pt").write_bytes(content[: end + 16] + b"\xff" + content[end + 17 :])
    with pytest.raises(UserError, match="its archive is damaged"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_checkpoint_that_repeats_one_number_a_billion_times_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(10**9)}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="bytes describe tensors of 4000000000 bytes"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_checkpoint_whose_tensors_share_memory_is_read(tmp_path: Path) -> None:
    shared = torch.randn(1000)
    torch.save({"a": shared, "b": shared, "c": shared[:10]}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt")["b"].equal(shared)


# ---- Links


def test_a_link_out_of_a_model_is_refused(head: Path, tmp_path: Path) -> None:
    (head / "model.safetensors").rename(tmp_path / "elsewhere")
    (head / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link that leads out of its folder"):
        load_head(head)


def test_a_link_out_of_an_encoder_is_refused(pictures: Path, tmp_path: Path) -> None:
    (pictures / "model.safetensors").rename(tmp_path / "elsewhere")
    (pictures / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link that leads out of its folder"):
        load_face_encoder(str(pictures))


@pytest.mark.parametrize(
    "place",
    ["models--someone--model/blobs/" + "a" * 64, "cache/files/md5/0f/" + "a" * 30],
)
def test_links_into_a_cache_that_is_named_by_content_are_followed(
    place: str, tmp_path: Path
) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text("content")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "file").symlink_to(tmp_path / place)
    assert find_inside(tmp_path / "snapshot", "file").read_text() == "content"


def test_a_model_in_the_cache_of_the_hub_is_loaded_and_packed(good: Path, tmp_path: Path) -> None:
    """Every file is a link into `blobs/`, whose names have no suffix."""
    repository = tmp_path / "models--someone--model"
    snapshot, blobs = repository / "snapshots" / ("a" * 40), repository / "blobs"
    blobs.mkdir(parents=True)
    for file in (path for path in good.rglob("*") if path.is_file()):
        blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copyfile(file, blob)
        link = snapshot / file.relative_to(good)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    load_pretrained(snapshot)
    pack_model(snapshot, tmp_path / "packed")
    assert not any(path.is_symlink() for path in (tmp_path / "packed").rglob("*"))
    load_pretrained(tmp_path / "packed")


@pytest.mark.parametrize("target", ["/dev/zero", "itself"])
def test_a_device_or_a_link_to_itself_is_no_file(target: str, tmp_path: Path) -> None:
    (tmp_path / "itself").symlink_to(target)
    with pytest.raises(UserError, match=r"leads out of its folder|link to itself"):
        find_inside(tmp_path, "itself")


def test_a_pipe_is_not_waited_for(head: Path) -> None:
    (head / "head.json").unlink()
    os.mkfifo(head / "head.json")
    with pytest.raises(UserError, match="is no regular file"):
        load_head(head)


# ---- The weights of a face detector


def test_a_head_cannot_have_a_file_of_this_machine_read(head: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    faces = ("metadata", "preprocessing", "faces")
    change(head / "head.json", *faces, "detector", value="yunet")
    change(head / "head.json", *faces, "weights", value=str(tmp_path / "secret"))
    with pytest.raises(FaceWeightsError, match=r"secret is not YuNet as it was published"):
        load_pretrained(head)


def test_the_address_of_weights_is_not_fetched(head: Path) -> None:
    faces = ("metadata", "preprocessing", "faces")
    change(head / "head.json", *faces, "detector", value="yunet")
    change(head / "head.json", *faces, "weights", value="https://example.org/x.onnx")
    loaded = load_pretrained(head)
    assert loaded.preprocessing.faces.weights == Path("https:/example.org/x.onnx")


def test_weights_beside_a_head_are_used_as_before(head: Path) -> None:
    (head / YUNET_FILE).write_bytes(b"of its owner")
    change(head / "head.json", "metadata", "preprocessing", "faces", "detector", value="yunet")
    assert load_pretrained(head).preprocessing.faces.weights == head / YUNET_FILE


# ---- Sums of a packed model


def test_a_packed_model_that_is_whole_is_loaded(folder: Path) -> None:
    assert predict(folder).is_predicted


def test_texts_may_be_edited_and_added(folder: Path) -> None:
    (folder / "README.md").write_text("The licence is ...")
    (folder / "LICENSE").write_text("...")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    load_pretrained(folder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0" * 64 + "  ../../etc/passwd", "names '../../etc/passwd', outside the folder"),
        ("0" * 64 + "  /etc/passwd", "outside the folder"),
        ("0" * 64 + "  face_encoder/gone.json", "is listed and is not there"),
        ("0" * 63 + "  head.json", "not a sum and a name"),
        ("\x1b[31m", "not a sum and a name"),
        ("0" * 64 + "  head.json", "'head.json' is listed twice"),
    ],
)
def test_sums_that_are_no_sums_of_the_folder_are_refused(
    line: str, reason: str, folder: Path
) -> None:
    with (folder / SUMS_FILE).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(SumsError, match=reason):
        load_pretrained(folder)


def test_a_changed_file_of_a_packed_model_is_refused(folder: Path) -> None:
    change(folder / "face_encoder" / "preprocessor_config.json", "resample", value=0)
    with pytest.raises(SumsError, match=r"face_encoder/preprocessor_config\.json has SHA-256"):
        load_pretrained(folder)


def test_a_file_that_was_not_packed_is_refused(folder: Path) -> None:
    (folder / "face_encoder" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(SumsError, match=r"pytorch_model\.bin is there and is not listed"):
        load_pretrained(folder)


# ---- What `oragen pack` gives away


def test_another_file_than_yunet_is_not_packed(head: Path, tmp_path: Path) -> None:
    (head / YUNET_FILE).write_text("a private key")
    change(head / "head.json", "metadata", "preprocessing", "faces", "detector", value="yunet")
    with pytest.raises(FaceWeightsError, match="So it is not given away"):
        pack_model(head, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


def test_links_and_files_beside_an_encoder_are_not_packed(head: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    (head / "audio_encoder" / "notes.txt").symlink_to(tmp_path / "secret")
    (head / "audio_encoder" / "history.csv").write_text("epoch")
    (head / "audio_encoder" / "diary.json").write_text("{}")
    pack_model(head, tmp_path / "packed")
    assert sorted(path.name for path in (tmp_path / "packed" / "audio_encoder").iterdir()) == [
        "head.json", "model.safetensors", "preprocessor_config.json",
    ]  # fmt: skip


def test_a_link_in_the_place_of_a_model_is_not_packed(head: Path, tmp_path: Path) -> None:
    preparation = head / "audio_encoder" / "preprocessor_config.json"
    preparation.rename(tmp_path / "elsewhere.json")
    preparation.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(UserError, match="is a link that leads out of its folder"):
        pack_model(head, tmp_path / "packed")


def test_a_link_in_the_place_of_the_target_is_not_written_through(
    head: Path, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "packed").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="packed is a link"):
        pack_model(head, tmp_path / "packed")
    assert not list((tmp_path / "precious").iterdir())


# ---- Numbers that are none


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_one_number_that_is_not_finite_is_found(number: float) -> None:
    weights = {"a": torch.zeros(3), "b": torch.zeros(1000), "c": torch.ones(2, dtype=torch.long)}
    assert find_not_finite(weights) is None
    weights["b"][777] = number
    assert find_not_finite(weights) == "b"
    assert find_not_finite({"b": weights["b"].half()}) == "b"


def test_a_head_of_nan_is_refused_also_with_a_sum_that_fits(head: Path) -> None:
    set_weights(head, decisions__gender__bias=torch.full((2,), torch.nan))
    with pytest.raises(UserError, match=r"decisions\.gender\.bias .* holds numbers that are not"):
        load_head(head)


def test_an_encoder_of_nan_is_refused(pictures: Path) -> None:
    file = pictures / "model.safetensors"
    weights = safetensors.torch.load(file.read_bytes())
    weights["encoder.layer.0.output.dense.bias"][3] = torch.inf
    safetensors.torch.save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"numbers in .*bias that are not finite"):
        load_face_encoder(str(pictures))


def test_weights_that_overflow_give_a_reason_and_no_prediction(head: Path) -> None:
    set_weights(head, decisions__gender__weight=torch.full((2, 16), 3e38))
    prediction = Predictor.from_pretrained(head, device="cpu").predict(faces=CROPS)
    assert prediction.gender is None
    assert prediction.windows == []
    assert prediction.modalities["face"].reason == "the model's output for it is not finite"
    assert json.loads(prediction.to_json())["status"] == "no_predictions"


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


def test_a_speech_encoder_of_another_rate_is_refused(
    encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    shutil.copytree(encoders[0], tmp_path / "voices")
    change(tmp_path / "voices" / "preprocessor_config.json", "sampling_rate", value=8000)
    with pytest.raises(EncoderError, match="expected a Wav2Vec2FeatureExtractor at 16000 Hz"):
        load_audio_encoder(str(tmp_path / "voices"))

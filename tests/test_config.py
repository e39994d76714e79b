"""params.yaml: what is valid, and what is said about each mistake."""

import re
from pathlib import Path

import pytest
import yaml

from oragen.config.messages import ParamsError
from oragen.config.params import Params, load_params
from tests.shipped_params import SHIPPED, load


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def test_the_shipped_file_is_valid() -> None:
    params = load_params(SHIPPED)
    assert params.windows.as_cache_parameters() == {
        "rule": "every_overlap", "length_s": 4.0, "hop_s": 2.0, "min_length_s": 1.0,
    }  # fmt: skip
    assert params.train_corpora("joint") == params.use_corpora


def test_the_shipped_file_says_everything() -> None:
    """It is the documentation, so that no parameter has a hidden value."""
    shipped = yaml.safe_load(SHIPPED.read_text())
    full = Params.model_validate(shipped).model_dump(mode="json")
    for corpus in full["corpora"].values():
        corpus.pop("follow_links")  # this may be left out
    for encoder in full["encoders"]["catalogue"].values():
        encoder.pop("revision")  # this may be left out, and how to train what is not trained
        if encoder["finetuning"] is None:
            encoder.pop("finetuning")
        else:
            encoder["finetuning"].pop("lora")  # so may this, which a comment shows
    for head, entry in full["heads"].items():
        entry.pop("audio_layers")  # and this
        if "coverage" not in shipped["heads"][head]:
            entry.pop("coverage")
    assert full == shipped


def test_encoders_may_all_be_used_as_they_come(path: Path) -> None:
    assert load(path, "encoders", "finetune", value=[]).encoders.finetune == []


def test_corpora_of_a_fine_tuning_are_a_choice_of_their_own(path: Path) -> None:
    place = ("encoders", "catalogue", "tiny-vit", "finetuning", "corpora")
    params = load(path, *place, value=["studio"])
    assert params.finetune_corpora("tiny-vit") == ["studio"]
    assert params.finetune_corpora("tiny-wav2vec2") == ["studio", "phone"]


def test_sizes_in_megabytes_become_bytes(path: Path) -> None:
    assert load(path, "execution", "part_mb", value=0.5).execution.part_bytes == 524_288


@pytest.mark.parametrize("address", ["auto", "local", "10.0.0.1:6379", "ray://head.example:10001"])
def test_an_address_of_ray_is_read(path: Path, address: str) -> None:
    section = load(path, "execution", "ray", value={"address": address}).execution.ray
    assert (section.address, section.max_tries) == (address, 3)


@pytest.mark.parametrize("address", ["head", "http://head:80", "--head:1", "a b:1", "ray://:x"])
def test_what_is_no_address_of_ray_is_refused(path: Path, address: str) -> None:
    with pytest.raises(ParamsError, match=r"execution\.ray\.address"):
        load(path, "execution", "ray", value={"address": address})


def test_columns_of_a_corpus_that_is_not_in_use_may_still_be_named(path: Path) -> None:
    """Who swaps corpora need not change the report."""
    content = yaml.safe_load(SHIPPED.read_text())
    content["corpora"]["mine"] = {"reader": "csv", "root": "clips", "group_columns": ["tone"]}
    content["report"]["group_by"] = ["tone"]
    path.write_text(yaml.safe_dump(content))
    assert load_params(path).report.group_by == ["tone"]


def test_a_list_of_corpora_is_taken_as_it_stands(path: Path) -> None:
    params = load(path, "train", "corpora", value=["phone"])
    assert params.train_corpora("joint") == ["phone"]
    assert params.evaluate_corpora == ["studio", "phone"]


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (
            ["audio", "max_duraton_s"],
            1,
            "audio: there is no 'max_duraton_s'. Did you mean 'max_duration_s'?",
        ),
        (["windowz"], {}, "there is no 'windowz'. Did you mean 'windows'? There are: use_corpora,"),
        (
            ["corpora", "studio", "conditionn"],
            "studio",
            "corpora.studio: there is no 'conditionn'. Did you mean 'condition'?",
        ),
        (
            ["use_corpora"],
            ["studio", "fone"],
            "use_corpora: 'fone' is not in corpora. Did you mean 'phone'? There are: studio, phone",
        ),
        (
            ["use_corpora"],
            ["zzz"],
            "use_corpora: 'zzz' is not in corpora. There are: studio, phone",
        ),
        (["use_corpora"], [], "use_corpora: List should have at least 1 item"),
        (["use_corpora"], ["studio", "studio"], "use_corpora: 'studio' is listed twice"),
        (
            ["train", "corpora"],
            ["studioo"],
            "train.corpora: 'studioo' is not in use_corpora. Did you mean 'studio'?",
        ),
        (
            ["evaluate", "corpora"],
            ["phon"],
            "evaluate.corpora: 'phon' is not in use_corpora. Did you mean 'phone'?",
        ),
        (["train", "corpora"], "phone", ": train.corpora: Input should be 'all' (found 'phone')"),
        (["train", "corpora"], "phone", ": train.corpora: Input should be a valid list"),
        (["train", "seeds"], [1, 1], "train.seeds: 1 is listed twice"),
        (
            ["features", "audio", "encoder"],
            "tiny-wav2vec",
            "features.audio.encoder: 'tiny-wav2vec' is not in the audio encoders. "
            "Did you mean 'tiny-wav2vec2'?",
        ),
        (
            ["features", "face", "encoder"],
            "tiny-wav2vec2",
            "'tiny-wav2vec2' is not in the face encoders. There are: tiny-vit",
        ),
        (["features", "audio", "span"], "long", "Input should be 'window' or 'clip'"),
        (["report", "age_thresholds_years"], [18, 18], "age_thresholds_years: 18 is listed twice"),
        (["report", "age_thresholds_years"], [0], "age_thresholds_years.0: Input should be great"),
        (["report", "min_speakers"], 0, "report.min_speakers: Input should be greater"),
        (
            ["report", "group_by"],
            ["skin"],
            "'skin' is not in the columns. There are: corpus, camera",
        ),
        (["features", "audio", "stretch_s"], 600, "features.audio.stretch_s: Input should be less"),
        (["features", "audio", "context_s"], -1, "features.audio.context_s: Input should be gre"),
        (["windows", "hop_s"], "two", "windows.hop_s: Input should be a valid number"),
        (["windows", "hop_s"], "two", "(found 'two')"),
        (["windows", "hop_s"], float("nan"), "windows.hop_s: Input should be a finite number"),
        (
            ["windows", "hop_s"],
            0,
            "hop_s: Input should be greater than or equal to 0.02 (found 0)",
        ),
        (
            ["windows", "min_length_s"],
            6,
            "windows: min_length_s (6) and hop_s (2) must not exceed length_s (4)",
        ),
        (
            ["windows", "hop_s"],
            5,
            "windows: min_length_s (1) and hop_s (5) must not exceed length_s (4)",
        ),
        (
            ["windows", "min_length_s"],
            0.02,
            "windows.min_length_s: Input should be greater than or equal to 0.025",
        ),
        (
            ["faces", "detector"],
            "haar",
            "faces.detector: Input should be 'auto', 'yunet', 'cascade' or 'none' (found 'haar')",
        ),
        (
            ["heads", "joint", "width"],
            130,
            "heads.joint.width: Input should be a multiple of 4 (found 130)",
        ),
        (["heads"], None, "heads: "),
        (
            ["use_heads"],
            ["cros_attention"],
            "use_heads: 'cros_attention' is not in heads. Did you mean 'cross_attention'?",
        ),
        (
            ["encoders", "finetune"],
            ["tiny-vitt"],
            "encoders.finetune: 'tiny-vitt' is not in the catalogue. Did you mean 'tiny-vit'?",
        ),
        (
            ["encoders", "finetune"],
            ["vit-age"],
            "encoders.catalogue.vit-age is listed in encoders.finetune, but has no `finetuning`",
        ),
        (
            ["encoders", "catalogue", "tiny-vit", "finetuning", "corpora"],
            ["mine"],
            "encoders.catalogue.tiny-vit.finetuning.corpora: 'mine' is not in use_corpora.",
        ),
        (
            ["encoders", "catalogue", "tiny-vit", "finetuning", "augmentation", "flipp"],
            0.5,
            "encoders.catalogue.tiny-vit.finetuning.augmentation: there is no 'flipp'. "
            "Did you mean 'flip'?",
        ),
        (
            ["corpora", "phone", "num_speakers"],
            2.5,
            "corpora.phone.num_speakers: Input should be a valid integer",
        ),
        (["corpora", "phone", "reader"], "csvv", "does not match any of the expected tags"),
        (["corpora", "../out"], {}, "corpora.'../out': a name has letters of English"),
        (["execution", "device"], "gpu", "execution.device: String should match pattern"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_fits(
    path: Path, place: list[str], value: object, complaint: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        load(path, *place, value=value)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(f"{path} cannot be used:")


def test_a_section_that_is_missing_is_named(path: Path) -> None:
    sections = yaml.safe_load(SHIPPED.read_text())
    del sections["heads"], sections["speech"]["pad_ms"]
    path.write_text(yaml.safe_dump(sections, sort_keys=False))
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    lines = str(caught.value).splitlines()
    assert lines[1:] == [
        "  line 19: speech.pad_ms: Field required",
        "  line 1: heads: Field required",
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"windows: [1, 2", "is not valid YAML"),
        (b"windows: \xff", "is not valid YAML"),
        (b"", "Input should be a valid dictionary"),
        (b"- studio", "Input should be a valid dictionary"),
    ],
    ids=["broken", "not text", "empty", "a list"],
)
def test_what_is_no_yaml_of_sections_is_refused(path: Path, content: bytes, complaint: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ParamsError, match=complaint):
        load_params(path)


def test_a_missing_file_says_where_to_run(path: Path) -> None:
    with pytest.raises(ParamsError, match=r"No such file.*Run this in the project's folder"):
        load_params(path)


def test_parameters_cannot_be_changed_by_accident() -> None:
    params = load_params(SHIPPED)
    with pytest.raises(ValueError, match="frozen"):
        params.windows.hop_s = 1.0


def test_a_number_may_be_written_in_the_way_of_science(path: Path) -> None:
    """YAML 1.1 takes `1e-3` for text; DVC, which reads YAML 1.2, for a number."""
    assert load(path, "train", "learning_rate", value="1e-3").train.learning_rate == 0.001


@pytest.mark.parametrize(
    ("levels", "stretch_s", "message"),
    [
        (["early"], 3, "line .*: features.audio.stretch_s (3) must be at least windows.length_s"),
        (["early", "pooled"], 10, "features.levels: pooled is of a whole window"),
        (["late"], 10, "features.levels: late is of a whole window"),
    ],
)
def test_stretches_that_hold_no_window_are_refused(
    tmp_path: Path, levels: list[str], stretch_s: float, message: str
) -> None:
    audio = {
        "encoder": "tiny-wav2vec2", "precision": "fp32", "batch_size": 16, "span": "clip",
        "stretch_s": stretch_s,
    }  # fmt: skip
    face = {"encoder": "tiny-vit", "precision": "fp32", "batch_size": 16}
    features = {"levels": levels, "audio": audio, "face": face}
    with pytest.raises(ParamsError, match=re.escape(message).replace(re.escape(".*"), ".*")):
        load(tmp_path / "params.yaml", "features", value=features)

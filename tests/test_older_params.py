"""params.yaml of earlier versions: it is read as it was meant, or says the new name."""

from pathlib import Path

import pytest
import yaml

from oragen.config.messages import ParamsError
from oragen.config.params import load_params
from oragen.isolation.limits import Limits
from tests.shipped_params import SHIPPED, load


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def test_a_file_that_is_older_than_the_limits_of_a_clip_has_the_usual_ones(path: Path) -> None:
    sections = yaml.safe_load(SHIPPED.read_text())
    shipped = load_params(SHIPPED).execution.clip_limits
    del sections["execution"]["clip_memory_gb"], sections["execution"]["clip_work_s"]
    path.write_text(yaml.safe_dump(sections))
    assert load_params(path).execution.clip_limits == shipped == Limits()
    longer = load(path, "execution", "clip_work_s", value=600)
    assert longer.execution.clip_limits == Limits(memory_gb=4.0, work_s=600.0)


def test_a_file_that_is_older_than_the_launchers_works_on_this_machine(path: Path) -> None:
    sections = yaml.safe_load(SHIPPED.read_text())
    for name in ("launcher", "local", "ray", "slurm"):
        del sections["execution"][name]
    path.write_text(yaml.safe_dump(sections))
    assert load_params(path).execution == load_params(SHIPPED).execution
    assert load_params(path).execution.launcher == "local"


def test_a_file_that_is_older_than_the_tables_by_group_has_the_usual_ones(path: Path) -> None:
    sections = yaml.safe_load(SHIPPED.read_text())
    for name in ("age_thresholds_years", "min_speakers", "group_by"):
        del sections["report"][name]
    path.write_text(yaml.safe_dump(sections))
    assert load_params(path).report == load_params(SHIPPED).report
    named = load(path, "report", "group_by", value=["language"])
    assert named.report.group_by == ["language"]


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (
            ["encoders", "catalogue", "tiny-vit", "finetuning", "summary"],
            "self_attention",
            "tiny-vit.finetuning: `summary` is called `pooling` since version 0.2: rename it",
        ),
        (
            ["heads", "joint", "mask_type"],
            "afterwards_with_new_decisions",
            "heads.joint.mask_type: `afterwards_with_new_decisions` is called "
            "`afterwards_with_new_output_layers` since version 0.2: rename it",
        ),
        (["train", "summary"], "mean", "train: there is no 'summary'."),
    ],
)
def test_what_an_older_file_says_is_named_with_its_new_name(
    path: Path, place: list[str], value: object, complaint: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        load(path, *place, value=value)
    assert complaint in str(caught.value)


def test_parameters_of_earlier_versions_mean_single_windows(tmp_path: Path) -> None:
    audio = {"encoder": "tiny-wav2vec2", "precision": "fp32", "batch_size": 16}
    params = load(tmp_path / "params.yaml", "features", "audio", value=audio)
    assert params.features.audio.span == "window"

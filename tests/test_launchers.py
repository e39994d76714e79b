"""Stores that launchers fill: equal to the bit to those of one process, whatever dies meanwhile."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launched_projects import (
    EXTRACTIONS,
    STORES,
    Rows,
    copy,
    count_rows,
    read_rows,
    run_stage,
)
from tests.project import Project
from tests.ray_nodes import Nodes
from tests.template_project import Template

needs_ray = pytest.mark.skipif(shutil.which("ray") is None, reason="ray is not installed")


@pytest.fixture(scope="module", autouse=True)
def settings() -> Iterator[None]:
    """One thread, as more may change the last bits; a secret for Ray, which keeps one at home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
        yield


@pytest.fixture(scope="module")
def local(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy whose features one process has encoded in small groups."""
    project = copy(template, tmp_path_factory.mktemp("local"), *EXTRACTIONS)
    for stage in EXTRACTIONS:
        for corpus in ("mini", "own"):
            run_stage(project, stage, corpus)
    return project


def rows_of(project: Project) -> dict[str, Rows]:
    return {
        f"{stage} {corpus}": read_rows(project, stage, corpus)
        for stage in STORES
        for corpus in ("mini", "own")
    }


@pytest.mark.slow
def test_shards_by_hand_make_the_rows_of_one_process(
    local: Project, template: Template, tmp_path: Path
) -> None:
    project = copy(template, tmp_path, "decode_audio", "extract_audio_features")
    for stage, corpus in (("decode_audio", "own"), ("extract_audio_features", "mini")):
        if stage == "extract_audio_features":
            run_stage(project, "decode_audio", "mini")
        commands = [("oragen", "shard", stage, corpus, f"{number}/2") for number in (1, 2)]
        started = [project.start(*command) for command in commands]
        assert [process.wait() for process in started] == [0, 0]
        assert read_rows(project, stage, corpus) == read_rows(local, stage, corpus)
        assert count_rows(project, stage, corpus) == len(read_rows(local, stage, corpus))
        assert "0 decoded now" in (line := run_stage(project, stage, corpus)) or "0 encoded" in line


@pytest.mark.slow
def test_several_processes_of_this_machine_make_the_rows_of_one(
    local: Project, template: Template, tmp_path: Path
) -> None:
    project = copy(template, tmp_path, *EXTRACTIONS, local={"num_encoders": 2})
    for stage in EXTRACTIONS:
        line = run_stage(project, stage, "mini")
        assert line.startswith(f"{stage} mini: 18 clips in, 17 out")
        assert read_rows(project, stage, "mini") == read_rows(local, stage, "mini")
        assert " 0 encoded now" in run_stage(project, stage, "mini")


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A cluster of two nodes."""
    with Nodes() as started:
        started.add()
        yield started


@pytest.mark.slow
@needs_ray
def test_dvc_repro_by_two_nodes_of_ray_makes_the_rows_of_one_process(
    local: Project, template: Template, nodes: Nodes, tmp_path: Path
) -> None:
    ray = {"address": nodes.address}
    project = copy(template, tmp_path, *STORES, launcher="ray", ray=ray)
    run = project.repro("extract_audio_features", "extract_face_features")
    assert run.output.count("2 workers on 2 nodes of Ray") == 10
    assert rows_of(project) == rows_of(local)
    assert count_rows(project, EXTRACTIONS[0], "mini") == len(read_rows(local, *MINI))
    assert not [*(project.folder / "data" / "cache" / "plans").iterdir()]


MINI = ("extract_audio_features", "mini")


@pytest.mark.slow
@needs_ray
def test_a_node_that_is_killed_costs_no_row(
    local: Project, template: Template, nodes: Nodes, tmp_path: Path
) -> None:
    doomed = nodes.add()
    project = copy(
        template, tmp_path, "extract_audio_features", launcher="ray", ray={"address": nodes.address}
    )
    store = project.folder / "data/features/mini/tiny-wav2vec2"
    with project.start("python", "-m", "stages.extract_audio_features", "mini") as stage:
        while not [*store.glob("part-*")] and stage.poll() is None:
            time.sleep(0.01)
        nodes.kill(doomed)
    assert stage.returncode == 0
    assert read_rows(project, *MINI) == read_rows(local, *MINI)
    assert count_rows(project, *MINI) == len(read_rows(local, *MINI))


@pytest.mark.slow
@needs_ray
def test_a_node_that_has_just_died_is_passed_over(
    local: Project, template: Template, nodes: Nodes, tmp_path: Path
) -> None:
    project = copy(
        template, tmp_path, "extract_audio_features", launcher="ray", ray={"address": nodes.address}
    )
    doomed = nodes.add()
    command = ("python", "-m", "stages.extract_audio_features", "mini")
    output = ""
    with project.start(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as stage:
        assert stage.stdout is not None
        for line in stage.stdout:
            output += line
            if "audio features to make" in line:  # then it connects, and the node is still listed
                nodes.kill(doomed)
    assert stage.returncode == 0, output
    assert "has died; no work goes to it" in output
    assert "2 workers on 2 nodes of Ray" in output
    assert read_rows(project, *MINI) == read_rows(local, *MINI)


@pytest.mark.slow
@needs_ray
def test_seeds_by_ray_are_trained_to_the_weights_of_one_process(
    template: Template, nodes: Nodes, tmp_path: Path
) -> None:
    project = copy(template, tmp_path)
    project.change(train={"seeds": [0, 1]})
    head = project.folder / "data" / "heads" / "cross_attention"
    names = ("seed-0/model.safetensors", "seed-1/model.safetensors", "seed-1/head.json")
    found = []
    for launcher in ("local", "ray"):
        project.change(execution={"launcher": launcher, "ray": {"address": nodes.address}})
        shutil.rmtree(head)
        run = project.run("python", "-m", "stages.train_head", "cross_attention")
        assert run.exit_code == 0, run.output
        found.append([(head / name).read_bytes() for name in (*names, "history.csv")])
    assert found[0] == found[1]
    assert not [*(project.folder / "data" / "cache" / "plans").iterdir()]


@pytest.mark.slow
@needs_ray
def test_the_benchmark_of_launchers_finds_the_same_bits(local: Project) -> None:
    command = ("python", "-m", "benchmarks.launchers", "mini", "--project", str(local.folder))
    run = local.run(*command, "--embedded", "--part-mb", "0.2")
    assert run.exit_code == 0, run.output
    assert run.output.count('"same bits": "True"') == 3


POISON = """

_to_input = to_input


def to_input(window: Any, sounds: OpenParts, max_samples: int) -> FeatureInput:
    from dataclasses import replace

    item = _to_input(window, sounds, max_samples)
    return replace(item, read=_die) if window.clip_id == "CLIP" else item


def _die() -> Any:
    import os

    os.kill(os.getpid(), 9)


if __name__ == "__main__":
"""


@pytest.mark.slow
@needs_ray
@pytest.mark.parametrize("launcher", ["ray", "local"])
def test_a_clip_that_kills_its_worker_each_time_is_named_and_the_run_ends(
    launcher: str, local: Project, template: Template, nodes: Nodes, tmp_path: Path
) -> None:
    project = copy(
        template, tmp_path, "extract_audio_features",
        launcher=launcher, ray={"address": nodes.address}, local={"num_encoders": 2},
    )  # fmt: skip
    expected = read_rows(local, *MINI)
    clip = sorted(row[0] for row in expected.values())[0]
    script = project.folder / "stages" / "extract_audio_features.py"
    poison = POISON.replace("CLIP", clip)
    script.write_text(script.read_text().replace('\n\nif __name__ == "__main__":\n', poison))
    run = project.run("python", "-m", "stages.extract_audio_features", "mini")
    assert run.exit_code == 2
    assert clip in run.output.rpartition("given up")[2].splitlines()[0]
    assert "clips could not be read" in run.output
    made = read_rows(project, *MINI)
    assert {key: expected[key] for key in made} == made
    lost = {key: row for key, row in expected.items() if key not in made}
    assert {row[0] for row in lost.values()} >= {clip}
    assert 0 < len(lost) <= 2 * sum(row[0] == clip for row in expected.values())  # batches of two


@pytest.mark.slow
@needs_ray
def test_nodes_that_do_not_share_the_project_or_its_code_are_refused(
    template: Template, nodes: Nodes, tmp_path: Path
) -> None:
    project = copy(
        template, tmp_path, "extract_face_features", launcher="ray", ray={"address": "127.0.0.1:9"}
    )
    run = project.run("python", "-m", "stages.extract_face_features", "mini")
    assert run.exit_code == 2
    assert "No cluster of Ray can be used at `execution.ray.address: 127.0.0.1:9`" in run.output
    project.change(execution={"ray": {"address": nodes.address, "cores": 64}})
    run = project.run("python", "-m", "stages.extract_face_features", "mini")
    assert run.exit_code == 2
    assert "No node of Ray has 64 cores for a worker." in run.output

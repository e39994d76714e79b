"""The code of README and docs/ -> it runs as it stands, in a project that has run to its report."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
import torch
import yaml

from oragen.config.params import Params
from oragen.media.audio import decode_audio
from tests import timit_tree
from tests.doc_blocks import Block, find_blocks
from tests.media_files import write_sound
from tests.project import REPOSITORY, Project, clone
from tests.published_heads import make_published_head
from tests.serving import serve
from tests.template_project import Template, pick_good_clips

BLOCKS: Final = find_blocks()
WAY_BACK: Final = "git restore"  # test_swapped_corpora.py goes it, after an experiment
RUN: Final = [
    block
    for block in BLOCKS
    if block.language != "text" and not block.reason and not block.text.startswith(WAY_BACK)
]
NOT_RUN: Final = {
    "README.md: hf download markitantov/ORAGEN audio_model.pt image_model.pt multimodal_model.pt "
    "--local-dir ORAGEN",
    "README.md: make demo",
    "README.md: make predict CLIP=clip.mp4",
    "README.md: oragen serve",
    "docs/benchmarks.md: python -m benchmarks.extraction",
    "docs/cache.md: cp -r data/features mine && dvc pull && cp -rn mine/. data/features/",
    "docs/cache.md: dvc remote add --default team s3://bucket/oragen",
    "docs/cache.md: dvc remote modify team verify true",
    "docs/cache.md: oragen cache fetch --head joint",
    "docs/models.md: oragen models list",
    "docs/models.md: oragen predict clip.mp4 --model markitantov/ORAGEN",
    "docs/oceanai.md: from oragen.predictor import Predictor, oceanai",
    "docs/pipeline.md: dvc exp run --temp --copy-paths data/corpora -S windows.hop_s=1",
    "docs/pipeline.md: dvc exp run -S 'use_corpora=[studio]'",
    "docs/pipeline.md: oragen models fetch yunet",
    "docs/pipeline.md: python -m benchmarks.detection data/corpora/studio data/corpora/phone",
    'docs/scaling.md: HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -1)',
    "docs/scaling.md: dvc repro make_examples@tiny-vit",
    "docs/scaling.md: oragen shard extract_audio_features studio 1/2 &",
    "docs/scaling.md: ray start --head --port=6379 --disable-usage-stats --include-dashboard=false",
    "docs/pipeline.md: python3 -m venv .venv && . .venv/bin/activate",
    "docs/predict.md: oragen push OWNER/NAME my-model",
    "docs/serve.md: ORAGEN_TOKEN=$(openssl rand -hex 24) oragen serve",
    "docs/serve.md: docker build -t oragen .",
    'docs/serve.md: docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD/my-model:/model:ro" oragen '
    "--model /model",
    "docs/serve.md: docker run --rm -v oragen-models:/models --entrypoint oragen oragen "
    "models fetch yunet",
    "docs/serve.md: export ORAGEN_MODEL=./my-model ORAGEN_TOKEN=$(openssl rand -hex 24)",
    "docs/serve.md: pip install -e '.[app]'",
}
SERVICE: Final = "http://127.0.0.1:8000"
README: Final = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_every_block_of_code_is_run_or_says_why_not() -> None:
    assert {block.name for block in BLOCKS if block.reason} == NOT_RUN
    assert len(RUN) > 8
    assert {block.language for block in RUN} == {"shell", "python"}


@pytest.fixture(scope="module")
def project(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The template with its work committed, and with the files that the docs speak of."""
    project = template.copy(tmp_path_factory.mktemp("docs") / "project")
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    project.run("git", "add", "--all")
    assert project.run("git", *author, "commit", "--message=run").exit_code == 0
    data = project.folder / "data"
    shutil.copytree(data / "heads" / "cross_attention", data / "heads" / "joint")
    shutil.copytree(data / "features" / "mini", data / "features" / "studio")
    timit_tree.plant(data / "corpora" / "timit")
    weights = make_published_head("AVModelV3", "INTERMEDIATE")
    torch.save(weights, project.folder / "multimodal_model.pt")
    add_clips(project)
    return project


def add_clips(project: Project) -> None:
    """Put the clips that the docs name beside params.yaml, and what they say of them."""
    folder, mini = project.folder, project.folder / "data" / "corpora" / "mini"
    clips = [mini / row["media"] for row in pick_good_clips(mini, 2)]
    for name in ("interviews", "clips", "day1"):
        (folder / name).mkdir()
    for number, clip in enumerate(clips):
        shutil.copy2(clip, folder / "interviews")
        shutil.copy2(clip, folder / "clips" / f"{number}.mp4")
    shutil.copy2(clips[0], folder / "clip.mp4")
    shutil.copy2(clips[0], folder / "clip.mov")
    sound = decode_audio(clips[0], max_duration_s=60.0)
    write_sound(folder / "day1" / "a.wav", sound[None] / 2**15)
    boxes = next(block.text for block in BLOCKS if block.text.startswith('{"clip.mp4": '))
    (folder / "boxes.json").write_text(boxes)
    traits = ("Openness", "Conscientiousness", "Extraversion", "Agreeableness", "Non-Neuroticism")
    theirs = pd.DataFrame({"Path": ["0.mp4", "1.mp4"], **dict.fromkeys(traits, 0.5)})
    theirs.index = pd.Index(["1", "2"], name="Person ID")
    theirs.to_csv(folder / "df_files.csv")


@pytest.fixture(scope="module")
def address(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with the model of the template."""
    model = project.folder / "data" / "heads" / "cross_attention" / "seed-0"
    with serve(model, tmp_path_factory.mktemp("spool")) as served:
        yield served.address


@pytest.mark.slow
@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_a_block_runs_as_it_stands(
    project: Project, block: Block, request: pytest.FixtureRequest
) -> None:
    """Whatever asks is answered with yes; a service is asked at a port that is free here."""
    text = block.text
    if SERVICE in text:
        text = text.replace(SERVICE, request.getfixturevalue("address"))
    shell = ("bash", "-euo", "pipefail", "-c", f"exec < <(yes)\n{text}")
    run = project.run(*shell if block.language == "shell" else ("python", "-c", text))
    assert run.exit_code == 0, run.output
    assert "Traceback" not in run.output


def test_experiments_of_the_docs_have_valid_parameters() -> None:
    shipped = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")
    commands = [
        command
        for block in BLOCKS
        for command in re.split(r"[\n;]", block.text)
        if command.startswith("dvc exp run ")
    ]
    assert len(commands) > 4
    for command in commands:
        params = yaml.safe_load(shipped)
        for setting in re.findall(r"-S '?([^' ]+)", command):
            set_parameter(params, *setting.split("=", 1))
        assert Params.model_validate(params) != Params.model_validate(yaml.safe_load(shipped))


def set_parameter(params: dict[str, Any], name: str, value: str) -> None:
    *sections, last = name.split(".")
    for section in sections:
        params = params[section]
    assert last in params, name
    params[last] = yaml.safe_load(value)


@pytest.mark.slow
def test_own_clips_are_indexed_in_a_fresh_clone_as_the_readme_says(
    template: Template, tmp_path: Path
) -> None:
    """Only the place of the clips is another one."""
    (tmp_path / "clone").mkdir()
    project = clone(tmp_path / "clone", warm=True)
    mini, mine = template.folder / "data" / "corpora" / "mini", tmp_path / "clips"
    mine.mkdir()
    for name, row in zip(("anna_01", "ben_01"), pick_good_clips(mini, 2), strict=True):
        shutil.copy2(mini / row["media"], mine / f"{name}.mp4")
    table = next(block.text for block in BLOCKS if block.text.startswith("media,speaker_id"))
    (mine / "labels.csv").write_text(table + "\n")
    link, entry, choice = (find_step(number) for number in (1, 2, 3))
    assert project.run("bash", "-ec", link.replace("/path/to/that/folder", str(mine))).output == ""
    project.change(corpora=yaml.safe_load(entry), **yaml.safe_load(choice))
    assert "2 out" in project.repro("index_clips@mine").output


def find_step(number: int) -> str:
    """Return the last code of a step of README's own clips."""
    section = README.partition("## Your own clips")[2]
    step = re.search(rf"^{number}\. (.*)$", section, re.MULTILINE)
    assert step is not None
    codes: list[str] = re.findall(r"`([^`]+)`", step[1])
    return next(code for code in reversed(codes) if " " in code)

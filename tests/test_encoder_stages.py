"""Encoders fine-tuned by the real `dvc repro`, and the features that come from them."""

import re
import shutil
from typing import NamedTuple

import pandas as pd
import pytest
import torch

from oragen.encoders import AudioEncoder, FaceEncoder, load_audio_encoder, load_face_encoder
from oragen.models.heads import load_head
from oragen.models.unimodal import load_unimodal
from oragen.schema.vocabulary import LEVELS
from oragen.store.formats import read_header
from oragen.store.parts import PartStore
from tests.project import Project, Run, tune_briefly
from tests.template_project import Template

pytestmark = pytest.mark.slow  # whole pipelines

ENCODERS = ("tiny-wav2vec2", "tiny-vit")
TARGETS = ("extract_audio_features@mini", "extract_face_features@mini")


@pytest.fixture(scope="module")
def project(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone whose media were decoded, but that never had any features."""
    project = template.copy(tmp_path_factory.mktemp("encoders"))
    for made in ("data/features", "data/feature_rows", ".dvc/cache/runs"):
        shutil.rmtree(project.folder / made)
    project.change(use_corpora=["mini"], encoders=tune_briefly(project, corpora=["mini"]))
    return project


@pytest.fixture(scope="module")
def first(project: Project) -> Run:
    return project.repro(*TARGETS)


class Rows(NamedTuple):
    in_use: int
    encoded_now: int


def count_rows(run: Run, target: str) -> Rows:
    line = run.line_of(target.replace("@", " "))
    return Rows(*map(int, re.findall(r"(\d+) (?:feature rows|encoded now)", line)))


def fine_tuned(run: Run) -> list[str]:
    return [stage for stage in run.stages if stage.startswith("finetune_encoder")]


def test_every_encoder_of_the_list_is_trained(project: Project, first: Run) -> None:
    assert sorted(fine_tuned(first)) == sorted(f"finetune_encoder@{name}" for name in ENCODERS)
    for name in ENCODERS:
        history = pd.read_csv(project.folder / "data/encoders" / name / "history.csv")
        assert history["dev_score"].between(0, 1).all()


def test_what_is_saved_is_the_base_with_other_weights(project: Project, first: Run) -> None:
    """But for the front end, which stays as it was."""
    saved = load_unimodal(project.folder / "data/encoders/tiny-wav2vec2")
    before = load_audio_encoder("embedded").network.state_dict()
    after = saved.model.encoder.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert not [name for name in moved if name.startswith("feature_extractor")]
    assert saved.metadata["finetuning"]["corpora"] == ["mini"]
    assert not (project.folder / "data/cache/finetuning/tiny-wav2vec2.ckpt").exists()


def test_features_come_from_the_fine_tuned_encoders(project: Project, first: Run) -> None:
    folder = project.folder / "data"
    loaded: dict[str, AudioEncoder | FaceEncoder] = {
        "tiny-wav2vec2": load_audio_encoder(str(folder / "encoders/tiny-wav2vec2")),
        "tiny-vit": load_face_encoder(str(folder / "encoders/tiny-vit")),
    }
    for name, encoder in loaded.items():
        (part,) = PartStore(folder / "features/mini" / name, "zarr").parts()
        assert read_header(part, "zarr")["spec"]["fingerprint"] == encoder.fingerprint()


def test_one_more_option_trains_that_encoder_alone(project: Project, first: Run) -> None:
    encoders = project.read_params()["encoders"]
    encoders["catalogue"]["tiny-vit"]["finetuning"]["learning_rate"] = 0.001
    project.change(encoders=encoders)
    run = project.repro(*TARGETS)
    assert fine_tuned(run) == ["finetune_encoder@tiny-vit"]
    assert count_rows(run, TARGETS[0]).encoded_now == 0
    rows = count_rows(run, TARGETS[1])
    assert rows.encoded_now == rows.in_use > 0


def test_a_corpus_more_does_not_train_encoders_that_do_not_learn_from_it(
    project: Project, first: Run
) -> None:
    project.repro(*TARGETS)
    project.change(use_corpora=["mini", "own"])
    run = project.repro("extract_face_features@own")
    assert fine_tuned(run) == []
    assert count_rows(run, "extract_face_features@own").encoded_now > 0
    project.change(use_corpora=["mini"])


def test_encoders_used_as_they_come_give_other_features_and_back_computes_nothing(
    project: Project, first: Run
) -> None:
    project.repro(*TARGETS)
    project.change(encoders={"finetune": []})
    bare = project.repro(*TARGETS)
    assert fine_tuned(bare) == []
    for target in TARGETS:
        rows = count_rows(bare, target)
        assert rows.encoded_now == rows.in_use == count_rows(first, target).in_use
    project.change(encoders={"finetune": list(ENCODERS)})
    back = project.repro(*TARGETS)
    assert fine_tuned(back) == []
    for target in TARGETS:
        assert count_rows(back, target).encoded_now == 0


def test_heads_are_trained_at_every_level_and_going_back_computes_nothing(
    project: Project, first: Run
) -> None:
    """Adding levels encodes every window once more, for both of them together."""
    project.repro(*TARGETS)
    params = project.read_params()
    heads = {
        f"{level}_head": params["heads"]["concatenation"] | {"level": level} for level in LEVELS
    }
    quick = {"seeds": [0], "max_epochs": 1, "patience": 1}
    project.change(features={"levels": list(LEVELS)}, heads=heads, use_heads=[*heads], train=quick)
    more = project.repro("evaluate_head")
    assert fine_tuned(more) == []
    for target in TARGETS:
        rows = count_rows(more, target)
        assert rows.in_use == len(LEVELS) * count_rows(first, target).in_use
        assert rows.encoded_now == count_rows(first, target).in_use
    for level in LEVELS:
        head = load_head(project.folder / f"data/heads/{level}_head/seed-0")
        assert {spec["level"] for spec in head.metadata["features"].values()} == {level}
        assert (project.folder / f"data/predictions/{level}_head.parquet").is_file()
    project.change(features={"levels": params["features"]["levels"]}, use_heads=["joint"])
    back = project.repro(*TARGETS)
    assert [count_rows(back, target).encoded_now for target in TARGETS] == [0, 0]


def test_an_encoder_without_examples_to_select_by_is_one_sentence(
    project: Project, first: Run
) -> None:
    examples = project.folder / "data/examples/tiny-vit.parquet"
    kept = examples.read_bytes()
    table = pd.read_parquet(examples)
    table[table["split"] == "train"].to_parquet(examples)
    run = project.run("python", "-m", "stages.finetune_encoder", "tiny-vit")
    examples.write_bytes(kept)
    assert run.exit_code == 2
    assert "no example of the split `dev`" in run.output
    assert "Traceback" not in run.output

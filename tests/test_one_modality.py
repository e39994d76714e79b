"""Corpora of sound alone and of faces alone: heads are trained and scored on what there is."""

import json
from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from oragen.schema.tables import CROPS, DATASET, SPEECH
from tests.feature_stores import NUM_SLOTS, write_speakers
from tests.project import Project, clone

HEADS = ("joint", "cross_attention", "audio_only")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone with heads to train, quickly."""
    project = clone(tmp_path_factory.mktemp("one_modality"), warm=True)
    project.change(
        use_heads=[*HEADS],
        faces={"detector": "cascade", "crop_px": 96},
        train={"seeds": [0], "max_epochs": 8, "patience": 8, "corpora_of": {}},
    )
    return project


def write_corpora(project: Project, trained: tuple[str, ...], heads: tuple[str, ...]) -> None:
    """Write the datasets of `calls`, which nobody sees, and `photos`, which nobody hears."""
    tables = {
        (corpus, split): hide(corpus, write_speakers(
            project.folder / "features" / corpus / split, 48, split=split, corpus=corpus, seed=seed,
        ))
        for corpus in ("calls", "photos")
        for seed, split in enumerate(("train", "dev", "test"))
    }  # fmt: skip
    chosen = [tables[corpus, split] for corpus in trained for split in ("train", "dev")]
    folder = project.folder / "data" / "datasets"
    for head in heads:
        DATASET.write(folder / "train" / f"{head}.parquet", pd.concat(chosen))
        generated = {"generated": dict.fromkeys(trained, False)}
        (folder / "train" / f"{head}.json").write_text(json.dumps(generated))
    tested = pd.concat([tables[corpus, "test"] for corpus in ("calls", "photos")])
    for head in heads:
        DATASET.write(folder / "evaluation" / f"{head}.parquet", tested)


def hide(corpus: str, table: pd.DataFrame) -> pd.DataFrame:
    """Take away what a corpus of this kind does not have."""
    if corpus == "photos":
        return table.assign(audio_store=None, audio_intermediate=None)
    nothing = pd.Series([[None] * NUM_SLOTS] * len(table), index=table.index)
    return table.assign(face_store=None, face_intermediate=nothing)


def train_and_ask(project: Project, head: str) -> pd.DataFrame:
    """Run both stages; return the answers to the widest evidence."""
    for stage in ("train_head", "evaluate_head"):
        run = project.run("python", "-m", f"stages.{stage}", head)
        assert run.exit_code == 0, run.output
    table = pd.read_parquet(project.folder / f"data/predictions/{head}.parquet")
    return table[table["modalities"] == table["modalities"].iloc[0]]


def features_of(project: Project, head: str) -> set[str]:
    path: Path = project.folder / "data" / "heads" / head / "seed-0" / "head.json"
    return set(json.loads(path.read_text())["metadata"]["features"])


@pytest.mark.slow
@pytest.mark.parametrize("head", ["joint", "cross_attention"])
def test_a_head_learns_from_both_and_answers_about_both(project: Project, head: str) -> None:
    """The sound tells gender and age, the face the mask type; neither corpus has both."""
    write_corpora(project, ("calls", "photos"), (head,))
    answers = train_and_ask(project, head)
    assert (answers["num_windows"] > 0).all()
    calls, photos = (answers[answers["corpus"] == corpus] for corpus in ("calls", "photos"))
    assert (calls["predicted_gender"] == calls["gender"]).mean() > 0.8
    assert (photos["predicted_mask_type"] == photos["mask_type"]).mean() > 0.4  # 1/6 by chance
    assert features_of(project, head) == {"audio", "face"}


@pytest.mark.slow
def test_a_head_of_photographs_alone_does_not_listen(project: Project) -> None:
    write_corpora(project, ("photos",), ("cross_attention",))
    answers = train_and_ask(project, "cross_attention")
    assert features_of(project, "cross_attention") == {"face"}
    by_corpus = answers.groupby("corpus")["num_windows"].agg(["min", "max"])
    assert by_corpus.loc["calls"].tolist() == [0, 0]
    assert by_corpus.loc["photos"].tolist() == [2, 2]


@pytest.mark.slow
def test_only_clips_that_a_head_of_the_voice_can_predict_are_explained(project: Project) -> None:
    project.change(report={"num_examples": 7})
    write_corpora(project, ("calls",), ("joint",))
    for corpus, (folder, table) in product(
        ("calls", "photos"), {"faces": CROPS, "speech": SPEECH}.items()
    ):
        (project.folder / "data" / folder).mkdir(exist_ok=True)
        table.write(project.folder / "data" / folder / f"{corpus}.parquet", table.empty())
    run = project.run("python", "-m", "stages.train_head", "joint")
    assert run.exit_code == 0, run.output
    run = project.run("python", "-m", "stages.explain_head")
    assert run.exit_code == 0, run.output
    assert "explain_head joint: 7 clips drawn" in run.output


def test_a_head_of_the_voice_cannot_learn_from_photographs(project: Project) -> None:
    write_corpora(project, ("photos",), ("audio_only",))
    run = project.run("python", "-m", "stages.train_head", "audio_only")
    assert run.exit_code == 2
    assert "audio_only predicts from audio alone, and no window of photos has any" in run.output
    assert "Traceback" not in run.output

"""Windows -> a trained head: it learns, keeps its best epoch, and does the same again."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from oragen.features.dataset import WindowDataset
from oragen.features.rows import NONE
from oragen.models.heads import Head, HeadSizes, build_head
from oragen.schema.choices.heads import HeadName, MaskTypeTraining
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import GENDERS, Modality, Precision
from oragen.training.devices import make_fabric
from oragen.training.history import DivergedError, Epoch
from oragen.training.inference import predict_clips
from oragen.training.loop import TrainingOptions, train_head, train_in_phases
from oragen.training.losses import TaskWeights
from oragen.training.scoring import join_labels, score_clips, selection_score
from tests.feature_stores import load_speakers, write_speakers

SIZES = HeadSizes(
    audio_steps=4,
    audio_width=3,
    face_slots=2,
    face_layers=2,
    face_width=6,
    num_genders=2,
    num_mask_types=6,
)
OPTIONS = TrainingOptions(
    batch_size=16,
    max_epochs=15,
    patience=15,
    learning_rate=0.01,
    weight_decay=0.01,
    gradient_clip=1.0,
    drop_modality=0.5,
    balance_classes=True,
    balance_sampling=(),
    task_weights=TaskWeights(),
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """60 speakers to learn from and 24 others to select by."""
    folder = tmp_path_factory.mktemp("speakers")
    return {
        "train": write_speakers(folder / "train", 60),
        "dev": write_speakers(folder / "dev", 24, split="dev", seed=1),
    }


@pytest.fixture(scope="module")
def datasets(tables: dict[str, pd.DataFrame]) -> dict[str, WindowDataset]:
    return {split: load_speakers(table) for split, table in tables.items()}


class Trained(NamedTuple):
    head: Head
    history: list[Epoch]


def train(
    train: WindowDataset,
    dev: WindowDataset | None,
    options: TrainingOptions = OPTIONS,
    *,
    seed: int = 0,
    initial_seed: int | None = None,
    precision: Precision = "fp32",
) -> Trained:
    torch.manual_seed(seed if initial_seed is None else initial_seed)
    head = build_head("concatenation", SIZES, width=16, dropout=0.1)
    fabric = make_fabric(torch.device("cpu"), precision)
    history = train_head(fabric, head, train, dev, options, genders=GENDERS, seed=seed)
    return Trained(head, history)


def weights_of(head: Head) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in head.state_dict().values()])


def score(head: Head, dev: WindowDataset) -> float:
    predictions = predict_clips(head, dev, genders=GENDERS)
    return selection_score(score_clips(join_labels(predictions, dev.table)))


@pytest.fixture(scope="module")
def trained(datasets: dict[str, WindowDataset]) -> Trained:
    return train(datasets["train"], datasets["dev"])


def test_a_problem_that_can_be_learned_is_learned(trained: Trained) -> None:
    """Gender and age are in the sound, the mask type in the face; by chance it would be 0.5."""
    first, best = trained.history[0], max(trained.history, key=lambda epoch: epoch.dev_score)
    assert best.dev_score > 0.8
    assert first.dev_score < best.dev_score - 0.2
    assert trained.history[-1].train_loss < first.train_loss / 2
    assert best.gender_uar is not None
    assert best.gender_uar > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_it_is_learned_in_half_precision_too(
    datasets: dict[str, WindowDataset], trained: Trained, precision: Precision
) -> None:
    rough = train(datasets["train"], datasets["dev"], precision=precision)
    assert max(epoch.dev_score for epoch in rough.history) > 0.8
    assert not torch.equal(weights_of(rough.head), weights_of(trained.head))
    assert weights_of(rough.head).dtype == torch.float32


@pytest.mark.slow
def test_it_is_learned_from_streamed_features_too(tables: dict[str, pd.DataFrame]) -> None:
    streamed = {split: load_speakers(table, memory_bytes=1) for split, table in tables.items()}
    assert not any(dataset.in_memory for dataset in streamed.values())
    one, other = (train(streamed["train"], streamed["dev"]) for _ in range(2))
    assert max(epoch.dev_score for epoch in one.history) > 0.8
    assert torch.equal(weights_of(one.head), weights_of(other.head))


def test_the_weights_of_the_best_epoch_are_kept(
    trained: Trained, datasets: dict[str, WindowDataset]
) -> None:
    scores = [epoch.dev_score for epoch in trained.history]
    assert score(trained.head, datasets["dev"]) == max(scores)
    assert scores[-1] < max(scores)  # or the last epoch's would do as well
    assert not trained.head.training


def test_without_windows_to_select_by_the_last_epoch_counts(
    datasets: dict[str, WindowDataset], trained: Trained
) -> None:
    """The same training up to its last epoch, which the dev windows do not choose here."""
    merged = train(datasets["train"], None)
    assert [epoch.train_loss for epoch in merged.history] == [
        epoch.train_loss for epoch in trained.history
    ]
    assert all(math.isnan(epoch.dev_score) for epoch in merged.history)
    assert not torch.equal(weights_of(merged.head), weights_of(trained.head))
    last = trained.history[-1].dev_score
    assert score(merged.head, datasets["dev"]) == pytest.approx(last)


def test_balanced_sampling_teaches_a_rare_class(tables: dict[str, pd.DataFrame]) -> None:
    """Three of four women are taken out, and the loss is not balanced: then only the draws are."""
    clips = tables["train"]
    number = clips["clip_id"].str[-3:].astype(int)
    lopsided = clips[(number % 2 == 1) | (number % 8 == 0)].reset_index(drop=True)
    plain = replace(OPTIONS, balance_classes=False, max_epochs=1)
    balanced = replace(plain, balance_sampling=("gender",))
    windows, dev = load_speakers(lopsided), load_speakers(tables["dev"])
    women = []
    for options in (plain, balanced):
        predictions = predict_clips(train(windows, dev, options).head, dev, genders=GENDERS)
        women.append(predictions["gender_female"].mean())
    assert women[1] > women[0] + 0.05


def test_the_history_has_a_line_for_every_epoch(trained: Trained) -> None:
    assert [epoch.epoch for epoch in trained.history] == list(range(1, 16))


def test_patience_ends_what_does_not_get_better(datasets: dict[str, WindowDataset]) -> None:
    """With next to no step nothing changes: the first epoch is the best one."""
    options = replace(OPTIONS, learning_rate=1e-12, weight_decay=0.0, patience=3)
    history = train(datasets["train"], datasets["dev"], options).history
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4]


def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    datasets: dict[str, WindowDataset],
) -> None:
    options = replace(OPTIONS, max_epochs=2)
    one, again, order, other = (
        weights_of(
            train(datasets["train"], datasets["dev"], options, seed=seed, initial_seed=initial).head
        )
        for seed, initial in ((0, 0), (0, 0), (1, 0), (1, 1))
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, order)  # the same start, another order of windows
    assert not torch.equal(order, other)


@pytest.mark.parametrize("column", ["gender", "age_years", "mask_type"])
def test_a_task_without_labels_is_left_out(tables: dict[str, pd.DataFrame], column: str) -> None:
    datasets = {
        split: load_speakers(table.assign(**{column: None})) for split, table in tables.items()
    }
    trained = train(datasets["train"], datasets["dev"], replace(OPTIONS, max_epochs=6))
    last = trained.history[-1]
    known = {
        "gender": last.gender_uar,
        "age_years": last.age_mae_years,
        "mask_type": last.mask_type_uar,
    }
    assert known.pop(column) is None
    assert None not in known.values()
    assert weights_of(trained.head).isfinite().all()
    assert last.dev_score > trained.history[0].dev_score


def test_some_unknown_labels_do_not_hurt(tables: dict[str, pd.DataFrame]) -> None:
    train_table = tables["train"].copy()
    train_table.loc[train_table.index % 3 == 0, ["gender", "age_years"]] = None
    train_table.loc[train_table.index % 3 == 1, "mask_type"] = None
    trained = train(load_speakers(train_table), load_speakers(tables["dev"]))
    assert max(epoch.dev_score for epoch in trained.history) > 0.75


@pytest.mark.slow
def test_a_task_of_no_weight_is_not_learned(datasets: dict[str, WindowDataset]) -> None:
    weights = TaskWeights(gender=1.0, mask_type=0.0, age=0.0)
    trained = train(
        datasets["train"], datasets["dev"], replace(OPTIONS, task_weights=weights, weight_decay=0.0)
    )
    torch.manual_seed(0)
    fresh = build_head("concatenation", SIZES, width=16, dropout=0.1)
    for task, is_learned in {"gender": True, "mask_type": False, "age": False}.items():
        name = f"decisions.{task}.weight"
        is_same = torch.equal(trained.head.state_dict()[name], fresh.state_dict()[name])
        assert is_same is not is_learned, task


def test_no_label_to_select_by_is_refused(tables: dict[str, pd.DataFrame]) -> None:
    unlabelled = tables["dev"].assign(gender=None, age_years=None, mask_type=None)
    with pytest.raises(UserError, match="No dev clip"):
        train(load_speakers(tables["train"]), load_speakers(unlabelled))


def test_a_training_that_diverges_says_so(datasets: dict[str, WindowDataset]) -> None:
    options = replace(OPTIONS, learning_rate=1e30)
    with pytest.raises(
        DivergedError, match=r"seed 0 diverged.*Lower train\.learning_rate \(1e\+30\)"
    ):
        train(datasets["train"], datasets["dev"], options)


@pytest.mark.slow
def test_rare_classes_weigh_more_when_classes_are_balanced(
    tables: dict[str, pd.DataFrame],
) -> None:
    """Two women among thirty men, and noise for features: balanced, women are not written off."""
    table = tables["train"]
    clips = table["clip_id"].unique()
    women, men = clips[0:4:2], clips[1::2]
    few = table[table["clip_id"].isin([*women, *men])].reset_index(drop=True)
    dataset = load_speakers(few)
    random = np.random.default_rng(0)
    assert dataset.in_memory is not None
    noise = {
        name: random.standard_normal(part.shape).astype(np.float16) * (name.modality == "audio")
        for name, part in dataset.in_memory.items()
    }
    noisy = replace(dataset, in_memory=noise)
    shares = {}
    for balance in (True, False):
        options = replace(
            OPTIONS, balance_classes=balance, max_epochs=8, drop_modality=0.0, learning_rate=0.003
        )
        head = train(noisy, noisy, options).head
        predictions = predict_clips(head, noisy, genders=GENDERS)
        shares[balance] = float(predictions["gender_female"].mean())
    assert shares[True] > shares[False] + 0.1


def train_phases(
    datasets: dict[str, WindowDataset], mask_type: MaskTypeTraining, max_epochs: int = 15
) -> tuple[Head, list[list[Epoch]]]:
    torch.manual_seed(0)
    head = build_head("joint", SIZES, width=16, dropout=0.1)
    histories = train_in_phases(
        make_fabric(torch.device("cpu"), "fp32"), head, datasets["train"], datasets["dev"],
        replace(OPTIONS, max_epochs=max_epochs),
        mask_type=mask_type, genders=GENDERS, seed=0,
    )  # fmt: skip
    return head, histories


@pytest.mark.slow
def test_the_mask_type_alone_can_be_learned_on_a_head_that_stays(
    datasets: dict[str, WindowDataset],
) -> None:
    """The first phase equals a training without mask types; the second moves one layer."""
    alone, _ = train_phases(datasets, "none")
    head, (first, second) = train_phases(datasets, "afterwards")
    before, after = alone.state_dict(), head.state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved == {"decisions.mask_type.weight", "decisions.mask_type.bias"}
    assert {epoch.gender_uar for epoch in second} == {
        max(first, key=lambda e: e.dev_score).gender_uar
    }
    known = [epoch.mask_type_uar for epoch in second]
    assert max(filter(None, known)) > 0.6  # by chance 0.5


@pytest.mark.slow
def test_all_decisions_can_be_learned_anew_on_what_is_frozen_then(
    datasets: dict[str, WindowDataset],
) -> None:
    alone, _ = train_phases(datasets, "none")
    head, _ = train_phases(datasets, "afterwards_with_new_output_layers")
    before, after = alone.state_dict(), head.state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == {"decisions"}
    assert len(moved) == 6


def test_a_task_of_no_weight_is_not_selected_by(datasets: dict[str, WindowDataset]) -> None:
    _, (history,) = train_phases(datasets, "none", max_epochs=1)
    _, (with_mask_type,) = train_phases(datasets, "together", max_epochs=1)
    assert history[0].mask_type_uar is not None
    assert history[0].dev_score != pytest.approx(with_mask_type[0].dev_score)


@pytest.mark.parametrize(("name", "modality"), [("audio_only", "audio"), ("face_only", "face")])
def test_windows_that_a_head_cannot_perceive_teach_it_nothing(
    datasets: dict[str, WindowDataset], name: HeadName, modality: Modality
) -> None:
    """Other labels on them lead to the same weights."""
    without_input = torch.arange(len(datasets["train"])) % 3 == 0
    source = datasets["train"].sources[modality]
    row_of = source.row_of.copy()
    row_of[without_input.numpy()] = NONE
    hidden: dict[str, Any] = {modality: replace(source, row_of=row_of)}
    train = replace(datasets["train"], **hidden)
    relabelled = replace(
        train,
        gender=torch.where(without_input, 1 - train.gender, train.gender),
        age_years=torch.where(without_input, 100 - train.age_years, train.age_years),
    )
    heads = []
    for windows in (train, relabelled):
        torch.manual_seed(0)
        head = build_head(name, SIZES, width=16)
        options = replace(OPTIONS, max_epochs=2, balance_classes=False)
        fabric = make_fabric(torch.device("cpu"), "fp32")
        train_head(fabric, head, windows, datasets["dev"], options, genders=GENDERS, seed=0)
        heads.append(head)
    assert torch.equal(weights_of(heads[0]), weights_of(heads[1]))

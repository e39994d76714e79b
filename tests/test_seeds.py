"""Several seeds at once, in processes of their own -> the same heads as one after the other."""

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
import torch

from oragen.features.loading import EmptyDatasetError
from oragen.schema.tables import DATASET
from oragen.schema.vocabulary import GENDERS
from oragen.training.history import DivergedError
from oragen.training.seeds import HeadTraining, TrainedHead, TrainingFiles, train_seeds
from tests.feature_stores import write_speakers
from tests.small_trainings import OPTIONS, SIZES

CPU = torch.device("cpu")
TRAINING = HeadTraining(
    "concatenation", SIZES, width=16, dropout=0.1, mask_type="together", genders=GENDERS,
    options=OPTIONS, precision="fp32",
)  # fmt: skip
SEEDS = (0, 1, 2)


class KilledWhenLoaded(TrainingFiles):
    """Files that are too much for a process: the kernel ends it when it loads them."""

    def load(self) -> None:  # type: ignore[override]
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TrainingFiles:
    folder = tmp_path_factory.mktemp("speakers")
    tables = [
        write_speakers(folder / "train", 30),
        write_speakers(folder / "dev", 12, split="dev", seed=1),
    ]
    DATASET.write(folder / "dataset.parquet", pd.concat(tables))
    return TrainingFiles(
        folder / "dataset.parquet", ("train",), ("dev",), "intermediate", GENDERS, 2**30
    )


Train = Callable[..., list[TrainedHead]]


@pytest.fixture(scope="module")
def train(files: TrainingFiles) -> Train:
    windows = files.load()

    def run(
        num_processes: int, files: TrainingFiles = files, training: HeadTraining = TRAINING
    ) -> list[TrainedHead]:
        return list(
            train_seeds(training, files, windows, SEEDS, device=CPU, num_processes=num_processes)
        )

    return run


@pytest.fixture(scope="module")
def one_by_one(train: Train) -> list[TrainedHead]:
    return train(1)


def assert_same(heads: list[TrainedHead], expected: list[TrainedHead]) -> None:
    assert [head.phases for head in heads] == [head.phases for head in expected]
    for head, other in zip(heads, expected, strict=True):
        weights, others = head.head.state_dict(), other.head.state_dict()
        assert weights.keys() == others.keys()
        assert all(torch.equal(weights[name], others[name]) for name in weights)
        assert not head.head.training


def test_seeds_differ(one_by_one: list[TrainedHead]) -> None:
    assert len({head.phases[0][-1].train_loss for head in one_by_one}) == len(SEEDS)


@pytest.mark.slow
def test_seeds_at_once_give_the_same_heads_in_order_and_say_so(
    train: Train, one_by_one: list[TrainedHead], caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes for three seeds."""
    with caplog.at_level(logging.INFO, "oragen.training.seeds"):
        assert_same(train(2), one_by_one)
    assert [message.split(":")[0] for message in caplog.messages] == ["seed 0", "seed 1", "seed 2"]
    best = max(one_by_one[2].phases[0], key=lambda epoch: epoch.dev_score)
    assert (
        caplog.messages[2] == f"seed 2: best dev score {best.dev_score:.3f} in epoch {best.epoch}"
    )


@pytest.mark.slow
def test_a_seed_whose_process_is_killed_is_trained_here(
    train: Train,
    files: TrainingFiles,
    one_by_one: list[TrainedHead],
    caplog: pytest.LogCaptureFixture,
) -> None:
    killed = KilledWhenLoaded(**vars(files))
    assert_same(train(2, files=killed), one_by_one)
    assert "seed 0: training was killed (SIGKILL); it is trained again, here" in caplog.messages


@pytest.mark.slow
def test_what_a_user_can_mend_ends_all_trainings_with_its_sentence(
    train: Train, files: TrainingFiles
) -> None:
    hot = replace(TRAINING, options=replace(OPTIONS, learning_rate=1e30))
    with pytest.raises(DivergedError, match=r"seed 2 diverged .* Lower train\.learning_rate"):
        train(2, training=hot)
    with pytest.raises(EmptyDatasetError, match="has no window in validation"):
        train(2, files=replace(files, splits=("validation",)))  # in the other process alone

"""Windows of training and of dev -> a frozen probe, by logistic and ridge regression.

The features are standardised for the regression; the layers of the head take them as they are. How
strongly weights are held small is chosen on the dev clips, for each task and set of modalities.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor, nn

from oragen.features.dataset import WindowDataset
from oragen.features.sampling import weigh_windows
from oragen.models.heads import FrozenProbeHead
from oragen.models.output import HeadOutput
from oragen.schema.vocabulary import (
    AGE_SCALE_YEARS,
    UNKNOWN_LABEL,
    ModalitySet,
    Task,
)
from oragen.training.history import Epoch, score_epoch
from oragen.training.loop import TrainingOptions
from oragen.training.scoring import (
    SELECTED_BY,
    WindowPredictions,
    group_predictions,
    join_labels,
    score_clips,
)

# Of the L2 penalty, for each window: ridge regression has alpha = strength x windows, logistic
# regression C = 1 / (strength x windows). Of equally good ones the strongest counts.
STRENGTHS: Final = (10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5)
WITHOUT_DEV: Final = STRENGTHS.index(0.01)
MAX_WINDOWS: Final = 50_000  # whose averaged features are in memory
MAX_STEPS: Final = 500  # of the logistic regression
IMPOSSIBLE: Final = -1e4  # logit of a class that no training window has
BATCH_SIZE: Final = 256
CPU: Final = torch.device("cpu")


class PooledWindows(NamedTuple):
    """Windows with their features averaged; rows in the order of the table."""

    table: pd.DataFrame
    features: Float[Tensor, "windows both_widths"]
    has: Mapping[ModalitySet, Bool[np.ndarray, " windows"]]  # all of these modalities
    labels: Mapping[Task, np.ndarray]  # codes, and ages in years


class Fit(NamedTuple):
    """A linear layer."""

    weight: Float64[np.ndarray, "outputs width"]
    bias: Float64[np.ndarray, " outputs"]


Fits = Mapping[ModalitySet, Mapping[Task, Sequence[Fit]]]  # one for each strength


def fit_frozen_probe(
    head: FrozenProbeHead,
    train: WindowDataset,
    dev: WindowDataset | None,
    options: TrainingOptions,
    *,
    genders: Sequence[str],
    seed: int,
) -> list[Epoch]:
    """Fit all layers of a head in place.

    Args:
        head: on the CPU.
        train: windows to learn from; of more than `MAX_WINDOWS` so many are drawn.
        dev: windows of other speakers, to choose the strength by; None: it is 0.01.
        options: the tasks to learn, and how classes are balanced; nothing else of it is used.
        genders: the head's labels in order.
        seed: of the draw, which alone makes one training differ from another.

    Returns:
        the dev scores at each strength, the strongest first, and then those of the chosen ones;
        nothing without dev windows.

    Raises:
        UserError: no dev clip has a label to select by.
    """
    learned = pool_windows(head, _draw(train, seed))
    tasks = [task for task in options.task_weights.tasks if head.predicts(task)]
    fits: Fits = {
        modalities: {task: _fit(head, learned, modalities, task, options) for task in tasks}
        for modalities in head.modality_sets
        if learned.has[modalities].any()
    }
    head.eval()
    if dev is None:
        _load(head, fits, {})
        return []
    held_out = pool_windows(head, dev)
    history = []
    chosen: dict[tuple[ModalitySet, Task], tuple[float, int]] = {}
    for number in range(len(STRENGTHS)):
        _load(head, fits, {(name, task): number for name in fits for task in tasks})
        history.append(_score_all(head, number + 1, held_out, genders, tasks))
        for name in fits:
            for task, score in _score_alone(head, name, held_out, genders, tasks).items():
                if score > chosen.get((name, task), (-math.inf, 0))[0]:
                    chosen[name, task] = score, number
    _load(head, fits, {key: number for key, (_, number) in chosen.items()})
    return [*history, _score_all(head, len(STRENGTHS) + 1, held_out, genders, tasks)]


@torch.inference_mode()
def pool_windows(head: FrozenProbeHead, dataset: WindowDataset) -> PooledWindows:
    """Average the features of all windows of a dataset, as the head does."""
    pooled = torch.zeros(len(dataset), head.spec.sizes.audio_width + head.spec.sizes.face_width)
    audio, face = (torch.zeros(len(dataset), dtype=torch.bool) for _ in range(2))
    for batch in dataset.batches(BATCH_SIZE, CPU):
        pooled[batch.windows] = head.pool(
            batch.audio, batch.audio_valid, batch.face, batch.face_valid
        )
        audio[batch.windows], face[batch.windows] = (
            valid.any(dim=1) for valid in (batch.audio_valid, batch.face_valid)
        )
    finite = pooled.isfinite().all(dim=1)
    return PooledWindows(
        dataset.table,
        pooled,
        {
            "audio_visual": (audio & face & finite).numpy(),
            "audio": (audio & finite).numpy(),
            "face": (face & finite).numpy(),
        },
        {
            "gender": dataset.gender.numpy(),
            "mask_type": dataset.mask_type.numpy(),
            "age": dataset.age_years.numpy(),
        },
    )


def _draw(train: WindowDataset, seed: int) -> WindowDataset:
    if len(train) <= MAX_WINDOWS:
        return train
    generator = np.random.default_rng(seed)
    return train.choose(np.sort(generator.choice(len(train), MAX_WINDOWS, replace=False)))


def _fit(
    head: FrozenProbeHead,
    learned: PooledWindows,
    modalities: ModalitySet,
    task: Task,
    options: TrainingOptions,
) -> list[Fit]:
    """Fit the layer of one task at each strength; zeros where no window has a label."""
    labels = learned.labels[task]
    known = np.isfinite(labels) if task == "age" else labels != UNKNOWN_LABEL
    known = known & learned.has[modalities]
    part = head.find_part(modalities)
    features = learned.features[torch.from_numpy(known)][:, part].double().numpy()
    if not len(features):
        layer = head.layer(modalities, task)
        zeros = Fit(np.zeros(layer.weight.shape), np.zeros(layer.bias.shape))
        return [zeros] * len(STRENGTHS)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale[scale == 0] = 1.0
    weights = weigh_windows(learned.table, options.balance_sampling).numpy()[known]
    standardised = (features - mean) / scale
    if task == "age":
        fits = _fit_ages(standardised, labels[known], weights)
    else:
        fits = _fit_classes(
            standardised,
            labels[known],
            weights,
            num_classes=head.layer(modalities, task).out_features,
            balance=options.balance_classes,
        )
    # of standardised features -> of features
    return [Fit(weight / scale, bias - (weight / scale) @ mean) for weight, bias in fits]


def _fit_ages(
    features: Float64[np.ndarray, "windows width"], years: np.ndarray, weights: np.ndarray
) -> list[Fit]:
    """Fit the ages as shares of their scale, above or below its middle."""
    from sklearn.linear_model import Ridge  # only fitting needs it

    shares = years.astype(np.float64) / AGE_SCALE_YEARS - FrozenProbeHead.MIDDLE
    fits = []
    for strength in STRENGTHS:
        ridge = Ridge(alpha=strength * len(features)).fit(features, shares, sample_weight=weights)
        fits.append(Fit(ridge.coef_[None], np.array([ridge.intercept_])))
    return fits


def _fit_classes(
    features: Float64[np.ndarray, "windows width"],
    codes: np.ndarray,
    weights: np.ndarray,
    *,
    num_classes: int,
    balance: bool,
) -> list[Fit]:
    """Fit the logits of the classes; one that no window has is never predicted."""
    from sklearn.exceptions import ConvergenceWarning  # only fitting needs it
    from sklearn.linear_model import LogisticRegression

    present = np.unique(codes)
    empty = Fit(np.zeros((num_classes, features.shape[1])), np.full(num_classes, IMPOSSIBLE))
    empty.bias[present] = 0.0
    if len(present) == 1:
        return [empty] * len(STRENGTHS)
    regression = LogisticRegression(
        class_weight="balanced" if balance else None, max_iter=MAX_STEPS, warm_start=True
    )
    fits = []
    for strength in STRENGTHS:
        regression.set_params(C=1 / (strength * len(features)))
        with warnings.catch_warnings():
            # Weights that are hardly held never settle, and dev does not choose them.
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(features, codes, sample_weight=weights)
        fit = Fit(empty.weight.copy(), empty.bias.copy())
        rows = present[-1:] if len(present) == 2 else present  # of two classes: the second's logit
        fit.weight[rows], fit.bias[rows] = regression.coef_, regression.intercept_
        fits.append(fit)
    return fits


def _load(
    head: FrozenProbeHead, fits: Fits, numbers: Mapping[tuple[ModalitySet, Task], int]
) -> None:
    """Put the fits of these strengths into the layers; those of `WITHOUT_DEV` where none is named.

    A layer that learned nothing is zeros. If no window has both modalities, the layers for both
    give the mean of what each modality alone gives.
    """
    with torch.no_grad():
        for weights in head.parameters():
            weights.zero_()
    for name, of_tasks in fits.items():
        for task, path in of_tasks.items():
            fit = path[numbers.get((name, task), WITHOUT_DEV)]
            _fill(head.layer(name, task), fit.weight, fit.bias)
    if "audio_visual" in head.modality_sets and "audio_visual" not in fits:
        for task in {task for of_tasks in fits.values() for task in of_tasks}:
            audio, face = head.layer("audio", task), head.layer("face", task)
            _fill(
                head.layer("audio_visual", task),
                torch.cat([audio.weight, face.weight], dim=1).detach().numpy() / 2,
                (audio.bias + face.bias).detach().numpy() / 2,
            )


@torch.no_grad()
def _fill(layer: nn.Linear, weight: np.ndarray, bias: np.ndarray) -> None:
    layer.weight.copy_(torch.from_numpy(weight))
    layer.bias.copy_(torch.from_numpy(bias))


def _score_all(
    head: FrozenProbeHead,
    number: int,
    dev: PooledWindows,
    genders: Sequence[str],
    tasks: Sequence[Task],
) -> Epoch:
    """Score the head on the dev clips, each window predicted from what it has."""
    used = np.any([dev.has[name] for name in head.modality_sets], axis=0)
    with torch.inference_mode():
        output = head.decide_by_presence(
            dev.features, torch.from_numpy(dev.has["audio"]), torch.from_numpy(dev.has["face"])
        )
    return score_epoch(number, math.nan, _group(output, used, dev, genders), dev.table, tasks)


def _score_alone(
    head: FrozenProbeHead,
    modalities: ModalitySet,
    dev: PooledWindows,
    genders: Sequence[str],
    tasks: Sequence[Task],
) -> dict[Task, float]:
    """Score the layers of one set of modalities on the windows that have them all."""
    used = dev.has[modalities]
    if not used.any():
        return {}
    with torch.inference_mode():
        output = head.decide(dev.features, modalities)
    scores = score_clips(join_labels(_group(output, used, dev, genders), dev.table))
    found = {task: scores[SELECTED_BY[task]] for task in tasks}
    return {task: float(score) for task, score in found.items() if score is not None}


def _group(
    output: HeadOutput,
    used: Bool[np.ndarray, " windows"],
    dev: PooledWindows,
    genders: Sequence[str],
) -> pd.DataFrame:
    mask_type = output.mask_type_logits
    predictions = WindowPredictions(
        output.gender_logits.softmax(-1).numpy()[used],
        output.age_years.numpy()[used],
        None if mask_type is None else mask_type.softmax(-1).numpy()[used],
    )
    return group_predictions(dev.table["clip_id"][used], predictions, genders=genders)

"""A head and windows -> predictions of clips."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from torch import nn

from oragen.features.dataset import WindowDataset
from oragen.features.rows import NONE
from oragen.models.heads import Head
from oragen.schema.choices.protocols import EvaluationProtocol
from oragen.schema.vocabulary import MODALITY_SETS, ModalitySet
from oragen.training.calibration import UNCALIBRATED, Calibration
from oragen.training.metrics import GroupingRule
from oragen.training.scoring import WindowPredictions, group_predictions

logger = logging.getLogger(__name__)


def modality_sets_of(head: Head) -> tuple[ModalitySet, ...]:
    """Return the sets of modalities that a head can predict from, the largest first."""
    return MODALITY_SETS if head.modality is None else (head.modality,)


class DatasetPredictions(NamedTuple):
    """Predictions of the windows of a dataset that have a modality which the head uses."""

    windows: Int64[np.ndarray, " predicted"]  # their rows in the dataset's table, in order
    predictions: WindowPredictions  # of these windows
    not_finite: list[str]  # clips whose predictions are not finite numbers: none of their windows


@torch.inference_mode()
def predict_windows(
    head: nn.Module,
    dataset: WindowDataset,
    *,
    modalities: ModalitySet = "audio_visual",
    batch_size: int = 256,
) -> DatasetPredictions:
    """Predict the windows of a dataset.

    Args:
        head: in evaluation mode.
        dataset: windows; those without any of the modalities are skipped, and clips for which the
            output is not finite.
        modalities: `audio` hides all faces, `face` all audio.
        batch_size: in windows.
    """
    device = next(head.parameters()).device
    genders, ages_years, mask_types, usable, windows = [], [], [], [], []
    for batch in dataset.batches(batch_size, device):
        audio_valid = batch.audio_valid & (modalities != "face")
        face_valid = batch.face_valid & (modalities != "audio")
        output = head(batch.audio, audio_valid, batch.face, face_valid)
        genders.append(output.gender_logits.softmax(-1).cpu())
        ages_years.append(output.age_years.cpu())
        if output.mask_type_logits is not None:
            mask_types.append(output.mask_type_logits.softmax(-1).cpu())
        usable.append((audio_valid.any(1) | face_valid.any(1)).cpu())
        windows.append(batch.windows)
    rows = torch.cat(windows)  # of batches -> in the order of the batches
    order = rows.argsort()
    order = order[torch.cat(usable)[order]]  # in the order of the table, the usable ones
    predictions = WindowPredictions(
        gender=torch.cat(genders)[order].numpy(),
        age_years=torch.cat(ages_years)[order].numpy(),
        mask_type=torch.cat(mask_types)[order].numpy() if mask_types else None,
    )
    return _keep_finite(dataset.table["clip_id"], rows[order].numpy(), predictions)


def _keep_finite(
    clips: pd.Series, windows: Int64[np.ndarray, " predicted"], predictions: WindowPredictions
) -> DatasetPredictions:
    """Take out the clips that have a prediction which is not finite, and say so."""
    finite = np.isfinite(predictions.age_years) & np.isfinite(predictions.gender).all(axis=1)
    if predictions.mask_type is not None:
        finite &= np.isfinite(predictions.mask_type).all(axis=1)
    if finite.all():
        return DatasetPredictions(windows, predictions, [])
    of_windows = clips.iloc[windows]
    not_finite = of_windows[~finite].unique().tolist()
    logger.warning(
        "%d clips have no prediction, as the model's output for them is not finite, e.g. %s",
        len(not_finite), not_finite[0],
    )  # fmt: skip
    kept = ~of_windows.isin(not_finite).to_numpy()
    mask_type = predictions.mask_type
    chosen = WindowPredictions(
        predictions.gender[kept],
        predictions.age_years[kept],
        None if mask_type is None else mask_type[kept],
    )
    return DatasetPredictions(windows[kept], chosen, not_finite)


def find_modalities_used(dataset: WindowDataset, modalities: ModalitySet) -> pd.Series:
    """Return what each clip is predicted from, if it is predicted from these modalities.

    A clip without any of them is not there. One of which some windows have a face and others speech
    is predicted from both.
    """
    has = pd.DataFrame(
        {
            "audio": (dataset.audio.row_of != NONE) & (modalities != "face"),
            "face": (dataset.face.row_of != NONE).any(axis=1) & (modalities != "audio"),
        }
    )
    has = has.groupby(dataset.table["clip_id"].to_numpy()).any()
    names = np.select([has.all(axis=1), has["audio"], has["face"]], MODALITY_SETS, "")
    return pd.Series(names, has.index)[has.any(axis=1)]


def predict_clips(
    head: nn.Module,
    dataset: WindowDataset,
    *,
    genders: Sequence[str],
    modalities: ModalitySet = "audio_visual",
    protocol: EvaluationProtocol = "clean",
    calibration: Calibration = UNCALIBRATED,
    batch_size: int = 256,
) -> pd.DataFrame:
    """Predict the clips of a dataset from their windows.

    Args:
        head: in evaluation mode.
        dataset: windows.
        genders: the head's labels in order.
        modalities: see `predict_windows`.
        protocol: see `group_by_protocol`.
        calibration: of the probabilities.
        batch_size: in windows.

    Returns:
        a row for each clip with at least one usable window, see `group_predictions`.
    """
    predicted = predict_windows(head, dataset, modalities=modalities, batch_size=batch_size)
    clips = dataset.table["clip_id"].iloc[predicted.windows]
    predictions = calibration.apply(predicted.predictions)
    return group_by_protocol(clips, predictions, genders=genders, protocol=protocol)


def group_by_protocol(
    clips: pd.Series,
    predictions: WindowPredictions,
    *,
    genders: Sequence[str],
    protocol: EvaluationProtocol,
) -> pd.DataFrame:
    """Make one prediction of the windows of each clip, see `group_predictions`.

    Args:
        clips: the `clip_id` of each window.
        predictions: of each window.
        genders: the head's labels in order.
        protocol: `clean` takes the mean over the windows; `paper` their most frequent class, and
            the mean age in whole years.
    """
    paper = protocol == "paper"
    rule: GroupingRule = "majority" if paper else "mean"
    return group_predictions(clips, predictions, genders=genders, rule=rule, round_to_years=paper)

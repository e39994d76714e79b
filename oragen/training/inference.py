"""A head and windows -> predictions of clips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from torch import nn

from oragen.features.dataset import WindowDataset
from oragen.models.heads import Head
from oragen.schema.vocabulary import MODALITY_SETS, EvaluationProtocol, ModalitySet
from oragen.training.calibration import UNCALIBRATED, Calibration
from oragen.training.metrics import GroupingRule
from oragen.training.scoring import WindowPredictions, group_predictions


def modality_sets_of(head: Head) -> tuple[ModalitySet, ...]:
    """Return the kinds of evidence that a head can answer from, the widest first."""
    return MODALITY_SETS if head.modality is None else (head.modality,)


class PredictedWindows(NamedTuple):
    """What a head says about the windows in which it perceives something."""

    windows: Int64[np.ndarray, " answered"]  # their places in the dataset's table, in order
    answers: WindowPredictions


@torch.inference_mode()
def predict_windows(
    head: nn.Module,
    dataset: WindowDataset,
    *,
    modalities: ModalitySet = "audio_visual",
    batch_size: int = 256,
) -> PredictedWindows:
    """Ask a head about the windows of a dataset.

    Args:
        head: in evaluation mode.
        dataset: windows; those without the evidence asked for do not take part.
        modalities: `audio` withholds all faces, `face` all sound.
        batch_size: in windows.
    """
    device = next(head.parameters()).device
    genders_of, ages_of, mask_types_of, usable, windows = [], [], [], [], []
    for batch in dataset.batches(batch_size, device):
        audio_valid = batch.audio_valid & (modalities != "face")
        face_valid = batch.face_valid & (modalities != "audio")
        output = head(batch.audio, audio_valid, batch.face, face_valid)
        genders_of.append(output.gender_logits.softmax(-1).cpu())
        ages_of.append(output.age_years.cpu())
        if output.mask_type_logits is not None:
            mask_types_of.append(output.mask_type_logits.softmax(-1).cpu())
        usable.append((audio_valid.any(1) | face_valid.any(1)).cpu())
        windows.append(batch.windows)
    places = torch.cat(windows)
    order = places.argsort()[torch.cat(usable)[places.argsort()]]
    answers = WindowPredictions(
        torch.cat(genders_of)[order].numpy(),
        torch.cat(ages_of)[order].numpy(),
        torch.cat(mask_types_of)[order].numpy() if mask_types_of else None,
    )
    return PredictedWindows(places[order].numpy(), answers)


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
        protocol: `clean` takes the mean over the windows; `paper` their most frequent class, and
            the mean age in whole years.
        calibration: of the probabilities.
        batch_size: in windows.

    Returns:
        a row for each clip with at least one usable window, see `group_predictions`.
    """
    windows, answers = predict_windows(head, dataset, modalities=modalities, batch_size=batch_size)
    clips = dataset.table["clip_id"].iloc[windows]
    paper = protocol == "paper"
    rule: GroupingRule = "majority" if paper else "mean"
    answers = calibration.apply(answers)
    return group_predictions(clips, answers, genders=genders, rule=rule, round_to_years=paper)

"""Held-out clips -> the few that a report shows, and all that a head predicts for one of them."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from oragen.features.dataset import WindowDataset
from oragen.models.heads import Head
from oragen.reporting.attention.lanes import AttentionLane, lay_on_time
from oragen.reporting.attention.maps import AttentionMaps
from oragen.reporting.attention.reading import read_attention
from oragen.reporting.figures.example import Attributes, ClipExample, ExampleCrop, ExampleWindow
from oragen.schema.vocabulary import MASK_TYPES, SAMPLE_RATE_HZ, Span
from oragen.training.calibration import Calibration
from oragen.training.conformal import NO_CONFORMAL, Conformal
from oragen.training.inference import find_modalities_used, modality_sets_of, predict_windows
from oragen.training.scoring import WindowPredictions, group_predictions

KINDS = ["corpus", "mask_type"]


class Explained(NamedTuple):
    """One clip, and what the head's attentions looked at in each of its windows."""

    example: ClipExample
    maps: AttentionMaps
    fullest: int  # the window with the most crops


def choose_clips(table: pd.DataFrame, number: int) -> list[str]:
    """Choose clips of as many kinds as there are, by a hash, so that they stay the same.

    One clip of each corpus and mask type comes first, then a second one of each.

    Args:
        table: rows of a dataset; only clips with a window are chosen.
        number: how many.
    """
    clips = table[table["has_window"]].drop_duplicates("clip_id")
    clips = clips.assign(place=[_shuffled(clip) for clip in clips["clip_id"]]).sort_values("place")
    kinds = [list(kind["clip_id"]) for _, kind in clips.groupby(KINDS, dropna=False, sort=True)]
    in_turn = chain.from_iterable(zip_longest(*kinds))
    return [clip for clip in in_turn if clip is not None][:number]


def explain_clip(
    head: Head,
    name: str,
    dataset: WindowDataset,
    *,
    crops: Sequence[ExampleCrop],
    speech: Sequence[Span],
    genders: Sequence[str],
    calibration: Calibration,
    conformal: Conformal = NO_CONFORMAL,
) -> Explained:
    """Predict one clip, and read what the head attended to.

    Args:
        head: in evaluation mode, on the CPU.
        name: of the head.
        dataset: the clip's windows, and no others.
        crops: the clip's.
        speech: spans in samples.
        genders: the head's labels in order.
        calibration: of its probabilities.
        conformal: its intervals by condition; without thresholds all clips share the interval.
    """
    modalities = modality_sets_of(head)[0]
    windows, predictions, _ = predict_windows(head, dataset, modalities=modalities)
    predictions = calibration.apply(predictions)
    table = dataset.table.iloc[windows]
    spans = [Span(*span) for span in zip(table["start"], table["stop"], strict=True)]
    clip = dataset.table.iloc[0]
    grouped = group_predictions(table["clip_id"], predictions, genders=genders)
    used = find_modalities_used(dataset, modalities)
    grouped = grouped.join(conformal.apply(grouped.assign(modalities_used=used)))
    maps, lanes, fullest = _read_attention(head, dataset, windows, spans) if spans else ({}, [], 0)
    stops = [span.stop / SAMPLE_RATE_HZ for span in (*spans, *speech)]
    example = ClipExample(
        clip_id=clip["clip_id"],
        head=name,
        duration_s=max([*stops, *(crop.second_s + 1 for crop in crops)]),
        labels=_read_labels(clip, ""),
        predicted=_read_prediction(grouped, calibration),
        crops=crops,
        speech_s=[(span.start / SAMPLE_RATE_HZ, span.stop / SAMPLE_RATE_HZ) for span in speech],
        windows=list(_to_windows(spans, predictions, genders)),
        attention=lanes,
    )
    return Explained(example, maps, fullest)


def _shuffled(clip_id: str) -> str:
    return hashlib.sha256(clip_id.encode()).hexdigest()


def _read_attention(
    head: Head, dataset: WindowDataset, windows: np.ndarray, spans: Sequence[Span]
) -> tuple[AttentionMaps, list[AttentionLane], int]:
    [batch] = dataset.batches(len(dataset), torch.device("cpu"))
    order = batch.windows.argsort()[windows]
    audio_valid, face_valid = batch.audio_valid[order], batch.face_valid[order]
    maps = read_attention(head, batch.audio[order], audio_valid, batch.face[order], face_valid)
    lanes = lay_on_time(maps, spans, audio_valid.numpy(), face_valid.numpy())
    return maps, lanes, int(face_valid.sum(dim=1).argmax())


def _read_prediction(grouped: pd.DataFrame, calibration: Calibration) -> Attributes:
    """Return the prediction of the clip, with its interval; nothing where there is none."""
    if grouped.empty:
        return Attributes(None, None, None)
    predicted = _read_labels(grouped.iloc[0], "predicted_")
    half_width = grouped["age_conditional_half_width_years"].iloc[0]
    if pd.isna(half_width):
        half_width = calibration.age_half_width_years
    return predicted._replace(age_half_width_years=half_width)


def _read_labels(clip: pd.Series, prefix: str) -> Attributes:
    gender, age_years, mask_type = (
        clip.get(f"{prefix}{task}") for task in ("gender", "age_years", "mask_type")
    )
    return Attributes(
        None if pd.isna(gender) else str(gender),
        None if pd.isna(age_years) else float(age_years),
        None if pd.isna(mask_type) else str(mask_type),
    )


def _to_windows(
    spans: Sequence[Span], predictions: WindowPredictions, genders: Sequence[str]
) -> Iterator[ExampleWindow]:
    for row, span in enumerate(spans):
        mask_types: dict[str, float] = {}
        if predictions.mask_type is not None:
            mask_types = _by_label(predictions.mask_type[row], MASK_TYPES)
        yield ExampleWindow(
            start_s=span.start / SAMPLE_RATE_HZ,
            stop_s=span.stop / SAMPLE_RATE_HZ,
            genders=_by_label(predictions.gender[row], genders),
            age_years=float(predictions.age_years[row]),
            mask_types=mask_types,
        )


def _by_label(probabilities: np.ndarray, labels: Sequence[str]) -> dict[str, float]:
    return {label: float(share) for label, share in zip(labels, probabilities, strict=True)}

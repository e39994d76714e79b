"""Trained heads and held-out windows -> predictions of every clip."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from oragen.features.dataset import WindowDataset
from oragen.features.spec import SEEN_BY_HEADS
from oragen.models.heads import Head
from oragen.schema.choices.protocols import EvaluationProtocol
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Json, Modality, ModalitySet
from oragen.training.calibration import UNCALIBRATED, Calibration
from oragen.training.conformal import COLUMNS, NO_CONFORMAL, Conformal
from oragen.training.familiarity import join_modalities
from oragen.training.inference import (
    find_modalities_used,
    group_by_protocol,
    modality_sets_of,
    predict_windows,
)
from oragen.training.scoring import (
    AGE_BAND,
    WindowPredictions,
    fill_with_baseline,
    join_labels,
)


class OtherFeaturesError(UserError):
    """Features of another encoder than a head was trained on."""


def refuse_other_features(
    folder: Path,
    trained_on: Mapping[Modality, Mapping[str, Json]],
    found: Mapping[Modality, Mapping[str, Json]],
) -> None:
    """Refuse features that differ from those a head was trained on; a modality may be absent.

    Raises:
        OtherFeaturesError: names the modality and both encoders.
    """
    for modality, spec in trained_on.items():
        other = found.get(modality, spec)
        for name in SEEN_BY_HEADS:
            if spec.get(name) != other.get(name):
                raise OtherFeaturesError(
                    f"The head in {folder} was trained on {modality} features of "
                    f"{spec['encoder']} ({_describe(spec, name)}); these are of {other['encoder']} "
                    f"({_describe(other, name)}). Run `dvc repro train_head`."
                )


def _describe(spec: Mapping[str, Json], name: str) -> str:
    if name == "layers":
        return f"layers {spec.get('layers', 'last')}"
    if name != "stretch":
        return f"{name} {spec[name]}"
    if (stretch := spec.get("stretch")) is None:
        return "span window"
    return (
        f"span clip: stretches of {stretch['frames']} frames with {stretch['context_frames']} of "
        "context"
    )


def predict_all(
    heads: Mapping[int, Head],
    dataset: WindowDataset,
    table: pd.DataFrame,
    *,
    genders: Sequence[str],
    protocol: EvaluationProtocol = "clean",
    calibrations: Mapping[int, Calibration] | None = None,
    conformals: Mapping[int, Conformal] | None = None,
    baseline: Mapping[str, str | float | None] | None = None,
    distances: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Predict every clip with the head of every seed, and with each set of modalities it takes.

    Args:
        heads: the head of each training seed, all of one kind.
        dataset: the windows.
        table: the dataset table with all clips, also those without a window.
        genders: the heads' labels in order.
        protocol: how the windows of a clip become one prediction, see `group_windows`.
        calibrations: of the head of each seed.
        conformals: the intervals and sets by condition of the head of each seed.
        baseline: labels for clips without a usable window, see `fill_with_baseline`.
        distances: of clips from those of training, see `measure_clips`; None: not known.

    Returns:
        one row for each clip, seed and set of modalities. A clip without a usable window has
        `num_windows` 0, and no prediction unless there is a baseline. `age_half_width_years` is
        of the age interval that all clips share; null: there is none. `unfamiliarity` is the
        largest distance of the modalities from the clips of training, 1 the limit; an unfamiliar
        clip has no interval. `modalities_used` is what the clip itself has of `modalities`. The
        intervals and sets by condition are those of `Conformal.apply`, at the level
        `interval_coverage`. `window_std_*` are the standard deviations over the windows of
        a clip, see `group_windows`.
    """
    blocks = []
    for seed, head in heads.items():
        calibration = (calibrations or {}).get(seed, UNCALIBRATED)
        for modalities in modality_sets_of(head):
            predicted = predict_windows(head, dataset, modalities=modalities)
            predictions = group_windows(
                dataset.table["clip_id"].iloc[predicted.windows],
                calibration.apply(predicted.predictions),
                genders=genders,
                protocol=protocol,
            )
            labelled = join_labels(predictions, table, AGE_BAND)
            if baseline is not None:
                labelled = fill_with_baseline(labelled, baseline)
            labelled = labelled.reset_index()
            labelled["unfamiliarity"] = _find_unfamiliarity(
                labelled["clip_id"], distances, modalities
            )
            half_width = pd.Series(calibration.age_half_width_years, labelled.index, float)
            labelled["age_half_width_years"] = half_width.mask(labelled["unfamiliarity"] > 1)
            used = find_modalities_used(dataset, modalities)
            labelled["modalities_used"] = labelled["clip_id"].map(used)
            conformal = (conformals or {}).get(seed, NO_CONFORMAL)
            labelled[list(COLUMNS)] = conformal.apply(labelled).mask(labelled["unfamiliarity"] > 1)
            labelled["interval_coverage"] = conformal.coverage
            labelled.insert(0, "modalities", modalities)
            labelled.insert(0, "seed", seed)
            blocks.append(labelled)
    rows = pd.concat(blocks, ignore_index=True)
    expected = len(blocks) * table["clip_id"].nunique()
    assert len(rows) == expected, "every clip has a row, with a prediction or without a window"
    return rows


def group_windows(
    clips: pd.Series,
    predictions: WindowPredictions,
    *,
    genders: Sequence[str],
    protocol: EvaluationProtocol = "clean",
) -> pd.DataFrame:
    """Group the predictions of windows: one for each clip, and how far its windows are apart.

    Args:
        clips: the `clip_id` of each window.
        predictions: of each window.
        genders: the head's labels in order.
        protocol: see `group_by_protocol`.

    Returns:
        as `group_predictions`, and the standard deviations (n - 1) over the windows of a clip:
        `window_std_age_years`, and `window_std_female` of that probability. NaN for one window.
    """
    grouped = group_by_protocol(clips, predictions, genders=genders, protocol=protocol)
    of_windows = pd.DataFrame(
        {
            "window_std_age_years": predictions.age_years.astype(float),
            "window_std_female": predictions.gender[:, list(genders).index("female")].astype(float),
        }
    )
    return grouped.join(of_windows.groupby(clips.to_numpy()).std())


def _find_unfamiliarity(
    clips: pd.Series, distances: pd.DataFrame | None, modalities: ModalitySet
) -> pd.Series:
    """Return the distance of each clip that a set of modalities gives; NaN where it has none."""
    if distances is None:
        return pd.Series(np.nan, clips.index)
    return clips.map(join_modalities(distances, modalities)).astype(float)

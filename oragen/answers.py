"""A head and windows -> predictions of clips -> scores.

Training selects by these scores and evaluation reports them, so that the two cannot differ.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
import pandas as pd
import torch
from torch import nn

from oragen.dataset import WindowDataset
from oragen.metrics import group_ages, group_probabilities, score_ages, score_classes
from oragen.schema import MASK_TYPES, UserError

Evidence = Literal["audio_visual", "audio", "face"]
EVIDENCES: Final[tuple[Evidence, ...]] = ("audio_visual", "audio", "face")
LABELS: Final = ("gender", "age_years", "mask_type")
Scores = dict[str, float | int | None]


@torch.inference_mode()
def predict_clips(
    head: nn.Module,
    dataset: WindowDataset,
    *,
    genders: Sequence[str],
    evidence: Evidence = "audio_visual",
    batch_size: int = 256,
) -> pd.DataFrame:
    """Predict the clips of a dataset from the mean over their windows.

    Args:
        head: in evaluation mode.
        dataset: windows; those without the evidence asked for do not take part.
        genders: the head's labels in order.
        evidence: `audio` withholds all faces, `face` all sound.
        batch_size: in windows.

    Returns:
        a row for each clip with at least one usable window, indexed by `clip_id`:
        `num_windows`, `predicted_gender`, `predicted_age_years`, `predicted_mask_type` (if the
        head tells it), and the probabilities `gender_<label>`, `mask_type_<label>`.
    """
    device = next(head.parameters()).device
    genders_of, ages_of, mask_types_of, usable = [], [], [], []
    for batch in dataset.batches(batch_size, device):
        audio_valid = batch.audio_valid & (evidence != "face")
        face_valid = batch.face_valid & (evidence != "audio")
        output = head(batch.audio, audio_valid, batch.face, face_valid)
        genders_of.append(output.gender_logits.softmax(-1).cpu())
        ages_of.append(output.age_years.cpu())
        if output.mask_type_logits is not None:
            mask_types_of.append(output.mask_type_logits.softmax(-1).cpu())
        usable.append((audio_valid.any(1) | face_valid.any(1)).cpu())
    keep = torch.cat(usable).numpy()
    clips = dataset.table["clip_id"][keep]
    columns = _choose("gender", clips, torch.cat(genders_of).numpy()[keep], genders)
    columns["predicted_age_years"] = group_ages(clips, torch.cat(ages_of).numpy()[keep])
    if mask_types_of:
        probabilities = torch.cat(mask_types_of).numpy()[keep]
        columns |= _choose("mask_type", clips, probabilities, MASK_TYPES)
    num_windows = clips.value_counts(sort=False)
    return pd.DataFrame({"num_windows": num_windows, **columns}).rename_axis("clip_id")


def join_labels(predictions: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Put predictions beside the labels of all clips; a clip without one keeps its row."""
    clips = table.drop_duplicates("clip_id").set_index("clip_id")
    joined = clips[["corpus", "split", "speaker_id", *LABELS]].join(predictions)
    if lost := sorted(set(predictions.index) - set(joined.index)):
        raise ValueError(f"{len(lost)} predicted clips are not in the dataset, e.g. {lost[0]}")
    joined["num_windows"] = joined["num_windows"].fillna(0).astype(int)
    return joined.sort_index()


def score_clips(clips: pd.DataFrame) -> Scores:
    """Score labelled predictions; None for a task that cannot be scored on these clips.

    UAR and F1 are fractions, the error of the age is in years. Clips without a usable window are
    counted, and not scored. A label that the head does not know is unknown, as in training.
    """
    answered = clips[clips["num_windows"] > 0]
    scores: Scores = {
        "clips": len(clips),
        "speakers": len(clips[["corpus", "speaker_id"]].drop_duplicates()),
        "without_window": len(clips) - len(answered),
    }
    for task in ("gender", "mask_type"):
        known = answered[answered[task].isin(_labels_of(task, clips))]
        found = score_classes(known[task].tolist(), known.get(f"predicted_{task}", []))
        scores[f"{task}_uar"] = found.uar if found else None
        scores[f"{task}_macro_f1"] = found.macro_f1 if found else None
    ages = score_ages(answered["age_years"], answered["predicted_age_years"])
    scores["age_mae_years"] = ages.mae_years if ages else None
    scores["age_ccc"] = ages.ccc if ages else None
    return scores


def selection_score(scores: Mapping[str, float | int | None]) -> float:
    """Return one number to select by, from 0 to 1: the mean of gender UAR, age CCC, mask UAR.

    A task that cannot be scored does not take part.

    Raises:
        UserError: when there is no task to select by.
    """
    tasks = [scores[name] for name in ("gender_uar", "age_ccc", "mask_type_uar")]
    known = [score for score in tasks if score is not None]
    if not known:
        raise UserError(
            "No dev clip with a window has a label to select by: label some clips of the split "
            "`dev`, with two classes or two ages at least."
        )
    return float(np.mean(known))


def _labels_of(task: str, clips: pd.DataFrame) -> list[str]:
    """Return the classes that the predictions have probabilities of."""
    return [column.removeprefix(f"{task}_") for column in clips if column.startswith(f"{task}_")]


def _choose(
    task: str, clips: pd.Series, probabilities: np.ndarray, labels: Sequence[str]
) -> dict[str, pd.Series]:
    means = group_probabilities(clips, probabilities)
    chosen = means.to_numpy().argmax(axis=1)
    columns = {f"{task}_{label}": means[code] for code, label in enumerate(labels)}
    words = pd.Series([labels[code] for code in chosen], index=means.index, dtype="str")
    return {f"predicted_{task}": words, **columns}

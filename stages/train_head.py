"""Cached features and labels -> trained heads, one for each seed, and their history."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from oragen.config import paths
from oragen.config.heads import Train
from oragen.config.options import fill
from oragen.config.params import Params, load_params
from oragen.config.settled_faces import settle
from oragen.features.dataset import WindowDataset
from oragen.features.loading import EmptyDatasetError
from oragen.features.needed import name_missing_parts
from oragen.models.heads import Head, HeadSizes, build_head, save_head
from oragen.models.off_the_shelf import TRAINED_ON, TRAINING_DATA
from oragen.schema.errors import UserError
from oragen.schema.files import write_text
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, Modality
from oragen.training.calibration import UNCALIBRATED, Calibration, fit_calibration
from oragen.training.conformal import NO_CONFORMAL, Conformal
from oragen.training.conformal_fit import fit_conformal
from oragen.training.devices import choose_device
from oragen.training.evaluation import predict_all
from oragen.training.familiarity import Familiarity, fit_familiarity
from oragen.training.familiarity_files import save_familiarity
from oragen.training.history import Epoch
from oragen.training.inference import modality_sets_of, predict_windows
from oragen.training.loop import TrainingOptions
from oragen.training.losses import TaskWeights
from oragen.training.scoring import find_majority_baseline
from oragen.training.seeds import (
    HeadTraining,
    TrainedHead,
    TrainingFiles,
    TrainingWindows,
    train_seeds,
)
from oragen.training.training_data import summarise
from stages.running import run_stage

STAGE = "train_head"
logger = logging.getLogger(__name__)


def main(head: str) -> None:
    """Train HEAD on its corpora, once for each seed.

    By the protocol `paper` train and dev are merged, and the last epoch counts.
    """
    params = load_params()
    entry = params.head(head)
    files = locate_windows(params, head)
    with name_missing_parts(files.path, entry.level, f"oragen cache fetch --head {head}"):
        windows = files.load()
    if entry.variant == "off_the_shelf":
        save_untrained(params, head, windows.train)
        return
    generated = read_generated(head)
    training = plan(params, head, windows.train)
    refuse_blind_head(head, training.build(0).modality, windows.train)
    trained = train(params, head, training, files, windows)
    folder = paths.head_folder(head)
    lines: list[dict[str, object]] = []
    familiarity: Familiarity | None = None
    for seed, (built, phases) in zip(params.train.seeds, trained, strict=True):
        calibration, conformal = UNCALIBRATED, NO_CONFORMAL
        if windows.dev is not None:
            calibration = calibrate(built, windows.dev, entry.coverage)
            conformal = calibrate_by_condition(built, windows.dev, calibration, entry.coverage)
        description = describe(params, windows.table, windows.train, built, seed)
        description["training_data"] = summarise(windows.table, generated).as_json()
        description["calibration"] = calibration.as_json()
        description["conformal"] = conformal.as_json()
        if familiarity is None:  # which is of the features, so it is the same for all seeds
            familiarity = fit_familiarity(windows.train, windows.dev, modality_sets_of(built)[0])
        description["familiarity"] = save_familiarity(folder / f"seed-{seed}", familiarity)
        save_head(folder / f"seed-{seed}", built.cpu(), description)
        lines += [
            {"seed": seed, "phase": number, **epoch._asdict()}
            for number, history in enumerate(phases, start=1)
            for epoch in history
        ]
    write_history(folder, lines)
    num_weights = sum(weights.numel() for weights in built.parameters())
    logger.info(
        "train_head %s: %d windows to train on, %d to select by; %d weights, %d seeds in %s",
        head, len(windows.train), len(windows.dev or ()), num_weights, len(params.train.seeds),
        folder,
    )  # fmt: skip


def train(
    params: Params,
    head: str,
    training: HeadTraining,
    files: TrainingFiles,
    windows: TrainingWindows,
) -> Iterator[TrainedHead]:
    """Train a head for each seed, on this machine or by a launcher; yield them in order."""
    if params.execution.launcher != "local":
        from stages.launching import train_by_launcher

        return train_by_launcher(params, head, training)
    return train_seeds(
        training, files, windows, params.train.seeds,
        device=choose_device(params.execution.device),
        num_processes=params.execution.num_processes,
    )  # fmt: skip


def locate_windows(params: Params, head: str) -> TrainingFiles:
    """Return where the windows of a head are."""
    is_merged = params.protocol == "paper"
    return TrainingFiles(
        paths.train_dataset(head),
        splits=("train", "dev") if is_merged else ("train",),
        dev_splits=() if is_merged else ("dev",),
        level=params.head(head).level,
        genders=GENDERS,
        memory_bytes=params.train.memory_bytes,
    )


def plan(params: Params, head: str, train: WindowDataset) -> HeadTraining:
    """Return what is trained, and how; the windows give its sizes."""
    entry = params.head(head)
    return HeadTraining(
        entry.variant,
        measure(train, num_mask_types=0 if entry.mask_type == "none" else len(MASK_TYPES)),
        width=entry.width,
        dropout=entry.dropout,
        mask_type=entry.mask_type,
        genders=GENDERS,
        options=to_options(params.train),
        precision=params.train.precision,
        audio_layers=count_layers(train) if entry.audio_layers == "weighted" else 1,
    )


def count_layers(train: WindowDataset) -> int:
    """Return how many layers of the encoder lie side by side in the audio features."""
    return len(train.specs.get("audio", {}).get("layers", (None,)))


def save_untrained(params: Params, head: str, train: WindowDataset) -> None:
    """Save a head that needs no training, for each seed the same; the data give its sizes alone.

    Raises:
        EmptyDatasetError: no window has a face.
    """
    refuse_blind_head(head, "face", train)
    sizes = replace(measure(train, num_mask_types=0), audio_steps=1, audio_width=1)
    built = build_head("off_the_shelf", sizes)
    for seed in params.train.seeds:
        description = describe(params, train.table, train, built, seed) | {
            "trained_on": list(TRAINED_ON),
            "training_data": TRAINING_DATA,
            "features": {"face": train.specs["face"]},
            "calibration": UNCALIBRATED.as_json(),
        }
        save_head(paths.head_folder(head) / f"seed-{seed}", built, description)
    write_history(paths.head_folder(head), [])
    logger.info("train_head %s: nothing to train", head)


def calibrate(head: Head, dev: WindowDataset, coverage: float) -> Calibration:
    """Fit the calibration of a head on the dev clips."""
    windows, predictions, _ = predict_windows(head, dev, modalities=modality_sets_of(head)[0])
    clips = dev.table["clip_id"].iloc[windows]
    labels = dev.table.drop_duplicates("clip_id").set_index("clip_id")
    return fit_calibration(clips, predictions, labels, genders=GENDERS, coverage=coverage)


def calibrate_by_condition(
    head: Head, dev: WindowDataset, calibration: Calibration, coverage: float
) -> Conformal:
    """Fit the intervals and sets of a head on the dev clips, also with one modality hidden."""
    predictions = predict_all(
        {0: head}, dev, dev.table, genders=GENDERS, calibrations={0: calibration}
    )
    widest, *alone = modality_sets_of(head)
    by_set = dict(iter(predictions.groupby("modalities")))
    return fit_conformal(
        by_set[widest],
        pd.concat([by_set[name] for name in alone]) if alone else None,
        coverage=coverage,
    )


def write_history(folder: Path, lines: list[dict[str, object]]) -> None:
    """Write the epochs of all seeds, if there are any."""
    history = pd.DataFrame(lines, columns=["seed", "phase", *Epoch._fields])
    write_text(folder / "history.csv", history.to_csv(index=False))


def read_generated(head: str) -> dict[str, bool]:
    """Read of each corpus of a head whether its people are generated.

    Raises:
        UserError: `make_datasets` has not written it.
    """
    path = paths.train_corpora(head)
    try:
        generated: dict[str, bool] = json.loads(path.read_bytes())["generated"]
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing. Run `dvc repro make_datasets`.") from error
    return generated


def refuse_blind_head(name: str, modality: Modality | None, train: WindowDataset) -> None:
    """Refuse to train a head of one modality on clips that all lack it.

    Raises:
        EmptyDatasetError: names the head and its corpora.
    """
    if modality is not None and modality not in train.specs:
        corpora = ", ".join(sorted(train.table["corpus"].unique()))
        raise EmptyDatasetError(
            f"The head {name} predicts from {modality} alone, and no window of {corpora} has "
            f"any. Take it out of `use_heads`, or train it on another corpus."
        )


def measure(train: WindowDataset, *, num_mask_types: int) -> HeadSizes:
    """Return the sizes of the features and of the output layers."""
    return HeadSizes(
        audio_steps=train.audio.rows.shape[0],
        audio_width=train.audio.rows.shape[1],
        face_slots=train.face.row_of.shape[1],
        face_layers=train.face.rows.shape[0],
        face_width=train.face.rows.shape[1],
        num_genders=len(GENDERS),
        num_mask_types=num_mask_types,
    )


def to_options(train: Train) -> TrainingOptions:
    """Return the training section as the library takes it."""
    return fill(
        TrainingOptions,
        train,
        balance_sampling=tuple(train.balance_sampling),
        task_weights=fill(TaskWeights, train, field_of=lambda key: key.removesuffix("_weight")),
    )


def describe(
    params: Params, table: pd.DataFrame, train: WindowDataset, head: Head, seed: int
) -> dict[str, object]:
    """Return what the head must carry: its labels, and what its features were made with."""
    return {
        "genders": list(GENDERS),
        "mask_types": list(MASK_TYPES[: head.spec.sizes.num_mask_types]),
        "seed": seed,
        "trained_on": sorted(train.table["corpus"].unique()),
        "protocol": params.protocol,
        # The majority baseline, under the name that existing head.json files have.
        "usual_labels": find_majority_baseline(table.drop_duplicates("clip_id")),
        "features": train.specs,
        "preprocessing": {
            "audio": params.audio.as_cache_parameters(),
            "speech": params.speech.as_cache_parameters(),
            # With the place of YuNet's weights, which is no part of a key: predictions need it.
            "faces": settle(params.faces).model_dump(mode="json"),
            "windows": params.windows.as_cache_parameters(),
        },
    }


if __name__ == "__main__":
    run_stage(main)

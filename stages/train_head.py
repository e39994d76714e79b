"""Cached features and labels -> trained heads, one for each seed, and their history."""

import logging

import pandas as pd
import torch

from oragen import artefacts
from oragen.config import Params, Train, load_params
from oragen.dataset import WindowDataset, load_dataset, read_dataset
from oragen.devices import choose_device, make_fabric
from oragen.heads import Head, HeadSizes, build_head, save_head
from oragen.losses import TaskWeights
from oragen.schema import GENDERS, MASK_TYPES
from oragen.training import TrainingOptions, train_in_phases
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main(head: str) -> None:
    """Train HEAD on the corpora of `train.corpora`, once for each seed."""
    params = load_params()
    entry = params.heads[head]
    train, dev = (
        load_dataset(
            read_dataset(artefacts.TRAIN_DATASET, [split]),
            level=entry.level,
            genders=GENDERS,
            memory_bytes=params.train.memory_bytes,
        )
        for split in ("train", "dev")
    )
    sizes = measure(train, num_mask_types=0 if entry.mask_type == "none" else len(MASK_TYPES))
    fabric = make_fabric(choose_device(params.execution.device), params.train.precision)
    fabric.launch()
    folder = artefacts.head_folder(head)
    lines = []
    for seed in params.train.seeds:
        torch.manual_seed(seed)
        built = build_head(entry.variant, sizes, width=entry.width, dropout=entry.dropout)
        phases = train_in_phases(
            fabric, built, train, dev, to_options(params.train),
            mask_type=entry.mask_type, genders=GENDERS, seed=seed,
        )  # fmt: skip
        save_head(folder / f"seed-{seed}", built.cpu(), describe(params, train, built, seed))
        lines += [
            {"seed": seed, "phase": number, **epoch._asdict()}
            for number, history in enumerate(phases, start=1)
            for epoch in history
        ]
    pd.DataFrame(lines).to_csv(folder / "history.csv", index=False)
    logger.info(
        "train_head %s: %d windows to train on, %d to select by; %d weights, %d seeds in %s",
        head, len(train), len(dev), sum(p.numel() for p in built.parameters()),
        len(params.train.seeds), folder,
    )  # fmt: skip


def measure(train: WindowDataset, *, num_mask_types: int) -> HeadSizes:
    """Return the sizes of the features, and of the answers that are wanted."""
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
    return TrainingOptions(
        batch_size=train.batch_size,
        max_epochs=train.max_epochs,
        patience=train.patience,
        learning_rate=train.learning_rate,
        weight_decay=train.weight_decay,
        gradient_clip=train.gradient_clip,
        drop_modality=train.drop_modality,
        balance_classes=train.balance_classes,
        task_weights=TaskWeights(
            gender=train.gender_weight, mask_type=train.mask_type_weight, age=train.age_weight
        ),
    )


def describe(params: Params, train: WindowDataset, head: Head, seed: int) -> dict[str, object]:
    """Return what the head must carry: its labels, and what its features were made with."""
    return {
        "genders": list(GENDERS),
        "mask_types": list(MASK_TYPES[: head.spec.sizes.num_mask_types]),
        "seed": seed,
        "trained_on": sorted(train.table["corpus"].unique()),
        "features": train.specs,
        "preprocessing": {
            "audio": params.audio.as_ingredients(),
            "speech": params.speech.as_ingredients(),
            "faces": params.faces.model_dump(mode="json"),
            "windows": params.windows.as_ingredients(),
        },
    }


if __name__ == "__main__":
    run_stage(main)

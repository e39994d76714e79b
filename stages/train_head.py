"""Cached features and labels -> trained heads, one for each seed, and their history."""

import logging

import pandas as pd
import torch
from lightning.fabric import Fabric

from oragen import artefacts
from oragen.config import Params, load_params
from oragen.dataset import WindowDataset, load_dataset, read_dataset
from oragen.devices import choose_device
from oragen.heads import HeadSizes, build_head, save_head
from oragen.losses import TaskWeights
from oragen.schema import GENDERS, MASK_TYPES
from oragen.training import TrainingOptions, train_head
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main() -> None:
    """Train the head of params.yaml on the corpora of `train.corpora`."""
    params = load_params()
    train = load_dataset(read_dataset(artefacts.TRAIN_DATASET, ["train"]), genders=GENDERS)
    dev = load_dataset(read_dataset(artefacts.TRAIN_DATASET, ["dev"]), genders=GENDERS)
    sizes = HeadSizes(
        audio_steps=train.audio.shape[1],
        audio_width=train.audio.shape[2],
        face_slots=train.face_row.shape[1],
        face_layers=train.face.shape[1],
        face_width=train.face.shape[2],
        num_genders=len(GENDERS),
        num_mask_types=len(MASK_TYPES),
    )
    device = choose_device(params.execution.device)
    fabric = Fabric(accelerator=device.type, devices=1)
    fabric.launch()
    folder = artefacts.head_folder(params.head.name)
    histories = []
    for seed in params.train.seeds:
        torch.manual_seed(seed)
        head = build_head(
            params.head.name, sizes, width=params.head.width, dropout=params.head.dropout
        )
        history = train_head(
            fabric, head, train, dev, to_options(params), genders=GENDERS, seed=seed
        )
        save_head(folder / f"seed-{seed}", head.cpu(), describe(params, train, seed))
        histories.append(pd.DataFrame(history).assign(seed=seed))
    pd.concat(histories).to_csv(folder / "history.csv", index=False)
    logger.info(
        "train_head: %d windows to train on, %d to select by; %s of %d weights in %s",
        len(train), len(dev), params.head.name, sum(p.numel() for p in head.parameters()), folder,
    )  # fmt: skip


def to_options(params: Params) -> TrainingOptions:
    """Return the training section as the library takes it."""
    train = params.train
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


def describe(params: Params, train: WindowDataset, seed: int) -> dict[str, object]:
    """Return what the head must carry: its labels, and what its features were made with."""
    return {
        "genders": list(GENDERS),
        "mask_types": list(MASK_TYPES),
        "seed": seed,
        "trained_on": sorted(train.table["corpus"].unique()),
        "features": train.specs,
        "preprocessing": {
            "audio": params.audio.as_ingredients(),
            "speech": params.speech.as_ingredients(),
            "faces": params.faces.as_ingredients(),
            "windows": params.windows.as_ingredients(),
        },
    }


if __name__ == "__main__":
    run_stage(main)

"""Trained heads and held-out clips -> their predictions for each clip."""

import logging

import pandas as pd

from oragen.config import paths
from oragen.config.params import load_params
from oragen.features.loading import load_dataset, read_dataset
from oragen.features.needed import name_missing_parts
from oragen.models.heads import load_head
from oragen.schema.files import atomic_write
from oragen.schema.quality import MEASURES, QUALITY
from oragen.schema.vocabulary import GENDERS
from oragen.training.devices import choose_device
from oragen.training.evaluation import predict_all, refuse_other_features
from oragen.training.familiarity import measure_clips
from oragen.training.head_metadata import read_metadata, refuse_other_labels
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main(head: str) -> None:
    """Predict the clips of `evaluate.corpora` with HEAD, trained with every seed."""
    params = load_params()
    folder = paths.head_folder(head)
    device = choose_device(params.execution.device)
    saved = {seed: load_head(folder / f"seed-{seed}") for seed in params.train.seeds}
    metadata = {
        seed: read_metadata(folder / f"seed-{seed}", model) for seed, model in saved.items()
    }
    alike = next(iter(metadata.values()))  # but for their calibration
    refuse_other_labels(folder, alike)
    place, level = paths.evaluation_dataset(head), params.head(head).level
    table = read_dataset(place, params.evaluate.splits)
    with name_missing_parts(place, level, f"oragen cache fetch --head {head} --evaluation"):
        dataset = load_dataset(
            table,
            level=level,
            genders=GENDERS,
            memory_bytes=params.train.memory_bytes,
            specs=alike.features,
        )
    refuse_other_features(folder, alike.features, dataset.specs)
    predictions = predict_all(
        {seed: model.head.to(device) for seed, model in saved.items()},
        dataset,
        table,
        genders=GENDERS,
        protocol=params.protocol,
        calibrations={seed: of_seed.calibration for seed, of_seed in metadata.items()},
        conformals={seed: of_seed.conformal for seed, of_seed in metadata.items()},
        baseline=alike.usual_labels if params.protocol == "paper" else None,
        distances=measure_clips(alike.familiarity, dataset),
    )
    columns = {
        "head": head,
        "variant": params.head(head).variant,
        "level": level,
        "trained_on": ", ".join(alike.trained_on),
    }
    with atomic_write(paths.predictions_table(head)) as unfinished:
        add_quality(predictions).assign(**columns).to_parquet(unfinished, index=False)
    clips, scored = table["clip_id"].nunique(), dataset.table["clip_id"].nunique()
    logger.info(
        "evaluate_head %s: %d clips in, %d predicted, %d without a usable window",
        head, clips, scored, clips - scored,
    )  # fmt: skip


def add_quality(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add to each prediction how much speech and face its clip has, and how good they are.

    Null for corpora that were not measured: a colleague's features are scored without their sound.
    """
    files = [paths.quality_table(corpus) for corpus in predictions["corpus"].unique()]
    tables = [QUALITY.read(file) for file in files if file.is_file()]
    quality = pd.concat([QUALITY.frame([]), *tables], ignore_index=True)[["clip_id", *MEASURES]]
    return predictions.merge(quality, how="left", on="clip_id", validate="many_to_one")


if __name__ == "__main__":
    run_stage(main)

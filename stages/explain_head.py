"""The first head and some held-out clips -> its predictions over time, and its attention."""

import logging
import shutil
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pandas as pd

from oragen.config import paths
from oragen.config.params import load_params
from oragen.features.dataset import WindowDataset
from oragen.features.loading import keep_usable, load_dataset, read_dataset
from oragen.models.heads import Head, load_head
from oragen.reporting.explanations import choose_clips, explain_clip
from oragen.reporting.figures.attention import draw_attention
from oragen.reporting.figures.example import ExampleCrop, draw_example
from oragen.reporting.figures.explanations import attention_path, clip_path
from oragen.schema.tables import CROPS, SPEECH
from oragen.schema.vocabulary import GENDERS, SAMPLE_RATE_HZ, Span, to_spans
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from oragen.training.calibration import Calibration
from oragen.training.conformal import NO_CONFORMAL, Conformal
from oragen.training.familiarity import join_modalities, measure_clips
from oragen.training.head_metadata import HeadMetadata, read_metadata, refuse_other_labels
from oragen.training.inference import modality_sets_of
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main() -> None:
    """Draw some clips of the evaluation as the first of `use_heads` predicts them."""
    params = load_params()
    name = params.use_heads[0]
    folder = paths.head_folder(name) / f"seed-{params.train.seeds[0]}"
    saved = load_head(folder)
    head, metadata = saved.head, read_metadata(folder, saved)
    refuse_other_labels(folder, metadata)
    table = read_dataset(paths.evaluation_dataset(params.use_heads[0]), params.evaluate.splits)
    level, features = params.heads[name].level, metadata.features
    used = [modality for modality in features if head.modality in (None, modality)]
    usable = keep_usable(table, level=level, modalities=used)
    shutil.rmtree(paths.EXPLANATIONS, ignore_errors=True)
    chosen = choose_clips(usable, params.report.num_examples)
    for number, clip_id in enumerate(chosen, start=1):
        of_clip = table[table["clip_id"] == clip_id]
        detected = open_detected(of_clip["corpus"].iloc[0])
        dataset = load_dataset(
            of_clip,
            level=level,
            genders=GENDERS,
            memory_bytes=params.train.memory_bytes,
            specs=features,
        )
        example, maps, fullest = explain_clip(
            head,
            name,
            dataset,
            crops=detected.crops_of(clip_id),
            speech=detected.speech_of(clip_id),
            genders=GENDERS,
            **calibrate_clip(head, metadata, dataset)._asdict(),
        )
        draw_example(clip_path(paths.EXPLANATIONS, number), example)
        draw_attention(attention_path(paths.EXPLANATIONS, number), maps, fullest, clip_id)
    paths.EXPLANATIONS.mkdir(parents=True, exist_ok=True)
    logger.info("explain_head %s: %d clips drawn", name, len(chosen))


class OfClip(NamedTuple):
    """What calibrates the prediction of one clip."""

    calibration: Calibration
    conformal: Conformal


def calibrate_clip(head: Head, metadata: HeadMetadata, dataset: WindowDataset) -> OfClip:
    """Return the calibration for one clip: one that is unlike those of training has no interval."""
    distances = measure_clips(metadata.familiarity, dataset)
    if (join_modalities(distances, modality_sets_of(head)[0]) > 1).any():
        without = replace(metadata.calibration, age_half_width_years=None)
        return OfClip(without, NO_CONFORMAL)
    return OfClip(metadata.calibration, metadata.conformal)


class Detected(NamedTuple):
    """What was detected in a corpus, opened once for all of its clips."""

    crops: pd.DataFrame
    speech: pd.DataFrame
    pictures: OpenParts

    def crops_of(self, clip_id: str) -> list[ExampleCrop]:
        """Read the crops of a clip from the store."""
        return [
            ExampleCrop(
                crop.sample / SAMPLE_RATE_HZ,
                self.pictures.read(crop.faces_key, crop.crop, crop.crop + 1)[0],
            )
            for crop in self.crops[self.crops["clip_id"] == clip_id].itertuples()
        ]

    def speech_of(self, clip_id: str) -> list[Span]:
        """Return the speech spans of a clip."""
        rows = self.speech[self.speech["clip_id"] == clip_id].itertuples()
        return [span for row in rows for span in to_spans(row.starts, row.stops)]


@cache
def open_detected(corpus: str) -> Detected:
    """Read the tables of a corpus and open its crops; no file stays open."""
    return Detected(
        CROPS.read(paths.crops_table(corpus)),
        SPEECH.read(paths.speech_table(corpus)),
        OpenParts(PartStore(paths.faces_store(corpus), "h5")),
    )


if __name__ == "__main__":
    run_stage(main)

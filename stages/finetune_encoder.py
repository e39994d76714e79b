"""Examples -> an encoder fine-tuned on gender, age and mask type, as a whole unimodal model."""

import logging
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from transformers import BaseImageProcessor

from oragen.config import paths
from oragen.config.encoders import AudioEncoder, AudioFinetuning, FaceEncoder, FaceFinetuning
from oragen.config.execution import Execution
from oragen.config.options import fill
from oragen.config.params import Params, load_params
from oragen.encoders import PublishedInput, load_audio_encoder, load_face_encoder
from oragen.encoders.sounds import Extractor, FeatureExtractor
from oragen.finetuning.augmentation import CropAugmentation, WaveformAugmentation
from oragen.finetuning.examples import Crops, Examples, Sounds
from oragen.finetuning.loop import FinetuningOptions, finetune
from oragen.finetuning.lora import add_lora, merge_lora
from oragen.models.unimodal import (
    UnimodalAudioModel,
    UnimodalFaceModel,
    build_audio_model,
    build_face_model,
    save_unimodal,
)
from oragen.schema.files import remove, remove_leftovers, unfinished_path, write_text
from oragen.schema.owners import own
from oragen.schema.tables import EXAMPLES
from oragen.schema.vocabulary import GENDERS, MASK_TYPES
from oragen.store.hashing import make_key
from oragen.training.devices import choose_device, find_layout, make_fabric
from oragen.training.losses import TaskWeights
from stages.running import run_stage

logger = logging.getLogger(__name__)


class Subject(NamedTuple):
    """What is fine-tuned, and how it takes its examples."""

    model: UnimodalAudioModel | UnimodalFaceModel
    augmented: Sounds | Crops
    plain: Sounds | Crops
    preparation: Extractor | BaseImageProcessor
    base_fingerprint: str  # of the encoder before


def main(encoder: str) -> None:
    """Fine-tune ENCODER under pooling and output layers; it then extracts the features."""
    params = load_params()
    settings = params.finetuning(encoder)
    layout = find_layout(params.execution.num_devices)
    fabric = make_fabric(choose_device(params.execution.device), settings.precision, layout)
    fabric.launch()
    torch.manual_seed(settings.seed)
    entry = params.encoder(encoder)
    subject = load_audio(entry) if entry.modality == "audio" else load_face(entry)
    table = EXAMPLES.read(paths.examples_table(encoder))
    train, dev = (table[table["split"] == split] for split in ("train", "dev"))
    checkpoint = paths.finetuning_checkpoint(encoder)
    history = finetune(
        fabric,
        subject.model,
        Examples(train, subject.augmented, genders=GENDERS, seed=settings.seed),
        Examples(dev, subject.plain, genders=GENDERS, seed=settings.seed),
        to_options(settings, params.execution),
        genders=GENDERS,
        seed=settings.seed,
        checkpoint=checkpoint,
        identity=identify(table, subject, settings),
    )
    if fabric.is_global_zero:
        merge_lora(subject.model)
        save(encoder, subject, history=pd.DataFrame(history), params=params)
        checkpoint.unlink(missing_ok=True)
        logger.info(
            "finetune_encoder %s: %d examples to train on, %d to select by; best dev score %.3f",
            encoder, len(train), len(dev), max(epoch.dev_score for epoch in history),
        )  # fmt: skip


def load_audio(entry: AudioEncoder) -> Subject:
    """Put fresh pooling and output layers on a speech encoder; its convolutions stay frozen."""
    settings = entry.finetuning
    assert settings is not None  # checked when params.yaml was read
    base = load_audio_encoder(entry.source, entry.revision)
    fingerprint = base.fingerprint()
    model = build_audio_model(
        base.network.requires_grad_(True), settings.pooling,
        num_genders=len(GENDERS), num_mask_types=len(MASK_TYPES),
    )  # fmt: skip
    model.freeze_front_end()
    if settings.lora is not None:
        add_lora(model.encoder, rank=settings.lora.rank, alpha=settings.lora.alpha)
    augmentation = fill(
        WaveformAugmentation, settings.augmentation, field_of="{}_probability".format
    )
    augmented, plain = Sounds(base.extractor, augmentation), Sounds(base.extractor, None)
    return Subject(model, augmented, plain, base.extractor, fingerprint)


def load_face(entry: FaceEncoder) -> Subject:
    """Put fresh pooling and output layers on a vision transformer."""
    settings = entry.finetuning
    assert settings is not None  # checked when params.yaml was read
    base = load_face_encoder(entry.source, entry.revision)
    fingerprint = base.fingerprint()
    model = build_face_model(
        base.network.requires_grad_(True), settings.pooling,
        num_genders=len(GENDERS), num_mask_types=len(MASK_TYPES),
    )  # fmt: skip
    if settings.lora is not None:
        add_lora(model.encoder, rank=settings.lora.rank, alpha=settings.lora.alpha)
    augmentation = fill(CropAugmentation, settings.augmentation, field_of="{}_probability".format)
    augmented, plain = Crops(base.processor, augmentation), Crops(base.processor, None)
    return Subject(model, augmented, plain, base.processor, fingerprint)


def to_options(
    settings: AudioFinetuning | FaceFinetuning, execution: Execution
) -> FinetuningOptions:
    """Return the settings as the library takes them."""
    on_cpu = choose_device(execution.device).type == "cpu"
    return fill(
        FinetuningOptions,
        settings,
        task_weights=fill(TaskWeights, settings, field_of=lambda key: key.removesuffix("_weight")),
        checkpoint_minutes=execution.checkpoint_minutes,
        num_workers=0 if on_cpu else execution.num_processes,  # the network needs the cores itself
    )


def identify(
    table: pd.DataFrame,
    subject: Subject,
    settings: AudioFinetuning | FaceFinetuning,
) -> str:
    """Return a hash of all that decides the result."""
    return make_key(
        base=subject.base_fingerprint,
        settings=settings.as_cache_parameters(),
        examples=table.drop(columns=["store", "key"]).to_json(orient="records"),
    )


def save(encoder: str, subject: Subject, *, history: pd.DataFrame, params: Params) -> None:
    """Write the model, how its inputs are prepared, and the course of its training."""
    folder = paths.encoder_folder(encoder)
    metadata = {
        "genders": list(GENDERS),
        "mask_types": list(MASK_TYPES),
        "base": params.encoders.catalogue[encoder].source,
        "base_fingerprint": subject.base_fingerprint,
        "finetuning": params.finetuning(encoder).as_cache_parameters(),
        "trained_on": params.finetune_corpora(encoder),
    }
    if isinstance(subject.preparation, PublishedInput):
        save_unimodal(
            folder, subject.model.cpu(), metadata | {"input": subject.preparation.as_metadata()}
        )
    else:
        save_unimodal(folder, subject.model.cpu(), metadata)
        write_preparation(folder, subject.preparation)
    write_text(folder / "history.csv", history.to_csv(index=False))


def write_preparation(folder: Path, preparation: FeatureExtractor | BaseImageProcessor) -> None:
    """Write how inputs are prepared into the folder of an encoder."""
    target = folder / "preparation"
    remove_leftovers(target)
    unfinished = unfinished_path(target)
    with own(unfinished):
        try:
            preparation.save_pretrained(unfinished)
            for path in unfinished.iterdir():
                path.replace(folder / path.name)
        finally:
            remove(unfinished)


if __name__ == "__main__":
    run_stage(main)

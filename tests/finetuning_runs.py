"""Small examples, models and trainings; as a program, a training on several devices."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from transformers import (
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

from oragen.finetuning.augmentation import CropAugmentation, WaveformAugmentation
from oragen.finetuning.examples import Crops, Draw, ExampleBatch, Examples, Sounds
from oragen.finetuning.learner import Learner
from oragen.finetuning.loop import FinetuningOptions, finetune
from oragen.models.unimodal import (
    UnimodalAudioModel,
    UnimodalFaceModel,
    build_audio_model,
    build_face_model,
)
from oragen.schema.tables import EXAMPLES
from oragen.schema.vocabulary import GENDERS, MASK_TYPES
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter
from oragen.training.devices import Layout, make_fabric
from oragen.training.history import ClassWeights, Epoch
from oragen.training.losses import TaskWeights
from tests.unimodal_models import FACE_CONFIG, SPEECH_CONFIG

CROP_PX: Final = 32
OPTIONS: Final = FinetuningOptions(
    batch_size=8,
    accumulate_batches=1,
    max_epochs=3,
    patience=3,
    learning_rate=0.001,
    weight_decay=0.01,
    gradient_clip=1.0,
    balance_classes=True,
    task_weights=TaskWeights(),
    checkpoint_minutes=60.0,
    num_workers=0,
)
GENDER_ONLY: Final = TaskWeights(gender=1.0, mask_type=0.0, age=0.0)
EXTRACTOR: Final = Wav2Vec2FeatureExtractor(return_attention_mask=True)
PROCESSOR: Final = ViTImageProcessor(size={"height": CROP_PX, "width": CROP_PX})
EVEN: Final = ClassWeights(None, None)

Tables = dict[str, pd.DataFrame]


class Trained(NamedTuple):
    model: nn.Module
    history: list[Epoch]


def _rows(folder: Path, numbers: Sequence[int], spans: Sequence[tuple[int, int]], split: str,
          points: list[float] | None) -> pd.DataFrame:  # fmt: skip
    rows: list[dict[str, object]] = [
        {
            "clip_id": f"c/{split}{number:03}", "start": start, "stop": stop,
            "content_key": f"{number}-{start}", "store": str(folder), "key": f"{number:032x}",
            "corpus": "c", "split": split, "speaker_id": f"{split}{number}", "landmarks": points,
            "gender": GENDERS[number % 2], "age_years": 20.0 + 3 * (number % 17),
            "mask_type": MASK_TYPES[number % 3],
        }
        for number in numbers
        for start, stop in spans
    ]  # fmt: skip
    return EXAMPLES.frame(rows)


def write_sounds(folder: Path, num_clips: int, *, split: str = "train") -> pd.DataFrame:
    """Write noise with a hum by gender; two windows a clip, of 0.2 s and of 0.15 s."""
    rng = np.random.default_rng(num_clips)
    seconds = np.arange(4800) / 16_000
    with PartWriter(PartStore(folder, "h5"), {}, part_bytes=2**16) as writer:
        for number in range(num_clips):
            hum = np.sin(2 * np.pi * (200, 120)[number % 2] * seconds)
            sound = 3000 * hum + rng.normal(0, 500, len(seconds))
            writer.add(f"{number:032x}", f"c/{split}{number:03}", sound.astype(np.int16))
    return _rows(folder, range(num_clips), [(0, 3200), (2400, 4800)], split, None)


def write_crops(folder: Path, num_clips: int, *, split: str = "train") -> pd.DataFrame:
    """Write noisy crops: red depends on gender, green below on the mask, blue above on the age."""
    rng = np.random.default_rng(num_clips)
    with PartWriter(PartStore(folder, "h5"), {}, part_bytes=2**16) as writer:
        for number in range(num_clips):
            crops = rng.normal(100, 10, (2, CROP_PX, CROP_PX, 3))
            crops[..., 0] += (0, 60)[number % 2]
            crops[:, CROP_PX // 2 :, :, 1] += 40 * (number % 3)
            crops[:, : CROP_PX // 2, :, 2] += 6 * (number % 17)
            pixels = crops.clip(0, 255).astype(np.uint8)
            writer.add(f"{number:032x}", f"c/{split}{number:03}", pixels)
    points = [10.0, 12.0, 22.0, 12.0, 16.0, 19.0, 11.0, 26.0, 21.0, 26.0]
    return _rows(folder, range(num_clips), [(0, 1), (1, 2)], split, points)


def write_tables(folder: Path) -> Tables:
    """Write crops and sounds to learn from, and fewer of them for dev."""
    return {
        "crops_train": write_crops(folder / "crops_train", 30),
        "crops_dev": write_crops(folder / "crops_dev", 18, split="dev"),
        "sounds_train": write_sounds(folder / "sounds_train", 9),
        "sounds_dev": write_sounds(folder / "sounds_dev", 6, split="dev"),
    }


def sounds(table: pd.DataFrame, augmentation: WaveformAugmentation | None = None) -> Examples:
    return Examples(table, Sounds(EXTRACTOR, augmentation), genders=GENDERS, seed=0)


def crops(table: pd.DataFrame, augmentation: CropAugmentation | None = None) -> Examples:
    return Examples(table, Crops(PROCESSOR, augmentation), genders=GENDERS, seed=0)


def make_audio_model() -> UnimodalAudioModel:
    """Make a model that hides steps, skips layers and drops out when it is trained."""
    torch.manual_seed(1)
    hiding = {"mask_time_prob": 0.3, "mask_time_length": 2, "layerdrop": 0.5}
    config = Wav2Vec2Config(**{**SPEECH_CONFIG, **hiding})
    model = build_audio_model(Wav2Vec2Model(config), num_mask_types=len(MASK_TYPES))
    model.freeze_front_end()
    return model


def make_face_model() -> UnimodalFaceModel:
    """Make a model without dropout, and with a pooler that no output depends on."""
    torch.manual_seed(1)
    encoder = ViTModel(ViTConfig(**{**FACE_CONFIG, "initializer_range": 0.05}))
    return build_face_model(encoder, num_mask_types=len(MASK_TYPES))


def make_learner(
    model: nn.Module,
    fabric: Fabric | None = None,
    *,
    learning_rate: float = 1e-3,
    task_weights: TaskWeights | None = None,
) -> Learner:
    fabric = fabric or make_fabric(torch.device("cpu"), "fp32")
    fabric.launch()
    return Learner(
        fabric,
        model,
        learning_rate=learning_rate,
        weight_decay=0.0,
        gradient_clip=1e9,
        task_weights=task_weights or TaskWeights(),
        class_weights=EVEN,
        seed=0,
    )


def take(examples: Examples, places: Sequence[int]) -> ExampleBatch:
    return examples.collate([examples[Draw(1, place)] for place in places])


def train(
    model: nn.Module,
    examples: Examples,
    dev: Examples,
    checkpoint: Path,
    options: FinetuningOptions = OPTIONS,
    *,
    identity: str = "this one",
    num_devices: int = 1,
    seed: int = 0,
) -> Trained:
    fabric = make_fabric(torch.device("cpu"), "fp32", Layout(num_devices))
    fabric.launch()
    history = finetune(
        fabric, model, examples, dev, options,
        genders=GENDERS, seed=seed, checkpoint=checkpoint, identity=identity,
    )  # fmt: skip
    return Trained(model, history)


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in model.state_dict().values()])


def save(trained: Trained, path: Path) -> None:
    history = [tuple(epoch) for epoch in trained.history]
    torch.save({"weights": weights_of(trained.model), "history": history}, path)


def train_to_be_killed(folder: Path) -> None:
    """Train an audio model with every kind of randomness; keep its state after every step."""
    torch.set_num_threads(1)
    train_table, dev_table = (
        EXAMPLES.read(folder / f"{split}.parquet") for split in ("train", "dev")
    )
    augmentation = WaveformAugmentation(tempo_probability=0.0, phone_probability=0.0)
    options = replace(OPTIONS, checkpoint_minutes=0.0, accumulate_batches=2, batch_size=4)
    trained = train(
        make_audio_model(), sounds(train_table, augmentation), sounds(dev_table),
        folder / "state.ckpt", options,
    )  # fmt: skip
    save(trained, folder / "trained.pt")


def train_on_devices(folder: Path, num_devices: int) -> None:
    """Train a face model and an audio model; every process saves what it ends with."""
    tables = {
        name: EXAMPLES.read(folder / f"{name}.parquet")
        for name in ("crops_train", "crops_dev", "sounds_train", "sounds_dev")
    }
    options = replace(OPTIONS, task_weights=GENDER_ONLY, balance_classes=False)
    face = train(
        make_face_model(), crops(tables["crops_train"]), crops(tables["crops_dev"]),
        folder / "face.ckpt", options, num_devices=num_devices,
    )  # fmt: skip
    rank = torch.distributed.get_rank() if num_devices > 1 else 0
    save(face, folder / f"face-{num_devices}-{rank}.pt")
    options = replace(OPTIONS, accumulate_batches=2, checkpoint_minutes=0.0)
    audio = train(
        make_audio_model(), sounds(tables["sounds_train"]), sounds(tables["sounds_dev"]),
        folder / "audio.ckpt", options, num_devices=num_devices,
    )  # fmt: skip
    save(audio, folder / f"audio-{num_devices}-{rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)
    train_on_devices(Path(sys.argv[1]), int(sys.argv[2]))

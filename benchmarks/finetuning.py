"""Unimodal models of the published sizes -> steps of fine-tuning in bf16."""

from collections.abc import Callable, Iterator
from typing import Final

import torch
from torch import nn
from transformers import ViTModel, Wav2Vec2Model

from benchmarks.measuring import Row, time_in_turns, to_row
from oragen.finetuning.examples import ExampleBatch
from oragen.finetuning.learner import Learner
from oragen.models.unimodal import build_audio_model, build_face_model
from oragen.schema.vocabulary import GENDERS, MASK_TYPES
from oragen.training.devices import make_fabric
from oragen.training.history import ClassWeights
from oragen.training.losses import Targets, TaskWeights

SAMPLES: Final = 64_000  # of 4 s
CROP_PX: Final = 224
NUM_STEPS: Final = {"cuda": 10, "cpu": 1}


def time_finetuning(
    audio: Wav2Vec2Model, face: ViTModel, device: torch.device, *, batch_size: int, repeats: int
) -> Iterator[Row]:
    """Yield the steps a second of both models; batches are ready, so the steps alone count."""
    audio_model = build_audio_model(
        audio.requires_grad_(True), "transformer", num_mask_types=len(MASK_TYPES)
    )
    audio_model.freeze_front_end()
    face_model = build_face_model(
        face.requires_grad_(True), "self_attention", num_mask_types=len(MASK_TYPES)
    )
    sounds = torch.randn(batch_size, SAMPLES)
    inputs = {
        "audio": (audio_model, (sounds, torch.ones_like(sounds, dtype=torch.bool))),
        "face": (face_model, (torch.randn(batch_size, 3, CROP_PX, CROP_PX),)),
    }
    num_steps = NUM_STEPS[device.type]
    for modality, (model, tensors) in inputs.items():
        steps = _repeat(model, tensors, device, num_steps)
        timing = time_in_turns({"": steps}, repeats=repeats)[""]
        what = f"{modality}: fine-tuning, batches of {batch_size}"
        yield to_row(what, num_steps / timing.median, "steps/s")


def _repeat(
    model: nn.Module, inputs: tuple[torch.Tensor, ...], device: torch.device, num_steps: int
) -> Callable[[], object]:
    """Return what makes some steps; the loss of each is read, so each has ended."""
    fabric = make_fabric(device, "bf16")
    fabric.launch()
    learner = Learner(
        fabric, model, learning_rate=1e-5, weight_decay=0.01, gradient_clip=1.0,
        task_weights=TaskWeights(), class_weights=ClassWeights(None, None), seed=0,
    )  # fmt: skip
    places = torch.arange(len(inputs[0]))
    targets = Targets(places % len(GENDERS), places % len(MASK_TYPES), 20.0 + places)
    batch = ExampleBatch(inputs, targets, places)
    return lambda: [
        learner.learn([batch], epoch=1, first_batch=number) for number in range(num_steps)
    ]

"""Small heads of all names, and features for them."""

from dataclasses import replace
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from oragen.models.heads import Head, HeadSizes, build_head
from oragen.models.output import HeadOutput
from oragen.schema.choices.heads import HeadName

# All that are trained; test_off_the_shelf.py has the one that is not.
NAMES = tuple(name for name in get_args(HeadName) if name != "off_the_shelf")
INTERMEDIATE = HeadSizes(
    audio_steps=9,
    audio_width=12,
    face_slots=4,
    face_layers=3,
    face_width=6,
    num_genders=2,
    num_mask_types=6,
)
LATE = replace(INTERMEDIATE, audio_steps=1, face_layers=1)
LEVELS = {"intermediate": INTERMEDIATE, "late": LATE}


class Features(NamedTuple):
    audio: Tensor
    audio_valid: Tensor
    face: Tensor
    face_valid: Tensor


def make_features(sizes: HeadSizes, batch: int = 5, seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    audio = torch.randn(batch, sizes.audio_steps, sizes.audio_width, generator=generator)
    face_shape = (batch, sizes.face_slots, sizes.face_layers, sizes.face_width)
    face = torch.randn(face_shape, generator=generator)
    return Features(audio, all_valid(audio), face, all_valid(face))


def all_valid(states: Tensor) -> Tensor:
    return torch.ones(states.shape[:2], dtype=torch.bool)


def make_head(name: HeadName, sizes: HeadSizes = INTERMEDIATE) -> Head:
    torch.manual_seed(1)
    return build_head(name, sizes, width=16, num_heads=2).eval()


def assert_equal(found: HeadOutput, expected: HeadOutput, atol: float = 1e-5) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=atol)

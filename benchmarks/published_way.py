"""Windows -> features as the published code computes, stores and reads them.

For comparison only: batches of one window, audio padded to 4 s, fp32. Crops are encoded for each
window anew, also those that the window before has. Each window is a pickle of fp32 tensors, which a
DataLoader reads one by one.
"""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import ViTModel, Wav2Vec2Model

from oragen.models.heads import Head
from oragen.models.layers.resampling import TokenResampling
from stages.running import keep_freed_memory

WINDOW_SAMPLES = 64_000
NUM_SLOTS = 4


class Window(NamedTuple):
    """The audio and the crops of a window."""

    sound: np.ndarray  # int16, up to 4 s at 16 kHz
    crops: list[np.ndarray]  # one a second, RGB


def embed_sound(window: Window, network: Wav2Vec2Model) -> Tensor:
    """Encode the sound of one window -> 199 x 1024, fp32."""
    with torch.no_grad():
        steps: Tensor = network(prepare_sound(window.sound).to(network.device)).last_hidden_state
    return steps[0].cpu()


def embed_faces(window: Window, network: ViTModel) -> Tensor:
    """Encode the crops of one window, all of them -> 4 x 13 x 768, fp32.

    A view of all tokens of all layers: a pickle of it contains the whole storage.
    """
    pixels = prepare_pictures(window.crops).to(network.device)
    with torch.no_grad():
        states = network(pixels, output_hidden_states=True).hidden_states
    return torch.stack(states, dim=1).cpu()[:, :, 0]  # crop, layer, token, width -> without tokens


def prepare_sound(sound: np.ndarray) -> Tensor:
    """Pad to 4 s, then normalise to zero mean and unit variance, with the padding."""
    padded = np.zeros(WINDOW_SAMPLES, np.float32)
    padded[: len(sound)] = sound / 2**15
    return torch.from_numpy((padded - padded.mean()) / np.sqrt(padded.var() + 1e-7))[None]


def prepare_pictures(crops: Sequence[np.ndarray]) -> Tensor:
    """RGB crops of the size that the network takes -> pixels in -1..1."""
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def write_pickle(path: Path, window: Mapping[str, Tensor]) -> None:
    """Write the features of one window."""
    with path.open("wb") as file:
        pickle.dump(dict(window), file)


@contextmanager
def default_allocator() -> Iterator[None]:
    """Use the allocator's default settings inside the block."""
    keep_freed_memory(2**25)
    yield
    keep_freed_memory()


class PublishedResampling(TokenResampling):
    """The map over time as published: a linear layer on the transposed, so copied, states."""

    def forward(self, states: Tensor) -> Tensor:
        fewer = self.over_time(states.transpose(1, 2)).transpose(1, 2)
        return self.over_features(fewer)  # type: ignore[no-any-return]


def resample_as_published(head: Head) -> Head:
    """Make a head compute in the published way; its output stays the same."""
    for module in head.modules():
        if isinstance(module, TokenResampling):
            module.__class__ = PublishedResampling
    return head


class PickledWindows(Dataset[tuple[Tensor, Tensor, int]]):
    """Reads the pickle of a window on each access."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.pickle"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, int]:
        with self.files[number].open("rb") as file:
            window = pickle.load(file)  # written by this benchmark
        return window["audio"], window["face"], number

"""Windows with labels, and where their features are -> batches for a head."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from oragen.features.rows import NONE
from oragen.features.streaming import (
    Block,
    PartName,
    Parts,
    Source,
    WindowFeatures,
    choose_from,
    gather,
    plan_blocks,
    read_ahead,
    stream_windows,
)
from oragen.schema.vocabulary import Json, Modality


@dataclass(frozen=True)
class Batch:
    """Features and labels of some windows, on one device."""

    windows: Int64[Tensor, " batch"]  # their rows in the dataset's table; on the CPU
    audio: Float[Tensor, "batch steps audio_width"]
    audio_valid: Bool[Tensor, "batch steps"]
    face: Float[Tensor, "batch slots layers face_width"]
    face_valid: Bool[Tensor, "batch slots"]
    gender: Int64[Tensor, " batch"]  # UNKNOWN_LABEL: no label
    age_years: Float[Tensor, " batch"]  # NaN: no label
    mask_type: Int64[Tensor, " batch"]


@dataclass(frozen=True)
class WindowDataset:
    """Windows with labels, and their features: in memory, or streamed from their parts."""

    table: pd.DataFrame  # the windows, in order
    audio: Source  # a feature row for each window; NONE: no speech
    face: Source  # ... and for each slot of a window; NONE: no crop
    gender: Int64[Tensor, " windows"]
    age_years: Float[Tensor, " windows"]
    mask_type: Int64[Tensor, " windows"]
    in_memory: Parts | None  # all parts; None: they are streamed
    memory_bytes: int  # for streaming

    def __len__(self) -> int:
        return len(self.table)

    def choose(self, windows: Int64[np.ndarray, " chosen"]) -> "WindowDataset":
        """Return some of the windows; features in memory are shared."""
        rows = torch.from_numpy(windows)
        return replace(
            self,
            table=self.table.iloc[windows].reset_index(drop=True),
            audio=replace(self.audio, row_of=self.audio.row_of[windows]),
            face=replace(self.face, row_of=self.face.row_of[windows]),
            gender=self.gender[rows],
            age_years=self.age_years[rows],
            mask_type=self.mask_type[rows],
        )

    @property
    def specs(self) -> dict[Modality, dict[str, Json]]:
        """The spec of the features of each modality that has features."""
        specs = {modality: source.rows.spec for modality, source in self.sources.items()}
        return {modality: spec for modality, spec in specs.items() if "fingerprint" in spec}

    @property
    def sources(self) -> dict[Modality, Source]:
        """The sources of both modalities."""
        return {"audio": self.audio, "face": self.face}

    def batches(
        self,
        batch_size: int,
        device: torch.device,
        *,
        generator: torch.Generator | None = None,
        weights: Float[Tensor, " windows"] | None = None,
    ) -> Iterator[Batch]:
        """Yield all windows once: shuffled by the generator, or in any order without one.

        With weights, the generator draws as many windows as there are, in proportion to the
        weights. Float16 becomes float32 on the device. For a GPU, a thread gathers the next windows
        meanwhile; a CPU needs its cores for the training itself.
        """
        if device.type == "cpu":
            features = self.read(batch_size, generator, weights, torch.float32)
        else:
            read = self.read(batch_size, generator, weights)
            features = read_ahead(map(WindowFeatures.pin, read) if device.type == "cuda" else read)
        for gathered in features:
            yield self.label(gathered, device)

    def read(
        self,
        batch_size: int,
        generator: torch.Generator | None = None,
        weights: Float[Tensor, " windows"] | None = None,
        dtype: torch.dtype = torch.float16,
    ) -> Iterator[WindowFeatures]:
        """Yield the features of the windows, as `batches` does."""
        windows = torch.arange(len(self))
        if weights is not None:
            drawn = torch.multinomial(weights, len(self), replacement=True, generator=generator)
            windows = drawn.sort().values
        if self.in_memory is None:
            return self._stream(windows, batch_size, generator, dtype)
        return self._gather(self.in_memory, windows, batch_size, generator, dtype)

    def _gather(
        self,
        parts: Parts,
        windows: Int64[Tensor, " drawn"],
        batch_size: int,
        generator: torch.Generator | None,
        dtype: torch.dtype,
    ) -> Iterator[WindowFeatures]:
        if generator is not None:
            windows = windows[torch.randperm(len(windows), generator=generator)]
        for chosen in windows.split(batch_size):
            yield gather(self.sources, chosen.numpy(), parts, dtype)

    def _stream(
        self,
        windows: Int64[Tensor, " drawn"],
        batch_size: int,
        generator: torch.Generator | None,
        dtype: torch.dtype,
    ) -> Iterator[WindowFeatures]:
        if generator is not None:  # one of its own, as the thread that reads ahead draws from it
            seed = int(torch.randint(2**62, (), generator=generator))
            generator = torch.Generator().manual_seed(seed)
        return stream_windows(
            self.sources,
            choose_from(self._blocks, windows.numpy()),
            batch_size=batch_size,
            max_bytes=self.memory_bytes,
            generator=generator,
            dtype=dtype,
        )

    @property
    def part_names(self) -> list[PartName]:
        """All parts that hold features of these windows."""
        return [
            PartName(modality, number)
            for modality, source in self.sources.items()
            for number in range(len(source.rows.parts))
        ]

    @cached_property
    def _blocks(self) -> list[Block]:
        return plan_blocks(self.sources)

    def label(self, features: WindowFeatures, device: torch.device) -> Batch:
        """Bring features to the device, and join the labels of their windows."""
        windows = features.windows
        audio_rows = self.audio.row_of[windows.numpy()]  # window
        face_rows = self.face.row_of[windows.numpy()]  # window, slot
        # A row NONE (-1) is the last element: it has 0 steps.
        num_steps = torch.from_numpy(np.append(self.audio.rows.num_steps, 0)[audio_rows])
        positions = torch.arange(self.audio.rows.shape[0])

        def send(tensor: Tensor) -> Tensor:  # nobody waits for the end of the copy to a GPU
            return tensor.to(device, non_blocking=True)

        return Batch(
            windows=windows,
            audio=send(features.audio).float(),
            audio_valid=send(positions < num_steps[:, None]),  # window, step
            face=send(features.face).float(),
            face_valid=send(torch.from_numpy(face_rows != NONE)),
            gender=send(self.gender[windows]),
            age_years=send(self.age_years[windows]),
            mask_type=send(self.mask_type[windows]),
        )

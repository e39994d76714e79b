"""Windows or crops with their labels -> batches to fine-tune an encoder on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import BaseImageProcessor

from oragen.encoders.face import prepare_crops
from oragen.encoders.sounds import Extractor, prepare_sounds
from oragen.finetuning.augmentation import (
    CropAugmentation,
    WaveformAugmentation,
    augment_crop,
    augment_waveform,
)
from oragen.media.samples import to_floats
from oragen.schema.vocabulary import MASK_TYPES, UNKNOWN_LABEL, encode_labels
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from oragen.training.losses import Targets


class Draw(NamedTuple):
    """An example in an epoch: with the seed, all that its augmentation depends on."""

    epoch: int
    place: int  # row in the table of examples


class Augmented(NamedTuple):
    """An augmented waveform or crop, and its mask type after the augmentation."""

    content: np.ndarray
    mask_type: str | None  # None = unknown


class Example(NamedTuple):
    """One example, before it is prepared for an encoder."""

    place: int
    augmented: Augmented


class ExampleBatch(NamedTuple):
    """The arguments of a model's `forward`, the labels, and the rows in the table."""

    inputs: tuple[Tensor, ...]
    targets: Targets
    places: Int64[Tensor, " batch"]


@dataclass(frozen=True)
class Sounds:
    """Windows of int16 samples -> input of an audio model, with or without augmentation."""

    extractor: Extractor  # the encoder's own
    augmentation: WaveformAugmentation | None  # None: no augmentation

    @property
    def adds_mask_types(self) -> bool:
        """Whether voices without a mask may be muffled by one."""
        return self.augmentation is not None and self.augmentation.muffle_probability > 0

    def augment(
        self,
        content: np.ndarray,
        landmarks: np.ndarray | None,
        mask_type: str | None,
        generator: torch.Generator,
    ) -> Augmented:
        waveform = to_floats(content)
        if self.augmentation is None:
            return Augmented(waveform, mask_type)
        changed = augment_waveform(
            torch.from_numpy(waveform),
            options=self.augmentation,
            mask_type=mask_type,
            generator=generator,
        )
        return Augmented(changed.waveform[: changed.num_valid].numpy(), changed.mask_type)

    def prepare(self, contents: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
        """Return normalised samples, padded to the longest, and which of them are real."""
        return tuple(prepare_sounds(self.extractor, contents))


@dataclass(frozen=True)
class Crops:
    """RGB crops -> input of a face model, with or without augmentation."""

    processor: BaseImageProcessor  # the encoder's own
    augmentation: CropAugmentation | None  # None: no augmentation

    @property
    def adds_mask_types(self) -> bool:
        """Whether faces without a mask may be covered by one."""
        return self.augmentation is not None and self.augmentation.cover_probability > 0

    def augment(
        self,
        content: np.ndarray,
        landmarks: np.ndarray | None,
        mask_type: str | None,
        generator: torch.Generator,
    ) -> Augmented:
        if self.augmentation is None:
            return Augmented(content[0], mask_type)
        changed = augment_crop(
            content[0],
            options=self.augmentation,
            landmarks=None if landmarks is None else landmarks.reshape(5, 2),
            mask_type=mask_type,
            generator=generator,
        )
        return Augmented(changed.crop, changed.mask_type)

    def prepare(self, contents: Sequence[np.ndarray]) -> tuple[Tensor, ...]:
        """Return scaled and normalised images."""
        return (prepare_crops(self.processor, contents),)


class Examples(Dataset[Example]):
    """Rows of the example table: a map-style dataset for torch, indexed by `Draw`.

    Media are read on access, and every process opens the stores for itself. The example of a draw
    depends neither on the process nor on earlier draws.

    Args:
        table: rows of the example table.
        preparation: augments and prepares the examples.
        genders: labels of gender in order; another gender is unknown.
        seed: of the augmentation.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        preparation: Sounds | Crops,
        *,
        genders: Sequence[str],
        seed: int,
    ) -> None:
        self.table = table.reset_index(drop=True)
        self.preparation = preparation
        self.seed = seed
        self.gender = torch.from_numpy(encode_labels(self.table["gender"], genders))
        self.mask_type = torch.from_numpy(encode_labels(self.table["mask_type"], MASK_TYPES))
        ages = self.table["age_years"].to_numpy(np.float32, na_value=np.nan)
        self.age_years = torch.from_numpy(ages)
        self._opened: dict[str, OpenParts] = {}

    def __len__(self) -> int:
        return len(self.table)

    def __getstate__(self) -> dict[str, object]:
        """Return the state for another process, without open files."""
        return self.__dict__ | {"_opened": {}}

    def __getitem__(self, draw: Draw) -> Example:
        row = self.table.iloc[draw.place].to_dict()
        code = int(self.mask_type[draw.place])
        augmented = self.preparation.augment(
            self._read(row["store"], row["key"], row["start"], row["stop"]),
            None if row["landmarks"] is None else np.asarray(row["landmarks"], np.float64),
            None if code == UNKNOWN_LABEL else MASK_TYPES[code],
            _generator(self.seed, draw),
        )
        return Example(draw.place, augmented)

    def collate(self, examples: Sequence[Example]) -> ExampleBatch:
        """Make a batch of examples; the mask types are those after the augmentation."""
        places = torch.tensor([example.place for example in examples])
        augmented = [example.augmented for example in examples]
        mask_type = torch.from_numpy(
            encode_labels([item.mask_type for item in augmented], MASK_TYPES)
        )
        return ExampleBatch(
            self.preparation.prepare([item.content for item in augmented]),
            Targets(
                gender=self.gender[places], mask_type=mask_type, age_years=self.age_years[places]
            ),
            places,
        )

    def labels(self) -> dict[str, list[object]]:
        """Return the distinct known labels of each task, as in the table."""
        known = {
            "gender": self.gender != UNKNOWN_LABEL,
            "age_years": ~self.age_years.isnan(),
            "mask_type": self.mask_type != UNKNOWN_LABEL,
        }
        return {
            task: list(self.table[task][is_known.numpy()].unique())
            for task, is_known in known.items()
        }

    def _read(self, store: str, key: str, start: int, stop: int) -> np.ndarray:
        if store not in self._opened:
            self._opened[store] = OpenParts(PartStore(Path(store), "h5"))
        return self._opened[store].read(key, start, stop)


def stream_batches(
    examples: Examples, draws: Iterable[list[Draw]], *, num_workers: int, pin_memory: bool = False
) -> Iterator[ExampleBatch]:
    """Yield a batch for each list of draws; `num_workers` processes prepare the next batches.

    The processes live as long as the iterator. Each imports all modules, which takes seconds, so
    use one iterator for all epochs.
    """
    loader: DataLoader[Example] = DataLoader(
        examples,
        batch_sampler=draws,
        collate_fn=examples.collate,
        num_workers=num_workers,
        pin_memory=pin_memory,
        # A forked process would share the locks of HDF5, OpenMP and CUDA.
        multiprocessing_context="spawn" if num_workers else None,
    )
    yield from loader


def order_of_epoch(num_examples: int, *, seed: int, epoch: int) -> Int64[Tensor, " examples"]:
    """Return the examples of an epoch in its own random order."""
    generator = torch.Generator().manual_seed(mix_seeds(seed, epoch))
    return torch.randperm(num_examples, generator=generator)


def share_of_rank(
    order: Int64[Tensor, " examples"], *, rank: int, num_ranks: int
) -> Int64[Tensor, " share"]:
    """Return every `num_ranks`-th example; the first ones are repeated for an equal share."""
    num_padded = -(-len(order) // num_ranks) * num_ranks
    return torch.from_numpy(np.resize(order.numpy(), num_padded))[rank::num_ranks]


def draw_batches(
    places: Int64[Tensor, " share"], *, epoch: int, batch_size: int
) -> Iterator[list[Draw]]:
    """Yield the draws of one batch after the other; the last may be smaller."""
    for batch in places.split(batch_size):
        yield [Draw(epoch, place) for place in batch.tolist()]


def _generator(seed: int, draw: Draw) -> torch.Generator:
    return torch.Generator().manual_seed(mix_seeds(seed, *draw))


def mix_seeds(*numbers: int) -> int:
    """Return a seed that is independent of those of neighbouring numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])

"""Windows or crops, and a frozen encoder -> the rows of features that the store lacks."""

import hashlib
import logging
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from rich.filesize import decimal
from tqdm import tqdm

from oragen.features.rows import FeatureSpec, find_foreign, to_half
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Level
from oragen.store.parts import PartStore, PartWriter
from oragen.store.rows import Located

logger = logging.getLogger(__name__)

NUM_BATCHES_AHEAD: Final = 2
SPARE_BYTES: Final = 2**28  # left free on the disk: tables, DVC's own records
Prepared: TypeAlias = Any  # inputs as an encoder prepared them, to embed


@runtime_checkable  # so that its users can be type-checked in tests
class Encoder(Protocol):
    """Makes features of inputs. The CPU prepares the next inputs while the network computes."""

    def prepare(self, inputs: list[np.ndarray], /) -> Prepared:
        """Bring inputs into the form that the network takes."""

    def embed(
        self, prepared: Prepared, levels: Collection[Level], /
    ) -> Mapping[Level, Sequence[np.ndarray]]:
        """Return, for each level, `positions x width` of each input."""


@dataclass(frozen=True)
class FeatureInput:
    """The input of one row of features: its key, and how to read it."""

    key: str
    clip_id: str
    fill: float  # share of a whole row that it fills: 1 for a crop or a window of full length
    read: Callable[[], np.ndarray]
    # The positions of its embedding that are the row: not those of the context of a stretch.
    kept: slice = field(default_factory=partial(slice, None))


class DiskTooSmallError(UserError):
    """The features would not fit on the disk."""


class GpuTooSmallError(UserError):
    """Not even one input fits into the GPU's memory."""


def extract(
    store: PartStore,
    inputs: Iterable[FeatureInput],
    encoder: Encoder,
    specs: Sequence[FeatureSpec],
    *,
    batch_size: int,
    part_bytes: int,
) -> int:
    """Encode what the store lacks, each input once for all missing levels; return how many inputs.

    A row has as many positions as the encoder returns for its input. The parts of all levels end
    together, with a group of inputs. So a run after a killed one encodes only the unfinished group
    again, in the same batches, with the same values to the last bit.

    Args:
        store: of the rows, in parts of one level each.
        inputs: all inputs, also those that the store has.
        encoder: on its device.
        specs: of the rows, one for each level.
        batch_size: inputs that are encoded together.
        part_bytes: mean size of the parts of all levels.

    Raises:
        DiskTooSmallError: when the missing rows do not fit on the disk.
        EmbeddingError: when an embedding does not fit into float16.
    """
    by_key = {item.key: item for item in inputs}
    with store.writing():  # DVC expects its folder, even if it is empty
        missing = find_missing(find_present(store, by_key, specs), by_key.values(), specs)
        if missing:
            _encode(store, missing, encoder, specs, batch_size=batch_size, part_bytes=part_bytes)
    return len(missing)


def find_present(
    store: PartStore, keys: Iterable[str], specs: Sequence[FeatureSpec]
) -> dict[str, Located]:
    """Return the rows that the store has; parts with anything wrong in them are set aside."""
    wanted = {spec.key_of(key): spec for key in keys for spec in specs}
    present = store.find(wanted, mend=True)
    while foreign := find_foreign(present, wanted):
        for part in foreign:
            logger.warning("%s holds rows under the keys of other features", part)
            store.set_aside(part)
        present = store.find(wanted, mend=True)
    return present


def _encode(
    store: PartStore,
    missing: Sequence["Missing"],
    encoder: Encoder,
    specs: Sequence[FeatureSpec],
    *,
    batch_size: int,
    part_bytes: int,
) -> None:
    """Encode and store what is missing, in groups."""
    check_disk(store, missing, specs)
    groups = group_inputs(
        [item for item, _ in missing],
        group_fill=part_bytes * len(specs) / sum(spec.row_bytes for spec in specs),
        batch_size=batch_size,
    )
    lacks = {item.key: lacking for item, lacking in missing}
    runner = _Runner(encoder, batch_size)
    title = f"{specs[0].modality} features"
    with ExitStack() as stack:
        progress = stack.enter_context(tqdm(total=len(missing), desc=title, unit="row"))
        writers = {
            spec: stack.enter_context(PartWriter(store, spec.as_json(), part_bytes=None))
            for spec in specs
        }
        for group in groups:
            wanted = [spec for spec in specs if any(spec in lacks[item.key] for item in group)]
            for batch, embeddings in runner.run(group, [spec.level for spec in wanted]):
                for spec in wanted:
                    writer = writers[spec]
                    for item, embedding in zip(batch, embeddings[spec.level], strict=True):
                        if spec in lacks[item.key]:
                            row = to_half(embedding[item.kept], spec, item.clip_id)
                            writer.add(spec.key_of(item.key), item.clip_id, row)
                progress.update(len(batch))
            for writer in writers.values():
                writer.write_part()


class Missing(NamedTuple):
    """An input, and the kinds of features that the store lacks of it."""

    item: FeatureInput
    specs: tuple[FeatureSpec, ...]


def find_missing(
    present: Mapping[str, Located], inputs: Iterable[FeatureInput], specs: Sequence[FeatureSpec]
) -> list[Missing]:
    """Return the inputs of which a store lacks features."""
    found = (
        Missing(item, tuple(spec for spec in specs if spec.key_of(item.key) not in present))
        for item in inputs
    )
    return [missing for missing in found if missing.specs]


def check_disk(store: PartStore, missing: Sequence[Missing], specs: Sequence[FeatureSpec]) -> None:
    """Log the greatest size of the missing rows.

    Raises:
        DiskTooSmallError: the disk has too little space for them.
    """
    store.folder.mkdir(parents=True, exist_ok=True)
    expected = sum(spec.bytes_of(item.fill) for item, lacking in missing for spec in lacking)
    free = shutil.disk_usage(store.folder).free
    rows = ", ".join(
        f"{sum(spec in lacking for _, lacking in missing):,} x {decimal(spec.row_bytes)}"
        for spec in specs
    )
    logger.info(
        "%s: %s features to make (%s), up to %s; %s free",
        store.folder, specs[0].modality, rows, decimal(expected), decimal(free),
    )  # fmt: skip
    if expected + SPARE_BYTES > free:
        raise DiskTooSmallError(
            f"The {specs[0].modality} features of {len(missing):,} inputs need up to "
            f"{decimal(expected)} (and {decimal(SPARE_BYTES)} to spare), and the disk of "
            f"{store.folder} has {decimal(free)} free. Free some space (`oragen cache compact` "
            "removes unused features), choose fewer corpora or a smaller level (`pooled`), or link "
            "data/ to a larger disk."
        )


def group_inputs(
    inputs: Sequence[FeatureInput], *, group_fill: float, batch_size: int
) -> list[list[FeatureInput]]:
    """Return groups of inputs, in the order in which they are encoded and stored.

    Clips are in a random order that is the same for audio and faces. So a part is a sample of the
    corpus, and the windows of an audio part need few face parts. Within a group the longest inputs
    come first, so that a batch has little padding.

    Args:
        inputs: all.
        group_fill: least size of a group, in whole rows.
        batch_size: groups are multiples of it, except the last one.
    """
    groups: list[list[FeatureInput]] = [[]]
    filled = 0.0
    for item in sorted(inputs, key=lambda item: (_shuffled(item.clip_id), item.key)):
        if filled >= group_fill and len(groups[-1]) % batch_size == 0:
            groups.append([])
            filled = 0.0
        groups[-1].append(item)
        filled += item.fill
    return [sorted(group, key=lambda item: -item.fill) for group in groups]


def _shuffled(clip_id: str) -> str:
    return hashlib.sha256(clip_id.encode()).hexdigest()


@dataclass(frozen=True)
class _Batch:
    items: list[FeatureInput]
    contents: list[np.ndarray]
    prepared: Prepared


class _Runner:
    """Runs an encoder over inputs while threads read and prepare the next batches.

    If a GPU has too little memory for a batch, this batch and all later ones are halved.
    """

    def __init__(self, encoder: Encoder, batch_size: int) -> None:
        self._encoder = encoder
        self._batch_size = batch_size

    def run(
        self, inputs: Sequence[FeatureInput], levels: Sequence[Level]
    ) -> Iterator[tuple[list[FeatureInput], Mapping[Level, Sequence[np.ndarray]]]]:
        """Yield batches of inputs and their embeddings, in order."""
        with ThreadPoolExecutor(NUM_BATCHES_AHEAD) as executor:
            ahead: deque[Future[_Batch]] = deque()
            start = 0
            while start < len(inputs) or ahead:
                while start < len(inputs) and len(ahead) <= NUM_BATCHES_AHEAD:
                    items = list(inputs[start : start + self._batch_size])
                    ahead.append(executor.submit(self._prepare, items))
                    start += len(items)
                batch = ahead.popleft().result()
                yield batch.items, self._embed(batch, levels)

    def _prepare(self, items: list[FeatureInput]) -> _Batch:
        contents = [item.read() for item in items]
        return _Batch(items, contents, self._encoder.prepare(contents))

    def _embed(
        self, batch: _Batch, levels: Sequence[Level]
    ) -> Mapping[Level, Sequence[np.ndarray]]:
        try:
            return self._encoder.embed(batch.prepared, levels)
        except torch.OutOfMemoryError as error:
            if len(batch.items) == 1:
                raise GpuTooSmallError(
                    f"The GPU has too little memory for one input of {batch.items[0].clip_id}: "
                    f"{error}. Use a smaller encoder, precision bf16, or `execution.device: cpu`."
                ) from error
        half = -(-len(batch.items) // 2)
        self._batch_size = min(self._batch_size, half)
        logger.warning(
            "The GPU has too little memory: from here on, batches of %d", self._batch_size
        )
        torch.cuda.empty_cache()  # does nothing where there is no GPU
        items, contents = batch.items, batch.contents
        embedded = [
            self._embed(
                _Batch(items[part], contents[part], self._encoder.prepare(contents[part])), levels
            )
            for part in (slice(0, half), slice(half, None))
        ]
        return {level: [row for rows in embedded for row in rows[level]] for level in levels}

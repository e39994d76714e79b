"""Windows or crops, and a frozen encoder -> the rows of features that the store lacks."""

import hashlib
import logging
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from rich.filesize import decimal
from tqdm import tqdm

from oragen.features.presence import FeatureInput, Missing, find_lacking
from oragen.features.spec import FeatureSpec, check_row
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Level
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter

logger = logging.getLogger(__name__)

NUM_BATCHES_AHEAD: Final = 4  # that are read and prepared, each by a thread of its own
NUM_LAUNCHED: Final = 2  # batches that a GPU knows of: the next one waits there
NUM_WRITERS: Final = 4  # threads that write parts
STORED: Final = torch.float16
SPARE_BYTES: Final = 2**28  # left free on the disk: tables, DVC's own records
Prepared: TypeAlias = Any  # inputs as an encoder prepared them, to embed
Embeddings: TypeAlias = Mapping[Level, Sequence[np.ndarray]]


@runtime_checkable  # so that its users can be type-checked in tests
class Encoder(Protocol):
    """Makes features of inputs. The CPU prepares the next inputs while the network computes."""

    def prepare(self, inputs: list[np.ndarray], /) -> Prepared:
        """Bring inputs into the form that the network takes."""

    def launch(
        self, prepared: Prepared, levels: Collection[Level], dtype: torch.dtype, /
    ) -> Callable[[], Embeddings]:
        """Begin to compute; the result waits for `positions x width` of each input and level."""


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
        missing = find_lacking(store, by_key.values(), specs)
        if missing:
            check_disk(store, missing, specs)
            groups = group_missing(missing, specs, batch_size=batch_size, part_bytes=part_bytes)
            encode_groups(store, groups, encoder, specs, batch_size=batch_size)
    return len(missing)


def group_missing(
    missing: Sequence[Missing],
    specs: Sequence[FeatureSpec],
    *,
    batch_size: int,
    part_bytes: int,
) -> list[list[Missing]]:
    """Return what is missing in groups that make parts, see `group_inputs`.

    Whole groups that are made meanwhile leave all others as they are.
    """
    groups = group_inputs(
        [item for item, _ in missing],
        group_fill=part_bytes * len(specs) / sum(spec.row_bytes for spec in specs),
        batch_size=batch_size,
    )
    lacks = {item.key: lacking for item, lacking in missing}
    return [[Missing(item, lacks[item.key]) for item in group] for group in groups]


def encode_groups(
    store: PartStore,
    groups: Sequence[Sequence[Missing]],
    encoder: Encoder,
    specs: Sequence[FeatureSpec],
    *,
    batch_size: int,
) -> list[str]:
    """Encode and store groups, each in parts of its own; return the names of the parts."""
    missing = [lacking for group in groups for lacking in group]
    lacks = {item.key: lacking for item, lacking in missing}
    tasks = _Tasks([[item for item, _ in group] for group in groups], lacks, specs, batch_size)
    title = f"{specs[0].modality} features"
    with ExitStack() as stack:
        progress = stack.enter_context(tqdm(total=len(missing), desc=title, unit="row"))
        threads = stack.enter_context(ThreadPoolExecutor(NUM_WRITERS))
        writers = {
            spec: stack.enter_context(PartWriter(store, spec.as_json(), None, threads))
            for spec in specs
        }
        for task, embeddings in run(encoder, tasks):
            for spec in task.specs:
                for item, embedding in zip(task.items, embeddings[spec.level], strict=True):
                    if key := lacks[item.key].get(spec):
                        row = embedding[item.kept]
                        check_row(row, spec, item.clip_id)
                        writers[spec].add(key, item.clip_id, row)
            progress.update(len(task.items))
            if task.ends_group:
                for writer in writers.values():
                    writer.write_part()
    return sorted(part.name for writer in writers.values() for part in writer.written)


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


class _Task(NamedTuple):
    """A batch of inputs, and the kinds of features to make of them."""

    items: list[FeatureInput]
    specs: list[FeatureSpec]
    ends_group: bool

    @property
    def levels(self) -> list[Level]:
        return [spec.level for spec in self.specs]


class _Tasks:
    """Groups of inputs -> tasks, in order; their size may shrink on the way."""

    def __init__(
        self,
        groups: Sequence[Sequence[FeatureInput]],
        lacks: Mapping[str, Mapping[FeatureSpec, str]],
        specs: Sequence[FeatureSpec],
        batch_size: int,
    ) -> None:
        self._groups = groups
        self._lacks = lacks
        self._specs = specs
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[_Task]:
        for group in self._groups:
            wanted = [
                spec for spec in self._specs if any(spec in self._lacks[item.key] for item in group)
            ]
            start = 0
            while start < len(group):
                items = list(group[start : start + self.batch_size])
                start += len(items)
                yield _Task(items, wanted, ends_group=start == len(group))


class _Batch(NamedTuple):
    task: _Task
    contents: list[np.ndarray]
    prepared: Prepared


def run(encoder: Encoder, tasks: _Tasks) -> Iterator[tuple[_Task, Embeddings]]:
    """Yield tasks and their embeddings, in order.

    Threads read and prepare the next batches, and a GPU has the next one when it ends one. If it
    has too little memory for a batch, this batch and all later ones are halved. Before an error is
    raised, what was launched before it is yielded.
    """
    launched: deque[tuple[_Task, Callable[[], Embeddings]]] = deque()
    try:
        for batch in _prepare_ahead(encoder, tasks):
            launched.append((batch.task, _launch(encoder, batch, tasks)))
            if len(launched) == NUM_LAUNCHED:
                yield _finish_first(launched)
    except Exception:
        while launched:
            yield _finish_first(launched)
        raise
    while launched:
        yield _finish_first(launched)


def _finish_first(
    launched: deque[tuple[_Task, Callable[[], Embeddings]]],
) -> tuple[_Task, Embeddings]:
    task, wait = launched.popleft()
    return task, wait()


def _prepare_ahead(encoder: Encoder, tasks: Iterable[_Task]) -> Iterator[_Batch]:
    """Yield batches in order, while threads read and prepare the next ones."""
    with ThreadPoolExecutor(NUM_BATCHES_AHEAD) as executor:
        ahead: deque[Future[_Batch]] = deque()
        for task in tasks:
            ahead.append(executor.submit(_prepare, encoder, task))
            if len(ahead) > NUM_BATCHES_AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _prepare(encoder: Encoder, task: _Task) -> _Batch:
    contents = [item.read() for item in task.items]
    return _Batch(task, contents, encoder.prepare(contents))


def _launch(encoder: Encoder, batch: _Batch, tasks: _Tasks) -> Callable[[], Embeddings]:
    items = batch.task.items
    try:
        return encoder.launch(batch.prepared, batch.task.levels, STORED)
    except RuntimeError as error:
        if not _lacks_memory(error):
            raise
        if len(items) == 1:
            raise GpuTooSmallError(
                f"The GPU has too little memory for one input of {items[0].clip_id}: {error}. "
                "Use a smaller encoder, precision bf16, or `execution.device: cpu`."
            ) from error
    half = -(-len(items) // 2)
    tasks.batch_size = min(tasks.batch_size, half)
    logger.warning("The GPU has too little memory: from here on, batches of %d", tasks.batch_size)
    torch.cuda.empty_cache()  # does nothing where there is no GPU
    halves = [
        _launch(
            encoder,
            _Batch(
                batch.task._replace(items=items[part]),
                batch.contents[part],
                encoder.prepare(batch.contents[part]),
            ),
            tasks,
        )
        for part in (slice(0, half), slice(half, None))
    ]
    return lambda: _join([wait() for wait in halves])


def _lacks_memory(error: RuntimeError) -> bool:
    """Return whether a GPU has too little memory; libraries below torch only say it in words."""
    return isinstance(error, torch.OutOfMemoryError) or "STATUS_ALLOC_FAILED" in str(error)


def _join(parts: Sequence[Embeddings]) -> Embeddings:
    return {level: [row for part in parts for row in part[level]] for level in parts[0]}

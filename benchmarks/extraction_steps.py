"""The steps of extraction, each alone: reading, preparing, copying, computing, copying, writing."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.extraction import Ours
from oragen.encoders.copying import Returning, send
from oragen.features.extraction import NUM_WRITERS, extract
from oragen.features.presence import FeatureInput
from oragen.features.spec import FeatureSpec
from oragen.models.unimodal.waveforms import normalise_raw
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Level, Modality
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from oragen.store.writing import PartWriter

LEVELS: Final[tuple[Level, ...]] = ("intermediate",)
WINDOW_S: Final = 4
CROP_PX: Final = 224
NUM_CLIPS: Final = 8  # whose sound and crops are in the store
PART_BYTES: Final = 128 * 2**20
SECONDS: Final = 128  # of each clip


@contextmanager
def stored_inputs(modality: Modality, number: int) -> Iterator[list[FeatureInput]]:
    """Yield inputs that are read from parts as the stages read them, some of them several times."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        store = PartStore(Path(folder), "h5")
        with PartWriter(store, {"values": "random"}, PART_BYTES) as writer:
            for clip in range(NUM_CLIPS):
                writer.add(f"{clip:032x}", f"{clip}", _make_content(modality, generator))
        parts = stack.enter_context(OpenParts(store))
        yield [
            FeatureInput(
                f"{place}", f"{place % NUM_CLIPS}", 1.0, partial(_read, parts, modality, place)
            )
            for place in range(number)
        ]


def _make_content(modality: Modality, generator: np.random.Generator) -> np.ndarray:
    if modality == "audio":
        return generator.normal(scale=3000, size=SECONDS * SAMPLE_RATE_HZ).astype(np.int16)
    return generator.integers(0, 256, (SECONDS, CROP_PX, CROP_PX, 3), np.uint8)


def _read(parts: OpenParts, modality: Modality, place: int) -> np.ndarray:
    clip, number = place % NUM_CLIPS, place // NUM_CLIPS
    start, stop = number % SECONDS, number % SECONDS + 1  # the crop of a second
    if modality == "audio":
        length = WINDOW_S * SAMPLE_RATE_HZ
        start = number * length // 2 % (SECONDS * SAMPLE_RATE_HZ - length)
        stop = start + length
    values = parts.read(f"{clip:032x}", start, stop)
    return values if modality == "audio" else np.asarray(values[0])


def list_steps(
    ours: Ours, modality: Modality, inputs: list[FeatureInput]
) -> dict[str, Callable[[], object]]:
    """Return the steps of extracting inputs, by name; each can run alone.

    Where the content of a batch does not matter, the first one stands for all.
    """
    encoder: Any = ours.encoders[modality]
    device, batch_size = encoder.network.device, ours.batch_sizes[modality]
    contents = [item.read() for item in inputs]
    batches = [contents[start : start + batch_size] for start in range(0, len(inputs), batch_size)]
    first = encoder.prepare(batches[0])
    sent = [send(tensor, device) for tensor in _tensors(first)]
    features = encoder(*_arguments(encoder, first), LEVELS)
    [row, *_] = encoder.launch(first, LEVELS, torch.float16)()["intermediate"]
    spec = ours.make_spec(modality)

    def for_each_batch(do: Callable[[], object]) -> Callable[[], None]:
        def repeat() -> None:
            for _ in batches:
                do()
            if device.type == "cuda":
                torch.cuda.synchronize()

        return repeat

    def copy_back() -> None:
        Returning(features, torch.float16).wait()

    return {
        "read": lambda: [item.read() for item in inputs],
        "prepare": lambda: [encoder.prepare(batch) for batch in batches],
        "copy to the device": for_each_batch(
            lambda: [send(tensor, device) for tensor in _tensors(first)]
        ),
        "compute": for_each_batch(lambda: encoder(*_arguments(encoder, sent), LEVELS)),
        "copy back": for_each_batch(copy_back),
        "write": partial(_write, spec, row, inputs),
        "whole extraction": partial(extract_inputs, ours, modality, inputs),
    }


def _tensors(prepared: Any) -> list[torch.Tensor]:
    if isinstance(prepared, torch.Tensor):
        return [prepared]
    [waveforms] = prepared.batches  # a single one, as all windows have one length
    return [waveforms.samples]


def _arguments(encoder: Any, prepared: Any) -> list[Any]:
    """Return the arguments of an encoder's `forward`, on its device, except the levels."""
    tensors = prepared if isinstance(prepared, list) else _tensors(prepared)
    [tensor] = [send(tensor, encoder.network.device) for tensor in tensors]
    match tensor.dtype:
        case torch.uint8:
            tensor = encoder.scale(tensor)
        case torch.int16:
            tensor = normalise_raw(tensor, None)
    return [tensor] if tensor.ndim == 4 else [tensor, None]


def _write(spec: FeatureSpec, row: np.ndarray, inputs: list[FeatureInput]) -> None:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(NUM_WRITERS) as threads:
        store = PartStore(Path(folder), "zarr")
        with PartWriter(store, spec.as_json(), PART_BYTES, threads) as writer:
            for item in inputs:
                writer.add(spec.key_of(item.key), item.clip_id, row.copy())


def extract_inputs(ours: Ours, modality: Modality, inputs: list[FeatureInput]) -> None:
    """Extract into an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        extract(
            PartStore(Path(folder), "zarr"),
            inputs,
            ours.encoders[modality],
            [ours.make_spec(modality)],
            batch_size=ours.batch_sizes[modality],
            part_bytes=PART_BYTES,
        )

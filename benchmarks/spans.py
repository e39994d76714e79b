"""Long speech in overlapping windows -> seconds and bytes a window, by windows and by stretches.

The encoder has the published size and random weights: this does not change the times.
"""

import logging
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from transformers import Wav2Vec2FeatureExtractor

from benchmarks.extraction import BATCH_SIZES, make_networks
from benchmarks.measuring import Value, show, time_in_turns
from oragen.detection.windows import slide
from oragen.encoders import AudioEncoder
from oragen.features.extraction import extract
from oragen.features.presence import FeatureInput
from oragen.features.spec import FeatureSpec
from oragen.features.stretches import Grid, Stretching, cut_stretches
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Precision, Span
from oragen.store.inventory import size_on_disk
from oragen.store.parts import PartStore
from oragen.training.devices import choose_device
from stages.running import keep_freed_memory

WINDOW: Final = 4 * SAMPLE_RATE_HZ
HOP: Final = 2 * SAMPLE_RATE_HZ


def make_clips(num_clips: int, length_s: float) -> list[np.ndarray]:
    """Make sound that is speech from its beginning to its end."""
    random = np.random.default_rng(0)
    num_samples = round(length_s * SAMPLE_RATE_HZ)
    return [random.normal(scale=3000, size=num_samples).astype(np.int16) for _ in range(num_clips)]


def cut(clip: np.ndarray) -> list[Span]:
    """Return the windows of a clip, each of which shares half of its sound with the next."""
    return [*slide(Span(0, len(clip)), length=WINDOW, hop=HOP, min_length=SAMPLE_RATE_HZ)]


def list_windows(clips: Sequence[np.ndarray]) -> list[FeatureInput]:
    """Return each window as an input by itself."""
    return [
        FeatureInput(
            f"{number} {span.start}",
            f"{number}",
            (span.stop - span.start) / WINDOW,
            partial(_read, clip, span),
        )
        for number, clip in enumerate(clips)
        for span in cut(clip)
    ]


def list_stretches(clips: Sequence[np.ndarray], stretching: Stretching) -> list[FeatureInput]:
    """Return the stretches that hold the windows."""
    return [
        FeatureInput(
            f"{number} {stretch.frames.start}",
            f"{number}",
            (stretch.frames.stop - stretch.frames.start) / stretching.length,
            partial(_read, clip, stretch.sound),
            stretch.kept,
        )
        for number, clip in enumerate(clips)
        for stretch in cut_stretches(cut(clip), len(clip), stretching)[0]
    ]


def _read(clip: np.ndarray, span: Span) -> np.ndarray:
    return clip[span.start : span.stop]


def extract_into(
    folder: Path,
    inputs: Sequence[FeatureInput],
    encoder: AudioEncoder,
    spec: FeatureSpec,
    batch_size: int,
    cpu_seconds: list[float],
) -> None:
    """Extract into an empty store, and note what it took of all cores."""
    began = time.process_time()
    with tempfile.TemporaryDirectory(dir=folder) as emptied:
        store = PartStore(Path(emptied), "zarr")
        extract(
            store, inputs, encoder, [spec], batch_size=batch_size, part_bytes=128 * 2**20
        )  # fmt: skip
        cpu_seconds.append(time.process_time() - began)
        (folder / "bytes").write_text(str(sum(map(size_on_disk, store.parts()))))


def main(
    num_clips: Annotated[int, typer.Option(help="How many clips.")] = 2,
    length_s: Annotated[float, typer.Option(help="Length of each, in seconds.")] = 60.0,
    stretch_s: Annotated[float, typer.Option(help="As features.audio.stretch_s.")] = 10.0,
    context_s: Annotated[float, typer.Option(help="As features.audio.context_s.")] = 0.2,
    repeats: Annotated[int, typer.Option(help="Passes of each way, in turns.")] = 3,
    precision: Annotated[Precision, typer.Option(help="What the encoder computes in.")] = "bf16",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    num_layers: Annotated[
        int | None, typer.Option(help="Layers of each encoder; default: as published.")
    ] = None,
) -> None:
    """Time the extraction of audio features by windows and by stretches."""
    logging.disable(logging.INFO)
    keep_freed_memory()
    chosen = choose_device(device)
    network, _ = make_networks(chosen, num_layers)
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    encoder = AudioEncoder(network, extractor, precision)
    stretching = Stretching.from_seconds(stretch_s, context_s, Grid(*encoder.frame_samples))
    describe = partial(
        FeatureSpec, "audio", "random", "random", "0" * 64, "intermediate", precision,
        encoder.feature_shape(WINDOW),
    )  # fmt: skip
    clips = make_clips(num_clips, length_s)
    windows = list_windows(clips)
    of_windows = BATCH_SIZES[chosen.type]["audio"]
    of_stretches = max(1, round(of_windows * WINDOW / SAMPLE_RATE_HZ / stretch_s))
    with tempfile.TemporaryDirectory() as folder:
        by_window, by_clip = Path(folder, "window"), Path(folder, "clip")
        by_window.mkdir()
        by_clip.mkdir()
        cpu: dict[str, list[float]] = {"window": [], "clip": []}
        ways = {
            "window": partial(
                extract_into, by_window, windows, encoder, describe(), of_windows,
                cpu["window"],
            ),
            "clip": partial(
                extract_into, by_clip, list_stretches(clips, stretching), encoder,
                describe(stretching), of_stretches, cpu["clip"],
            ),
        }  # fmt: skip
        timings = time_in_turns(ways, repeats=repeats)
        sizes = {name: int(Path(folder, name, "bytes").read_text()) for name in ways}
    rows: list[dict[str, Value]] = [
        {
            "span": name,
            "s/window": timing.median / len(windows),
            "windows/s": len(windows) / timing.median,
            "times by windows": timings["window"].median / timing.median,
            # Which other programs on the same cores disturb less.
            "CPU s/window": statistics.median(cpu[name][1:]) / len(windows),
            "KB a window": sizes[name] / len(windows) / 1000,
            "bytes beside windows": sizes[name] / sizes["window"],
        }
        for name, timing in timings.items()
    ]
    show(
        "spans", f"Audio of {num_clips} clips of {length_s:g} s, medians of {repeats}", rows,
        precision=precision, stretch_s=stretch_s, context_s=context_s, device=str(chosen),
        threads=torch.get_num_threads(), windows=len(windows),
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)

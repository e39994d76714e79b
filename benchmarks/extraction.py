"""Windows and encoders of the published sizes -> windows per second, ours and the published way.

The weights are random, from a config: this does not change the times.
"""

import logging
import tempfile
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
import typer
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

from benchmarks.measuring import Value, show, time_in_turns
from benchmarks.published_way import (
    NUM_SLOTS,
    WINDOW_SAMPLES,
    Window,
    default_allocator,
    embed_faces,
    embed_sound,
    write_pickle,
)
from oragen.encoders import AudioEncoder, FaceEncoder
from oragen.features.extraction import extract
from oragen.features.presence import FeatureInput
from oragen.features.spec import FeatureSpec
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Modality, Precision
from oragen.store.parts import PartStore
from oragen.training.devices import choose_device
from stages.running import keep_freed_memory

# Quantiles of the 44 windows that params.yaml cuts out of 12 real clips of about 7 s each.
SPEECH_LENGTHS_S: Final = (4.0, 1.0, 3.1, 2.1, 3.9, 1.5, 2.7, 4.0, 1.1, 2.9, 2.4, 3.6)
BATCH_SIZES: Final[dict[str, dict[Modality, int]]] = {  # large enough to use the whole device
    "cpu": {"audio": 8, "face": 16},
    "cuda": {"audio": 64, "face": 256},
}


def make_networks(
    device: torch.device, num_layers: int | None = None
) -> tuple[Wav2Vec2Model, ViTModel]:
    """Build wav2vec 2.0 large (24 layers) and ViT-B/16 (12), or both with fewer, on a device."""
    torch.manual_seed(0)
    audio = Wav2Vec2Config(
        hidden_size=1024,
        num_hidden_layers=num_layers or 24,
        num_attention_heads=16,
        intermediate_size=4096,
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )
    face = ViTConfig(num_hidden_layers=num_layers or 12)
    networks = Wav2Vec2Model(audio), ViTModel(face, add_pooling_layer=False)
    return networks[0].eval().to(device), networks[1].eval().to(device)


def make_windows(num_windows: int, lengths_s: tuple[float, ...]) -> list[Window]:
    """Make windows of one clip, 2 s apart: each shares two of its four crops with the next."""
    random = np.random.default_rng(0)
    crops = list(random.integers(0, 256, (2 * num_windows + 2, 224, 224, 3), dtype=np.uint8))
    lengths = [round(lengths_s[n % len(lengths_s)] * SAMPLE_RATE_HZ) for n in range(num_windows)]
    return [
        Window(
            random.normal(scale=3000, size=length).astype(np.int16),
            crops[2 * number : 2 * number + NUM_SLOTS],
        )
        for number, length in enumerate(lengths)
    ]


def list_inputs(windows: list[Window]) -> dict[Modality, list[FeatureInput]]:
    """Return the inputs of extraction: the audio of each window, and each crop once."""
    crops = {id(crop): crop for window in windows for crop in window.crops}
    return {
        "audio": [
            FeatureInput(
                f"{number}",
                "clip",
                len(window.sound) / WINDOW_SAMPLES,
                partial(np.asarray, window.sound),
            )
            for number, window in enumerate(windows)
        ],
        "face": [
            FeatureInput(f"{number}", "clip", 1.0, partial(np.asarray, crop))
            for number, crop in enumerate(crops.values())
        ],
    }


class Ours:
    """The two encoders in one precision, and the extraction of the stages."""

    def __init__(self, audio: Wav2Vec2Model, face: ViTModel, precision: Precision) -> None:
        self.batch_sizes = BATCH_SIZES[audio.device.type]
        extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
        processor = ViTImageProcessor(size={"height": 224, "width": 224})
        self.precision: Precision = precision
        self.encoders: dict[Modality, AudioEncoder | FaceEncoder] = {
            "audio": AudioEncoder(audio, extractor, precision),
            "face": FaceEncoder(face, processor, precision),
        }
        self.shapes: dict[Modality, tuple[int, int]] = {"audio": (199, 1024), "face": (13, 768)}

    def make_spec(self, modality: Modality) -> FeatureSpec:
        """Describe the features of a modality."""
        return FeatureSpec(
            modality, "random", "random", "0" * 64, "intermediate", self.precision,
            self.shapes[modality],
        )  # fmt: skip

    def extract(self, windows: list[Window], modality: Modality) -> None:
        """Extract into an empty store."""
        with tempfile.TemporaryDirectory() as folder:
            extract(
                PartStore(Path(folder), "zarr"),
                list_inputs(windows)[modality],
                self.encoders[modality],
                [self.make_spec(modality)],
                batch_size=self.batch_sizes[modality],
                part_bytes=128 * 2**20,
            )

    def embed(self, windows: list[Window], modality: Modality, batch_size: int) -> list[np.ndarray]:
        """Return the embeddings, before they are rounded to float16."""
        inputs = [item.read() for item in list_inputs(windows)[modality]]
        starts = range(0, len(inputs), batch_size)
        encoder = self.encoders[modality]
        return [
            row for start in starts for row in encoder.encode(inputs[start : start + batch_size])
        ]


def embed_published_way(
    windows: list[Window], audio: Wav2Vec2Model, face: ViTModel, modality: Modality
) -> None:
    """Encode one modality of one window after the other, and write a pickle for each."""
    with default_allocator(), tempfile.TemporaryDirectory() as folder:
        for number, window in enumerate(windows):
            features = (
                embed_sound(window, audio) if modality == "audio" else embed_faces(window, face)
            )
            write_pickle(Path(folder) / f"{number:06}.pickle", {modality: features})


def compare(exact: list[np.ndarray], other: list[np.ndarray]) -> tuple[float, float]:
    """Return the lowest cosine between rows (positions), and the greatest difference."""
    one, two = np.concatenate(exact), np.concatenate(other)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    cosines = (one * two).sum(axis=1) / norms
    return float(cosines.min()), float(np.abs(one - two).max())


def count_flops(
    ours: Ours, windows: list[Window], modalities: Collection[Modality] = ("audio", "face")
) -> float:
    """Return floating-point operations for a window, of these modalities, without padding."""
    with FlopCounterMode(display=False) as counter:
        for modality in modalities:
            ours.embed(windows, modality, batch_size=1)
    return float(counter.get_total_flops() / len(windows))


def measure_matmul(device: torch.device, dtype: torch.dtype) -> float:
    """Return operations per second of a large matrix product: the upper bound for a network."""
    size = 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size, device=device, dtype=dtype)

    def multiply() -> None:
        torch.mm(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return 2 * size**3 / time_in_turns({"": multiply}, repeats=5)[""].lowest


def main(
    num_windows: Annotated[int, typer.Option(help="How many windows in a pass.")] = 12,
    repeats: Annotated[int, typer.Option(help="Passes of each way, in turns.")] = 3,
    full_length: Annotated[
        bool, typer.Option(help="All windows 4 s long, not as long as in speech.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Time extraction the published way, and ours in fp32 and bf16."""
    logging.disable(logging.INFO)
    keep_freed_memory()
    chosen = choose_device(device)
    windows = make_windows(num_windows, (4.0,) if full_length else SPEECH_LENGTHS_S)
    audio, face = make_networks(chosen)
    precisions: tuple[Precision, ...] = ("fp32", "bf16")
    ours = {precision: Ours(audio, face, precision) for precision in precisions}
    seconds: dict[Modality, dict[str, float]] = {}
    closeness: dict[Modality, dict[str, tuple[float, float]]] = {}
    for modality in ("audio", "face"):
        ways = {"published": partial(embed_published_way, windows, audio, face, modality)}
        ways |= {name: partial(way.extract, windows, modality) for name, way in ours.items()}
        timings = time_in_turns(ways, repeats=repeats)
        seconds[modality] = {name: timing.median / num_windows for name, timing in timings.items()}
        exact = ours["fp32"].embed(windows, modality, batch_size=1)
        closeness[modality] = {
            name: compare(exact, way.embed(windows, modality, way.batch_sizes[modality]))
            for name, way in ours.items()
        }
    totals = {name: seconds["audio"][name] + seconds["face"][name] for name in seconds["audio"]}
    flops = count_flops(ours["fp32"], windows[:12])
    rates = {"fp32": torch.float32, "bf16": torch.bfloat16}
    rows: list[dict[str, Value]] = [
        {
            "way": name,
            "audio s/window": seconds["audio"][name],
            "face s/window": seconds["face"][name],
            "windows/s": 1 / total,
            "times the published": totals["published"] / total,
            "lowest cosine": min(found[name][0] for found in closeness.values())
            if name in ours else None,
            "greatest difference": max(found[name][1] for found in closeness.values())
            if name in ours else None,
            "share of matmul rate": flops / total / measure_matmul(chosen, rates[name])
            if name in ours else None,
        }
        for name, total in totals.items()
    ]  # fmt: skip
    lengths = "4 s long" if full_length else "as long as in speech"
    show(
        "extraction", f"Extraction, {num_windows} windows {lengths}, medians of {repeats}", rows,
        compared_with="the same windows one at a time, in fp32", device=str(chosen),
        threads=torch.get_num_threads(), gflop_a_window=flops / 1e9,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)

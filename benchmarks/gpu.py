"""Encoders of the published sizes on a device -> windows per second of each step of extraction.

Each step is measured alone. In extraction the steps run at the same time, so that the slowest one
limits the rate. Without a GPU the steps run on the CPU, with fewer windows.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

import torch
import typer

from benchmarks.extraction import (
    Ours,
    count_flops,
    list_inputs,
    make_networks,
    make_windows,
    measure_matmul,
)
from benchmarks.measuring import Value, show, time_in_turns
from oragen.encoders.audio import PreparedSounds
from oragen.features.extraction import Encoder
from oragen.schema.vocabulary import Level, Modality
from oragen.training.devices import choose_device

LEVELS: Final[tuple[Level, ...]] = ("intermediate",)
MODALITIES: Final[tuple[Modality, ...]] = ("audio", "face")
WINDOW_LENGTHS_S: Final = (4.0,)  # of all windows
NUM_WINDOWS: Final = {"cuda": 512, "cpu": 8}


def list_steps(ours: Ours, modality: Modality, num_windows: int) -> dict[str, Callable[[], object]]:
    """Return the steps of extracting so many windows, by name; each can run alone."""
    encoder, batch_size = ours.encoders[modality], ours.batch_sizes[modality]
    windows = make_windows(num_windows, WINDOW_LENGTHS_S)
    inputs = [item.read() for item in list_inputs(windows)[modality]]
    batches = [inputs[start : start + batch_size] for start in range(0, len(inputs), batch_size)]
    first = encoder.prepare(batches[0])  # in place of each batch, where content does not matter
    device = encoder.network.device
    first_on_device = _to_device(first, device)
    embed: Encoder = encoder

    def compute() -> None:
        for _ in batches:
            encoder(*first_on_device, LEVELS)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return {
        "prepare": lambda: [encoder.prepare(batch) for batch in batches],
        "compute": compute,
        "copy, compute, copy back": lambda: [embed.embed(first, LEVELS) for _ in batches],
        "whole extraction": partial(ours.extract, windows, modality),
    }


def _to_device(prepared: PreparedSounds | torch.Tensor, device: torch.device) -> list[torch.Tensor]:
    """Return the arguments of an encoder's `forward`, except the levels."""
    if isinstance(prepared, torch.Tensor):
        return [prepared.to(device)]
    [waveforms] = prepared.batches  # a single one, as all windows have one length
    return [tensor.to(device) for tensor in waveforms]


def main(
    num_windows: Annotated[
        int | None, typer.Option(help="Windows of 4 s; default: 512 on a GPU, 8 on the CPU.")
    ] = None,
    repeats: Annotated[int, typer.Option(help="Passes of each step, in turns.")] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Time each step of extraction in bf16, and compare it with the rate of a matrix product."""
    logging.disable(logging.INFO)
    chosen = choose_device(device)
    count = num_windows or NUM_WINDOWS[chosen.type]
    audio, face = make_networks()
    audio.to(chosen)
    face.to(chosen)
    ours = Ours(audio, face, "bf16")
    rows: list[dict[str, Value]] = []
    matrix_rate = measure_matmul(chosen, torch.bfloat16)
    for modality in MODALITIES:
        flops = count_flops(ours, make_windows(4, WINDOW_LENGTHS_S), [modality])
        timings = time_in_turns(list_steps(ours, modality, count), repeats=repeats)
        rows += [
            {
                "modality": modality,
                "step": step,
                "windows/s": count / timing.median,
                "share of matmul rate": flops * count / timing.median / matrix_rate
                if step != "prepare" else None,
            }
            for step, timing in timings.items()
        ]  # fmt: skip
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else "cpu"
    show(
        "gpu", f"Steps of extraction, {count} windows of 4 s, medians of {repeats}", rows,
        device=name, matmul_tflops=matrix_rate / 1e12,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)

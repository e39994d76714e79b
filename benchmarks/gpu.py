"""Encoders of the published sizes on a GPU -> the rate of each step of extraction.

A step is measured alone: so the slowest of those that go on side by side is the limit of all.
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
from oragen.features.extraction import Encoder
from oragen.schema.vocabulary import Level, Modality
from oragen.training.devices import choose_device

LEVELS: Final[tuple[Level, ...]] = ("intermediate",)


def list_steps(ours: Ours, modality: Modality, num_windows: int) -> dict[str, Callable[[], object]]:
    """Name the steps of extracting so many windows, each of which can be run alone."""
    encoder, batch_size = ours.encoders[modality], ours.batch_sizes[modality]
    windows = make_windows(num_windows, (4.0,))
    items = list_inputs(windows)[modality]
    contents = [item.read() for item in items]
    batches = [
        contents[start : start + batch_size] for start in range(0, len(contents), batch_size)
    ]
    prepared = encoder.prepare(batches[0])
    device = encoder.network.device
    on_device = _to_device(prepared, device)
    embed: Encoder = encoder

    def compute() -> None:
        for _ in batches:
            encoder(*on_device, LEVELS)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return {
        "prepare": lambda: [encoder.prepare(batch) for batch in batches],
        "compute": compute,
        "copy, compute, copy back": lambda: [embed.embed(prepared, LEVELS) for _ in batches],
        "whole extraction": partial(ours.extract, windows, modality),
    }


def _to_device(prepared: object, device: torch.device) -> list[torch.Tensor]:
    if isinstance(prepared, torch.Tensor):
        return [prepared.to(device)]
    [waveforms] = prepared.batches  # type: ignore[attr-defined]
    return [tensor.to(device) for tensor in waveforms]


def main(
    num_windows: Annotated[int, typer.Option(help="How many windows of 4 s.")] = 512,
    repeats: Annotated[int, typer.Option(help="Passes of each step, in turns.")] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Time each step of extraction in bf16, and say what share of the matrix rate it uses."""
    logging.disable(logging.INFO)
    chosen = choose_device(device)
    audio, face = make_networks()
    audio.to(chosen)  # type: ignore[arg-type]  # its decorator hides that it is a method
    face.to(chosen)  # type: ignore[arg-type]
    ours = Ours(audio, face, "bf16")
    rows: list[dict[str, Value]] = []
    matrix_rate = measure_matmul(chosen, torch.bfloat16)
    modalities: tuple[Modality, ...] = ("audio", "face")
    for modality in modalities:
        flops = count_flops(ours, make_windows(4, (4.0,)), [modality])
        timings = time_in_turns(list_steps(ours, modality, num_windows), repeats=repeats)
        rows += [
            {
                "modality": modality,
                "step": step,
                "windows/s": num_windows / timing.median,
                "share of matmul rate": flops * num_windows / timing.median / matrix_rate
                if step != "prepare" else None,
            }
            for step, timing in timings.items()
        ]  # fmt: skip
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else "cpu"
    show(
        "gpu", f"Steps of extraction, {num_windows} windows of 4 s, medians of {repeats}", rows,
        device=name, matmul_tflops=matrix_rate / 1e12,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)

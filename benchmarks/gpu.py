"""A device -> what it reaches: extraction by its steps, fine-tuning, training, and lack of memory.

Encoders have the published sizes and random weights. Each step of extraction is measured alone; in
a whole extraction they run at the same time, so that the slowest limits it.
"""

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
from benchmarks.extraction_steps import WINDOW_S, extract_inputs, list_steps, stored_inputs
from benchmarks.finetuning import time_finetuning
from benchmarks.measuring import Row, show, time_in_turns, to_row
from benchmarks.training import time_epochs
from oragen.features.extraction import logger as extraction_log
from oragen.schema.vocabulary import Modality
from oragen.training.devices import choose_device

MODALITIES: Final[tuple[Modality, ...]] = ("audio", "face")
UNITS: Final[dict[Modality, str]] = {"audio": "windows/s", "face": "crops/s"}
CROPS_A_WINDOW: Final = 4  # enough for several parts
SIZES: Final = {  # windows to extract, windows to train on, examples of a fine-tuning step
    "cuda": (4096, 2560, 16),
    "cpu": (8, 256, 1),
}
LEFT_BYTES: Final = 3 * 2**29  # of the GPU's memory, too little for a whole batch


def main(
    num_windows: Annotated[
        int | None, typer.Option(help="Windows of 4 s; default: 4096 on a GPU, 8 on the CPU.")
    ] = None,
    repeats: Annotated[int, typer.Option(help="Passes of each step, in turns.")] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    num_layers: Annotated[
        int | None, typer.Option(help="Layers of each encoder; default: as published.")
    ] = None,
    tests: Annotated[bool, typer.Option(help="Run the tests marked `gpu` too.")] = True,
) -> None:
    """Time extraction by its steps, fine-tuning and training in bf16, beside a matrix product.

    A few minutes on a GPU; on a CPU it does less. It needs no more than a machine with torch,
    torchvision, transformers, timm, h5py, pandas, pyarrow and scikit-learn, and wheels of: zarr,
    numcodecs, donfig, google-crc32c, lightning-fabric, lightning-utilities, jaxtyping, beartype,
    pydantic, pydantic-core, annotated-types, typing-inspection, einops, ruamel.yaml,
    ruamel.yaml.clib. The tests marked `gpu` also need av and silero-vad. In all under 64 MB.
    """
    logging.disable(logging.INFO)
    chosen = choose_device(device)
    default, num_trained, batch_size = SIZES[chosen.type]
    matrix_rate = measure_matmul(chosen, torch.bfloat16)
    rows: list[Row] = []
    audio, face = make_networks(chosen, num_layers)
    ours = Ours(audio, face, "bf16")
    for modality in MODALITIES:
        number = (num_windows or default) * (CROPS_A_WINDOW if modality == "face" else 1)
        rows += time_extraction(ours, modality, number, matrix_rate, repeats)
        if chosen.type == "cuda":
            rows.append(halve_batches(ours, modality))
    rows += time_finetuning(audio, face, chosen, batch_size=batch_size, repeats=repeats)
    del ours, audio, face
    rows += time_epochs(chosen, num_trained, repeats=repeats)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else "cpu"
    show(
        "gpu", f"What a device reaches in bf16, medians of {repeats}", rows,
        device=name, matmul_tflops=matrix_rate / 1e12, torch=torch.__version__,
        gpu_tests=run_tests() if tests and chosen.type == "cuda" else None,
    )  # fmt: skip


def time_extraction(
    ours: Ours, modality: Modality, num_inputs: int, matrix_rate: float, repeats: int
) -> Iterator[Row]:
    """Yield the rate of each step of extraction, and its share of the rate of a matrix product."""
    windows = make_windows(4, (WINDOW_S,))
    flops = (
        count_flops(ours, windows, [modality]) * len(windows) / len(list_inputs(windows)[modality])
    )
    with stored_inputs(modality, num_inputs) as inputs:
        timings = time_in_turns(list_steps(ours, modality, inputs), repeats=repeats)
    for step, timing in timings.items():
        rate = num_inputs / timing.median
        computes = step in ("compute", "whole extraction")
        share = flops * rate / matrix_rate if computes else None
        yield to_row(f"{modality}: {step}", rate, UNITS[modality], share)


def halve_batches(ours: Ours, modality: Modality) -> Row:
    """Extract where the GPU has too little memory for a batch; return what is said of it."""
    size = ours.batch_sizes[modality]
    with stored_inputs(modality, 4 * size) as inputs, keep_warnings() as warnings:
        torch.cuda.empty_cache()
        free_bytes, _ = torch.cuda.mem_get_info()
        taken = torch.empty(free_bytes - LEFT_BYTES, dtype=torch.uint8, device="cuda")
        extract_inputs(ours, modality, inputs)
        del taken
        torch.cuda.empty_cache()
    last = warnings[-1].removeprefix("The GPU has too little memory: ") if warnings else "none"
    return to_row(
        f"{modality}: {4 * size} inputs, {LEFT_BYTES / 1e9:.1f} GB free: {last}", None, ""
    )


@contextmanager
def keep_warnings() -> Iterator[list[str]]:
    """Collect what extraction says in the block."""
    kept: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: kept.append(record.getMessage())  # type: ignore[method-assign]
    extraction_log.addHandler(handler)
    yield kept
    extraction_log.removeHandler(handler)


def run_tests() -> str:
    """Run the tests of what only a GPU shows; return the last line of what pytest prints."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    found = subprocess.run([*command, "tests/test_gpu.py"], capture_output=True, text=True)
    return found.stdout.strip().splitlines()[-1]


if __name__ == "__main__":
    typer.run(main)

"""What a module must not load to do its work, in an interpreter of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from oragen.models.heads import save_head
from tests.small_heads import make_head

DECODING = "oragen.media.audio, oragen.media.verified, oragen.detection.faces, cv2"


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("stages.make_datasets, stages.report", ["torch"]),
        ("oragen.predictor.output", ["matplotlib"]),
        ("oragen.cli", ["numpy", "pydantic", "pandas", "torch"]),
        ("oragen.encoders", ["timm"]),
        (DECODING, ["torch", "transformers", "pandas", "zarr", "h5py"]),
    ],
)
def test_importing_loads_nothing_heavy(modules: str, heavy: list[str]) -> None:
    assert find_loaded(heavy, f"import {modules}") == []


def test_a_saved_head_loads_without_the_compiler(tmp_path: Path) -> None:
    save_head(tmp_path, make_head("cross_attention"), {})
    load = f"load_head(pathlib.Path({str(tmp_path)!r}))"
    code = f"import pathlib; from oragen.models.heads import load_head; {load}"
    assert find_loaded(["torch._dynamo"], code) == []


def find_loaded(heavy: list[str], code: str) -> list[str]:
    """Return which of some modules the code loads."""
    code += f"; import sys; print(*(set({heavy!r}) & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout.split()

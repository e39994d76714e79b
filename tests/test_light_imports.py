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
        ("stages.make_datasets, stages.report", "torch"),
        ("oragen.predictor.output", "matplotlib"),
        ("oragen.encoders", "timm"),
        *((DECODING, heavy) for heavy in ("torch", "transformers", "pandas", "zarr", "h5py")),
    ],
)
def test_importing_loads_nothing_heavy(modules: str, heavy: str) -> None:
    assert not _loads(heavy, f"import {modules}")


def test_a_saved_head_loads_without_the_compiler(tmp_path: Path) -> None:
    save_head(tmp_path, make_head("cross_attention"), {})
    assert not _loads(
        "torch._dynamo",
        f"import pathlib, oragen.models.heads as m; m.load_head(pathlib.Path({str(tmp_path)!r}))",
    )


def _loads(heavy: str, code: str) -> bool:
    """Return whether code loads a module."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print({heavy!r} in sys.modules)"],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout.strip() == "True"

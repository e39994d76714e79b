"""What a module must not load to do its work, in an interpreter of its own."""

import subprocess
import sys

import pytest

DECODING = "oragen.media.audio, oragen.media.verified, oragen.detection.faces, cv2"


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("stages.make_datasets, stages.report", "torch"),
        ("oragen.predictor.output", "matplotlib"),
        *((DECODING, heavy) for heavy in ("torch", "transformers", "pandas", "zarr", "h5py")),
    ],
)
def test_importing_loads_nothing_heavy(modules: str, heavy: str) -> None:
    code = f"import sys, {modules}; print({heavy!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == "False"

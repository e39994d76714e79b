"""What a module must not load to do its work, in an interpreter of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from oragen.models.heads import save_head
from tests.small_heads import make_head

DECODING = "oragen.media.audio, oragen.media.verified, oragen.detection.faces, cv2"
NETWORKS = ["torch", "transformers", "timm", "onnxruntime"]
STORES = ["zarr", "h5py"]
MEDIA = ["av", "cv2"]
DRAWING = ["matplotlib", "scipy"]
STAGES = {
    "check_params, settle_faces, index_clips, cut_windows, make_examples, make_datasets":
        [*NETWORKS, *STORES, *MEDIA, *DRAWING],
    "decode_audio, detect_speech, crop_faces": [*NETWORKS, "cv2", *DRAWING],
    "measure_quality": [*NETWORKS, *MEDIA, *DRAWING],
    "extract_audio_features, extract_face_features, extract_off_the_shelf":
        [*NETWORKS, *MEDIA, *DRAWING],
    "train_head, evaluate_head": ["transformers", "timm", "onnxruntime", *MEDIA, *DRAWING],
    "report": [*NETWORKS, *STORES, *MEDIA, "scipy"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        pytest.param("oragen.predictor.output", ["matplotlib"], marks=pytest.mark.slow),
        ("oragen.cli", ["numpy", "pydantic", "pandas", "torch", "fastapi", "uvicorn"]),
        pytest.param("oragen.encoders", ["timm"], marks=pytest.mark.slow),
        (DECODING, ["torch", "transformers", "pandas", "zarr", "h5py"]),
    ],
)
def test_importing_loads_nothing_heavy(modules: str, heavy: list[str]) -> None:
    assert find_loaded(heavy, f"import {modules}") == []


@pytest.mark.slow
@pytest.mark.parametrize("stages", STAGES)
def test_a_stage_loads_what_it_uses(stages: str) -> None:
    assert find_loaded(STAGES[stages], f"from stages import {stages}") == []


@pytest.mark.slow
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

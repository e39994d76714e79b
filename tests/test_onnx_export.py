"""Heads as ONNX files, run by onnxruntime beside torch.

They are written by a process of their own, as users write them: the exporter follows Python's
byte code and cannot follow the checks of annotations that tests are run with.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from oragen.models.heads import HeadSizes, build_head, load_head, save_head
from oragen.predictor.onnx import FIXED_LENGTH, INPUTS, OPSET, ExportError, export_head
from oragen.schema.choices.heads import HeadName
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import GENDERS, MASK_TYPES
from oragen.training.calibration import Calibration
from tests.small_heads import NAMES

STEPS, SLOTS = 12, 4
SIZES: Final = HeadSizes(
    audio_steps=STEPS,
    audio_width=10,
    face_slots=SLOTS,
    face_layers=3,
    face_width=8,
    num_genders=2,
    num_mask_types=6,
)
WITHOUT_MASK_TYPE: Final = HeadSizes(1, 6, 1, 1, 4, 2, 0)  # level `late`: one step, one slot
CALIBRATION: Final = Calibration(gender_temperature=2.0, mask_type_temperature=0.5)
LATE: Final = ("joint-late", "concatenation-late")
EXPORT_ALL: Final = """
import sys
from pathlib import Path
from oragen.predictor.onnx import export_head
for folder in sorted(Path(sys.argv[1]).iterdir()):
    export_head(folder, folder / "head.onnx")
"""


def write_head(folder: Path, name: HeadName, sizes: HeadSizes = SIZES) -> None:
    torch.manual_seed(0)
    metadata = {
        "genders": list(GENDERS),
        "mask_types": list(MASK_TYPES[: sizes.num_mask_types]),
        "features": {"audio": {"level": "intermediate", "fingerprint": "f" * 64}},
        "calibration": CALIBRATION.as_json(),
    }
    save_head(folder, build_head(name, sizes, width=16), metadata)


def draw(num_windows: int, steps: int, slots: int, sizes: HeadSizes = SIZES) -> list[torch.Tensor]:
    """Features, some not valid and NaN there; of five windows one is deaf, one blind, one both."""
    generator = torch.Generator().manual_seed(num_windows)
    audio = torch.randn(num_windows, steps, sizes.audio_width, generator=generator)
    face = torch.randn(num_windows, slots, sizes.face_layers, sizes.face_width, generator=generator)
    audio_valid = torch.rand(num_windows, steps, generator=generator) > 0.3
    face_valid = torch.rand(num_windows, slots, generator=generator) > 0.3
    if num_windows > 3:
        audio_valid[[1, 3]] = False
        face_valid[[2, 3]] = False
    audio[~audio_valid] = torch.nan
    face[~face_valid] = torch.nan
    return [audio, audio_valid, face, face_valid]


def compute(file: Path, features: list[torch.Tensor]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    feed = {name: values.numpy() for name, values in zip(INPUTS, features, strict=True)}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feed), strict=True))


def expect(folder: Path, features: list[torch.Tensor]) -> dict[str, np.ndarray]:
    """The output of torch: at temperature 2 logits count half, at 0.5 twice."""
    with torch.inference_mode():
        output = load_head(folder).head(*features)
    expected = {
        "gender_probabilities": (output.gender_logits / 2).softmax(-1).numpy(),
        "age_years": (100 * output.age_logit.sigmoid()).numpy(),
    }
    if output.mask_type_logits is not None:
        expected["mask_type_probabilities"] = (output.mask_type_logits * 2).softmax(-1).numpy()
    return expected


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all heads, and of two that tell no mask type, each with its ONNX file."""
    return export(tmp_path_factory.mktemp("heads"), sorted({*NAMES, *LATE}))


def export(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        head = cast("HeadName", name.removesuffix("-late"))
        write_head(folder / name, head, WITHOUT_MASK_TYPE if name in LATE else SIZES)
    run = subprocess.run(
        [sys.executable, "-c", EXPORT_ALL, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("num_windows", [1, 5])
@pytest.mark.parametrize("name", NAMES)
def test_the_file_predicts_as_the_head_does(heads: Path, name: HeadName, num_windows: int) -> None:
    features = draw(num_windows, STEPS, SLOTS)
    outputs, expected = (
        compute(heads / name / "head.onnx", features),
        expect(heads / name, features),
    )
    assert list(outputs) == list(expected)
    for output, values in expected.items():
        np.testing.assert_allclose(outputs[output], values, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FIXED_LENGTH)))
def test_heads_of_any_length_take_other_lengths_than_they_were_trained_on(
    heads: Path, name: HeadName
) -> None:
    features = draw(5, STEPS + 7, SLOTS - 1)
    outputs = compute(heads / name / "head.onnx", features)
    for output, values in expect(heads / name, features).items():
        np.testing.assert_allclose(outputs[output], values, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", FIXED_LENGTH)
def test_heads_of_fixed_length_say_so(heads: Path, name: HeadName) -> None:
    session = onnxruntime.InferenceSession(heads / name / "head.onnx")
    shapes = {value.name: value.shape for value in session.get_inputs()}
    assert shapes["audio"] == ["batch", STEPS, 10]
    assert shapes["face_valid"] == ["batch", SLOTS]


@pytest.mark.slow
@pytest.mark.parametrize("name", LATE)
def test_a_head_of_single_vectors_that_predicts_no_mask_type(heads: Path, name: str) -> None:
    features = draw(5, 1, 1, WITHOUT_MASK_TYPE)
    outputs, expected = (
        compute(heads / name / "head.onnx", features),
        expect(heads / name, features),
    )
    assert list(outputs) == ["gender_probabilities", "age_years"]
    for output, values in expected.items():
        np.testing.assert_allclose(outputs[output], values, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_file_says_what_it_is(heads: Path) -> None:
    folder = heads / "cross_attention"
    model = onnx.load(folder / "head.onnx")
    onnx.checker.check_model(model, full_check=True)
    said: Mapping[str, str] = {entry.key: entry.value for entry in model.metadata_props}
    description: dict[str, Any] = json.loads((folder / "head.json").read_text())
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert said["head"] == "cross_attention"
    assert json.loads(said["genders"]) == ["female", "male"]
    assert json.loads(said["mask_types"]) == list(MASK_TYPES)
    assert json.loads(said["features"])["audio"]["fingerprint"] == "f" * 64
    assert json.loads(said["calibration"])["gender_temperature"] == 2.0
    assert json.loads(said["weights_sha256"]) == description["weights_sha256"]
    assert said["oragen_version"]
    session = onnxruntime.InferenceSession(folder / "head.onnx")
    assert session.get_inputs()[0].shape == ["batch", "steps", 10]
    assert session.get_inputs()[2].shape == ["batch", "slots", 3, 8]


def test_a_file_that_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    write_head(tmp_path, "audio_only")
    output = tmp_path / "mine.onnx"
    output.write_bytes(b"mine")
    with pytest.raises(ExportError, match="--force"):
        export_head(tmp_path, output)
    assert output.read_bytes() == b"mine"


def test_what_is_no_head_or_no_onnx_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no head"):
        export_head(tmp_path, tmp_path / "head.onnx")
    with pytest.raises(ExportError, match=r"end in \.onnx"):
        export_head(tmp_path, tmp_path / "head.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_head_that_cannot_be_followed_is_refused_with_its_name(tmp_path: Path) -> None:
    """The checks of annotations that this process runs with are such an obstacle."""
    write_head(tmp_path, "audio_only")
    with pytest.raises(ExportError, match="'audio_only' cannot be written as ONNX"):
        export_head(tmp_path, tmp_path / "head.onnx")
    assert not (tmp_path / "head.onnx").exists()

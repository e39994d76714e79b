"""A trained head -> an ONNX file with the same output: features in, calibrated predictions out."""

import json
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.export import Dim

from oragen.models.folder import read_description
from oragen.models.heads import Head, HeadSizes, load_head
from oragen.models.heads.storage import HEAD_KINDS
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.training.calibration import Calibration, read_calibration

if TYPE_CHECKING:
    import onnx
    from torch.export import ExportedProgram

OPSET: Final = 18
INPUTS: Final = ("audio", "audio_valid", "face", "face_valid")
OUTPUTS: Final = ("gender_probabilities", "age_years", "mask_type_probabilities")
FIXED_LENGTH: Final = ("shared", "separate", "joint")
MAX_DIFFERENCE: Final = 1e-4  # between the outputs of torch and onnxruntime
NUM_EXAMPLES: Final = 3  # any number but 1, which would count as a constant

Features = tuple[Tensor, Tensor, Tensor, Tensor]  # in the order of INPUTS


class ExportError(UserError):
    """A head cannot be written as ONNX."""


class CalibratedHead(nn.Module):
    """A head that outputs calibrated probabilities and years."""

    def __init__(self, head: Head, calibration: Calibration) -> None:
        super().__init__()
        self.head = head
        self.gender_temperature = calibration.gender_temperature
        self.mask_type_temperature = calibration.mask_type_temperature

    def forward(
        self,
        audio: Float[Tensor, "batch steps audio_width"],
        audio_valid: Bool[Tensor, "batch steps"],
        face: Float[Tensor, "batch slots layers face_width"],
        face_valid: Bool[Tensor, "batch slots"],
    ) -> tuple[Tensor, ...]:
        """Return the `OUTPUTS`; the last only if the head predicts the mask type."""
        output = self.head(audio, audio_valid, face, face_valid)
        gender = (output.gender_logits / self.gender_temperature).softmax(-1)
        if output.mask_type_logits is None:
            return gender, output.age_years
        mask_type = (output.mask_type_logits / self.mask_type_temperature).softmax(-1)
        return gender, output.age_years, mask_type


def export_head(folder: Path, output: Path, *, force: bool = False) -> str:
    """Write the head of a folder as ONNX, and check that onnxruntime computes the same as torch.

    The batch may have any size. So may audio steps and face slots, except for the heads of
    `FIXED_LENGTH`. The metadata of the file hold the labels, the levels and fingerprints of the
    features, the calibration and the preprocessing, as JSON. Encoders are not included.

    Args:
        folder: of a head.
        output: ends in `.onnx`.
        force: replace an existing file.

    Returns:
        the head's name.

    Raises:
        ExportError: the file exists or cannot be written, a package is missing, or the head has an
            operation that ONNX does not know.
        UserError: the folder holds no head.
    """
    _check_output(output, force=force)
    saved = load_head(folder)
    calibration = read_calibration(saved.metadata.get("calibration"), folder)
    calibrated = CalibratedHead(saved.head, calibration).eval()
    model = _to_onnx(calibrated, saved.head)
    weights_sha256 = read_description(folder, HEAD_KINDS)["weights_sha256"]
    _describe(model, saved.head, saved.metadata | {"weights_sha256": weights_sha256})
    content = model.SerializeToString()
    _check_outputs(content, calibrated, saved.head.spec.sizes)
    try:
        with atomic_write(output) as unfinished:
            unfinished.write_bytes(content)
    except OSError as error:
        raise ExportError(
            f"{output} cannot be written: {error.strerror}. Name another file."
        ) from error
    return saved.head.spec.name


def _check_output(output: Path, *, force: bool) -> None:
    if output.suffix != ".onnx":
        raise ExportError(f"{output} does not end in .onnx. Name a file that does.")
    if output.exists() and not force:
        raise ExportError(f"{output} exists already. Name another file, or add --force.")


def _to_onnx(calibrated: CalibratedHead, head: Head) -> "onnx.ModelProto":
    try:
        from onnxscript import opset18
    except ImportError as error:
        raise ExportError(
            f"{error.name} is not installed. Run `pip install onnx onnxscript`."
        ) from error

    def sort(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        """Sort like torch's stable sort: of equal values TopK returns the first one first."""
        operators: Any = opset18
        size = operators.Gather(operators.Shape(values), operators.Constant(value_ints=[dim]))
        return operators.TopK(values, size, axis=dim, largest=int(descending), sorted=1)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own calls
            exported = torch.onnx.export(
                _trace(calibrated, head),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=list(INPUTS),
                output_names=list(OUTPUTS[: 3 if head.spec.sizes.num_mask_types else 2]),
                custom_translation_table={torch.ops.aten.sort.stable: sort},
            )
    except RuntimeError as error:  # of torch.export and torch.onnx
        first_line = str(error).strip().partition("\n")[0]
        raise ExportError(
            f"A head {head.spec.name!r} cannot be written as ONNX: {first_line} Use it in torch, "
            "or train another kind of head."
        ) from error
    assert exported is not None  # as no file was named
    model: onnx.ModelProto = exported.model_proto
    _name_axes(model)
    return model


def _trace(calibrated: CalibratedHead, head: Head) -> "ExportedProgram":
    """Record the operations of the head, for a batch of any size."""
    spec = head.spec
    batch, steps, slots = (Dim(name) for name in ("batch", "steps", "slots"))
    audio_axes: dict[int, Dim] = {0: batch}
    face_axes: dict[int, Dim] = {0: batch}
    num_steps, num_slots = spec.sizes.audio_steps, spec.sizes.face_slots
    if spec.name not in FIXED_LENGTH:
        audio_axes[1], face_axes[1] = steps, slots
        num_steps, num_slots = max(2, num_steps), max(2, num_slots)
    features = _draw_features(spec.sizes, NUM_EXAMPLES, num_steps, num_slots)
    # Strict, so that `len(tensor)` is the size of the batch and not a constant.
    return torch.export.export(
        calibrated,
        features,
        dynamic_shapes=(audio_axes, audio_axes, face_axes, face_axes),
        strict=True,
    )


def _draw_features(sizes: HeadSizes, num_windows: int, num_steps: int, num_slots: int) -> Features:
    """Draw features of which some are not valid; the last window has no audio."""
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(num_windows, num_steps, sizes.audio_width, generator=generator)
    face = torch.randn(
        num_windows, num_slots, sizes.face_layers, sizes.face_width, generator=generator
    )
    audio_valid = torch.rand(num_windows, num_steps, generator=generator) > 0.3
    face_valid = torch.rand(num_windows, num_slots, generator=generator) > 0.3
    audio_valid[-1] = False
    return audio, audio_valid, face, face_valid


def _name_axes(model: "onnx.ModelProto") -> None:
    """Give free axes the names of their meaning, where the exporter has numbers."""
    graph, names = model.graph, dict[str, str]()
    axes = ("batch", "steps"), ("batch", "steps"), ("batch", "slots"), ("batch", "slots")
    for value, axis_names in zip(graph.input, axes, strict=True):
        for dimension, name in zip(value.type.tensor_type.shape.dim, axis_names, strict=False):
            if dimension.dim_param:
                names[dimension.dim_param] = name
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in names:
                dimension.dim_param = names[dimension.dim_param]


def _describe(model: "onnx.ModelProto", head: Head, metadata: Mapping[str, Any]) -> None:
    """Write the parts of a head's description that concern its output into the file."""
    from onnx.helper import set_model_props

    kept = (
        "genders", "mask_types", "features", "preprocessing", "calibration", "trained_on",
        "training_data", "weights_sha256",
    )  # fmt: skip
    described = {key: json.dumps(metadata[key]) for key in kept if key in metadata}
    described |= {"oragen_version": version("oragen"), "head": head.spec.name, "opset": str(OPSET)}
    set_model_props(model, described)


def _check_outputs(content: bytes, calibrated: CalibratedHead, sizes: HeadSizes) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for num_windows in (1, NUM_EXAMPLES + 1):
        features = _draw_features(sizes, num_windows, sizes.audio_steps, sizes.face_slots)
        feed = {name: values.numpy() for name, values in zip(INPUTS, features, strict=True)}
        with torch.inference_mode():
            expected = calibrated(*features)
        for name, output, wanted in zip(OUTPUTS, session.run(None, feed), expected, strict=False):
            difference = float(np.abs(output - wanted.numpy()).max())
            if not difference <= MAX_DIFFERENCE:
                raise ExportError(
                    f"The ONNX file would predict otherwise than the head: {name} differs by "
                    f"{difference:.2g}, allowed is {MAX_DIFFERENCE:g}. Use the head in torch, or "
                    "another version of torch and onnxscript."
                )

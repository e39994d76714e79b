"""`oragen features`, `export`: a model -> features of a clip, ONNX."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oragen.schema.choices.features import Level
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write

if TYPE_CHECKING:
    import numpy as np


MODEL_HELP = "Folder of a model, or its id on the hub. Default: the first head of params.yaml."
ModelOption = Annotated[str | None, typer.Option(help=MODEL_HELP, show_default=False)]


def features(
    clip: Annotated[Path, typer.Argument(help="A video, audio or image file.")],
    output: Annotated[Path, typer.Option(help="The .npz file to write.")],
    model: ModelOption = None,
    level: Annotated[
        Level | None, typer.Option(help="Level of the features.", show_default="the model's own")
    ] = None,
) -> None:
    """Write the embeddings of the windows and face crops of CLIP to a NumPy file.

    The file holds these arrays. `windows` (start and stop in samples) and `window_times_s`. `crops`
    (the crop of each slot of each window, -1 = none) and `crop_times_s`. `audio` (windows x
    positions x width, float16) with `audio_valid`. `face` (crops x layers x width, float16).
    `about`: JSON with the encoders and their fingerprints.

    Example: `oragen features clip.mp4 --output clip.npz`
    """
    if output.suffix != ".npz":
        raise UserError(f"{output} does not end in .npz. Name a file that does.")
    from oragen.cli.trained import check_model

    check_model(model)
    from oragen.predictor.clip_decoder import read_clip_inputs
    from oragen.predictor.features import choose_level, describe_features, embed_clip
    from oragen.predictor.pretrained import load_pretrained

    loaded = load_pretrained(_find_model(model))
    encoders = choose_level(loaded, level)
    inputs = read_clip_inputs(
        clip,
        loaded.preprocessing,
        use_audio=loaded.audio is not None,
        use_face=loaded.face is not None,
    )
    if not inputs.windows:
        reasons = {"audio": inputs.audio_reason, "face": inputs.face_reason}
        lacking = "; ".join(f"{modality}: {reasons[modality]}" for modality in encoders.specs)
        raise UserError(f"{clip} has nothing to encode ({lacking}). Name another clip.")
    arrays = embed_clip(inputs, encoders)
    _write_arrays(output, arrays | {"about": describe_features(inputs, loaded, encoders)})
    shapes = (f"{name} {'x'.join(map(str, array.shape))}" for name, array in arrays.items())
    typer.echo(f"{output}: {', '.join(shapes)}")


def export(
    onnx: Annotated[Path, typer.Option(help="The .onnx file to write.")],
    model: ModelOption = None,
    force: Annotated[bool, typer.Option(help="Replace the file.")] = False,
) -> None:
    """Write the head of a model as ONNX, without its encoders, and compare it with torch.

    Inputs: `audio`, `audio_valid`, `face`, `face_valid` of a batch of windows. Outputs, calibrated:
    `gender_probabilities`, `age_years`, `mask_type_probabilities`. The metadata of the file holds
    the labels and the fingerprints of the features.

    Example: `oragen export --onnx head.onnx`
    """
    from oragen.cli.trained import check_model

    check_model(model)
    from oragen.predictor.onnx import export_head

    for library in ("onnxscript", "onnx_ir"):  # they log every node that they rewrite
        logging.getLogger(library).setLevel(logging.WARNING)
    folder = _find_model(model)
    name = export_head(folder, onnx, force=force)
    typer.echo(f"{onnx}: the head {name} of {folder}")


def _find_model(model: str | None) -> Path:
    """Return the folder of the named model, or of the head that was trained here."""
    from oragen.cli.trained import find_trained_head
    from oragen.predictor.published import find_model

    return find_trained_head() if model is None else find_model(model)


def _write_arrays(output: Path, arrays: dict[str, "np.ndarray"]) -> None:
    import numpy as np

    try:
        with atomic_write(output) as unfinished:
            np.savez(unfinished, allow_pickle=False, **arrays)
    except OSError as error:
        raise UserError(
            f"{output} cannot be written: {error.strerror}. Name another file."
        ) from error

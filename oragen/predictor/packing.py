"""A trained head, and encoders in any place -> one folder that can be moved or published."""

import shutil
from pathlib import Path
from typing import Final

from oragen.detection.faces import CropOptions
from oragen.detection.yunet_weights import (
    YUNET_FILE,
    find_yunet_weights,
    refuse_unknown_yunet,
)
from oragen.encoders import AudioEncoder, FaceEncoder, OffTheShelfEncoder, SpeakerEncoder
from oragen.models.places import DESCRIPTION_FILE, WEIGHTS_FILE, ModelError
from oragen.models.unimodal.timm_vit import TimmVit
from oragen.predictor.cards import NO_SOURCES, CardSources, refuse_used_folder, write_cards
from oragen.predictor.pretrained import (
    ENCODER_FOLDERS,
    Pretrained,
    load_pretrained,
    locate_encoder,
)
from oragen.predictor.sums import SUMS_FILE, sum_up
from oragen.schema.choices.encoders import EMBEDDED
from oragen.schema.files import atomic_folder
from oragen.schema.links import find_inside
from oragen.schema.vocabulary import Modality
from oragen.training.familiarity_files import FAMILIARITY_FILE

# All that a model of ours is read from.
ENCODER_FILES: Final = (
    DESCRIPTION_FILE, WEIGHTS_FILE, "preprocessor_config.json", "processor_config.json",
)  # fmt: skip


def pack_model(folder: Path, target: Path, sources: CardSources = NO_SOURCES) -> Pretrained:
    """Copy a head and put its encoders beside it, with a model card and SHA-256 sums.

    Before the copy appears under its name it is loaded, and its encoders are compared with those of
    the training. Only files that the model is read from are copied: their content, never a link
    that leads out of its folder. An `embedded` encoder is part of the program and is not copied.

    Args:
        folder: of a head whose encoders are available.
        target: new or empty.
        sources: what the card and the datasheets are written from.

    Returns:
        the packed model, loaded from the target.

    Raises:
        ModelError: the target is not empty or cannot be written, or the head or an encoder is not
            available.
        UserError: a part is damaged, or differs when it is read again.
    """
    refuse_used_folder(target)
    model = load_pretrained(folder)
    try:
        with atomic_folder(target) as unfinished:
            _copy_parts(folder, model, unfinished)
            packed = load_pretrained(unfinished)
            write_cards(unfinished, packed, sources)
            (unfinished / SUMS_FILE).write_text(sum_up(unfinished), encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"The model cannot be written to {target}: {error.strerror}. Name another folder."
        ) from error
    return packed


def _copy_parts(folder: Path, model: Pretrained, target: Path) -> None:
    for name in (DESCRIPTION_FILE, WEIGHTS_FILE):
        _copy(folder, name, target)
    if model.familiarity:
        _copy(folder, FAMILIARITY_FILE, target)
    _copy_detector(model.preprocessing.faces, target)
    encoders: dict[
        Modality, AudioEncoder | SpeakerEncoder | FaceEncoder | OffTheShelfEncoder | None
    ] = {"audio": model.audio, "face": model.face}
    for modality, encoder in encoders.items():
        if not isinstance(encoder, AudioEncoder | FaceEncoder):  # packages have the others' files
            continue
        source = locate_encoder(folder, modality, model.specs[modality]["source"])
        if source != EMBEDDED:
            _copy_encoder(Path(source), encoder, target / ENCODER_FOLDERS[modality])


def _copy(folder: Path, name: str, target: Path) -> None:
    """Copy the content of a file, unless it is a link that leads out of its folder."""
    shutil.copyfile(find_inside(folder, name), target / name)


def _copy_detector(faces: CropOptions, target: Path) -> None:
    """Copy YuNet, and nothing else that a head.json or params.yaml names as its weights."""
    if faces.detector != "yunet" or faces.weights is None:
        return
    file = find_yunet_weights(faces.weights)
    refuse_unknown_yunet(
        file,
        "So it is not given away with the model. Train the head with published weights, see "
        "`faces.weights` in params.yaml; or move the file away, pack, and add it yourself under "
        f"the name {YUNET_FILE}, removing {SUMS_FILE}.",
    )
    shutil.copyfile(file, target / YUNET_FILE)


def _copy_encoder(source: Path, encoder: AudioEncoder | FaceEncoder, target: Path) -> None:
    """Copy a fine-tuned or converted encoder; save an encoder of another source."""
    if (source / DESCRIPTION_FILE).is_file():
        target.mkdir()
        for name in ENCODER_FILES:
            if (source / name).exists():
                _copy(source, name, target)
        return
    prepare = encoder.extractor if isinstance(encoder, AudioEncoder) else encoder.processor
    network = encoder.network
    target.mkdir()
    if isinstance(network, TimmVit):
        import timm  # takes a second

        arguments = {**network.arguments, "num_classes": 0}
        timm.models.save_for_hf(
            network.vit, str(target), model_args=arguments, safe_serialization=True
        )
    else:
        network.save_pretrained(target)
        prepare.save_pretrained(target)  # type: ignore[union-attr]

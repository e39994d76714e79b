"""A trained head, and encoders in any place -> one folder that can be moved or published."""

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from oragen.detection.faces import CropOptions
from oragen.detection.yunet_weights import (
    YUNET_FILE,
    find_yunet_weights,
    refuse_unknown_yunet,
)
from oragen.encoders import AudioEncoder, FaceEncoder, OffTheShelfEncoder
from oragen.models.places import DESCRIPTION_FILE, WEIGHTS_FILE, ModelError
from oragen.models.unimodal.timm_vit import TimmVit
from oragen.predictor.pretrained import (
    ENCODER_FOLDERS,
    Pretrained,
    load_pretrained,
    locate_encoder,
)
from oragen.predictor.sums import SUMS_FILE, sum_up
from oragen.reporting.bootstrap import Measure
from oragen.reporting.table_formats import PRESENTATIONS
from oragen.schema.choices.encoders import EMBEDDED
from oragen.schema.files import atomic_folder
from oragen.schema.links import find_inside
from oragen.schema.vocabulary import Json, Modality
from oragen.training.familiarity_files import FAMILIARITY_FILE

CARD_FILE: Final = "README.md"
# All that a model of ours is read from.
ENCODER_FILES: Final = (
    DESCRIPTION_FILE, WEIGHTS_FILE, "preprocessor_config.json", "processor_config.json",
)  # fmt: skip
# Of `data/reports/details.json`, in the order of the card.
MEASURES: Final[tuple[Measure, ...]] = ("gender_uar", "age_mae_years", "mask_type_uar")

_LIMITS: Final = (
    "## Intended use and limits",
    "",
    "Meant for statistics over many clips, and for research on how masks change voice and face. "
    "Not meant to identify people, or to decide about a person, as in hiring.",
    "",
    "- It predicts the labels of its corpora as annotators gave them; gender is not identity.",
    "- Expect larger errors for people, languages, cameras and masks that are rare in the corpora "
    "above, for children and old people, and for less than 3 s of speech.",
    "- Probabilities and intervals hold for clips like those of the calibration.",
    "- Recordings of faces and voices are personal data: have a legal ground to process them.",
    "",
    "## Licence",
    "",
    "The weights are bound by the licences of the training corpora and of each encoder. Check both "
    "before you redistribute them. oragen itself is under the MIT licence.",
)

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]  # corpus -> modalities -> metric


def pack_model(folder: Path, target: Path, *, metrics: Metrics | None = None) -> Pretrained:
    """Copy a head and put its encoders beside it, with a model card and SHA-256 sums.

    Before the copy appears under its name it is loaded, and its encoders are compared with those of
    the training. Only files that the model is read from are copied: their content, never a link
    that leads out of its folder. An `embedded` encoder is part of the program and is not copied.

    Args:
        folder: of a head whose encoders are available.
        target: new or empty.
        metrics: of this head, for the card.

    Returns:
        the packed model, loaded from the target.

    Raises:
        ModelError: the target is not empty or cannot be written, or the head or an encoder is not
            available.
        UserError: a part is damaged, or differs when it is read again.
    """
    if target.is_symlink():
        raise ModelError(f"{target} is a link. Name a new or an empty folder.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(f"{target} is not empty. Name a new or an empty folder.")
    model = load_pretrained(folder)
    try:
        with atomic_folder(target) as unfinished:
            _copy_parts(folder, model, unfinished)
            packed = load_pretrained(unfinished)
            (unfinished / CARD_FILE).write_text(write_card(packed, metrics or {}), encoding="utf-8")
            (unfinished / SUMS_FILE).write_text(sum_up(unfinished), encoding="utf-8")
    except OSError as error:
        raise ModelError(
            f"The model cannot be written to {target}: {error.strerror}. Name another folder."
        ) from error
    return packed


def write_card(model: Pretrained, metrics: Metrics) -> str:
    """Write the model card: tasks, inputs, results, and limits."""
    spec = model.head.spec
    tasks = ["gender", "age", *(["mask type"] if model.mask_types else [])]
    corpora = model.description["trained_on"] or "not recorded"
    lines = [
        "---",
        "license: other",
        "license_name: those-of-its-parts",
        "library_name: oragen",
        "tags:",
        *(f"- {tag}" for tag in _list_tags(model)),
        "---",
        "",
        f"# {', '.join(tasks).capitalize()} of a speaking person",
        "",
        f"A head `{spec.name}` of oragen {version('oragen')} on frozen encoders. Encoders that are "
        "not part of oragen are in this folder.",
        "",
        "```python",
        "from oragen.predictor import Predictor",
        "",
        'print(Predictor.from_pretrained("THIS FOLDER")("clip.mp4").to_json())',
        "```",
        "",
        "## Predictions",
        "",
        f"- Gender, in this order: {', '.join(model.genders)}.",
        f"- Age in years, {_describe_interval(model)}.",
    ]
    if model.mask_types:
        lines.append(f"- Mask type, in this order: {', '.join(model.mask_types)}.")
    lines += [
        "",
        f"Trained on: {corpora}.",
        *(f"\n**{warning}**" for warning in model.warnings),
        "",
        "| | encoder | level | fingerprint |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {modality} | {part['encoder']} | {_name_level(part)} | `{part['fingerprint'][:16]}` |"
        for modality, part in model.specs.items()
    ]
    return "\n".join([*lines, "", *_list_results(metrics), *_LIMITS, ""])


def _name_level(spec: Mapping[str, Json]) -> str:
    return f"{spec['level']} (span clip)" if spec.get("stretch") else str(spec["level"])


def _list_tags(model: Pretrained) -> list[str]:
    tags = ["age-recognition", "gender-recognition"]
    tags += ["face-mask-recognition"] if model.mask_types else []
    tags += ["speech"] if "audio" in model.specs else []
    tags += ["face"] if "face" in model.specs else []
    return [*tags, *(["audio-visual"] if len(model.specs) == 2 else [])]


def _describe_interval(model: Pretrained) -> str:
    calibration = model.calibration
    if calibration.age_half_width_years is None:
        return "without an interval: the model was not calibrated"
    return (
        f"± {calibration.age_half_width_years:.1f} for {calibration.coverage:.0%} of clips like "
        "those of the calibration"
    )


def _list_results(metrics: Metrics) -> list[str]:
    """Write the metrics as a table; no lines without metrics."""
    if not metrics:
        return []
    titles = [PRESENTATIONS[measure].title for measure in MEASURES]
    lines = [
        "## Results",
        "",
        "Mean over the trained seeds, from voice and face together where a clip has both.",
        "",
        f"| corpus | clips | {' | '.join(titles)} |",
        f"|---|{'---:|' * (len(titles) + 1)}",
    ]
    for corpus, by_modalities in metrics.items():
        scores = next(iter(by_modalities.values()), {})  # all modalities come first
        cells = [
            f"{scores[measure] * PRESENTATIONS[measure].scale:.1f}"
            if scores.get(measure) is not None
            else ""
            for measure in MEASURES
        ]
        lines.append(f"| {corpus} | {scores.get('clips', '')} | {' | '.join(cells)} |")
    return [*lines, ""]


def _copy_parts(folder: Path, model: Pretrained, target: Path) -> None:
    for name in (DESCRIPTION_FILE, WEIGHTS_FILE):
        _copy(folder, name, target)
    if model.familiarity:
        _copy(folder, FAMILIARITY_FILE, target)
    _copy_detector(model.preprocessing.faces, target)
    encoders: dict[Modality, AudioEncoder | FaceEncoder | OffTheShelfEncoder | None] = {
        "audio": model.audio, "face": model.face,
    }  # fmt: skip
    for modality, encoder in encoders.items():
        if encoder is None or isinstance(encoder, OffTheShelfEncoder):  # the package has its files
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

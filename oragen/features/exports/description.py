"""A dataset that is exported -> the description beside it, for who reads it without oragen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from oragen.features.dataset import WindowDataset
from oragen.schema.choices.exports import ExportFormat
from oragen.schema.vocabulary import MASK_TYPES, SAMPLE_RATE_HZ, UNKNOWN_LABEL, Json

KIND: Final = "features exported by oragen"  # by which a folder is known as an export
MEANINGS: Final = {
    "clip_id": "string: the clip, <corpus>/<name>",
    "start": f"int64: first sample of the window in its clip, at {SAMPLE_RATE_HZ} Hz",
    "stop": "int64: the sample behind its last one",
    "corpus": "string: see `corpora`",
    "split": "string: train, dev or test; no speaker is in two of them",
    "speaker_id": "string: the person, unique within the corpus",
    "gender": "string, or null: no label",
    "age_years": "float64: age in years, or null: no label",
    "age_low": "float64: lowest age in years where the corpus gives a band, or null",
    "age_high": "float64: highest age in years likewise, or null",
    "mask_type": "string: what covers the face, or null: no label",
    "gender_code": "int64: see `codes`",
    "mask_type_code": "int64: see `codes`",
}


@dataclass(frozen=True)
class Origin:
    """What windows were chosen by, and what their labels and corpora are."""

    chosen_by: Mapping[str, Json]  # a head, or corpora
    genders: Sequence[str]  # the labels in the order of their codes
    corpora: Mapping[str, Mapping[str, Json]]  # what is known of each corpus, such as its licence


def describe(
    dataset: WindowDataset,
    to: ExportFormat,
    origin: Origin,
    splits: Mapping[str, Mapping[str, Json]],
) -> dict[str, Any]:
    """Return what the exported columns are, and what they were made from.

    Args:
        dataset: all windows.
        to: the format.
        origin: of the windows.
        splits: of each split, where it is and how much it holds.
    """
    return {
        "kind": KIND,
        "oragen_version": version("oragen"),
        "format": to,
        "chosen_by": dict(origin.chosen_by),
        "splits": {name: dict(split) for name, split in splits.items()},
        "row": "a window of a clip; the order is random",
        "columns": MEANINGS | _describe_features(dataset),
        "codes": {
            "gender_code": _number(origin.genders),
            "mask_type_code": _number(MASK_TYPES),
            "unknown": UNKNOWN_LABEL,
        },
        "features": dataset.specs,
        "fingerprint": "SHA-256 of the weights and the architecture of an encoder",
        "corpora": {name: dict(corpus) for name, corpus in origin.corpora.items()},
    }


def _describe_features(dataset: WindowDataset) -> dict[str, str]:
    described = {}
    if spec := dataset.specs.get("audio"):
        position, width = spec["dimension_names"]
        most, size = dataset.audio.rows.shape
        described["audio"] = (
            f"float16, {position} x {width}: at most {most} x {size}; a shorter window has fewer, "
            "one without speech none"
        )
    if spec := dataset.specs.get("face"):
        position, width = spec["dimension_names"]
        layers, size = dataset.face.rows.shape
        slots = dataset.face.row_of.shape[1]
        described["face"] = (
            f"float16, slot x {position} x {width}: {slots} x {layers} x {size}; a slot is a crop "
            "of the face, in the order of time"
        )
        described["face_valid"] = f"bool, slot: {slots}; false: no crop, its features are zeros"
    return described


def _number(words: Sequence[str]) -> dict[str, int]:
    return {word: code for code, word in enumerate(words)}

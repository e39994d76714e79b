"""Every field of params.yaml -> which rows of the stores it must leave unused, and no others."""

from collections.abc import Iterator
from copy import deepcopy
from functools import partial, reduce
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from oragen.config.clips import Faces
from oragen.config.params import Params
from oragen.encoders.layers import choose_layers
from oragen.schema.choices.face_detectors import DetectorName
from oragen.schema.vocabulary import Level, Modality, Span
from oragen.store.hashing import make_key
from oragen.store.keys import audio_key, crop_key, faces_key, speech_key, window_key
from stages.extracting import choose_stretching, find_origin, make_specs
from tests.project import REPOSITORY

PARAMS: dict[str, Any] = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
PARAMS["encoders"]["finetune"] = []  # else it is the weights alone that count, not their source
PARAMS["features"]["levels"] = ["intermediate", "early"]
HEARD = {"speech", "window", "audio features"}
SEEN = {"faces", "crop", "face features"}
# The longest prefix of a field's path counts. What is not here must leave every row in use.
EXPECTED: dict[str, set[str]] = {
    "audio": {"audio", *HEARD},
    "speech": HEARD,
    "windows": {"window", "audio features"},
    "faces": SEEN,
    "faces.weights": set(),  # where they lie; what they are is part of the detector's fingerprint
    "features.audio.encoder": {"audio features"},
    "features.audio.precision": {"audio features"},
    "features.audio.span": {"audio features"},
    "features.audio.layers": {"audio features"},
    "features.face.encoder": {"face features"},
    "features.face.precision": {"face features"},
    "encoders.catalogue.tiny-wav2vec2.source": {"audio features"},
    "encoders.catalogue.tiny-vit.source": {"face features"},
    "encoders.finetune": {"face features"},  # here tiny-vit becomes another one
}
WORDS = [
    "yunet", "paper", "bf16", "early", "cpu", "phone", "dev", "test", "transformer", "gated",
    "separate", "afterwards", "studio", "wav2vec2-large", "vit-age", "face_only", "other",
    "intermediate", "clip", "ray", "local", "leave",
]  # fmt: skip
SHAPE = (199, 8)
LISTS = [
    ["intermediate", "early", "late"], ["tiny-vit"], ["studio"], ["joint"], ["dev"], ["corpus"],
    [7],
]  # fmt: skip


def list_fields(section: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every leaf of params.yaml, but for the catalogues' entries that are not in use."""
    if not isinstance(section, dict):
        yield path
        return
    for name, value in section.items():
        yield from list_fields(value, (*path, name))


FIELDS = [field for field in list_fields(PARAMS) if field[-1] not in ("reader", "modality")]


def change(field: tuple[str, ...]) -> Params:
    """Give a field another value that params.yaml may have."""
    *outer, last = field
    now = reduce(lambda section, name: section[name], field, PARAMS)
    for other in list_candidates(now):
        changed = deepcopy(PARAMS)
        reduce(lambda section, name: section[name], outer, changed)[last] = other
        try:
            found = Params.model_validate(changed)
        except ValidationError:
            continue
        if found != Params.model_validate(PARAMS):
            return found
    raise AssertionError(f"no other value for {field}: add one to WORDS or LISTS")


def list_candidates(now: Any) -> list[Any]:
    match now:
        case bool():
            return [not now]
        case int() | float():
            return [now + 1, now + 4, now / 2, now + 0.1, 0.5]
        case list():
            return LISTS
        case _:
            return [*WORDS, 3, 112, *LISTS]


def make_rows(params: Params) -> dict[str, set[str]]:
    """Kind of row -> the keys that the stages would look for, of one window and one crop.

    Where an encoder comes from stands for its weights.
    """
    media = "a" * 64
    audio = audio_key(media, params.audio.as_cache_parameters())
    speech = speech_key(audio, params.speech.as_cache_parameters())
    window = window_key(speech, params.windows.as_cache_parameters(), Span(0, 64_000))
    settled = settle(params.faces)
    faces = faces_key(media, settled.as_cache_parameters(), "detector")
    crop = crop_key(faces, 16_000)
    rows = {"audio": {audio}, "speech": {speech}, "window": {window}, "faces": {faces}}
    layers = params.features.audio.layers
    inputs: dict[Modality, str] = {"audio": window, "face": crop}
    for modality, key in inputs.items():
        origin = find_origin(params, params.features.of(modality).encoder)
        fingerprint = make_key(origin=list(origin))
        specs = make_specs(
            params,
            modality,
            partial(_return, fingerprint),
            partial(_return, SHAPE),
            choose_stretching(params, (320, 400)) if modality == "audio" else None,
            choose_layers("tiny", layers, 12) if modality == "audio" else None,
        )
        rows[f"{modality} features"] = {spec.key_of(key) for spec in specs}
    return rows | {"crop": {crop}}


def settle(faces: Faces) -> Faces:
    """What `auto` stands for in the demo, without YuNet."""
    detector: DetectorName = "cascade" if faces.detector == "auto" else faces.detector
    return faces.settle(detector, 96 if faces.crop_px == "auto" else faces.crop_px)


def _return(value: Any, _level: Level) -> Any:
    return value


@pytest.mark.parametrize("field", FIELDS, ids=".".join)
def test_a_parameter_leaves_those_rows_unused_that_depend_on_it(field: tuple[str, ...]) -> None:
    before, after = make_rows(Params.model_validate(PARAMS)), make_rows(change(field))
    prefixes = [".".join(field[:length]) for length in range(len(field), 0, -1)]
    expected = next((EXPECTED[prefix] for prefix in prefixes if prefix in EXPECTED), set())
    assert {kind for kind in before if before[kind] - after[kind]} == expected


def test_every_expectation_is_about_a_field() -> None:
    paths = {".".join(field[:length]) for field in FIELDS for length in range(1, len(field) + 1)}
    assert set(EXPECTED) <= paths


def test_the_walk_goes_through_the_whole_file() -> None:
    assert {field[0] for field in FIELDS} == set(Params.model_fields)


def test_another_level_uses_no_old_row() -> None:
    levels: dict[str, Any] = deepcopy(PARAMS)
    levels["features"]["levels"] = ["early"]
    for head in levels["heads"].values():
        head["level"] = "early"
    before, after = (
        make_rows(Params.model_validate(PARAMS)),
        make_rows(Params.model_validate(levels)),
    )
    lost = {kind for kind in before if before[kind] - after[kind]}
    assert lost == {"audio features", "face features"}


@pytest.mark.parametrize(("name", "value"), [("stretch_s", 20.0), ("context_s", 2.0)])
def test_how_long_stretches_are_counts_where_there_are_any(name: str, value: float) -> None:
    clip: dict[str, Any] = deepcopy(PARAMS)
    clip["features"]["audio"]["span"] = "clip"
    before = make_rows(Params.model_validate(clip))
    clip["features"]["audio"][name] = value
    after = make_rows(Params.model_validate(clip))
    assert {kind for kind in before if before[kind] - after[kind]} == {"audio features"}


def test_other_media_use_no_old_row() -> None:
    """The same bytes under another name are the same rows, and other bytes are others."""
    params = Params.model_validate(PARAMS)
    keys = {audio_key(media * 64, params.audio.as_cache_parameters()) for media in "ab"}
    assert len(keys) == 2

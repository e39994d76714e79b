"""What a value depends on -> its key: each cache parameter counts, and only for what follows."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from oragen.schema.tables import CLIPS
from oragen.schema.vocabulary import Span
from oragen.store.hashing import make_key
from oragen.store.keys import audio_key, audio_keys, crop_key, faces_key, speech_key, window_key

PARAMETERS: dict[str, Any] = {
    "media": "a" * 64,
    "audio": {"max_duration_s": 7200.0},
    "encoding": None,
    "speech": {"threshold": 0.5, "pad_ms": 30},
    "windows": {"length_s": 4.0, "hop_s": 2.0},
    "span": Span(0, 64_000),
    "faces": {"margin": 0.15, "crop_px": 96, "detector": "cascade", "min_score": 0.6, "max_gap": 2},
    "detector": "b" * 64,
    "face_box": None,
    "sample": 16_000,
}
STAGES = ("audio", "speech", "window", "faces", "crop")


def make_keys(**changed: Any) -> dict[str, str]:
    made = PARAMETERS | changed
    audio = audio_key(made["media"], made["audio"], made["encoding"])
    speech = speech_key(audio, made["speech"])
    faces = faces_key(made["media"], made["faces"], made["detector"], made["face_box"])
    return {
        "audio": audio,
        "speech": speech,
        "window": window_key(speech, made["windows"], made["span"]),
        "faces": faces,
        "crop": crop_key(faces, made["sample"]),
    }


@pytest.mark.parametrize(
    ("changed", "other"),
    [
        ({"media": "c" * 64}, {"audio", "speech", "window", "faces", "crop"}),
        ({"audio": {"max_duration_s": 60.0}}, {"audio", "speech", "window"}),
        ({"encoding": "s16le@8000"}, {"audio", "speech", "window"}),
        ({"speech": {"threshold": 0.5, "pad_ms": 31}}, {"speech", "window"}),
        ({"windows": {"length_s": 4.0, "hop_s": 1.0}}, {"window"}),
        ({"span": Span(0, 63_999)}, {"window"}),
        ({"span": Span(1, 64_000)}, {"window"}),
        ({"faces": PARAMETERS["faces"] | {"margin": 0.2}}, {"faces", "crop"}),
        ({"faces": PARAMETERS["faces"] | {"max_gap": 3}}, {"faces", "crop"}),
        ({"face_box": (0.0, 0.0, 9.0, 9.0)}, {"faces", "crop"}),
        ({"detector": "d" * 64}, {"faces", "crop"}),
        ({"sample": 32_000}, {"crop"}),
    ],
)
def test_a_parameter_changes_the_keys_of_what_follows_alone(
    changed: dict[str, Any], other: set[str]
) -> None:
    before, after = make_keys(), make_keys(**changed)
    assert {stage for stage in STAGES if before[stage] != after[stage]} == other


GIVEN: dict[str, Any] = {"face_box": (1.0, 2.0, 30.0, 40.0)}


@pytest.mark.parametrize(
    ("changed", "counts"),
    [
        ({"detector": "d" * 64}, False),
        ({"faces": PARAMETERS["faces"] | {"detector": "yunet"}}, False),
        ({"faces": PARAMETERS["faces"] | {"min_score": 0.7}}, False),
        ({"faces": PARAMETERS["faces"] | {"max_gap": 3}}, False),
        ({"faces": PARAMETERS["faces"] | {"margin": 0.2}}, True),
        ({"faces": PARAMETERS["faces"] | {"crop_px": 64}}, True),
        ({"face_box": (1.0, 2.0, 30.0, 40.5)}, True),
        ({"media": "c" * 64}, True),
    ],
)
def test_how_faces_are_detected_does_not_count_where_the_box_is_given(
    changed: dict[str, Any], counts: bool
) -> None:
    before, after = make_keys(**GIVEN), make_keys(**(GIVEN | changed))
    assert (before["faces"] != after["faces"], before["crop"] != after["crop"]) == (counts, counts)


def test_keys_of_the_clips_table_are_those_of_each_clip() -> None:
    """Sound of one file is another where it is taken for another; a mute clip has no key."""
    labels = {"corpus": "c", "split": "train", "speaker_id": "s"}
    rows: list[dict[str, object]] = [
        {"clip_id": "c/plain", "audio_path": "a", "audio_hash": "a" * 64, **labels},
        {"clip_id": "c/raw", "audio_hash": "a" * 64, "audio_encoding": "u8@8000", **labels},
        {"clip_id": "c/mute", "picture_hash": "a" * 64, **labels},
    ]
    assert audio_keys(CLIPS.frame(rows), PARAMETERS["audio"]) == {
        "c/plain": audio_key("a" * 64, PARAMETERS["audio"]),
        "c/raw": audio_key("a" * 64, PARAMETERS["audio"], "u8@8000"),
    }
    assert audio_keys(CLIPS.empty(), PARAMETERS["audio"]) == {}


def test_equal_parameters_give_equal_keys_in_any_order() -> None:
    turned = {"speech": dict(reversed(PARAMETERS["speech"].items()))}
    assert make_keys(**turned) == make_keys()


def test_keys_of_different_things_differ() -> None:
    assert len(set(make_keys().values())) == len(STAGES)


def test_a_key_is_32_hexadecimal_digits() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{32}", key) for key in make_keys().values())


def test_what_clips_seldom_have_leaves_the_keys_of_others_as_they_were() -> None:
    audio, faces = PARAMETERS["audio"], PARAMETERS["faces"]
    assert audio_key("a" * 64, audio) == make_key(made="audio", media="a" * 64, params=audio)
    assert faces_key("a" * 64, faces, "b" * 64) == make_key(
        made="faces", media="a" * 64, params=faces, detector="b" * 64
    )


def test_a_key_stays_what_it_was() -> None:
    """By sha256sum of '{"a":1,"b":[2,"x"],"schema_version":2}': others would orphan every store."""
    assert make_key(b=[2, "x"], a=1) == "59fdda37345a7930260a16d11a742d3d"


@pytest.mark.parametrize("make", [lambda: make_key(x=float("nan")), lambda: make_key(x=object())])
def test_what_has_no_certain_text_gives_no_key(make: Callable[[], str]) -> None:
    with pytest.raises((TypeError, ValueError)):
        make()

"""What heads look at, compared with what they compute, and with places worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from oragen.models.heads import Head, HeadSizes, build_head
from oragen.models.layers.attention import MultiHeadAttention
from oragen.reporting.attention.lanes import lay_on_time
from oragen.reporting.attention.maps import AttentionMap
from oragen.reporting.attention.reading import read_attention, weigh_context
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Span

SIZES = HeadSizes(
    audio_steps=9,
    audio_width=12,
    face_slots=4,
    face_layers=3,
    face_width=6,
    num_genders=2,
    num_mask_types=6,
)
LATE = HeadSizes(**{**vars(SIZES), "audio_steps": 1, "face_layers": 1})
ATTENTIVE: tuple[HeadName, ...] = ("shared", "separate", "joint", "cross_attention")
MTCMA = ATTENTIVE[:3]
BATCH = 5


def make_head(name: HeadName, sizes: HeadSizes = SIZES) -> Head:
    torch.manual_seed(1)
    return build_head(name, sizes, width=16, num_heads=2).eval()


def make_features(sizes: HeadSizes = SIZES) -> dict[str, Tensor]:
    """Five windows: whole, short audio and two crops, no face, no audio, nothing at all."""
    generator = torch.Generator().manual_seed(0)
    steps, slots = sizes.audio_steps, sizes.face_slots
    audio_valid = torch.ones(BATCH, steps, dtype=torch.bool)
    face_valid = torch.ones(BATCH, slots, dtype=torch.bool)
    audio_valid[1, 6:] = False
    face_valid[1] = torch.tensor([False, True, False, True])
    face_valid[2] = audio_valid[3] = face_valid[4] = audio_valid[4] = False
    face_shape = (BATCH, slots, sizes.face_layers, sizes.face_width)
    return {
        "audio": torch.randn(BATCH, steps, sizes.audio_width, generator=generator),
        "audio_valid": audio_valid,
        "face": torch.randn(face_shape, generator=generator),
        "face_valid": face_valid,
    }


def total(found: AttentionMap) -> np.ndarray[Any, Any]:
    return np.asarray(found.audio.sum(axis=2) + found.face.sum(axis=(2, 3)) + found.nothing)


@pytest.mark.parametrize("sizes", [SIZES, LATE], ids=["intermediate", "late"])
@pytest.mark.parametrize("name", ATTENTIVE)
def test_rows_sum_to_one_over_audio_crops_and_nothing(name: HeadName, sizes: HeadSizes) -> None:
    maps = read_attention(make_head(name, sizes), **make_features(sizes))
    assert list(maps) == (
        ["tasks"] if name == "cross_attention" else ["audio_to_face", "face_to_audio"]
    )
    for found in maps.values():
        np.testing.assert_allclose(found.weights.sum(axis=-1), 1, rtol=1e-5)
        np.testing.assert_allclose(total(found), 1, rtol=1e-5)
        assert (found.weights >= 0).all()


@pytest.mark.parametrize("sizes", [SIZES, LATE], ids=["intermediate", "late"])
@pytest.mark.parametrize("name", ATTENTIVE)
def test_what_is_not_valid_weighs_nothing(name: HeadName, sizes: HeadSizes) -> None:
    features = make_features(sizes)
    for found in read_attention(make_head(name, sizes), **features).values():
        by_step, by_slot = found.audio.sum(axis=1), found.face.sum(axis=(1, 3))
        assert (by_step[~features["audio_valid"].numpy()] == 0).all()
        assert (by_slot[~features["face_valid"].numpy()] == 0).all()


@pytest.mark.parametrize("name", ATTENTIVE)
def test_a_window_of_nothing_looks_at_nothing(name: HeadName) -> None:
    for found in read_attention(make_head(name), **make_features()).values():
        np.testing.assert_allclose(found.nothing[4], 1, rtol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("name", ATTENTIVE)
def test_the_weights_are_those_that_make_the_modules_own_output(name: HeadName) -> None:
    """Values weighed by the map give what the attention gave inside the head."""
    head, calls = make_head(name), {}
    for path, module in head.named_modules():
        if isinstance(module, MultiHeadAttention):
            module.register_forward_hook(
                lambda _, inputs, output, path=path: calls.update({path: (inputs, output)})
            )
    maps = read_attention(head, **make_features())
    paths = {"tasks": "block.attention"} if len(maps) == 1 else {m: f"{m}.attention" for m in maps}
    for key, path in paths.items():
        inputs, output = calls[path]
        attention = head.get_submodule(path)
        assert isinstance(attention, MultiHeadAttention)
        values = rearrange(attention.to_value(inputs[2]), "b n (h d) -> b h n d", h=2)
        found = torch.from_numpy(maps[key].weights) @ values
        again = attention.to_output(rearrange(found, "b h n d -> b n (h d)"))
        torch.testing.assert_close(again, output, rtol=1e-5, atol=1e-6)


def test_weights_worked_out_by_hand() -> None:
    """Scores 2 * (0, ln 3) / sqrt(4) give 1/4 and 3/4; without the first only the second."""
    attention = MultiHeadAttention(4, 1)
    for layer in (attention.to_query, attention.to_key):
        layer.weight.data = torch.eye(4)
    queries = torch.tensor([[[2.0, 0, 0, 0]]])
    keys = torch.tensor([[[0.0, 1, 0, 0], [float(np.log(3)), 0, 0, 1]]])
    weights = weigh_context(attention, queries, keys)
    torch.testing.assert_close(weights, torch.tensor([[[[0.25, 0.75]]]]))
    hidden = weigh_context(attention, queries, keys, torch.tensor([[False, True]]))
    torch.testing.assert_close(hidden, torch.tensor([[[[0.0, 1.0]]]]))


def test_reading_leaves_the_head_as_it_was() -> None:
    head, features = make_head("joint"), make_features()
    before = head(**features)
    read_attention(head, **features)
    assert not [hook for module in head.modules() for hook in module._forward_hooks]
    torch.testing.assert_close(head(**features), before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["audio_only", "face_only", "concatenation", "late_fusion"])
def test_a_head_without_attention_has_no_maps(name: HeadName) -> None:
    assert read_attention(make_head(name), **make_features()) == {}


@pytest.mark.parametrize("name", MTCMA)
def test_copies_of_the_last_crop_count_for_its_slot(name: HeadName) -> None:
    """Crops in slots 1 and 3 become the tokens 1, 3, 3, 3."""
    found = read_attention(make_head(name), **make_features())["audio_to_face"]
    tokens = found.weights[1].mean(axis=0)
    np.testing.assert_allclose(found.face[1, :, 1, 0], tokens[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found.face[1, :, 3, 0], tokens[:, 1:].sum(axis=1), rtol=1e-6)


def test_an_audio_token_shares_its_weight_by_the_absolute_weights_of_its_map() -> None:
    """Token 0 is 3 x step 0 - 1 x step 1, the others are step 2: 3/4, 1/4 and the rest."""
    head = make_head("joint")
    over_time = head.get_submodule("audio_tokens.over_time")
    assert isinstance(over_time, nn.Linear)
    over_time.weight.data.zero_()
    over_time.weight.data[0, :2] = torch.tensor([3.0, -1.0])
    over_time.weight.data[1:, 2] = 0.5
    found = read_attention(head, **make_features())["face_to_audio"]
    tokens = found.weights[0].mean(axis=0)
    np.testing.assert_allclose(found.audio[0, :, 0], 0.75 * tokens[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found.audio[0, :, 1], 0.25 * tokens[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found.audio[0, :, 2], tokens[:, 1:].sum(axis=1), rtol=1e-5)


def test_where_the_audio_changes_the_attention_to_it_changes_most() -> None:
    head, features = make_head("cross_attention"), make_features()
    features["audio"][0, 5] = torch.randn(12, generator=torch.Generator().manual_seed(3))
    changed = read_attention(head, **features)["tasks"]
    plain = read_attention(head, **make_features())["tasks"]
    assert changed.queries == ("gender", "mask type", "age")
    differs = np.abs(changed.audio[0] - plain.audio[0]).argmax(axis=1)
    assert differs.tolist() == [5, 5, 5]


SECOND = SAMPLE_RATE_HZ


def map_of_tasks(audio: list[float], face: list[float], nothing: float) -> AttentionMap:
    """One window that all three tasks look at alike; two layers share what a slot gets."""
    slots = np.array(face) / 2
    return AttentionMap(
        queries=("gender", "mask type", "age"),
        weights=np.zeros((1, 1, 3, 1)),
        audio=np.tile(np.array(audio), (1, 3, 1)),
        face=np.tile(np.stack([slots, slots], axis=-1), (1, 3, 1, 1)),
        nothing=np.full((1, 3), nothing),
    )


def test_frames_and_slots_lie_where_they_are_in_the_clip() -> None:
    """A window from 1.5 s to 3.5 s: frames of half a second; slots at 2 s and 3 s, until 3.5."""
    found = map_of_tasks([0.3, 0.1, 0.1, 0.1, 0.0], [0.1, 0.2, 0.0], 0.1)
    lanes = lay_on_time(
        {"tasks": found},
        [Span(3 * SECOND // 2, 7 * SECOND // 2)],
        np.array([[True, True, True, True, False]]),
        np.array([[True, True, False]]),
    )
    assert [(lane.name, lane.modality) for lane in lanes] == [
        (task, modality)
        for task in ("gender", "mask type", "age")
        for modality in ("audio", "face")
    ]
    audio, face = lanes[:2]
    assert audio.starts_s.tolist() == [1.5, 2, 2.5, 3]
    assert audio.stops_s.tolist() == [2, 2.5, 3, 3.5]
    np.testing.assert_allclose(audio.times_even, [2, 2 / 3, 2 / 3, 2 / 3])
    assert audio.share == pytest.approx(0.6)
    assert face.starts_s.tolist() == [2, 3]
    assert face.stops_s.tolist() == [3, 3.5]
    np.testing.assert_allclose(face.times_even, [2 / 3, 4 / 3])
    assert face.share == pytest.approx(0.3)


def test_tokens_are_one_lane_of_the_modality_they_look_at() -> None:
    features = make_features()
    spans = [Span(0, 4 * SECOND)] * BATCH
    maps = read_attention(make_head("joint"), **features)
    valid = [features[f"{modality}_valid"].numpy() for modality in ("audio", "face")]
    lanes = lay_on_time(maps, spans, valid[0], valid[1])
    assert [(lane.name, lane.modality) for lane in lanes] == [
        ("audio to face", "face"), ("face to audio", "audio"),
    ]  # fmt: skip
    assert len(lanes[0].starts_s) == features["face_valid"].sum()
    assert lanes[0].share == pytest.approx(3 / 5)  # two of the five windows have no face

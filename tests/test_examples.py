"""Rows of the example table -> batches: what is read, how it is augmented, and in which order."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from oragen.finetuning.augmentation import CropAugmentation, WaveformAugmentation
from oragen.finetuning.examples import (
    Draw,
    Examples,
    Sounds,
    draw_batches,
    order_of_epoch,
    share_of_rank,
    stream_batches,
)
from oragen.schema.attenuation import ATTENUATION_DB
from oragen.schema.vocabulary import GENDERS_WITH_CHILD, MASK_TYPES
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from tests.finetuning_runs import EXTRACTOR, crops, sounds, write_crops, write_sounds

PLAIN_SOUND = WaveformAugmentation(
    speed_probability=0.0,
    tempo_probability=0.0,
    muffle_probability=0.0,
    noise_probability=0.0,
    gain_probability=0.0,
    phone_probability=0.0,
    codec_probability=0.0,
    polarity_probability=0.0,
)
PLAIN_CROP = CropAugmentation(
    cover_probability=0.0,
    flip_probability=0.0,
    zoom_probability=0.0,
    colour_probability=0.0,
    blur_probability=0.0,
)
NOISY = replace(PLAIN_SOUND, noise_probability=1.0, noise_snr_db=(0.0, 20.0))


@pytest.fixture(scope="module")
def sound_table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return write_sounds(tmp_path_factory.mktemp("sounds"), 6)


@pytest.fixture(scope="module")
def crop_table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return write_crops(tmp_path_factory.mktemp("crops"), 6)


def read_row(table: pd.DataFrame, place: int) -> np.ndarray:
    row = table.iloc[place].to_dict()
    with OpenParts(PartStore(Path(row["store"]), "h5")) as parts:
        return parts.read(row["key"], row["start"], row["stop"])


def test_an_example_is_the_stretch_that_its_row_names(
    sound_table: pd.DataFrame, crop_table: pd.DataFrame
) -> None:
    audio = sounds(sound_table)[Draw(1, 3)].augmented  # the second window of the second clip
    expected = read_row(sound_table, 3)
    assert len(expected) == 2400
    np.testing.assert_array_equal(audio.content * 2**15, expected)
    assert audio.mask_type == "tissue"
    face = crops(crop_table)[Draw(1, 4)].augmented
    np.testing.assert_array_equal(face.content, read_row(crop_table, 4)[0])
    assert face.mask_type == "medical"


def test_a_batch_is_what_a_model_takes(sound_table: pd.DataFrame, crop_table: pd.DataFrame) -> None:
    """Windows of 3200 and 2400 samples, normalised over what is real."""
    examples = sounds(sound_table)
    batch = examples.collate([examples[Draw(1, place)] for place in (2, 3, 4)])
    samples, valid = batch.inputs
    assert samples.shape == (3, 3200)
    assert valid.sum(dim=1).tolist() == [3200, 2400, 3200]
    assert samples[1, :2400].mean().item() == pytest.approx(0, abs=1e-4)
    assert samples[1, :2400].std().item() == pytest.approx(1, abs=1e-3)
    assert batch.places.tolist() == [2, 3, 4]
    assert batch.targets.gender.tolist() == [1, 1, 0]
    assert batch.targets.mask_type.tolist() == [1, 1, 2]
    assert batch.targets.age_years.tolist() == [23.0, 23.0, 26.0]
    faces = crops(crop_table)
    (pixels,) = faces.collate([faces[Draw(1, 0)], faces[Draw(1, 1)]]).inputs
    assert pixels.shape == (2, 3, 32, 32)


def test_unknown_labels_stay_unknown(sound_table: pd.DataFrame) -> None:
    table = sound_table.copy()
    table.loc[0, ["gender", "age_years", "mask_type"]] = None
    table.loc[1, "gender"] = "child"
    examples = sounds(table)
    targets = examples.collate([examples[Draw(1, 0)], examples[Draw(1, 1)]]).targets
    assert targets.gender.tolist() == [-1, -1]
    assert targets.mask_type.tolist() == [-1, 0]
    assert targets.age_years.isnan().tolist() == [True, False]
    assert sorted(map(str, examples.labels()["gender"])) == ["female", "male"]
    three = Examples(table, Sounds(EXTRACTOR, None), genders=GENDERS_WITH_CHILD, seed=0)
    assert three.gender[:2].tolist() == [-1, 0]


def test_the_augmentation_depends_on_seed_epoch_and_place_alone(sound_table: pd.DataFrame) -> None:
    examples, again = sounds(sound_table, NOISY), sounds(sound_table, NOISY)
    first = examples[Draw(1, 0)].augmented.content
    again[Draw(1, 5)]  # something else was drawn before
    torch.manual_seed(99)
    np.testing.assert_array_equal(again[Draw(1, 0)].augmented.content, first)
    other_seed = Examples(sound_table, Sounds(EXTRACTOR, NOISY), genders=("female",), seed=1)
    plain = sounds(sound_table)[Draw(1, 0)].augmented.content
    noises = [
        made.augmented.content - plain
        for made in (examples[Draw(1, 0)], examples[Draw(2, 0)], other_seed[Draw(1, 0)])
    ]
    another = (
        examples[Draw(1, 2)].augmented.content - sounds(sound_table)[Draw(1, 2)].augmented.content
    )
    for noise in (noises[1], noises[2], another):
        assert abs(np.corrcoef(noises[0], noise)[0, 1]) < 0.2


def test_a_mask_that_the_augmentation_adds_is_the_label(
    sound_table: pd.DataFrame, crop_table: pd.DataFrame
) -> None:
    """Clips 0 and 3 have no mask, the others keep theirs."""
    muffled = sounds(sound_table, replace(PLAIN_SOUND, muffle_probability=1.0))
    covered = crops(crop_table, replace(PLAIN_CROP, cover_probability=1.0))
    for examples in (muffled, covered):
        assert examples.preparation.adds_mask_types
        batch = examples.collate([examples[Draw(1, place)] for place in range(12)])
        codes, before = batch.targets.mask_type, examples.mask_type
        assert (codes[before == 0] > 0).all()
        assert torch.equal(codes[before > 0], before[before > 0])
        assert {MASK_TYPES[code] for code in codes} <= set(ATTENUATION_DB)
    assert not sounds(sound_table, PLAIN_SOUND).preparation.adds_mask_types
    assert not crops(crop_table).preparation.adds_mask_types


def test_a_face_without_landmarks_is_not_covered(crop_table: pd.DataFrame) -> None:
    table = crop_table.assign(landmarks=None)
    examples = crops(table, replace(PLAIN_CROP, cover_probability=1.0))
    assert examples[Draw(1, 0)].augmented.mask_type == "none"


def test_open_files_stay_behind_when_examples_go_to_another_process(
    sound_table: pd.DataFrame,
) -> None:
    examples = sounds(sound_table, NOISY)
    here = examples[Draw(1, 0)].augmented.content
    there = pickle.loads(pickle.dumps(examples))  # HDF5's files cannot be pickled
    np.testing.assert_array_equal(there[Draw(1, 0)].augmented.content, here)


@pytest.mark.slow
def test_other_processes_give_the_same_batches(sound_table: pd.DataFrame) -> None:
    examples = sounds(sound_table, NOISY)
    draws = list(draw_batches(order_of_epoch(12, seed=0, epoch=1), epoch=1, batch_size=5))
    alone = list(stream_batches(examples, draws, num_workers=0))
    helped = list(stream_batches(examples, draws, num_workers=2))
    assert [len(batch.places) for batch in alone] == [5, 5, 2]
    for one, other in zip(alone, helped, strict=True):
        for mine, theirs in zip(
            (*one.inputs, *one.targets), (*other.inputs, *other.targets), strict=True
        ):
            assert torch.equal(mine, theirs)
        assert torch.equal(one.places, other.places)


def test_every_epoch_has_all_examples_in_an_order_of_its_own() -> None:
    orders = [
        order_of_epoch(50, seed=seed, epoch=epoch).tolist()
        for seed, epoch in ((0, 1), (0, 2), (1, 1))
    ]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert order_of_epoch(50, seed=0, epoch=1).tolist() == orders[0]


@pytest.mark.parametrize(
    ("order", "num_ranks", "expected"),
    [
        ([3, 1, 2, 0], 2, [[3, 2], [1, 0]]),
        ([3, 1, 2, 0, 4], 2, [[3, 2, 4], [1, 0, 3]]),
        ([1, 0], 3, [[1], [0], [1]]),
    ],
)
def test_devices_share_an_epoch_and_only_padding_comes_twice(
    order: list[int], num_ranks: int, expected: list[list[int]]
) -> None:
    shares = [
        share_of_rank(torch.tensor(order), rank=rank, num_ranks=num_ranks).tolist()
        for rank in range(num_ranks)
    ]
    assert shares == expected


def test_the_devices_parts_of_a_batch_are_the_batch_of_one_device() -> None:
    order = order_of_epoch(24, seed=0, epoch=1)
    whole = list(draw_batches(order, epoch=1, batch_size=8))
    shares = [share_of_rank(order, rank=rank, num_ranks=2) for rank in range(2)]
    parts = [list(draw_batches(share, epoch=1, batch_size=4)) for share in shares]
    assert [set(batch) for batch in whole] == [
        {*one, *other} for one, other in zip(*parts, strict=True)
    ]

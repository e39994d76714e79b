"""Cached sound and crops of a corpus -> the table of quality, measured once."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from oragen.config import paths
from oragen.schema.errors import UserError
from oragen.schema.quality import MEASURES, QUALITY
from oragen.schema.tables import CLIPS, CROPS, SPEECH
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter
from stages.evaluate_head import add_quality
from stages.measure_quality import main
from tests.number_stores import key_of

SECOND = 16_000


def write_store(folder: Path, rows: dict[str, np.ndarray]) -> None:
    with PartWriter(PartStore(folder, "h5"), {"values": "numbers"}, 10**6) as writer:
        for name, values in rows.items():
            writer.add(key_of(name), name, values)


def write_tables(clips: list[str], sounds: list[str], faces: list[str]) -> None:
    """Each sound is 4 s with speech from 1 to 2 s; each face has two crops of 60 px and 40 px."""
    known: dict[str, object] = {"corpus": "x", "split": "test", "speaker_id": "s"}
    CLIPS.write(paths.clips_table("x"), CLIPS.frame([{"clip_id": clip} | known for clip in clips]))
    speech: list[dict[str, object]] = [
        {"clip_id": clip, "key": f"speech-{clip}", "audio_key": key_of(f"sound-{clip}"),
         "num_samples": 4 * SECOND, "starts": [SECOND], "stops": [2 * SECOND]}
        for clip in sounds
    ]  # fmt: skip
    SPEECH.write(paths.speech_table("x"), SPEECH.frame(speech))
    crops: list[dict[str, object]] = [
        {"clip_id": clip, "crop": number, "key": f"{clip}-{number}", "sample": number * SECOND,
         "faces_key": key_of(f"face-{clip}"), "x1": 0.0, "y1": 0.0, "x2": side, "y2": side,
         "score": 0.9}
        for clip in faces
        for number, side in enumerate((60.0, 40.0))
    ]  # fmt: skip
    CROPS.write(paths.crops_table("x"), CROPS.frame(crops))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip with both, one that is silent, one without a face, and one with neither."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    samples = generator.normal(0, 100, 4 * SECOND)
    samples[SECOND : 2 * SECOND] *= 10
    write_store(paths.audio_store("x"), {f"sound-{c}": samples.astype(np.int16) for c in "ac"})
    crops = generator.integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    write_store(paths.faces_store("x"), {f"face-{c}": crops for c in "ab"})
    write_tables(["a", "b", "c", "d"], ["a", "c"], ["a", "b"])


def test_every_clip_has_a_row_with_what_can_be_measured(corpus: None) -> None:
    main("x")
    rows = QUALITY.read(paths.quality_table("x")).set_index("clip_id")
    assert rows.index.tolist() == ["a", "b", "c", "d"]
    assert rows["speech_s"].fillna(-1).tolist() == [1.0, -1, 1.0, -1]
    assert rows["snr_db"].dropna().tolist() == pytest.approx([20.0, 20.0], abs=0.3)
    assert rows["face_px"].fillna(-1).tolist() == [50.0, 50.0, -1, -1]
    assert rows["num_crops"].tolist() == [2, 2, 0, 0]
    assert rows["sharpness"].isna().tolist() == [False, False, True, True]


def test_a_clip_that_was_measured_is_not_read_again(
    corpus: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    main("x")
    before = QUALITY.read(paths.quality_table("x"))
    write_tables(["a", "b", "c"], ["a", "c"], ["b"])
    main("x")
    assert "2 sounds and crops of 1 clips, 0 of them now" in caplog.text
    after = QUALITY.read(paths.quality_table("x"))
    pd.testing.assert_frame_equal(after.iloc[1:], before.iloc[1:3])
    assert after["num_crops"].tolist() == [0, 2, 0]


def test_a_row_that_a_store_lacks_is_one_sentence(corpus: None) -> None:
    write_tables(["a", "e"], ["a", "e"], [])
    with pytest.raises(UserError, match=r"lacks 1 rows.*Run `dvc repro decode_audio@x`"):
        main("x")


def test_predictions_get_the_quality_of_their_clips(corpus: None) -> None:
    main("x")
    predictions = pd.DataFrame({"clip_id": ["c", "a", "c"], "corpus": "x", "seed": [0, 0, 1]})
    joined = add_quality(predictions)
    assert joined["clip_id"].tolist() == ["c", "a", "c"]
    assert joined["num_crops"].tolist() == [0, 2, 0]
    assert set(MEASURES) <= set(joined.columns)


def test_a_corpus_that_was_not_measured_is_scored_all_the_same(corpus: None) -> None:
    predictions = pd.DataFrame({"clip_id": ["y/1"], "corpus": "y"})
    assert add_quality(predictions)[list(MEASURES)].isna().all(axis=None)

"""Sound -> spans of speech, the same ones as Silero's own."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from oragen.config import paths
from oragen.config.params import load_params
from oragen.detection.speech import SpeechDetector, detect_speech, load_speech_detector
from oragen.media.audio import decode_audio
from oragen.schema import tables
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Span
from oragen.store.keys import audio_key, speech_key
from oragen.store.parts import PartStore
from oragen.store.rows import Located
from oragen.store.writing import PartWriter
from stages import detect_speech as stage
from tests.project import REPOSITORY

SHARED = Path(__file__).parents[2] / "shared"
SPANS = SHARED / "golden" / "sample_clips_vad.json"
CLIPS = json.loads(SPANS.read_text())["clips"] if SPANS.is_file() else {}

needs_shared = pytest.mark.skipif(not CLIPS, reason="no ../shared beside the repository")


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return load_speech_detector()


def clip(name: str) -> np.ndarray:
    return decode_audio(SHARED / "media" / name, max_duration_s=60.0)


def buzz(length_s: float) -> np.ndarray:
    """Pulses at 120 Hz through resonances at 700 and 1,200 Hz, in syllables: a crude voice."""
    count = round(length_s * SAMPLE_RATE_HZ)
    time_s = np.arange(count) / SAMPLE_RATE_HZ
    sound = np.diff(np.floor(time_s * 120), prepend=0.0)
    for formant_hz in (700, 1_200, 2_500):
        ringing = 0.98 ** np.arange(400) * np.cos(2 * np.pi * formant_hz * time_s[:400])
        sound = np.convolve(sound, ringing)[:count]
    sound *= np.sin(np.pi * 4 * time_s) ** 2
    return np.asarray(sound / np.abs(sound).max() * 20_000, np.int16)


@needs_shared
@pytest.mark.parametrize("name", CLIPS)
def test_spans_of_real_clips_are_silero_s(detector: SpeechDetector, name: str) -> None:
    audio = clip(name)
    assert len(audio) == CLIPS[name]["samples"]
    assert detect_speech(detector, audio) == [Span(*span) for span in CLIPS[name]["vad"]]


@needs_shared
def test_one_clip_leaves_nothing_behind_for_the_next(detector: SpeechDetector) -> None:
    first, second = clip("f_25.mp4"), clip("m_46.mp4")
    alone = detect_speech(load_speech_detector(), second)
    detect_speech(detector, first)
    assert detect_speech(detector, second) == alone


def test_loading_leaves_the_number_of_threads_alone() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        load_speech_detector()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("num_samples", [0, 1, 511, 512, 4_800, 16_000])
def test_silence_of_any_length_has_no_speech(detector: SpeechDetector, num_samples: int) -> None:
    assert detect_speech(detector, np.zeros(num_samples, np.int16)) == []


def test_spans_are_sorted_disjoint_and_inside_the_clip(detector: SpeechDetector) -> None:
    pause = np.zeros(8_000, np.int16)
    audio = np.concatenate([buzz(1.0), pause, buzz(0.7), pause, buzz(1.3)])
    spans = detect_speech(detector, audio, threshold=0.2, min_silence_ms=30)
    edges = [edge for span in spans for edge in span]
    assert spans
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= len(audio)
    assert all(span.start < span.stop for span in spans)


@needs_shared
def test_padding_moves_the_edges_by_its_length(detector: SpeechDetector) -> None:
    audio = clip("f_29.mp4")
    bare, padded = (detect_speech(detector, audio, pad_ms=pad_ms) for pad_ms in (0, 30))
    assert padded[0].start == bare[0].start - 480  # 30 ms at 16 kHz


@needs_shared
def test_a_minimum_longer_than_the_clip_leaves_no_speech(detector: SpeechDetector) -> None:
    assert detect_speech(detector, clip("f_25.mp4"), min_speech_ms=10_000) == []


def test_the_stage_reads_the_rows_of_its_clips_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy2(REPOSITORY / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    params = load_params()
    clip: dict[str, object] = {
        "clip_id": "mini/a", "corpus": "mini", "split": "test", "speaker_id": "a",
        "audio_hash": "0",
    }  # fmt: skip
    tables.CLIPS.write(paths.clips_table("mini"), tables.CLIPS.frame([clip]))
    sound = audio_key("0", params.audio.as_cache_parameters())
    with PartWriter(PartStore(paths.audio_store("mini"), "h5"), {}, None) as writer:
        writer.add(sound, "mini/a", np.zeros(8, np.int16), details={"notes": []})
    key = speech_key(sound, params.speech.as_cache_parameters())
    with PartWriter(PartStore(paths.speech_store("mini"), "h5"), {}, None) as writer:
        for one in (key, "0" * 32):
            details = {"num_samples": 8, "notes": []}
            writer.add(one, "mini/a", np.array([[0, 8]]), details=details)
    read: list[str] = []
    read_many = PartStore.read_many

    def note(store: PartStore, wanted: Sequence[Located]) -> Iterator[tuple[Located, np.ndarray]]:
        read.extend(located.row.key for located in wanted)
        return read_many(store, wanted)

    monkeypatch.setattr(PartStore, "read_many", note)
    stage.main("mini")
    assert read == [key]
    assert tables.SPEECH.read(paths.speech_table("mini"))["stops"].item().tolist() == [8]

"""One clip's audio -> its spans of speech."""

from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from oragen.media.samples import Samples, to_floats
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Made, Span
from oragen.store.formats import map_values
from oragen.store.rows import Located

if TYPE_CHECKING:
    from silero_vad import SileroVADSequence

LIBRARIES: Final = ("oragen", "onnxruntime", "silero-vad", "torch")  # that search for speech


@dataclass(frozen=True)
class SpeechOptions:
    """Parameters of the speech detector, see `detect_speech`."""

    threshold: float
    min_speech_ms: int
    min_silence_ms: int
    pad_ms: int


def detect_clip_speech(audio: Located, *, options: SpeechOptions) -> Made:
    """Find the speech in a clip's decoded audio, see `detect_samples_speech`."""
    samples = _map_sounds(audio.part)[audio.row.start : audio.row.stop]
    return detect_samples_speech(samples, options=options)


@lru_cache(maxsize=2)
def _map_sounds(part: Path) -> np.ndarray:
    """Map a part once for all of its clips, which come one after the other."""
    return map_values(part, "h5")


def detect_samples_speech(samples: Samples, *, options: SpeechOptions) -> Made:
    """Find the speech in audio at 16 kHz -> values `span, (start, stop)` for a store."""
    spans = detect_speech(_detector(), samples, **asdict(options))
    values = np.array(spans, np.int64).reshape(-1, 2)  # span, (start, stop); also of no span
    details = {"num_samples": len(samples), "notes": []}
    return Made(values, None if spans else "no speech", details)


@cache
def _detector() -> "SpeechDetector":
    """Load the network once in each process."""
    return load_speech_detector()


@dataclass(frozen=True)
class SpeechDetector:
    """Silero's network; it keeps no state between clips."""

    network: "SileroVADSequence"


def load_speech_detector() -> SpeechDetector:
    """Load the network inside the `silero-vad` package; nothing is downloaded."""
    import torch

    num_threads = torch.get_num_threads()
    import silero_vad  # sets torch to one thread for the whole process

    torch.set_num_threads(num_threads)
    # The sequence network reads 16 s at a time: the same spans, six times as fast.
    return SpeechDetector(silero_vad.load_silero_vad(sequence=True))


def detect_speech(
    detector: SpeechDetector,
    audio: Samples,
    *,
    threshold: float = 0.5,
    min_speech_ms: int = 250,
    min_silence_ms: int = 100,
    pad_ms: int = 30,
) -> list[Span]:
    """Audio at 16 kHz -> spans of speech in samples: sorted, disjoint, inside the clip.

    A span opens where the probability of speech in 32 ms reaches `threshold`. It closes where the
    probability stays below `threshold - 0.15` for `min_silence_ms`. Spans of up to `min_speech_ms`
    are dropped; the others grow by `pad_ms` on either side. Silence gives an empty list.
    """
    from silero_vad import get_speech_timestamps_sequence

    spans = get_speech_timestamps_sequence(
        to_floats(audio),
        detector.network,
        sampling_rate=SAMPLE_RATE_HZ,
        threshold=threshold,
        min_speech_duration_ms=min_speech_ms,
        min_silence_duration_ms=min_silence_ms,
        speech_pad_ms=pad_ms,
    )
    return [Span(span["start"], span["end"]) for span in spans]

"""Sound, speech and crops of one clip -> length of speech, estimated SNR, face size, sharpness."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from oragen.media.samples import Samples, to_floats
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Span, count_samples

VERSION: Final = "1"  # of the measures: another one measures all clips again
FRAME: Final = count_samples(0.02)
FRAMES_AT_ONCE: Final = 50_000
MIN_PAUSE_FRAMES: Final = 10  # with fewer the quietest frames are the noise
QUIETEST_SHARE: Final = 0.1
ROUNDING_POWER: Final = 2.0**-30 / 12  # of int16 samples: the noise of a silent recording
SNR_RANGE_DB: Final = (-20.0, 80.0)


class SoundQuality(NamedTuple):
    """What the sound of a clip is measured by; None: there is none."""

    speech_s: float | None = None
    snr_db: float | None = None


class FaceQuality(NamedTuple):
    """What the crops of a clip are measured by; None: there are none."""

    face_px: float | None = None
    sharpness: float | None = None
    num_crops: int = 0


def measure_sound(samples: Samples, speech: Sequence[Span]) -> SoundQuality:
    """Measure sound in which speech was looked for; see `estimate_snr_db`."""
    return SoundQuality(measure_speech_s(speech), estimate_snr_db(samples, speech))


def measure_faces(
    boxes: Float[np.ndarray, "crops 4"], crops: UInt8[np.ndarray, "crops height width 3"]
) -> FaceQuality:
    """Measure crops, at least one; see `measure_face_px` and `measure_sharpness`."""
    return FaceQuality(measure_face_px(boxes), measure_sharpness(crops), len(crops))


def measure_speech_s(speech: Iterable[Span]) -> float:
    """Return the length of all speech, in seconds."""
    return sum(span.stop - span.start for span in speech) / SAMPLE_RATE_HZ


def estimate_snr_db(samples: Samples, speech: Sequence[Span]) -> float | None:
    """Estimate the signal-to-noise ratio of speech: its power against that of the pauses.

    The power of frames of 20 ms outside of all speech is that of the noise. It is taken off the
    power of the frames inside. Where speech leaves fewer than `MIN_PAUSE_FRAMES`, the quietest
    tenth of all frames is the noise. Other voices, echo and music in the pauses count as noise.

    Returns:
        decibels within `SNR_RANGE_DB`; None without a whole frame of speech.
    """
    powers = _measure_powers(samples)
    inside, outside = _sort_frames(len(samples), speech)
    if not inside.any():
        return None
    pauses = powers[outside]
    if len(pauses) < MIN_PAUSE_FRAMES:
        pauses = np.sort(powers)[: max(1, int(QUIETEST_SHARE * len(powers)))]
    noise = float(pauses.mean())
    signal = max(float(powers[inside].mean()) - noise, 1e-3 * noise)
    return float(np.clip(10 * np.log10(signal / noise), *SNR_RANGE_DB))


def measure_face_px(boxes: Float[np.ndarray, "crops 4"]) -> float:
    """Return the median over the crops of the side of a square as large as the face's box.

    Args:
        boxes: x1, y1, x2, y2 in pixels of the picture; at least one.
    """
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return float(np.median(np.sqrt(np.clip(width * height, 0, None))))


def measure_sharpness(crops: UInt8[np.ndarray, "crops height width 3"]) -> float:
    """Return the median over the crops of the variance of the Laplacian of their grey values.

    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy", doi
    10.1109/ICPR.2000.903548. All crops have one size, so small faces count as blurred.

    Args:
        crops: RGB; at least one.
    """
    import cv2  # not with the module, which stages load that may have nothing to measure

    greys = (cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops)
    return float(np.median([cv2.Laplacian(grey, cv2.CV_64F).var() for grey in greys]))


def _measure_powers(samples: Samples) -> Float[np.ndarray, " frames"]:
    """Return the mean power of each whole frame."""
    # samples -> frames, samples
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    starts = range(0, len(frames), FRAMES_AT_ONCE)
    powers = [(to_floats(frames[s : s + FRAMES_AT_ONCE]) ** 2).mean(axis=1) for s in starts]
    return np.concatenate([np.empty(0), *powers]) + ROUNDING_POWER


def _sort_frames(
    num_samples: int, speech: Sequence[Span]
) -> tuple[Bool[np.ndarray, " frames"], Bool[np.ndarray, " frames"]]:
    """Return which frames lie in speech, and which have none."""
    is_speech = np.zeros(num_samples, bool)
    for span in speech:
        is_speech[span.start : span.stop] = True
    # samples -> frames, samples
    frames = is_speech[: num_samples // FRAME * FRAME].reshape(-1, FRAME)
    return np.asarray(frames.all(axis=1)), np.asarray(~frames.any(axis=1))

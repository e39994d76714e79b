"""One clip, as a file or as arrays -> its audio, crops and windows, or the reason why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int16, UInt8

from oragen.detection.quality import FaceQuality, SoundQuality, measure_faces, measure_sound
from oragen.detection.speech import detect_samples_speech
from oragen.detection.windows import Window
from oragen.media.samples import Samples, to_floats, to_int16
from oragen.predictor.preprocessing import Preprocessing
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Made, Span

NOT_REQUESTED = "not asked for"  # both are in the JSON of predictions, so the words stay
NOT_GIVEN = "not given"


@dataclass(frozen=True)
class FaceBox:
    """The box of the main face in pixels of the picture; score 0 means interpolated."""

    time_s: float
    x1: float
    y1: float
    x2: float
    y2: float
    score: float


@dataclass(frozen=True)
class ClipInputs:
    """The audio, crops and windows of one clip, before the encoders."""

    name: str
    samples: Samples
    speech: list[Span]
    crops: UInt8[np.ndarray, "crops height width 3"]
    boxes: list[FaceBox]
    landmarks: list[list[float] | None]  # of each crop, in its pixels: see `Box`
    windows: list[Window]
    audio_reason: str | None  # why there is no speech
    face_reason: str | None  # why there is no face
    notes: list[str]  # problems of a damaged file, and what was chosen in it
    length_s: float  # as far as sound or pictures reach; an image is a second
    sound_quality: SoundQuality
    face_quality: FaceQuality


def take_clip_inputs(
    preprocessing: Preprocessing,
    *,
    audio: Float[np.ndarray, " samples"] | Int16[np.ndarray, " samples"] | None = None,
    rate_hz: int = SAMPLE_RATE_HZ,
    faces: Sequence[UInt8[np.ndarray, "_ _ 3"]] = (),
    name: str = "arrays",
) -> ClipInputs:
    """Find speech in a waveform, and cut it and crops of the caller into windows.

    Args:
        preprocessing: of the model.
        audio: mono; floats in -1..1, or int16.
        rate_hz: of the audio; it is resampled to 16 kHz.
        faces: RGB crops of one face, one a second from the start. A single crop beside audio holds
            for all of it.
        name: of the clip in the prediction.

    Raises:
        UserError: neither is given, or the audio is not one channel of finite numbers.
    """
    if audio is None and not len(faces):
        raise UserError("There is nothing to predict from. Give `audio`, `faces`, or both.")
    sound, crops = _absent(np.int16, NOT_GIVEN), _absent(np.uint8, NOT_GIVEN)
    if audio is not None:
        sound = Made(to_samples(audio, rate_hz), None, {"notes": []})
    if len(faces):
        crops = _resize_faces(faces, preprocessing.faces.crop_px)
    is_still = len(faces) == 1 and audio is not None
    return to_clip_inputs(name, sound, crops, preprocessing, is_still=is_still)


def to_samples(
    audio: Float[np.ndarray, " samples"] | Int16[np.ndarray, " samples"], rate_hz: int
) -> Int16[np.ndarray, " samples_at_16_khz"]:
    """Bring a mono waveform to int16 at 16 kHz.

    Raises:
        UserError: it is not one channel of finite numbers, or has no rate.
    """
    if audio.ndim != 1 or rate_hz <= 0:
        raise UserError(
            f"The audio has the shape {audio.shape} at {rate_hz} Hz, expected one channel and a "
            "positive rate. Mix several channels with `audio.mean(axis=0)`."
        )
    floats = to_floats(audio, np.float64)
    if not np.isfinite(floats).all():
        raise UserError("The audio has NaN or infinite samples, expected finite ones. Remove them.")
    if rate_hz != SAMPLE_RATE_HZ:
        import torch
        from torchaudio.functional import resample

        floats = resample(torch.from_numpy(floats), rate_hz, SAMPLE_RATE_HZ).numpy()
    return to_int16(floats)


def _resize_faces(faces: Sequence[np.ndarray], crop_px: int) -> Made:
    import cv2

    crops = [
        cv2.resize(face, (crop_px, crop_px), interpolation=cv2.INTER_AREA)
        if face.shape[:2] != (crop_px, crop_px)
        else face
        for face in faces
    ]
    details: dict[str, Any] = {
        "samples": [second * SAMPLE_RATE_HZ for second in range(len(faces))],
        "boxes": [[0.0, 0.0, float(face.shape[1]), float(face.shape[0]), 1.0] for face in faces],
        "stop": len(faces) * SAMPLE_RATE_HZ,
        "notes": [],
    }
    return Made(np.stack(crops), None, details)  # crop, height, width, 3


def _absent(kind: type[np.generic], reason: str) -> Made:
    """No values of a modality that was not given."""
    return Made(np.zeros(0, kind), reason, {"notes": []})


def to_clip_inputs(
    name: str, sound: Made, faces: Made, preprocessing: Preprocessing, *, is_still: bool
) -> ClipInputs:
    """Find speech in decoded sound, and cut the sound and the crops into windows."""
    spans: list[Span] = []
    audio_reason = sound.reason
    sound_quality, face_quality = SoundQuality(), FaceQuality()
    if sound.reason is None and preprocessing.use_sound:
        speech = detect_samples_speech(sound.values, options=preprocessing.speech)
        spans = [Span(int(start), int(stop)) for start, stop in speech.values]
        audio_reason = speech.reason
        sound_quality = measure_sound(sound.values, spans)
    times = [] if faces.reason else faces.details["samples"]
    boxes = [] if faces.reason else faces.details["boxes"]
    landmarks = faces.details.get("landmarks", [None] * len(times)) if times else []
    crops = faces.values if faces.values.ndim == 4 else np.zeros((0, 1, 1, 3), np.uint8)
    if boxes:
        face_quality = measure_faces(np.array(boxes, float)[:, :4], crops)
    windows = preprocessing.cut(len(sound.values), spans, times, is_still=is_still)
    if spans and not any(window.has_speech for window in windows):
        shortest = preprocessing.windows.min_length / SAMPLE_RATE_HZ
        audio_reason = f"no {shortest:g} s of speech without a pause"
    return ClipInputs(
        name=name,
        samples=sound.values,
        speech=spans,
        crops=crops,
        boxes=[
            FaceBox(sample / SAMPLE_RATE_HZ, *box) for sample, box in zip(times, boxes, strict=True)
        ],
        landmarks=landmarks,
        windows=windows,
        audio_reason=audio_reason,
        face_reason=faces.reason,
        notes=list(dict.fromkeys([*sound.details["notes"], *faces.details["notes"]])),
        length_s=max(len(sound.values), faces.details.get("stop", 0)) / SAMPLE_RATE_HZ,
        sound_quality=sound_quality,
        face_quality=face_quality,
    )

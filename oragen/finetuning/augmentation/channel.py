"""A waveform -> the same waveform after a phone line or a codec."""

import io
from typing import Final, Literal, assert_never

import av
import numpy as np
import torch
import torchaudio.functional as audio_functional
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from jaxtyping import Float
from torch import Tensor

from oragen.finetuning.augmentation.bands import attenuate
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

Codec = Literal["aac", "opus"]

PHONE_RATE_HZ: Final = 8000
PHONE_BANDS_HZ: Final = (0, 150, 300, 3400, 4000, 8000)
PHONE_ATTENUATION_DB: Final = (50.0, 30.0, 0.0, 0.0, 40.0, 60.0)
MU_LAW_STEPS: Final = 256  # 8 bits a sample


def to_phone_line(waveform: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch samples"]:
    """Keep 300-3400 Hz, in 8-bit mu-law at 8 kHz as on a digital phone line (ITU-T G.711).

    `waveform` must lie in -1..1. Digital silence comes out at 0.0001, mu-law's smallest step.
    """
    in_band = attenuate(
        waveform, bands_hz=PHONE_BANDS_HZ, attenuation_db=PHONE_ATTENUATION_DB
    ).clamp(-1, 1)
    narrow = audio_functional.resample(in_band, SAMPLE_RATE_HZ, PHONE_RATE_HZ)
    steps = audio_functional.mu_law_encoding(narrow.clamp(-1, 1), MU_LAW_STEPS)
    decoded = audio_functional.mu_law_decoding(steps, MU_LAW_STEPS)
    wide: Tensor = audio_functional.resample(decoded, PHONE_RATE_HZ, SAMPLE_RATE_HZ)
    return wide[..., : waveform.shape[-1]]


def through_codec(
    waveform: Float[Tensor, " samples"], *, codec: Codec, bit_rate: int
) -> Float[Tensor, " samples"]:
    """Encode and decode with FFmpeg's AAC or libopus, in memory and without delay.

    `waveform` must lie in -1..1, `bit_rate` is in bits a second. Takes 25 to 45 ms for 4 s.
    """
    file = io.BytesIO()
    match codec:
        case "aac":
            with av.open(file, "w", format="mp4") as container:
                _encode(container, "aac", bit_rate, waveform)
        case "opus":
            with av.open(file, "w", format="ogg") as container:
                _encode(container, "libopus", bit_rate, waveform)
        case _:
            assert_never(codec)
    file.seek(0)
    with av.open(file, "r") as container:
        decoded = _decode(container)
    result = torch.zeros_like(waveform)  # AAC comes in blocks of 1024, so a little longer
    num_samples = min(len(result), len(decoded))
    result[:num_samples] = decoded[:num_samples]
    return result


def _encode(
    container: OutputContainer, encoder: str, bit_rate: int, waveform: Float[Tensor, " samples"]
) -> None:
    stream = container.add_stream(encoder, rate=SAMPLE_RATE_HZ, layout="mono", bit_rate=bit_rate)
    assert isinstance(stream, AudioStream)
    # 32767 and not the scale of `media.samples`: another one would change what models train on.
    pcm = (waveform * 32767).round().to(torch.int16).numpy()
    frame = AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0  # without a time AAC starts 1024 late
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _decode(container: InputContainer) -> Float[Tensor, " decoded"]:
    resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
    frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    frames += resampler.resample(None)
    return torch.from_numpy(np.concatenate([frame.to_ndarray()[0] for frame in frames]))

"""Waveforms -> speaker embeddings of the package Resemblyzer, of 1.6 s each and of the whole."""

import hashlib
import json
from collections.abc import Collection, Sequence
from functools import cache
from typing import Final, NamedTuple, assert_never

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from oragen.encoders.copying import Returning, pin, send
from oragen.encoders.errors import EncoderError
from oragen.encoders.layers import Layers
from oragen.encoders.levels import (
    INTERMEDIATE,
    Launched,
    Rows,
    choose_rows,
    refuse_early,
    round_rows,
)
from oragen.encoders.sounds import Sound
from oragen.media.samples import to_floats
from oragen.models.packages import SPEAKER
from oragen.models.speaker import NUM_BANDS, WIDTH, SpeakerNetwork, load_speaker_network
from oragen.schema.choices.encoders import RESEMBLYZER
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Level, Precision

COLUMN_SAMPLES: Final = 400  # 25 ms
HOP_SAMPLES: Final = 160  # 10 ms from one column to the next
PART_COLUMNS: Final = 160  # that the network takes at a time
STEP_COLUMNS: Final = round(SAMPLE_RATE_HZ / 1.3 / HOP_SAMPLES)  # 1.3 parts a second, as there
MIN_COVERAGE: Final = 0.75  # of the last part by sound, as there
LEAST_LOUDNESS_DB: Final = -30.0  # of full scale; what is louder stays as it is
SILENCE: Final = 1e-12  # mean square of what cannot be made louder
PREPARATION: Final = "librosa mel, 40 bands; -30 dBFS; parts of 1.6 s"  # part of the fingerprint


class PreparedVoices(NamedTuple):
    """Parts of waveforms, as mel spectrograms."""

    parts: Float[Tensor, "parts columns bands"]
    num_parts: list[int]  # of each waveform, in order


class SpeakerEncoder(nn.Module):
    """The frozen speaker encoder of Resemblyzer, by parts of 1.6 s, 1.3 of them a second.

    Levels: `intermediate`, the embedding of each part; `late`, their mean, of length 1: what
    `VoiceEncoder.embed_utterance` of the package gives; `pooled`, mean and standard deviation.
    Silence is not cut out, as the package offers: windows are speech already.
    """

    def __init__(self, network: SpeakerNetwork) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def fingerprint(self, level: Level = "intermediate") -> str:
        """SHA-256 of the sum of the weights, and of how waveforms are prepared."""
        return hashlib.sha256(json.dumps([SPEAKER.sha256, PREPARATION]).encode()).hexdigest()

    def feature_shape(self, num_samples: int, level: Level = "intermediate") -> tuple[int, int]:
        """Return rows and width of the embedding of so many samples."""
        match level:
            case "intermediate":
                return len(find_parts(num_samples)), WIDTH
            case "late":
                return 1, WIDTH
            case "pooled":
                return 2, WIDTH
            case "early":
                raise AssertionError("refused when it is loaded")
            case _:
                assert_never(level)

    @property
    def frame_samples(self) -> tuple[int, int]:
        """Samples from one part to the next, and those of a part."""
        return STEP_COLUMNS * HOP_SAMPLES, PART_COLUMNS * HOP_SAMPLES

    def prepare(self, waveforms: Sequence[Sound]) -> PreparedVoices:
        """Make mel spectrograms of parts; may run while the network computes."""
        parts = [cut_parts(to_floats(waveform)) for waveform in waveforms]
        device = next(self.network.parameters()).device
        return PreparedVoices(pin(torch.cat(parts), device), [len(part) for part in parts])

    def launch(
        self,
        prepared: PreparedVoices,
        levels: Collection[Level],
        dtype: torch.dtype = torch.float32,
    ) -> Launched:
        """Begin to encode; the result gives `rows x width` of each waveform, for each level."""
        device = next(self.network.parameters()).device
        embedded = self(send(prepared.parts, device))[:, None]  # to part, 1, width
        returning = Returning({INTERMEDIATE: embedded}, torch.float32)

        def wait() -> Rows:
            parts = returning.wait()[INTERMEDIATE][:, 0]  # part, width
            rows = np.split(parts, np.cumsum(prepared.num_parts)[:-1])
            computed: Rows = {"intermediate": rows, "late": [_join(parts) for parts in rows]}
            return round_rows(choose_rows(computed, levels), dtype)

        return wait

    def embed(self, prepared: PreparedVoices, levels: Collection[Level]) -> Rows:
        """Encode prepared waveforms -> for each level, `rows x width` of each waveform."""
        return self.launch(prepared, levels)()

    def encode(self, waveforms: Sequence[Sound], level: Level = "intermediate") -> list[np.ndarray]:
        """Encode waveforms of any lengths -> `rows x width` of each."""
        return self.embed(self.prepare(waveforms), (level,))[level]

    @torch.inference_mode()
    def forward(self, parts: Float[Tensor, "parts columns bands"]) -> Float[Tensor, "parts width"]:
        """Encode parts."""
        embedded: Tensor = self.network(parts)
        return embedded


def load_speaker_encoder(
    revision: str | None,
    *,
    precision: Precision,
    levels: Collection[Level],
    layers: Layers = "last",
) -> SpeakerEncoder:
    """Load the network of the installed package.

    Raises:
        EncoderError: a level, a layer, a precision or a revision that it does not have.
        PackageError: the package is missing, or its file is not the known one.
    """
    refuse_early(RESEMBLYZER, levels)
    if precision != "fp32" or revision is not None or layers != "last":
        raise EncoderError(
            f"Encoder {RESEMBLYZER!r} computes in fp32, has no revisions, and gives one vector for "
            f"each 1.6 s; found precision {precision}, revision {revision} and layers {layers}. "
            "Set fp32, no revision, and layers: last."
        )
    return SpeakerEncoder(load_speaker_network())


def find_parts(num_samples: int) -> list[int]:
    """Return the first column of each part, as `VoiceEncoder.compute_partial_slices`."""
    num_columns = -(-(num_samples + 1) // HOP_SAMPLES)
    starts = [*range(0, max(1, num_columns - PART_COLUMNS + STEP_COLUMNS + 1), STEP_COLUMNS)]
    covered = (num_samples / HOP_SAMPLES - starts[-1]) / PART_COLUMNS
    return starts[:-1] if covered < MIN_COVERAGE and len(starts) > 1 else starts


def cut_parts(waveform: Float[np.ndarray, " _"]) -> Float[Tensor, "parts columns bands"]:
    """Make the mel spectrogram of a waveform in -1..1, and cut it into parts."""
    starts = find_parts(len(waveform))
    needed = (starts[-1] + PART_COLUMNS) * HOP_SAMPLES
    loud = np.pad(amplify(waveform), (0, max(0, needed - len(waveform))))
    mel = to_mel(torch.from_numpy(loud))
    return torch.stack([mel[start : start + PART_COLUMNS] for start in starts])


def amplify(waveform: Float[np.ndarray, " _"]) -> Float[np.ndarray, " _"]:
    """Bring a quiet waveform to -30 dBFS, as `normalize_volume(..., increase_only=True)`."""
    loudness_db = 10 * np.log10(max(float(np.mean(waveform**2)), SILENCE))
    gain_db = max(0.0, LEAST_LOUDNESS_DB - loudness_db)
    louder: np.ndarray = (waveform * 10 ** (gain_db / 20)).astype(np.float32)
    return louder


def to_mel(waveform: Float[Tensor, " samples"]) -> Float[Tensor, "columns bands"]:
    """Make a mel spectrogram as `librosa.feature.melspectrogram`: of power, without a logarithm."""
    mel: Tensor = _build_mel()(waveform)  # band, column
    return mel.T


@cache
def _build_mel() -> nn.Module:
    from torchaudio.transforms import MelSpectrogram

    transform: nn.Module = MelSpectrogram(
        SAMPLE_RATE_HZ,
        n_fft=COLUMN_SAMPLES,
        hop_length=HOP_SAMPLES,
        n_mels=NUM_BANDS,
        norm="slaney",
        mel_scale="slaney",
        pad_mode="constant",
    )
    return transform


def _join(parts: Float[np.ndarray, "parts width"]) -> Float[np.ndarray, "1 width"]:
    mean = parts.mean(axis=0, keepdims=True)
    joined: np.ndarray = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return joined

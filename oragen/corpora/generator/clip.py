"""One planned clip -> an MP4 file: H.264 video and AAC audio of a person who talks."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from oragen.corpora.generator.face import Expression, Look, draw_look, paint_head
from oragen.corpora.generator.masks import draw_mask
from oragen.corpora.generator.painting import Pixels
from oragen.corpora.generator.recording import muffle, record
from oragen.corpora.generator.scene import (
    Picture,
    Scene,
    compose,
    draw_motion,
    draw_scene,
    layer_of,
)
from oragen.corpora.generator.speakers import SpeakerTraits
from oragen.corpora.generator.syllables import CONTROL_RATE_HZ
from oragen.corpora.generator.voice import Utterance, Waveform, speak
from oragen.schema.choices.corpora import Condition
from oragen.schema.files import atomic_write
from oragen.schema.vocabulary import SAMPLE_RATE_HZ

# What a clip lacks on purpose. `fault_share` is a field of every corpus.json, so the word stays.
Fault = Literal["none", "no_speech", "no_face"]

PICTURES_PER_S: Final = Fraction(25, 2)
MOUTH_LEVELS: Final = 5
AUDIO_BIT_RATE: Final[dict[Condition, int]] = {"studio": 96_000, "phone": 32_000}
# Studio files are sampled higher than the voice is synthesised, as real ones are.
FILE_RATE_HZ: Final[dict[Condition, int]] = {"studio": 48_000, "phone": SAMPLE_RATE_HZ}


@dataclass(frozen=True)
class ClipPlan:
    """All that determines a clip; `entropy` seeds everything not named here."""

    media: str
    speaker_id: str
    split: str
    traits: SpeakerTraits
    mask_type: str
    condition: Condition
    num_pictures: int
    fault: Fault
    entropy: tuple[int, ...]

    @property
    def duration_s(self) -> float:
        return float(self.num_pictures / PICTURES_PER_S)


@dataclass(frozen=True)
class Clip:
    """A finished clip in memory: `sound` at 16 kHz, `pictures` at `PICTURES_PER_S`."""

    sound: Waveform
    pictures: list[Picture]
    crf: int


def render_clip(plan: ClipPlan) -> Clip:
    """Plan -> sound and pictures; the same plan gives the same clip."""
    rng = np.random.default_rng(plan.entropy)
    utterance = _utterance(plan, rng)
    muffled = muffle(utterance.waveform, plan.mask_type, rng)
    sound = record(muffled, plan.condition, rng)
    look = draw_look(plan.traits.face, draw_mask(plan.mask_type, rng), rng)
    scene = draw_scene(plan.condition, rng)
    expressions = _expressions(utterance.opening, plan.num_pictures, rng)
    return Clip(sound, _pictures(plan, look, scene, expressions, rng), scene.crf)


def write_clip(plan: ClipPlan, path: Path) -> None:
    """Plan -> a file that appears under its name only when it is complete."""
    with atomic_write(path) as unfinished:
        _encode(render_clip(plan), unfinished, plan.condition)


def _utterance(plan: ClipPlan, rng: np.random.Generator) -> Utterance:
    if plan.fault == "no_speech":
        num_steps = round(plan.duration_s * CONTROL_RATE_HZ)
        silence = np.zeros(round(plan.duration_s * SAMPLE_RATE_HZ))
        return Utterance(silence, np.zeros(num_steps))
    return speak(plan.traits.voice, plan.duration_s, rng)


def _expressions(
    opening: NDArray[np.float64], num_pictures: int, rng: np.random.Generator
) -> list[Expression]:
    """Mouth track -> one expression a picture, in few levels so that painted heads are reused."""
    steps = (np.arange(num_pictures) / float(PICTURES_PER_S) * CONTROL_RATE_HZ).astype(int)
    mouth = np.rint(opening[steps] * (MOUTH_LEVELS - 1)) / (MOUTH_LEVELS - 1)
    eyes = _blinks(num_pictures, rng)
    return [Expression(float(m), float(e)) for m, e in zip(mouth, eyes, strict=True)]


def _blinks(num_pictures: int, rng: np.random.Generator) -> NDArray[np.float64]:
    eyes = np.ones(num_pictures)
    picture = int(rng.integers(5, 40))
    while picture < num_pictures - 2:
        eyes[picture : picture + 2] = 0.0
        picture += int(rng.integers(20, 60))
    return eyes


def _pictures(
    plan: ClipPlan,
    look: Look,
    scene: Scene,
    expressions: list[Expression],
    rng: np.random.Generator,
) -> list[Picture]:
    motion = draw_motion(scene, plan.num_pictures, rng)
    layers: dict[Expression, Pixels] = {}
    if plan.fault != "no_face":
        layers = {e: layer_of(paint_head(look, e), scene) for e in sorted(set(expressions))}
    return [
        compose(scene, layers.get(expression), motion, picture, rng)
        for picture, expression in enumerate(expressions)
    ]


def _encode(clip: Clip, path: Path, condition: Condition) -> None:
    """Write the same bytes on every machine and in every process.

    So the encoders run in one thread, and x264 without macroblock trees: for pictures 192 wide
    these depend on earlier contents of memory.
    """
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=PICTURES_PER_S)
        video.height, video.width = clip.pictures[0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.options = {"preset": "veryfast", "crf": str(clip.crf), "x264-params": "mbtree=0"}
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=FILE_RATE_HZ[condition], layout="mono")
        audio.options = {"aac_coder": "fast"}
        audio.bit_rate = AUDIO_BIT_RATE[condition]
        for picture in clip.pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
        container.mux(audio.encode(_audio_frame(clip.sound, FILE_RATE_HZ[condition])))
        container.mux(audio.encode())


def _audio_frame(sound: Waveform, rate_hz: int) -> av.AudioFrame:
    samples = np.asarray(resample_poly(sound, rate_hz // SAMPLE_RATE_HZ, 1), dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(  # samples -> channel, samples
        np.clip(samples, -1, 1)[None, :], format="fltp", layout="mono"
    )
    frame.sample_rate = rate_hz
    return frame

"""Sounds -> the seconds of speech detection: by Silero's standard network, its ONNX one, and ours.

One thread. Without `--media` the voices are generated; name a folder of clips for real ones.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.measuring import Value, show, time_in_turns
from oragen.corpora.generator.speakers import draw_speaker
from oragen.corpora.generator.voice import speak
from oragen.detection.speech import detect_speech, load_speech_detector
from oragen.media.audio import decode_audio
from oragen.schema.vocabulary import GENDERS, SAMPLE_RATE_HZ, Span


def main(
    media: Annotated[Path | None, typer.Option(help="A folder of MP4 files.")] = None,
    repeats: Annotated[int, typer.Option(help="Passes of each way, in turns.")] = 5,
) -> None:
    """Time three ways of speech detection, and compare their spans."""
    import silero_vad

    torch.set_num_threads(1)
    sounds = read_sounds(media) if media else make_sounds()
    detector = load_speech_detector()
    torch.set_num_threads(1)
    ways: dict[str, Callable[[np.ndarray], list[Span]]] = {
        "standard (JIT)": published_way(silero_vad.load_silero_vad()),
        "ONNX": published_way(silero_vad.load_silero_vad(onnx=True)),
        "ours (sequence)": partial(detect_speech, detector),
    }
    spans = {name: find_all(way, sounds) for name, way in ways.items()}
    timings = time_in_turns(
        {name: partial(find_all, way, sounds) for name, way in ways.items()},
        repeats=repeats,
    )
    length_s = sum(map(len, sounds)) / SAMPLE_RATE_HZ
    standard = "standard (JIT)"
    rows: list[dict[str, Value]] = [
        {
            "way": name,
            "real-time factor": timing.median / length_s,
            "times the standard": timings[standard].median / timing.median,
            "clips with the same spans": sum(map(list.__eq__, spans[name], spans[standard])),
        }
        for name, timing in timings.items()
    ]
    show(
        "vad", f"Speech detection, {len(sounds)} clips, {length_s:.0f} s, medians of {repeats}",
        rows, speech=str(media.name) if media else "generated", threads=torch.get_num_threads(),
    )  # fmt: skip


def find_all(
    find: Callable[[np.ndarray], list[Span]], sounds: Sequence[np.ndarray]
) -> list[list[Span]]:
    """Find the speech in every clip."""
    return [find(sound) for sound in sounds]


def published_way(model: Callable[..., object]) -> Callable[[np.ndarray], list[Span]]:
    """Return Silero's own function around one of its networks."""
    from silero_vad import get_speech_timestamps

    def find(sound: np.ndarray) -> list[Span]:
        spans = get_speech_timestamps(torch.from_numpy(sound.astype(np.float32) / 2**15), model)
        return [Span(span["start"], span["end"]) for span in spans]

    return find


def read_sounds(folder: Path) -> list[np.ndarray]:
    """Decode the clips of a folder."""
    return [decode_audio(path, max_duration_s=600) for path in sorted(folder.glob("*.mp4"))]


def make_sounds() -> list[np.ndarray]:
    """Let some generated speakers speak."""
    random = np.random.default_rng(0)
    speakers = [draw_speaker(GENDERS[number % 2], 15 + 5 * number, random) for number in range(12)]
    spoken = [speak(traits.voice, 7.0, random).waveform for traits in speakers]
    return [np.asarray(np.clip(waveform, -1, 1) * (2**15 - 1), np.int16) for waveform in spoken]


if __name__ == "__main__":
    typer.run(main)

"""A good clip -> every kind of bad one that people have."""

from pathlib import Path

import av
import numpy as np

from oragen.media.audio import decode_audio
from tests.media_files import mux_sound, plain, write_fade, write_video

KINDS = ("empty", "text", "truncated", "cut", "no_audio", "no_video", "short", "silent", "no_face")


def write_broken_clips(folder: Path, good: Path) -> dict[str, Path]:
    """Write one file of each kind; the good one has a face and speech."""
    paths = {name: folder / f"{name}.mp4" for name in KINDS}
    content = good.read_bytes()
    paths["empty"].write_bytes(b"")
    paths["text"].write_text("This is no clip.\n" * 100)
    paths["truncated"].write_bytes(content[: len(content) // 2])
    paths["cut"].write_bytes(cut_short(good))
    copy_tracks(good, paths["no_audio"], "video")
    copy_tracks(good, paths["no_video"], "audio")
    write_fade(paths["short"], 0.3, sound=np.zeros((1, 4_800)))
    speech = decode_audio(good, max_duration_s=60.0)[np.newaxis] / 2**15
    copy_tracks(good, paths["silent"], "video", sound=np.zeros_like(speech))
    num_pictures = speech.shape[1] * 25 // 16_000
    write_video(
        paths["no_face"], [k / 25 for k in range(num_pictures)], [plain(90)] * num_pictures,
        sound=speech,
    )  # fmt: skip
    return paths


def cut_short(good: Path) -> bytes:
    """Return the first 80 % of a clip whose index stands in front, as files for the web have it."""
    web = good.with_name("web.mp4")
    with (
        av.open(str(good)) as old,
        av.open(str(web), "w", options={"movflags": "faststart"}) as new,
    ):
        copied = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = copied[packet.stream.index]
                new.mux(packet)
    content = web.read_bytes()
    web.unlink()
    return content[: len(content) * 8 // 10]


def copy_tracks(source: Path, target: Path, kind: str, *, sound: np.ndarray | None = None) -> None:
    """Copy the tracks of one kind without coding them again, and perhaps add other sound."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = next(stream for stream in old.streams if stream.type == kind)
        copied = new.add_stream_from_template(stream)
        added = new.add_stream("aac", rate=16_000, layout="mono") if sound is not None else None
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                new.mux(packet)
        if added is not None and sound is not None:
            mux_sound(new, added, sound, start_s=0.0)
            new.mux(added.encode(None))

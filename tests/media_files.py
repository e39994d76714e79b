"""Small real media files for tests: tones, plain pictures, and broken ones."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float, UInt8

Sound = Float[np.ndarray, "channels samples"]
Rgb = UInt8[np.ndarray, "height width 3"]


def tone(
    length_s: float, *, rate_hz: int = 16_000, tone_hz: float = 440.0, channels: int = 1
) -> Sound:
    """A sine of half the full scale, the same in every channel."""
    time_s = np.arange(round(length_s * rate_hz)) / rate_hz
    return np.tile(0.5 * np.sin(2 * np.pi * tone_hz * time_s), (channels, 1))


def to_int16(sound: Sound) -> np.ndarray:
    """The first channel as 16-bit samples, little-endian."""
    return np.asarray(np.rint(sound[0] * 32_767), "<i2")


def plain(level: int, *, width: int = 64, height: int = 48) -> Rgb:
    """A picture of one shade of grey."""
    return np.full((height, width, 3), level, np.uint8)


def numbered(height: int, width: int) -> Rgb:
    """A picture whose red is the row, green the column and blue nothing."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def bright_left(*, width: int = 64, height: int = 48) -> Rgb:
    """A black picture whose left half is white."""
    picture = plain(0, width=width, height=height)
    picture[:, : width // 2] = 255
    return picture


def write_sound(
    path: Path,
    sound: Sound,
    *,
    rate_hz: int = 16_000,
    codec: str = "pcm_s16le",
    layout: str = "mono",
    tags: dict[str, str] | None = None,
) -> Path:
    """Write a file of sound alone; the container follows from the suffix."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        add_sound(container, sound, rate_hz=rate_hz, codec=codec, layout=layout)
    return path


def add_sound(
    container: av.container.OutputContainer,
    sound: Sound,
    *,
    rate_hz: int = 16_000,
    codec: str = "aac",
    layout: str = "mono",
    start_s: float = 0.0,
) -> None:
    stream = container.add_stream(codec, rate=rate_hz, layout=layout)
    assert isinstance(stream, av.AudioStream)
    mux_sound(container, stream, sound, start_s=start_s)
    container.mux(stream.encode(None))


def mux_sound(
    container: av.container.OutputContainer,
    stream: av.AudioStream,
    sound: Sound,
    *,
    start_s: float,
) -> None:
    """Write one stretch of sound; the stream stays open for more."""
    layout, rate_hz = stream.layout.name, stream.rate
    frame = av.AudioFrame.from_ndarray(sound.astype(np.float32), format="fltp", layout=layout)
    frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
    frame.pts = round(start_s * rate_hz)
    resampler = av.AudioResampler(
        format=stream.codec_context.format,
        layout=layout,
        rate=rate_hz,
        frame_size=stream.frame_size,
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))


def write_video(
    path: Path,
    times_s: Sequence[float],
    pictures: Sequence[Rgb],
    *,
    codec: str = "libx264",
    sound: Sound | None = None,
    sound_start_s: float = 0.0,
    sound_codec: str = "aac",
    pixel_aspect: Fraction | None = None,
    time_base: Fraction = Fraction(1, 12_800),
    options: dict[str, str] | None = None,
) -> Path:
    """Write each picture at its time, and perhaps sound at 16 kHz.

    So the rate may vary, and either track may start late.
    """
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = time_base
        stream.codec_context.sample_aspect_ratio = pixel_aspect or Fraction(1)
        if sound is not None:
            add_sound(container, sound, codec=sound_codec, start_s=sound_start_s)
        for time_s, picture in zip(times_s, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time_s / time_base), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_fade(
    path: Path,
    length_s: float,
    *,
    start_s: float = 0.0,
    codec: str = "libx264",
    sound: Sound | None = None,
    sound_start_s: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """Write 25 pictures a second, the k-th of them grey (20 + 2 k) % 256."""
    count = round(length_s * 25)
    times_s = [start_s + k / 25 for k in range(count)]
    pictures = [plain((20 + 2 * k) % 256) for k in range(count)]
    return write_video(
        path,
        times_s,
        pictures,
        codec=codec,
        sound=sound,
        sound_start_s=sound_start_s,
        options=options,
    )


def rotate_mp4(path: Path) -> Path:
    """Say in an MP4 file that its pictures must be turned by 90 degrees clockwise to be upright."""
    return set_display_matrix(path, (0, 1, -1, 0))


def set_display_matrix(path: Path, abcd: tuple[float, float, float, float]) -> Path:
    """Say in an MP4 file that column p and row q of its pictures come to a p + c q, b p + d q."""
    content = bytearray(path.read_bytes())
    track_header = content.index(b"tkhd")
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    matrix = content.index(upright, track_header)
    a, b, c, d = (round(number * (1 << 16)) for number in abcd)
    content[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def quarters(levels: Sequence[Sequence[int]], *, width: int = 64, height: int = 48) -> Rgb:
    """A picture of four quarters, each of one shade of grey."""
    one = np.kron(levels, np.ones((height // 2, width // 2)))
    return np.repeat(one[..., None], 3, axis=2).astype(np.uint8)


def add_exif_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Put a minimal EXIF segment with the orientation (1 to 8) behind the start of a JPEG file."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\x00*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    segment = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def write_sphere(path: Path, samples: np.ndarray) -> Path:
    """Write int16 samples as NIST SPHERE, the format of many speech corpora."""
    return write_coded_sphere(path, samples.astype("<i2").tobytes(), num_samples=len(samples))


def write_coded_sphere(
    path: Path,
    content: bytes,
    *,
    num_samples: int,
    coding: str = "pcm",
    rate_hz: int = 16_000,
    sample_bytes: int = 2,
    byte_order: str = "01",
) -> Path:
    """Put the header of NIST SPHERE before samples in any coding."""
    header = (
        "NIST_1A\n   1024\n"
        f"sample_count -i {num_samples}\nsample_rate -i {rate_hz}\nchannel_count -i 1\n"
        f"sample_n_bytes -i {sample_bytes}\n"
        f"sample_byte_format -s{len(byte_order)} {byte_order}\n"
        f"sample_coding -s{len(coding)} {coding}\nend_head\n"
    )
    path.write_bytes(header.encode().ljust(1024) + content)
    return path


def compress_with_shorten(samples: np.ndarray, *, block: int = 256) -> bytes:
    """Code int16 samples as Shorten 2 does without any prediction (Robinson, 1994)."""
    bits = _ShortenBits()
    for number in (5, 1, block, 0, 0, 0):  # int16 little-endian, one channel, no prediction
        bits.add_number(number)
    for start in range(0, len(samples), block):
        part = samples[start : start + block].tolist()
        if len(part) < block:
            bits.add_code(5, low_bits=2)  # the blocks from here on are of another length
            bits.add_number(len(part))
        bits.add_code(0, low_bits=2)  # a block without prediction
        bits.add_code(12, low_bits=3)
        for sample in part:
            bits.add_code(2 * sample if sample >= 0 else -2 * sample - 1, low_bits=13)
    bits.add_code(4, low_bits=2)  # the end
    return b"ajkg\x02" + bits.to_bytes()


class _ShortenBits:
    """Rice codes one after the other."""

    def __init__(self) -> None:
        self._bits: list[str] = []

    def add_code(self, number: int, *, low_bits: int) -> None:
        high, low = divmod(number, 1 << low_bits)
        self._bits.append("0" * high + "1" + (f"{low:0{low_bits}b}" if low_bits else ""))

    def add_number(self, number: int) -> None:
        low_bits = max(number.bit_length() - 1, 0)
        self.add_code(low_bits, low_bits=2)
        self.add_code(number, low_bits=low_bits)

    def to_bytes(self) -> bytes:
        bits = "".join(self._bits)
        bits += "0" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big")


def read_quarters(rgb: np.ndarray) -> list[list[int]]:
    """Return the shade in the middle of each quarter, to the nearest ten."""
    height, width = rgb.shape[:2]
    rows, columns = (height // 4, height * 3 // 4), (width // 4, width * 3 // 4)
    return [[round(int(rgb[row, column].mean()), -1) for column in columns] for row in rows]

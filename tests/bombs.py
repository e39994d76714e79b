"""Small files that ask for more memory or time than any clip is worth."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def write_jpeg(path: Path, *, width: int, height: int) -> Path:
    """A JPEG of 8 x 8 pixels that claims another size."""
    content = bytearray(cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))[1].tobytes())
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", height, width)
    path.write_bytes(content)
    return path


def write_png(path: Path, *, width: int, height: int) -> Path:
    """A PNG of 8 x 8 pixels that claims another size, with a fitting checksum."""
    content = bytearray(cv2.imencode(".png", np.full((8, 8, 3), 90, np.uint8))[1].tobytes())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)
    return path


def write_gif(path: Path, *, width: int, height: int) -> Path:
    """A GIF whose canvas is larger than its one picture of a pixel."""
    canvas = struct.pack("<HH", width, height) + b"\x80\x00\x00" + b"\x00\x00\x00\xff\xff\xff"
    picture = b"\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\x00" + b"\x02\x02\x44\x01\x00"
    path.write_bytes(b"GIF89a" + canvas + picture + b"\x3b")
    return path


def write_webp(path: Path, *, width: int, height: int) -> Path:
    """A WebP whose extended header claims a canvas that is not there."""
    content = cv2.imencode(".webp", np.full((8, 8, 3), 90, np.uint8))[1].tobytes()
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x00\x00\x00\x00" + size + content[12:]
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def write_flac(path: Path, *, rate_hz: int, channels: int = 1, num_samples: int = 65_535) -> Path:
    """A FLAC of one frame of equal samples: some sixty bytes for any number of them."""
    info = struct.pack(">HH", 65_535, 65_535) + bytes(6)
    info += struct.pack(">Q", (rate_hz << 44) | ((channels - 1) << 41) | (15 << 36) | num_samples)
    header = b"\xff\xf8" + bytes([0x70, (channels - 1) << 4 | 0x08, 0x00]) + b"\xff\xfe"
    header += bytes([_crc(header, bits=8, polynomial=0x07)])
    frame = header + b"\x00\x12\x34" * channels
    frame += struct.pack(">H", _crc(frame, bits=16, polynomial=0x8005))
    path.write_bytes(b"fLaC\x80\x00\x00\x22" + info + bytes(16) + frame)
    return path


def _crc(content: bytes, *, bits: int, polynomial: int) -> int:
    value = 0
    for byte in content:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
    return value


def write_wav(path: Path, *, rate_hz: int, channels: int = 1, num_samples: int = 4_096) -> Path:
    """A WAV of any rate and number of channels."""
    sound = np.full(num_samples * channels, 1_000, "<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * channels * 2, channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(sound)) + sound
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def write_huge_video(path: Path, *, side: int = 8_192, count: int = 2_000) -> Path:
    """A still video of `side` squared pixels: some bytes a picture, and much work."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast", "g": str(count), "crf": "51"}
        picture = av.VideoFrame(side, side, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        packets = [*stream.encode(picture)]
        picture.pts = 1
        packets += [*stream.encode(picture), *stream.encode(None)]
        first, still = packets
        container.mux(first)
        assert stream.time_base is not None  # known now
        ticks = round(1 / (25 * stream.time_base))
        content = bytes(still)
        for number in range(1, count):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, stream.time_base
            packet.pts = packet.dts = number * ticks
            container.mux(packet)
    return path


def write_tracks(path: Path, *, count: int) -> Path:
    """A Matroska file of many tracks of silence."""
    with av.open(str(path), "w") as container:
        for _ in range(count):
            container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for stream in container.streams.audio:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1_600), np.int16), "s16", "mono")
            frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), 0
            container.mux(stream.encode(frame))
    return path

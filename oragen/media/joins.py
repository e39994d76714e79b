"""A file -> whether a second recording is joined behind the first, in formats that end there.

FFmpeg reads MP4, WAV, AIFF, FLV and CAF files to the end of their first recording, and of an Ogg
file with pictures it gives up on the second.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

_START_OF_FLV: Final = tuple(
    b"FLV\x01" + bytes([tracks]) + b"\x00\x00\x00\x09\x00\x00\x00\x00" for tracks in (1, 4, 5)
)
_START_OF_CAF: Final = (b"caff\x00\x01\x00\x00desc\x00\x00\x00\x00\x00\x00\x00\x20",)
_PAGE_OF_OGG: Final = b"OggS\x00"
_BEGINS_TRACK: Final = 2  # the flag of the first page of a track


def has_joined_recording(path: Path) -> bool:
    """Return whether a further recording of the same format begins behind the first."""
    with path.open("rb") as file:
        head = file.read(12)
        size = os.fstat(file.fileno()).st_size
        if head[4:8] == b"ftyp":
            return sum(kind == b"moov" for kind in _boxes(file, size)) > 1
        if head[:4] == b"FORM" or (head.startswith(b"RIFF") and head[8:] == b"WAVE"):
            length = struct.unpack("<I" if head.startswith(b"RIFF") else ">I", head[4:8])[0]
            file.seek(8 + length + length % 2)
            return file.read(4) == head[:4]
        if head.startswith(b"FLV"):
            return _begins_again(file, _START_OF_FLV)
        if head.startswith(b"caff"):
            return _begins_again(file, _START_OF_CAF)
        return head.startswith(b"OggS") and _ogg_begins_again(file)


def _boxes(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the kinds of the boxes of an MP4 file, without looking into them."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        yield header[4:8]
        if length < 8:  # 0: to the end of the file
            return
        place += length


def _begins_again(file: BinaryIO, starts: tuple[bytes, ...]) -> bool:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(start, 1) > 0 for start in starts)


def _ogg_begins_again(file: BinaryIO) -> bool:
    """Return whether a track of an Ogg file begins behind a page that begins none."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = 0
        while content[place : place + 6] and content[place + 5] & _BEGINS_TRACK:
            place = content.find(_PAGE_OF_OGG, place + 1)
            if place < 0 or place + 6 > len(content):
                return False
        return content.find(_PAGE_OF_OGG + bytes([_BEGINS_TRACK]), place) > 0

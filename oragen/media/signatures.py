"""The first bytes of a file -> whether it is likely to hold sound or pictures, whatever its name.

Nothing is decoded, so a folder of a million files is searched quickly and safely. Sound without a
header is not known by its bytes.
"""

from pathlib import Path
from typing import Final

HEAD_BYTES: Final = 400
_STARTS: Final = (
    b"OggS", b"fLaC", b"ID3", b"FLV", b"caff", b".snd", b"#!AMR", b"wvpk", b"MAC ", b"TTA1",
    b"MPCK", b"MP+", b"DSD ", b"ajkg", b"NIST_1A", b"Creative Voice File", b".RMF", b".ra\xfd",
    b"DKIF", b"YUV4MPEG2", b"riff\x2e\x91\xcf\x11",
    b"\x1aE\xdf\xa3",  # Matroska and WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMA and WMV
    b"\x06\x0e\x2b\x34",  # MXF
    b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3",  # MPEG
    b"\x0b\x77", b"\x7f\xfe\x80\x01",  # AC-3 and DTS
    b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2",  # MP3
    b"\xff\xf1", b"\xff\xf9", b"\xff\xf0", b"\xff\xf8",  # AAC
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\x00", b"MM\x00*",
    b"\x00\x00\x00\x0cjP  ", b"\x00\x00\x00\x0cJXL ", b"\xff\x0a",
)  # fmt: skip
# Four bytes or so that sound without a header would not begin with: two or three are too few.
_HEADERS: Final = (
    b"RIFF", b"RF64", b"OggS", b"fLaC", b"FLV", b"ID3", b"NIST_1A", b"\x1aE\xdf\xa3",
    b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"\x00\x00\x01\xba",
)  # fmt: skip
_CHUNKED: Final = {  # the first four bytes, and those from the ninth on
    b"RIFF": (b"WAVE", b"AVI ", b"WEBP"),
    b"RF64": (b"WAVE",),
    b"BW64": (b"WAVE",),
    b"FORM": (b"AIFF", b"AIFC", b"8SVX"),
}
_MP4_BOXES: Final = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_PACKETS: Final = ((0, 188), (4, 192))  # of a transport stream: the first sync byte, and the length
_SYNC: Final = 0x47


def looks_like_media(path: Path) -> bool:
    """Return whether a regular file begins like sound, video or a picture; False if unreadable."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return begins_like_media(file.read(HEAD_BYTES))
    except OSError:
        return False


def has_header(head: bytes) -> bool:
    """Return whether a file begins as headerless sound does once in millions of files."""
    return head.startswith(_HEADERS) or head[4:8] in _MP4_BOXES


def begins_like_media(head: bytes) -> bool:
    """Return whether the first `HEAD_BYTES` are likely to be those of sound, video or a picture."""
    return (
        head.startswith(_STARTS)
        or head[8:12] in _CHUNKED.get(head[:4], ())
        or head[4:8] in _MP4_BOXES
        or _is_bitmap(head)
        or any(_has_packets(head, start, length) for start, length in _PACKETS)
    )


def _is_bitmap(head: bytes) -> bool:
    return head.startswith(b"BM") and head[6:10] == bytes(4)


def _has_packets(head: bytes, start: int, length: int) -> bool:
    syncs = head[start : start + 2 * length : length]
    return len(syncs) == 2 and all(sync == _SYNC for sync in syncs)

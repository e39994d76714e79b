"""Small HEIC photographs as phones write them: tiles, a preview, a turn, a crop."""

import io
import struct
from pathlib import Path

import av
import numpy as np

from tests.media_files import Rgb


def write_heic(
    path: Path,
    rgb: Rgb,
    *,
    tile_px: int,
    size_px: tuple[int, int] | None = None,
    turns: int = 0,
    mirror: int | None = None,
    preview: Rgb | None = None,
) -> Path:
    """Write a photograph in square tiles.

    Args:
        path: of the file.
        rgb: its height and width are multiples of `tile_px`.
        tile_px: side of a tile.
        size_px: width and height that are shown; the tiles may be larger.
        turns: quarter turns, counterclockwise, that a viewer makes.
        mirror: 0 = top and bottom change places, 1 = left and right; after the turns.
        preview: a small picture, which is not the photograph.
    """
    rows, columns = rgb.shape[0] // tile_px, rgb.shape[1] // tile_px
    pictures = [
        rgb[y * tile_px : (y + 1) * tile_px, x * tile_px : (x + 1) * tile_px]
        for y in range(rows)
        for x in range(columns)
    ] + ([] if preview is None else [preview])
    coded = [_encode(np.ascontiguousarray(picture)) for picture in pictures]
    width, height = size_px or (rgb.shape[1], rgb.shape[0])
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    properties = [
        _box(b"hvcC", coded[0][0]),
        _size(tile_px, tile_px),
        _size(width, height),
        _box(b"irot", bytes([turns])),
        _box(b"imir", bytes([mirror or 0])),
    ]
    if preview is not None:
        properties += [_box(b"hvcC", coded[-1][0]), _size(preview.shape[1], preview.shape[0])]
    main = len(coded) + 1
    num_tiles = rows * columns
    used = {number: [1, 2] for number in range(1, num_tiles + 1)}
    if preview is not None:
        used[main - 1] = [6, 7]
    used[main] = [3, *([4] if turns else []), *([5] if mirror is not None else [])]
    references = _reference(b"dimg", main, list(range(1, num_tiles + 1)))
    if preview is not None:
        references += _reference(b"thmb", main - 1, [main])
    items = [sample for _, sample in coded] + [grid]

    def describe(start: int) -> bytes:
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + _full(b"pitm", struct.pack(">H", main))
            + _locations([len(item) for item in items], start)
            + _kinds([b"hvc1"] * len(coded) + [b"grid"])
            + _full(b"iref", references)
            + _box(b"iprp", _box(b"ipco", b"".join(properties)) + _associations(used)),
        )

    head = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    start = len(head) + len(describe(0)) + 8
    path.write_bytes(head + describe(start) + _box(b"mdat", b"".join(items)))
    return path


def _encode(rgb: Rgb) -> tuple[bytes, bytes]:
    """Code a picture by HEVC -> the content of its hvcC box, and its only sample."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx265",
            rate=1,
            options={"x265-params": "log-level=0:pools=1:frame-threads=1:bframes=0"},
        )
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    content = file.getvalue()
    place = content.index(b"hvcC")
    length = int.from_bytes(content[place - 4 : place], "big")
    file.seek(0)
    with av.open(file, "r") as source:
        sample = bytes(next(source.demux(video=0)))
    return content[place + 4 : place - 4 + length], sample


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _full(kind: bytes, content: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + content)


def _size(width: int, height: int) -> bytes:
    return _full(b"ispe", struct.pack(">II", width, height))


def _reference(kind: bytes, item: int, to: list[int]) -> bytes:
    return _box(kind, struct.pack(f">HH{len(to)}H", item, len(to), *to))


def _locations(lengths: list[int], start: int) -> bytes:
    content = struct.pack(">BBH", 0x44, 0, len(lengths))
    for item, length in enumerate(lengths, start=1):
        content += struct.pack(">HHHII", item, 0, 1, start, length)
        start += length
    return _full(b"iloc", content)


def _kinds(kinds: list[bytes]) -> bytes:
    entries = [
        _full(b"infe", struct.pack(">HH", item, 0) + kind + b"\x00", version=2)
        for item, kind in enumerate(kinds, start=1)
    ]
    return _full(b"iinf", struct.pack(">H", len(kinds)) + b"".join(entries))


def _associations(used: dict[int, list[int]]) -> bytes:
    content = struct.pack(">I", len(used))
    for item, properties in sorted(used.items()):
        content += struct.pack(">HB", item, len(properties)) + bytes(properties)
    return _full(b"ipma", content)

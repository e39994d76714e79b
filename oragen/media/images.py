"""One image file -> its picture, as a viewer shows it."""

import logging
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from oragen.media.container import decode_frames, open_media
from oragen.media.errors import UnusableMediaError
from oragen.media.limits import MAX_PIXELS, check_size, open_picture, read_size
from oragen.media.pictures import pixel_aspect, to_rgb
from oragen.media.tracks import rank_video_tracks

logger = logging.getLogger(__name__)

_START_OF_JPEG: Final = b"\xff\xd8\xff"
_END_OF_JPEG: Final = b"\xff\xd9"
_UNKNOWN_LEVEL: Final = 128  # red, green and blue where nothing was decoded
# Of HEIC and AVIF files; those of `msf1`, `hevc` and `avis` are videos.
_HEIF_BRANDS: Final = frozenset({"heic", "heix", "heim", "heis", "mif1", "mif2", "avif"})
_DESCRIPTION_BYTES: Final = 2**16  # the boxes that describe a picture come first

Rgb = UInt8[np.ndarray, "height width 3"]


class Picture(NamedTuple):
    """One picture of a clip and where in the clip it belongs, in samples at 16 kHz."""

    sample: int
    rgb: Rgb


def read_image(
    path: Path, *, max_pixels: int = MAX_PIXELS, notes: list[str] | None = None
) -> Picture:
    """One image file -> its picture, upright as its EXIF orientation says, at sample 0.

    A file that breaks off is read as in `sample_pictures`, with a line in `notes`.

    Raises:
        UnusableMediaError: no image, damaged, or more than `max_pixels`.
    """
    with open_media(path, max_duration_s=float("inf")) as container:
        if not is_image(container):
            raise UnusableMediaError(path, "not a picture", f"format {container.format.name}")
        return decode_image(path, container, max_pixels, [] if notes is None else notes)


def is_image(container: InputContainer) -> bool:
    """Tell whether a file is a single picture, and no video."""
    name = container.format.name
    return name.endswith("_pipe") or name == "image2" or _is_heif(container)


def _is_heif(container: InputContainer) -> bool:
    return container.metadata.get("major_brand") in _HEIF_BRANDS


def decode_image(
    path: Path, container: InputContainer, max_pixels: int, notes: list[str]
) -> Picture:
    """Decode the picture of an open image file, see `read_image`."""
    if _is_heif(container):
        return Picture(0, _decode_heif(path, container, max_pixels, notes))
    stream = rank_video_tracks(path, container)[0]
    check_declared(path, stream, max_pixels)
    content = path.read_bytes()
    rgb = _decode_whole(path, content)
    if rgb is None and content.startswith(_START_OF_JPEG):
        rgb = _decode_beginning(path, content, notes)
    if rgb is None:
        raise UnusableMediaError(path, "truncated or damaged")
    return Picture(0, rgb)


def _decode_heif(path: Path, container: InputContainer, max_pixels: int, notes: list[str]) -> Rgb:
    """Decode HEIC or AVIF: by FFmpeg if it is in one piece, else by the library of the format.

    FFmpeg shows each tile, each preview and each further picture as a track.
    """
    stream = rank_video_tracks(path, container)[0]
    if len(container.streams.video) == 1 and not _is_cropped(path):
        check_declared(path, stream, max_pixels)
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        for frame in decode_frames(path, container, stream, notes):
            if isinstance(frame, VideoFrame):
                return to_rgb(frame, pixel_aspect(stream))
    return _open_heif(path, max_pixels)


def _is_cropped(path: Path) -> bool:
    with path.open("rb") as file:
        return b"clap" in file.read(_DESCRIPTION_BYTES)


def _open_heif(path: Path, max_pixels: int) -> Rgb:
    """Decode the main picture, put together from its tiles, turned and cropped."""
    from PIL import ImageOps

    try:
        with open_picture(path) as image:
            check_size(path, *image.size, max_pixels)
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)
    except UnusableMediaError:  # too large; it is a ValueError too
        raise
    except (EOFError, IndexError, OSError, RuntimeError, SyntaxError, ValueError) as error:
        raise UnusableMediaError(path, "truncated or damaged", str(error)) from error


def check_declared(path: Path, stream: VideoStream, max_pixels: int) -> None:
    """Raise an UnusableMediaError if a track says that its pictures have too many pixels."""
    width, height = stream.width, stream.height
    if width * height == 0:  # FFmpeg refused to look at a picture of that size
        width, height = read_size(path)
    check_size(path, width, height, max_pixels)


def _decode_whole(path: Path, content: bytes) -> Rgb | None:
    import cv2

    try:
        # OpenCV rather than FFmpeg: it knows all eight EXIF orientations, the mirrored ones too.
        bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        raise UnusableMediaError(path, "truncated or damaged", str(error)) from error
    return None if bgr is None else np.ascontiguousarray(bgr[..., ::-1], np.uint8)  # BGR -> RGB


def _decode_beginning(path: Path, content: bytes, notes: list[str]) -> Rgb | None:
    """Close a JPEG file that breaks off, and cut off the rows that libjpeg fills with grey."""
    rgb = _decode_whole(path, content + _END_OF_JPEG)
    if rgb is None:
        return None
    known = np.flatnonzero((rgb != _UNKNOWN_LEVEL).any(axis=(1, 2)))  # height, width, 3 -> rows
    num_rows = int(known[-1]) + 1 if len(known) else 0
    notes.append(f"truncated or damaged: {num_rows} of {len(rgb)} rows of the picture are there")
    logger.warning("%s: %s", path, notes[-1])
    return rgb[:num_rows] if num_rows else None

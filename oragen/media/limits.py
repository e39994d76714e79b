"""What a file says of its sound and pictures -> accepted, or refused before anything is decoded.

A few bytes can claim any size, rate or number of channels, and a decoder reserves memory for it.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from av.audio.frame import AudioFrame
from av.error import FFmpegError

from oragen.media.errors import UnusableMediaError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS: Final = 2**26  # 67 million: 8K video has 33 million
MIN_RATE_HZ: Final = 1_000
MAX_RATE_HZ: Final = 1_536_000  # one-bit audio is read as bytes, at up to 1,411,200 a second
MAX_CHANNELS: Final = 64  # ambisonics of the seventh order
MAX_TRACKS: Final = 16  # of sound, in which a voice is looked for


def check_size(path: Path, width: int, height: int, max_pixels: int = MAX_PIXELS) -> None:
    """Raise an UnusableMediaError for a picture with too many pixels, or with none."""
    if width * height > max_pixels:
        detail = f"{width} x {height} pixels, the limit is {max_pixels}"
        raise UnusableMediaError(path, "picture too large", detail)
    if width * height == 0:
        raise UnusableMediaError(path, "truncated or damaged", "a picture of no size")


def check_sound(path: Path, frame: AudioFrame) -> AudioFrame:
    """Return an audio frame; raise an UnusableMediaError if no recorder writes such sound."""
    rate_hz, num_channels = frame.sample_rate, frame.layout.nb_channels
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        detail = f"{rate_hz} Hz, expected {MIN_RATE_HZ} to {MAX_RATE_HZ}"
        raise UnusableMediaError(path, "implausible sample rate", detail)
    if num_channels > MAX_CHANNELS:
        detail = f"{num_channels} channels, the limit is {MAX_CHANNELS}"
        raise UnusableMediaError(path, "too many channels", detail)
    return frame


@contextmanager
def open_picture(path: Path) -> Iterator["Image.Image"]:
    """Open an image file by Pillow, HEIC too; its pixels are decoded when they are asked for.

    Pillow's own limit of pixels is off meanwhile: ours is checked before they are decoded.
    """
    import pi_heif
    from PIL import Image

    pi_heif.register_heif_opener(thumbnails=False)
    most, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as image:
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = most


def read_size(path: Path) -> tuple[int, int]:
    """Read width and height from the header of an image; 0, 0 where it is not known."""
    from PIL import UnidentifiedImageError

    try:
        with open_picture(path) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return 0, 0


def raise_if_memory(error: FFmpegError) -> None:
    """Raise a MemoryError if FFmpeg got no memory: that says nothing of the file."""
    if error.errno == errno.ENOMEM:
        raise MemoryError(str(error)) from error

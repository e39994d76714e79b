"""A decoded video frame -> the picture that a player shows: upright, with square pixels."""

from fractions import Fraction

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from oragen.media.colour import needs_conversion, to_screen
from oragen.media.orientation import Rgb, display_matrix, turn_upright


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Return width by height of one pixel; an implausible ratio counts as square."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return aspect if Fraction(1, 4) <= aspect <= 4 else Fraction(1)


def to_rgb(frame: VideoFrame, pixel_aspect: Fraction) -> Rgb:
    """Video frame -> picture as a player shows it: upright, with square pixels.

    One thread converts it: FFmpeg would start threads for each picture, which costs more.
    """
    width = round(frame.width * pixel_aspect)
    if needs_conversion(frame):
        rgb = to_screen(frame, frame.to_ndarray(format="rgb48le", width=width, threads=1))
    else:
        rgb = frame.to_ndarray(format="rgb24", width=width, threads=1)
    return turn_upright(rgb, display_matrix(frame))

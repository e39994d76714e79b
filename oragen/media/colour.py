"""A video frame in high dynamic range or wide gamut -> the colours that an ordinary screen shows.

Sources: Recommendations ITU-R BT.2100-2 (PQ and HLG), BT.2408-7 (white at 203 cd/m2), BT.2390-11,
section 5.4.1 (the curve that brings highlights into range), BT.2087-0 (from BT.2020 to BT.709) and
BT.1886 (the screen).
"""

from functools import cache
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float, Float32, Shaped, UInt8, UInt16

_PQ: Final = 16  # numbers of ITU-T H.273, which FFmpeg uses
_HLG: Final = 18
_SDR_CURVES: Final = frozenset({1, 6, 14, 15})  # of BT.709, BT.601 and BT.2020
_BT_2020: Final = 9
_WHITE: Final = 203.0  # cd/m2: what is white in an ordinary picture
_HLG_PEAK: Final = 1_000.0
_HLG_GAMMA: Final = 1.2
_PQ_PEAK: Final = 10_000.0
_SCREEN_GAMMA: Final = 2.4
_PEAK_SHARE: Final = 0.999  # a few pixels may be brighter
_SAMPLE_STEP: Final = 4
_ROWS_AT_ONCE: Final = 256  # an 8K picture in floats would be 800 MB
_PQ_M1: Final = 2_610 / 16_384
_PQ_M2: Final = 2_523 / 32
_PQ_C1: Final = 3_424 / 4_096
_PQ_C2: Final = 2_413 / 128
_PQ_C3: Final = 2_392 / 128
_LUMINANCE: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)
_TO_BT_709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
_NUM_STEPS: Final = 2**14
_STEPS: Final = np.linspace(0, 1, _NUM_STEPS) ** 2  # of light: closer where it is dark

Light = Float32[np.ndarray, "rows columns 3"]  # linear; 1 is white


def needs_conversion(frame: VideoFrame) -> bool:
    """Tell whether the numbers of a frame are not those of an ordinary screen."""
    is_wide = frame.color_primaries == _BT_2020 and frame.color_trc in _SDR_CURVES
    return is_wide or frame.color_trc in (_PQ, _HLG)


def to_screen(
    frame: VideoFrame, rgb: UInt16[np.ndarray, "height width 3"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Bring the RGB values of a frame, at full range, to those of an ordinary screen.

    Up to white, only the coding changes. If parts of this picture are brighter, the bright parts
    are compressed as far as the brightest needs it.
    """
    sample = _to_light(frame, rgb[::_SAMPLE_STEP, ::_SAMPLE_STEP])
    peak = float(np.quantile(sample.max(axis=2), _PEAK_SHARE))
    blocks = (rgb[start : start + _ROWS_AT_ONCE] for start in range(0, len(rgb), _ROWS_AT_ONCE))
    return np.concatenate([_encode(_compress(_to_light(frame, block), peak)) for block in blocks])


def _to_light(frame: VideoFrame, rgb: UInt16[np.ndarray, "rows columns 3"]) -> Light:
    if frame.color_trc == _PQ:
        return np.asarray(_pq_curve()[rgb])
    if frame.color_trc == _HLG:
        scene = _hlg_curve()[rgb]
        gain = _look_up(_hlg_gain(), scene @ _LUMINANCE)
        return np.asarray(scene * gain[..., None])
    return np.asarray(_screen_curve()[rgb])


def _compress(light: Light, peak: float) -> Light:
    """Bring what is brighter than white into range, by the brightest channel of each pixel."""
    if peak <= 1:
        return light
    gain = _look_up(_highlight_gain(peak), light.max(axis=2) / np.float32(peak))
    return np.asarray(light * gain[..., None])


def _encode(light: Light) -> UInt8[np.ndarray, "rows columns 3"]:
    return _look_up(_screen_values(), light @ _TO_BT_709.T)


def _look_up(
    table: Shaped[np.ndarray, " steps"], light: Float32[np.ndarray, "*any"]
) -> Shaped[np.ndarray, "*any"]:
    """Read a table of `_STEPS`; what is outside 0..1 counts as its nearest end."""
    steps = np.sqrt(np.clip(light, 0, 1)) * np.float32(_NUM_STEPS - 1)
    return np.asarray(table[np.rint(steps).astype(np.uint16)])


def _highlight_gain(peak: float) -> Float32[np.ndarray, " steps"]:
    """Return what light is multiplied by, up to a peak that is brighter than white."""
    top, white = (float(_to_pq(np.array(one * _WHITE))) for one in (peak, 1.0))
    knee = 1.5 * white / top - 0.5
    relative = _to_pq(_STEPS * peak * _WHITE) / top
    place = np.clip((relative - knee) / (1 - knee), 0, 1)
    bent = (
        (2 * place**3 - 3 * place**2 + 1) * knee
        + (place**3 - 2 * place**2 + place) * (1 - knee)
        + (3 * place**2 - 2 * place**3) * white / top
    )
    shown = _from_pq(np.where(relative < knee, relative, bent) * top) / _WHITE
    return np.divide(shown, _STEPS * peak, out=np.ones(_NUM_STEPS), where=_STEPS > 0).astype("f4")


@cache
def _hlg_gain() -> Float32[np.ndarray, " steps"]:
    """Return what the light of the scene is multiplied by, from its luminance."""
    return np.asarray(_STEPS ** (_HLG_GAMMA - 1) * _HLG_PEAK / _WHITE, np.float32)


@cache
def _screen_values() -> UInt8[np.ndarray, " steps"]:
    return np.rint(_STEPS ** (1 / _SCREEN_GAMMA) * 255).astype(np.uint8)


def _to_pq(light: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Return the PQ value, 0..1, of light in cd/m2."""
    power = np.power(light / _PQ_PEAK, _PQ_M1)
    return np.asarray(((_PQ_C1 + _PQ_C2 * power) / (1 + _PQ_C3 * power)) ** _PQ_M2)


def _from_pq(value: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Return the light in cd/m2 of a PQ value, 0..1."""
    root = np.power(value, 1 / _PQ_M2)
    ratio = np.maximum(root - _PQ_C1, 0) / (_PQ_C2 - _PQ_C3 * root)
    return np.asarray(_PQ_PEAK * np.power(ratio, 1 / _PQ_M1))


@cache
def _pq_curve() -> Float32[np.ndarray, " values"]:
    return np.asarray(_from_pq(_all_values()) / _WHITE, np.float32)


@cache
def _hlg_curve() -> Float32[np.ndarray, " values"]:
    """From values to the light of the scene, 0..1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    values = _all_values()
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12).astype("f4")


@cache
def _screen_curve() -> Float32[np.ndarray, " values"]:
    return np.asarray(_all_values() ** _SCREEN_GAMMA, np.float32)


def _all_values() -> Float[np.ndarray, " values"]:
    return np.arange(2**16) / (2**16 - 1)

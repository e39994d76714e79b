"""One picture -> the boxes of the faces in it."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Final,
    NamedTuple,
    Protocol,
    assert_never,
    runtime_checkable,
)

import numpy as np
from jaxtyping import Float32, Shaped, UInt8

from oragen.detection.landmarks import EyeFinder, Rgb
from oragen.detection.yunet_weights import (
    WEIGHTS_ADVICE,
    FaceWeightsError,
    find_yunet_weights,
    sha256_of,
)
from oragen.schema.choices.face_detectors import DetectorName

if TYPE_CHECKING:
    import cv2

_WITH_LANDMARKS: Final = " with landmarks"


class Box(NamedTuple):
    """A face in a picture: pixels from the top left corner, right and lower edge excluded.

    `score` is in 0..1; 0 means that the box was not detected but interpolated. `landmarks` are
    x, y of right eye, left eye, nose, right and left corner of the mouth, as the person has them,
    one after the other; None where the detector finds none.
    """

    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    landmarks: tuple[float, ...] | None = None

    @property
    def width(self) -> float:
        return float(max(0, self.x2 - self.x1))

    @property
    def height(self) -> float:
        return float(max(0, self.y2 - self.y1))

    @property
    def side(self) -> float:
        """Side of the square of the same area."""
        return math.sqrt(self.width * self.height)


@runtime_checkable  # so that tests can check annotations
class FaceDetector(Protocol):
    """One picture -> the faces in it, in any order."""

    def detect(self, rgb: Rgb) -> list[Box]: ...

    def add_landmarks(self, rgb: Rgb, box: Box) -> Box:
        """Return a box of `detect` with its landmarks, if they are found by a search of its own."""


def build_detector(
    name: DetectorName,
    *,
    weights: Path | None = None,
    min_score: float = 0.6,
) -> FaceDetector:
    """Build a detector by its name; only YuNet uses `weights` and `min_score`.

    Raises:
        FaceWeightsError: YuNet without its weights.
    """
    match name:
        case "yunet":
            return YunetDetector(find_yunet_weights(weights), min_score=min_score)
        case "cascade":
            return CascadeDetector()
        case "none":
            return WholePictureDetector()
        case _:
            assert_never(name)


def detector_fingerprint(name: DetectorName, *, weights: Path | None = None) -> str:
    """Return the identity of a detector: the SHA-256 of its weights.

    It also says that there are landmarks, so crops without them are not mixed with others.

    Raises:
        FaceWeightsError: YuNet without its weights.
    """
    match name:
        case "yunet":
            return sha256_of(find_yunet_weights(weights)) + _WITH_LANDMARKS
        case "cascade":
            import cv2.data

            folder = Path(cv2.data.haarcascades)
            hashes = [sha256_of(folder / file) for file in (CascadeDetector.file, EyeFinder.file)]
            return "".join(hashes) + _WITH_LANDMARKS
        case "none":
            return name
        case _:
            assert_never(name)


@dataclass(frozen=True)
class YunetDetector:
    """YuNet, a small convolutional network (Wu et al., Machine Intelligence Research 20, 2023).

    It was trained on faces of some 10 to 300 pixels. So a large picture is searched at 320 pixels
    first, which suits close-ups. Only if no face is found it is searched at 640, which finds faces
    of a thirtieth of the picture. The first detection reads the weights, and raises
    FaceWeightsError if they are not YuNet's.
    """

    weights: Path
    min_score: float = 0.6
    max_sides_px: tuple[int, ...] = (320, 640)
    max_overlap: float = 0.3  # of two boxes that overlap more, the one of higher score stays

    @cached_property
    def _network(self) -> "cv2.FaceDetectorYN":
        import cv2

        try:
            return cv2.FaceDetectorYN.create(
                str(self.weights), "", (320, 320), self.min_score, self.max_overlap
            )
        except cv2.error as error:
            raise FaceWeightsError(
                f"{self.weights} is no YuNet model: {error}. {WEIGHTS_ADVICE}"
            ) from error

    def detect(self, rgb: Rgb) -> list[Box]:
        for max_side_px in self.max_sides_px:
            boxes = self._detect_at(max_side_px, rgb)
            if boxes or max(rgb.shape) <= max_side_px:
                return boxes
        return []

    def _detect_at(self, max_side_px: int, rgb: Rgb) -> list[Box]:
        small, zoom = _shrink(rgb, max_side_px)
        height, width = small.shape[:2]
        self._network.setInputSize((width, height))
        _, faces = self._network.detect(np.ascontiguousarray(small[..., ::-1]))  # of BGR
        rows = [] if faces is None else list(faces)  # x, y, width, height, 10 of landmarks, score
        return [
            _to_box(row[:4], score=float(row[14]), zoom=zoom, landmarks=row[4:14]) for row in rows
        ]

    def add_landmarks(self, rgb: Rgb, box: Box) -> Box:
        return box  # it has them


@dataclass(frozen=True)
class CascadeDetector:
    """The Haar cascade inside OpenCV 4 (Viola and Jones, CVPR 2001): works offline.

    With these values it finds 84 of the 90 faces that YuNet finds in twelve real clips. A box's
    score is n / (n + 2) for n search windows that agree on it; it is no probability. Landmarks
    follow from the eyes, and need both.
    """

    file: str = "haarcascade_frontalface_alt2.xml"
    scale_factor: float = 1.05
    min_neighbors: int = 2
    min_face: float = 0.15  # side of the smallest face, as a share of the picture's shorter side
    max_side_px: int = 480
    eyes: EyeFinder = field(default_factory=EyeFinder)

    @cached_property
    def _cascade(self) -> "cv2.CascadeClassifier":
        import cv2
        import cv2.data

        return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / self.file))

    def detect(self, rgb: Rgb) -> list[Box]:
        import cv2

        small, zoom = _shrink(rgb, self.max_side_px)
        min_side = round(self.min_face * min(small.shape[:2]))
        rows, num_windows = self._cascade.detectMultiScale2(
            cv2.cvtColor(small, cv2.COLOR_RGB2GRAY),
            scaleFactor=self.scale_factor,
            minNeighbors=self.min_neighbors,
            minSize=(min_side, min_side),
        )
        pairs = zip(rows, num_windows, strict=True)
        return [_to_box(np.asarray(row), score=float(n / (n + 2)), zoom=zoom) for row, n in pairs]

    def add_landmarks(self, rgb: Rgb, box: Box) -> Box:
        """Search the face for its eyes, which takes longer than to find the face."""
        left, top = max(0, round(box.x1)), max(0, round(box.y1))
        side = round(box.width)
        return box._replace(landmarks=self.eyes.find_landmarks(rgb, left=left, top=top, side=side))


class WholePictureDetector:
    """For pictures that are face crops already."""

    def detect(self, rgb: Rgb) -> list[Box]:
        height, width = rgb.shape[:2]
        return [Box(0.0, 0.0, float(width), float(height), 1.0)]

    def add_landmarks(self, rgb: Rgb, box: Box) -> Box:
        return box  # nothing is searched for


def _shrink(
    rgb: Rgb, max_side_px: int
) -> tuple[UInt8[np.ndarray, "small_height small_width 3"], float]:
    """Return the picture at no more than `max_side_px`, and the factor back to its own pixels."""
    import cv2

    height, width = rgb.shape[:2]
    zoom = max(height, width) / max_side_px
    if zoom <= 1:
        return rgb, 1.0
    size = max(1, round(width / zoom)), max(1, round(height / zoom))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8), zoom


def _to_box(
    corner_and_size: Shaped[np.ndarray, "4"],
    *,
    score: float,
    zoom: float,
    landmarks: Float32[np.ndarray, "10"] | None = None,
) -> Box:
    x, y, width, height = (corner_and_size * zoom).tolist()
    points = None if landmarks is None else tuple((landmarks * zoom).tolist())
    return Box(float(x), float(y), float(x + width), float(y + height), score, points)

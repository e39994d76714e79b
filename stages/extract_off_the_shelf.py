"""Crops -> what the off-the-shelf networks say of them, if `use_heads` compares with them.

Its features are of an encoder of their own, beside those of `features.face.encoder`.
"""

from typing import TYPE_CHECKING, Final

import pandas as pd

from oragen.config import paths
from oragen.config.params import Params, load_params
from oragen.features.places import PLACES, list_places
from oragen.schema.choices.encoders import OFF_THE_SHELF, OFF_THE_SHELF_HEAD
from oragen.schema.tables import CROPS, FEATURE_ROWS, WINDOWS
from oragen.schema.vocabulary import Level, Skipped
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from stages.running import account, run_stage

if TYPE_CHECKING:
    from oragen.encoders import OffTheShelfEncoder
    from oragen.features.encoder_notes import EncoderNote
    from oragen.features.spec import FeatureSpec

STAGE: Final = "extract_off_the_shelf"
LEVEL: Final[Level] = "late"
BATCH_SIZE: Final = 64  # crops


def main(corpus: str) -> None:
    """Encode the crops in the windows of CORPUS that the store lacks; none, if no head asks."""
    params = load_params()
    windows = WINDOWS.read(paths.windows_table(corpus))
    table = paths.feature_rows_table(corpus, "off_the_shelf")
    if OFF_THE_SHELF_HEAD not in params.use_heads:
        FEATURE_ROWS.write(table, FEATURE_ROWS.empty())
        PLACES.write(paths.places_table(corpus, "off_the_shelf"), PLACES.empty())
        paths.feature_store(corpus, OFF_THE_SHELF).mkdir(parents=True, exist_ok=True)
        clips = windows["clip_id"]
        account(STAGE, corpus, clips_in=clips, clips_out=clips, skipped=[], made="not asked for")
        return
    _extract(corpus, params, windows)


def _extract(corpus: str, params: Params, windows: pd.DataFrame) -> None:
    from oragen.features.encoder_notes import EncoderUse, LateEncoder
    from stages.extract_face_features import choose_used, to_input
    from stages.extracting import encode_lacking

    use = EncoderUse("face", OFF_THE_SHELF, None, "fp32", [LEVEL], None)
    encoder = LateEncoder(use, _load, paths.encoder_notes())
    store = PartStore(paths.feature_store(corpus, OFF_THE_SHELF), "zarr")
    used = choose_used(CROPS.read(paths.crops_table(corpus)), windows)
    with OpenParts(PartStore(paths.faces_store(corpus), "h5")) as pictures:
        inputs = [to_input(crop, pictures, encoder) for crop in used.itertuples()]
        [spec], num_new = encode_lacking(
            store,
            inputs,
            encoder,
            _to_specs,
            batch_size=BATCH_SIZE,
            part_bytes=params.execution.part_bytes,
        )
    rows: list[dict[str, object]] = [
        {"key": key, "level": LEVEL, "feature_key": spec.key_of(key), "store": str(store.folder)}
        for key in dict.fromkeys(item.key for item in inputs)
    ]
    table = FEATURE_ROWS.frame(rows)
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, "off_the_shelf"), table)
    PLACES.write(paths.places_table(corpus, "off_the_shelf"), list_places(table))
    seen = {item.clip_id for item in inputs}
    unseen = sorted({*windows["clip_id"]} - seen)
    account(
        STAGE,
        corpus,
        clips_in=windows["clip_id"],
        clips_out=seen,
        skipped=[Skipped(clip, STAGE, "no window with a face") for clip in unseen],
        made=f"{len(rows)} crops, {num_new} encoded now",
    )


def _load() -> "OffTheShelfEncoder":
    from oragen.encoders import OffTheShelfEncoder

    return OffTheShelfEncoder()


def _to_specs(note: "EncoderNote") -> "list[FeatureSpec]":
    from oragen.features.spec import FeatureSpec

    spec = FeatureSpec(
        modality="face",
        encoder=OFF_THE_SHELF,
        source=OFF_THE_SHELF,
        fingerprint=note.fingerprints[LEVEL],
        level=LEVEL,
        precision="fp32",
        shape=note.shapes[LEVEL],
    )
    return [spec]


if __name__ == "__main__":
    run_stage(main)

"""Crops -> what the off-the-shelf networks say of them, if `use_heads` compares with them.

Its features are of an encoder of their own, beside those of `features.face.encoder`.
"""

from typing import Final

import pandas as pd

from oragen.config import paths
from oragen.config.params import Params, load_params
from oragen.schema.choices.encoders import OFF_THE_SHELF, OFF_THE_SHELF_HEAD
from oragen.schema.tables import CROPS, FEATURE_ROWS, WINDOWS
from oragen.schema.vocabulary import Level, Skipped
from oragen.store.parts import PartStore
from oragen.store.reading import OpenParts
from stages.running import account, run_stage

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
        paths.feature_store(corpus, OFF_THE_SHELF).mkdir(parents=True, exist_ok=True)
        clips = windows["clip_id"]
        account(STAGE, corpus, clips_in=clips, clips_out=clips, skipped=[], made="not asked for")
        return
    _extract(corpus, params, windows)


def _extract(corpus: str, params: Params, windows: pd.DataFrame) -> None:
    from oragen.encoders import OffTheShelfEncoder
    from oragen.features.extraction import extract
    from oragen.features.rows import FeatureSpec
    from stages.extract_face_features import choose_used, to_input

    encoder = OffTheShelfEncoder()
    spec = FeatureSpec(
        "face", OFF_THE_SHELF, OFF_THE_SHELF, encoder.fingerprint(LEVEL), LEVEL, "fp32",
        encoder.feature_shape(LEVEL),
    )  # fmt: skip
    store = PartStore(paths.feature_store(corpus, OFF_THE_SHELF), "zarr")
    used = choose_used(CROPS.read(paths.crops_table(corpus)), windows)
    with OpenParts(PartStore(paths.faces_store(corpus), "h5")) as pictures:
        inputs = [to_input(crop, pictures, encoder) for crop in used.itertuples()]
        num_new = extract(
            store,
            inputs,
            encoder,
            [spec],
            batch_size=BATCH_SIZE,
            part_bytes=params.execution.part_bytes,
        )
    rows: list[dict[str, object]] = [
        {"key": key, "level": LEVEL, "feature_key": spec.key_of(key), "store": str(store.folder)}
        for key in dict.fromkeys(item.key for item in inputs)
    ]
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, "off_the_shelf"), FEATURE_ROWS.frame(rows))
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


if __name__ == "__main__":
    run_stage(main)

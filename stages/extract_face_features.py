"""Windows and crops -> embeddings of the frozen face encoder, one for each crop in use."""

from typing import Any

from oragen import artefacts
from oragen.config import load_params
from oragen.devices import choose_device
from oragen.encoders import load_face_encoder
from oragen.features import FeatureInput, FeatureSpec, extract
from oragen.parts import OpenParts, PartStore
from oragen.schema import CROPS, FEATURE_ROWS, WINDOWS, Skipped
from oragen.windows import NO_CROP
from stages.running import account, run_stage

STAGE = "extract_face_features"


def main(corpus: str) -> None:
    """Encode the crops in the windows of CORPUS that the store lacks."""
    params = load_params()
    wanted = params.features.face
    source = params.encoders[wanted.encoder]
    windows = WINDOWS.read(artefacts.windows_table(corpus))
    crops = CROPS.read(artefacts.crops_table(corpus)).set_index(["clip_id", "crop"])
    in_slots = windows[["clip_id", "crops"]].explode("crops")
    used = in_slots[in_slots["crops"] != NO_CROP].drop_duplicates()
    crops = crops.loc[list(used.itertuples(index=False, name=None))].reset_index()
    encoder = load_face_encoder(source.source, source.revision, precision=wanted.precision)
    encoder.to(choose_device(params.execution.device))
    spec = FeatureSpec(
        modality="face",
        encoder=wanted.encoder,
        source=source.source,
        fingerprint=encoder.fingerprint,
        level="intermediate",
        precision=wanted.precision,
        shape=(encoder.num_layers, encoder.width),
    )
    store = PartStore(artefacts.feature_store(corpus, wanted.encoder), "zarr")
    with OpenParts(PartStore(artefacts.faces_store(corpus), "h5")) as pictures:
        num_new = extract(
            store,
            [to_input(crop, pictures) for crop in crops.itertuples()],
            encoder.encode,
            spec,
            batch_size=wanted.batch_size,
            part_bytes=params.execution.part_bytes,
        )
    rows = FEATURE_ROWS.frame(
        [
            {"key": key, "feature_key": spec.key_of(key), "store": str(store.folder)}
            for key in crops["key"].unique()
        ]
    )
    FEATURE_ROWS.write(artefacts.feature_rows_table(corpus, "face"), rows)
    faceless = {*windows["clip_id"]} - {*crops["clip_id"]}
    account(
        STAGE,
        corpus,
        clips_in=windows["clip_id"],
        clips_out=crops["clip_id"],
        skipped=[Skipped(clip, STAGE, "no window with a face") for clip in sorted(faceless)],
        made=f"{len(windows)} windows in, {len(rows)} feature rows, {num_new} encoded now",
    )


def to_input(crop: Any, pictures: OpenParts) -> FeatureInput:
    """One row of the crops table -> the picture that is encoded."""
    return FeatureInput(
        key=crop.key,
        clip_id=crop.clip_id,
        size=1,
        read=lambda: pictures.read(crop.faces_key, crop.crop, crop.crop + 1)[0],
    )


if __name__ == "__main__":
    run_stage(main)

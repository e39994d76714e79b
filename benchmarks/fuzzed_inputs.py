"""Good files of all kinds that people exchange -> spoilt ones, and how oragen reads them."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, assert_never, get_args

import google_crc32c
import h5py
import numpy as np
import yaml

from benchmarks.mutations import mutate_bytes, mutate_tree
from oragen.store.formats import PartFormat, read_layout
from oragen.store.hdf5_files import CHECKSUMS, HEADER, ROWS
from oragen.store.parts import PartStore
from oragen.store.rows import Row
from oragen.store.writing import write_part
from oragen.store.zarr_folders import HEADER_CRC

Kind = Literal["media", "part", "header", "model", "table", "params"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
REPOSITORY: Final = Path(__file__).resolve().parents[1]
TABLE: Final = """media,speaker_id,gender,age_years,mask_type,split
a.wav,anna,female,34,none,train
b.wav,ben,male,,medical,train
"c, d.wav",carla,female,7.5,,dev
e.wav,"dora, d.",female,61,ffp,test
"""


def write_good_inputs(folder: Path) -> None:
    """Write one good input of each kind, or ten."""
    _write_media(folder / "media")
    _write_parts(folder / "part")
    _write_model(folder / "model")
    (folder / "table").mkdir()
    (folder / "table" / "labels.csv").write_text(TABLE)
    for name in ("a.wav", "b.wav", "c, d.wav", "e.wav"):
        shutil.copy(folder / "media" / "sound.wav", folder / "table" / name)
    (folder / "params").mkdir()
    shutil.copy(REPOSITORY / "params.yaml", folder / "params")


def write_spoilt(kind: Kind, good: Path, folder: Path, chance: random.Random) -> None:
    """Copy a good input of one kind into an empty folder, with one file of it spoilt."""
    match kind:
        case "media":
            _spoil_bytes(chance.choice(sorted((good / kind).iterdir())), folder, chance)
        case "table":
            shutil.copytree(good / kind, folder, dirs_exist_ok=True)
            _spoil_bytes(good / kind / "labels.csv", folder, chance)
        case "params":
            source = good / kind / "params.yaml"
            _spoil_tree(source, folder / source.name, chance, yaml.safe_load, _to_yaml)
        case "part":
            shutil.copytree(good / kind, folder, dirs_exist_ok=True)
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            chosen = chance.choice(files)
            if chosen.suffix == ".json":
                _spoil_tree(chosen, chosen, chance, json.loads, json.dumps)
            else:
                _spoil_bytes(chosen, chosen.parent, chance)
        case "header":
            shutil.copytree(good / "part", folder, dirs_exist_ok=True)
            for part_format in get_args(PartFormat):
                [part] = PartStore(folder, part_format).parts()
                _forge_header(part, part_format, chance)
        case "model":
            from tests.hostile_models import tamper

            tamper(good / kind / "tiny", folder / "tiny", chance)
        case _:
            assert_never(kind)


def _spoil_bytes(source: Path, folder: Path, chance: random.Random) -> None:
    (folder / source.name).write_bytes(mutate_bytes(source.read_bytes(), chance))


def _spoil_tree(
    source: Path,
    target: Path,
    chance: random.Random,
    read: Callable[[str], Any],
    write: Callable[[Any], str],
) -> None:
    """Spoil what a text says; now and then its letters instead."""
    text = source.read_text()
    if chance.random() < 0.7:
        target.write_text(_write_deep(mutate_tree(read(text), chance), write))
    else:
        target.write_bytes(mutate_bytes(text.encode(), chance))


def _forge_header(part: Path, part_format: PartFormat, chance: random.Random) -> None:
    """Spoil what the header of a part says or its rows, and write checksums that fit."""
    layout = read_layout(part, part_format)
    header, rows = layout.header, layout.rows or b""
    if chance.random() < 0.5:
        header = mutate_tree(header, chance)
    else:
        rows = mutate_bytes(rows, chance)
    text = _write_deep(header, lambda tree: json.dumps(tree, sort_keys=True))
    described = f"{text}{layout.dtype.str}{layout.shape}".encode()
    checksum = google_crc32c.value(described + rows)
    if part_format == "h5":
        with h5py.File(part, "r+") as file:
            made = {
                HEADER: np.bytes_(text.encode()),
                CHECKSUMS: np.array([checksum, file[CHECKSUMS][1]], np.uint32),
                ROWS: np.frombuffer(rows, np.uint8),
            }
            for name, content in made.items():
                del file[name]
                file.create_dataset(name, data=content)
    else:
        group = f'{{"{HEADER}": {text}, "{HEADER_CRC}": {checksum}}}'
        (part / "zarr.json").write_text(
            f'{{"zarr_format": 3, "node_type": "group", "attributes": {group}}}'
        )
        _forge_rows(part / ROWS, rows)


def _forge_rows(folder: Path, rows: bytes) -> None:
    array = json.loads((folder / "zarr.json").read_text())
    array["shape"] = array["chunk_grid"]["configuration"]["chunk_shape"] = [len(rows)]
    (folder / "zarr.json").write_text(json.dumps(array))
    checksum = google_crc32c.value(rows).to_bytes(4, "little")
    (folder / "c" / "0").write_bytes(rows + checksum)


def _write_deep(tree: Any, write: Callable[[Any], str]) -> str:
    """Write a tree, or brackets alone where it is too deep for the library that writes it."""
    try:
        return write(tree)
    except RecursionError:
        return "[" * 10_000


def _to_yaml(tree: Any) -> str:
    return yaml.safe_dump(tree, sort_keys=False)


def _write_media(folder: Path) -> None:
    """Write ten small files of sound, pictures or both, in the formats that people have most."""
    import cv2

    from oragen.corpora.generator.clip import write_clip
    from oragen.corpora.generator.corpus import plan_clips
    from oragen.corpora.generator.spec import CorpusSpec
    from oragen.media.audio import decode_audio
    from oragen.media.video import sample_pictures
    from tests.media_files import write_sound, write_video

    folder.mkdir()
    spec = CorpusSpec("studio", 6, seed=3, duration_s=(2.0, 2.2), fault_share=0.0)
    talk = folder / "talk.mp4"
    write_clip(plan_clips(spec)[0], talk)
    speech = decode_audio(talk, max_duration_s=9.0)[np.newaxis] / 2**15
    pictures = [picture.rgb for picture in sample_pictures(talk, max_duration_s=9.0)]
    times_s = [float(second) for second in range(len(pictures))]
    write_video(folder / "talk.mkv", times_s, pictures, sound=speech)
    write_video(
        folder / "talk.avi", times_s, pictures, codec="mpeg4", sound=speech, sound_codec="mp2"
    )
    write_video(folder / "talk.ts", times_s, pictures, sound=speech)
    write_sound(folder / "sound.wav", speech)
    write_sound(folder / "sound.flac", speech, codec="flac")
    write_sound(folder / "sound.mp3", speech, codec="libmp3lame")
    write_sound(folder / "sound.ogg", speech, codec="libopus", rate_hz=16_000)
    cv2.imwrite(str(folder / "still.jpg"), pictures[0][..., ::-1])
    cv2.imwrite(str(folder / "still.png"), pictures[0][..., ::-1])


def _write_parts(folder: Path) -> None:
    folder.mkdir()
    rows = [
        Row(f"{key:032x}", f"clip {key}", 4 * key, 4 * key + 4, details={"notes": []})
        for key in range(3)
    ]
    crops = np.arange(12 * 8 * 8 * 3, dtype=np.uint8).reshape(12, 8, 8, 3)
    write_part(folder, "h5", crops, rows, {"values": "crops"})
    write_part(folder, "zarr", np.ones((12, 4), np.float16), rows, {"values": "features"})


def _write_model(folder: Path) -> None:
    from tests.hostile_models import write_good_model

    write_good_model(folder / "tiny", of=folder / "of")
    shutil.rmtree(folder / "of")

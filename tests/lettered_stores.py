"""Small stores of features and of sound, whose inputs are named by letters."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from oragen.cli import app
from oragen.config import paths
from oragen.schema.tables import CLIPS, FEATURE_ROWS
from oragen.store.keys import audio_key
from oragen.store.parts import PartStore
from oragen.store.writing import PartWriter
from tests.feature_stores import make_spec, write_features
from tests.project import REPOSITORY

AUDIO = {"max_duration_s": 7200.0}  # as in params.yaml
FACES = {"crop_px": 96}


def enter_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty project, and work in it."""
    shutil.copy2(REPOSITORY / "params.yaml", folder)
    monkeypatch.chdir(folder)
    return folder


def embed(names: str) -> dict[str, np.ndarray]:
    """A letter each -> an embedding that no other letter has; `g` has one position less."""
    return {
        name: np.random.default_rng(ord(name)).standard_normal((3 if name == "g" else 4, 3))
        for name in names
    }


def fill(store: PartStore, names: str, *, rows_per_part: int = 2, fingerprint: str = "f") -> None:
    """Write the features of inputs named by letters, so many a part in the order of the names."""
    spec = make_spec(fingerprint=fingerprint)
    for start in range(0, len(names), rows_per_part):
        write_features(store.folder, embed(names[start : start + rows_per_part]), spec)


def key_of(name: str, fingerprint: str = "f") -> str:
    return make_spec(fingerprint=fingerprint).key_of(name)


def keys_of(names: str, fingerprint: str = "f") -> set[str]:
    return {key_of(name, fingerprint) for name in names}


def read_all(store: PartStore) -> dict[str, tuple[bytes, int]]:
    """Each key's bytes, and how many of its positions are real."""
    rows = store.read_many([*store.index().values()])
    return {located.row.key: (values.tobytes(), len(values)) for located, values in rows}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When every file was written, and its number on the disk."""
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["cache", *arguments])


def name_features(corpus: str, keys: Sequence[str], encoder: str = "identity") -> None:
    """Write the tables that say which features of the sound are in use; of faces none is."""
    store = str(paths.feature_store(corpus, encoder))
    rows: list[dict[str, object]] = [
        {"key": f"input of {key}", "level": "intermediate", "feature_key": key, "store": store}
        for key in keys
    ]
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, "audio"), FEATURE_ROWS.frame(rows))
    FEATURE_ROWS.write(paths.feature_rows_table(corpus, "face"), FEATURE_ROWS.empty())


def write_clips(corpus: str, names: str) -> None:
    rows: list[dict[str, object]] = [
        {
            "clip_id": f"{corpus}/{name}",
            "corpus": corpus,
            "split": "train",
            "speaker_id": name,
            "audio_hash": f"file {name}",
        }
        for name in names
    ]
    CLIPS.write(paths.clips_table(corpus), CLIPS.frame(rows))


def fill_audio(corpus: str, lengths: dict[str, int]) -> PartStore:
    """Write the sound of clips, 0 samples for a broken one; all in one part."""
    return fill_folder(paths.audio_store(corpus), corpus, lengths, {"audio": AUDIO})


def fill_folder(
    folder: Path, corpus: str, lengths: dict[str, int], spec: dict[str, Any]
) -> PartStore:
    store = PartStore(folder, "h5")
    with PartWriter(store, spec, 2**20) as writer:
        for name, length in lengths.items():
            writer.add(
                audio_key(f"file {name}", AUDIO),
                f"{corpus}/{name}",
                np.full(length, ord(name), np.int16),
                reason=None if length else "empty file",
            )
    return store


def flip_a_byte(part: Path) -> None:
    """Change one bit of the values."""
    (file,) = [part] if part.is_file() else (part / "values").rglob("0/0")
    content = bytearray(file.read_bytes())
    content[len(content) // 3 if part.is_dir() else content.find(b"ccc")] ^= 16
    file.write_bytes(content)

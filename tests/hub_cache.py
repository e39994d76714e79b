"""The cache of the Hugging Face hub, as its client lays it out after a download."""

import hashlib
from pathlib import Path

import pytest

REVISION = "a" * 40


def use_hub_cache(home: Path, monkeypatch: pytest.MonkeyPatch, *, offline: bool = True) -> Path:
    """Let this process take a folder for the home of the hub's client; return its cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(home))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    return home / "hub"


def make_snapshot(cache: Path, name: str) -> Path:
    """Make the folder of a model's newest revision."""
    model = cache / f"models--{name.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(REVISION)
    folder = model / "snapshots" / REVISION
    folder.mkdir(parents=True)
    return folder


def move_to_blobs(snapshot: Path) -> None:
    """Name each file by its SHA-256 and leave a link, as for large files of the hub."""
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir()
    for file in list(snapshot.iterdir()):
        blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
        file.replace(blob)
        file.symlink_to(Path("..", "..", "blobs", blob.name))

"""A good model -> models that somebody tampered with, and what each of them ends in.

Trees and bytes are spoilt as `benchmarks.mutations` does it, and weights and sums in ways of their
own. A case is found again by the seed of its `random.Random`.
"""

import hashlib
import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch

from benchmarks.mutations import mutate_bytes, mutate_tree
from oragen.predictor import Predictor
from oragen.predictor.packing import pack_model
from oragen.predictor.sums import SUMS_FILE, sum_up
from oragen.schema.errors import UserError
from tests.small_models import (
    add_familiarity,
    save_as_transformers_does,
    save_finetuned,
    write_model,
)

JSON_FILES: Final = (
    "head.json",
    "audio_encoder/head.json",
    "audio_encoder/preprocessor_config.json",
    "face_encoder/config.json",
    "face_encoder/preprocessor_config.json",
)
WEIGHTS: Final = (
    "model.safetensors",
    "familiarity.safetensors",
    "audio_encoder/model.safetensors",
    "face_encoder/model.safetensors",
)
CROPS: Final = list(np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8))
MAX_LETTERS: Final = 2000  # of a message
NO_FILES: Final = (b"[" * 100_000, b'{"a": 1, "a": 2}')


def write_good_model(folder: Path, *, of: Path) -> Path:
    """Pack a model with small encoders: one of ours for voices, one of transformers for faces.

    Args:
        folder: to write to.
        of: a folder for what the model is made of.
    """
    audio, _ = save_finetuned(of / "ours")
    _, face = save_as_transformers_does(of / "others")
    head = write_model(of / "head", audio=audio, face=face)
    add_familiarity(head, limit=100.0)
    pack_model(head, folder)
    return folder


def copy_without_sums(good: Path, folder: Path) -> Path:
    """Copy a packed model but for its sums, which would notice every change."""
    shutil.copytree(good, folder)
    (folder / SUMS_FILE).unlink()
    return folder


def tamper(good: Path, folder: Path, chance: random.Random) -> str:
    """Copy a good model and change something in the copy; return what."""
    shutil.copytree(good, folder)
    ways: tuple[Callable[[Path, random.Random], str], ...] = (
        _change_json, _change_json, _change_json, _change_bytes, _change_weights, _change_header,
        _change_sums,
    )  # fmt: skip
    change = chance.choice(ways)
    said = change(folder, chance)
    if change is not _change_sums and chance.random() < 0.9:
        fit_sums(folder)
    return said


def fit_sums(folder: Path) -> None:
    """Write sums that fit, as somebody who tampers would; head.json keeps its bytes if broken."""
    for weights in WEIGHTS:
        _write_digest((folder / weights).parent)
    (folder / SUMS_FILE).write_text(sum_up(folder))


def change(file: Path, *path: str, value: object) -> None:
    """Set a field of a JSON file, which may be nested."""
    fields = json.loads(file.read_text())
    inner = fields
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file.write_text(json.dumps(fields))


def try_out(folder: Path, crops: list[np.ndarray], sound: np.ndarray) -> str:
    """Predict with a model: return `predicted`, or the sentence of a refusal; all else is raised.

    Raises:
        AssertionError: a prediction that is no JSON, or a refusal of several lines.
    """
    try:
        prediction = Predictor.from_pretrained(folder, device="cpu").predict(
            audio=sound, faces=crops
        )
    except UserError as error:
        said = str(error)
    else:
        json.loads(prediction.to_json())  # refuses NaN
        return "predicted"
    assert "\n" not in said.strip()
    assert len(said) < MAX_LETTERS
    return said


def _write_digest(folder: Path) -> None:
    description = folder / "head.json"
    if not description.is_file() or not (folder / "model.safetensors").is_file():
        return
    try:
        fields = json.loads(description.read_bytes())
        fields["weights_sha256"] = hashlib.sha256(
            (folder / "model.safetensors").read_bytes()
        ).hexdigest()
        description.write_text(json.dumps(fields))
    except (ValueError, TypeError, RecursionError, UnicodeError):
        return


def _change_json(folder: Path, chance: random.Random) -> str:
    name = chance.choice(JSON_FILES)
    fields = mutate_tree(json.loads((folder / name).read_text()), chance)
    try:
        text = json.dumps(fields)
    except RecursionError:
        text = "[" * 100_000
    (folder / name).write_text(text)
    return f"{name}: {text[:MAX_LETTERS]}"


def _change_bytes(folder: Path, chance: random.Random) -> str:
    name = chance.choice((*JSON_FILES, *WEIGHTS))
    content = chance.choice((mutate_bytes((folder / name).read_bytes(), chance), *NO_FILES))
    (folder / name).write_bytes(content)
    return f"{name}: {content[:MAX_LETTERS]!r}"


def _change_weights(folder: Path, chance: random.Random) -> str:
    """Give one tensor other numbers, or another shape or type, in a file that is whole."""
    path = folder / chance.choice(WEIGHTS)
    weights = safetensors.torch.load(path.read_bytes())
    name = chance.choice(list(weights))
    changed: tuple[torch.Tensor, ...] = (
        torch.full_like(weights[name], float("nan")),
        torch.full_like(weights[name], float("inf")),
        torch.full_like(weights[name], 1e30),
        weights[name].double(),
        weights[name].to(torch.int8),
        weights[name][None].contiguous(),
        torch.zeros(0),
    )
    which = chance.randrange(len(changed))
    safetensors.torch.save_file(weights | {name: changed[which]}, path)
    return f"{path.parent.name}: {name} changed ({which})"


def _change_header(folder: Path, chance: random.Random) -> str:
    """Let the header of a file of weights say what is not so."""
    path = folder / chance.choice(WEIGHTS)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    name = next(key for key in header if key != "__metadata__")
    changes: dict[str, Any] = {
        "shape": [10**6, 10**6],
        "data_offsets": [0, 10**12],
        "dtype": "F64",
    }
    field = chance.choice(list(changes))
    header[name][field] = changes[field]
    text = json.dumps(header).encode()
    size = chance.choice((len(text), len(text), 2**40, 2**63, 90_000_000))
    path.write_bytes(struct.pack("<Q", size) + text + data)
    return f"{path.parent.name}: header {field}, length {size}"


def _change_sums(folder: Path, chance: random.Random) -> str:
    lines = (folder / SUMS_FILE).read_text().splitlines()
    at = chance.randrange(len(lines))
    changes = (
        lines[:at] + lines[at + 1 :],
        [*lines, lines[at]],
        [*lines, f"{'0' * 64}  ../../etc/passwd"],
        [*lines, f"{'0' * 64}  /etc/passwd"],
        [*lines, "no sum"],
        [*lines[:at], "0" * 64 + lines[at][64:], *lines[at + 1 :]],
    )
    which = chance.randrange(len(changes))
    (folder / SUMS_FILE).write_text("\n".join(changes[which]) + "\n")
    return f"sums: change {which} at {at}"

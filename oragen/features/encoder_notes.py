"""What a frozen encoder follows from -> a note of its features, and an encoder that loads late.

A note is named by a hash of all that it follows from, so that one that is not true is not found:
the files of the encoder, how it is used, our code and the libraries. Where nothing has to be
encoded, the note is enough, and neither the encoder nor torch is loaded.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

from oragen.schema.choices.encoders import EMBEDDED, OFF_THE_SHELF, RESEMBLYZER, NamedLayers
from oragen.schema.files import write_text
from oragen.schema.strict_json import MAX_BYTES, JsonError, parse_object
from oragen.schema.vocabulary import Json, Level, Modality, Precision

# What builds an encoder and hashes it: by the rooms of our code, and by package.
CODE: Final = ("encoders", "models", "media/samples.py", "features/encoder_notes.py")
LIBRARIES: Final = ("torch", "torchvision", "transformers", "timm", "numpy", "safetensors")
TIMM_ON_HUB: Final = "timm:hf-hub:"
SHA256: Final = re.compile("[0-9a-f]{64}")
MAX_FILES: Final = 1000  # of an encoder's folder
# A file that was changed less than this before it was hashed may be changed once more within the
# same tick of the file system's clock.
SETTLED_S: Final = 2.0


class EncoderUse(NamedTuple):
    """An encoder, and how it is used."""

    modality: Modality
    source: str
    revision: str | None
    precision: Precision
    levels: Sequence[Level]
    num_samples: int | None  # of the longest input, if it is sound
    layers: NamedLayers | Sequence[int] = "last"  # see `choose_layers`; of sound alone


class EncoderNote(NamedTuple):
    """What is known of the features of an encoder."""

    fingerprints: Mapping[Level, str]
    shapes: Mapping[Level, tuple[int, int]]
    frame_samples: tuple[int, int] | None  # of speech encoders, see `AudioEncoder`
    layers: tuple[int, ...] | None = None  # that are kept; None: what the encoder returns

    def as_json(self) -> dict[str, Json]:
        """Return it as it is written."""
        return {
            "fingerprints": {**self.fingerprints},
            "shapes": {level: list(shape) for level, shape in self.shapes.items()},
            "frame_samples": self.frame_samples and list(self.frame_samples),
            "layers": self.layers and list(self.layers),
        }


class LateEncoder:
    """An encoder that is loaded when it has to encode, or when nothing is known of it.

    Args:
        use: which encoder, and how it is used.
        load: loads it, to its device.
        folder: of the notes; what is in it may be removed.
    """

    def __init__(self, use: EncoderUse, load: Callable[[], Any], folder: Path) -> None:
        self.use = use
        self._load = load
        self._folder = folder

    @cached_property
    def noted(self) -> EncoderNote | None:
        """What is known of its features without loading it."""
        return None if self._place is None else read_note(self._place, self.use.levels)

    @cached_property
    def described(self) -> EncoderNote:
        """What it says of its features itself, which is noted for the next time."""
        place = self._place
        note = describe(self.loaded, self.use)
        if place is not None and place == self._find_place():  # else it changed while it was loaded
            write_text(place, json.dumps(note.as_json()))
        return note

    @cached_property
    def loaded(self) -> Any:
        """The encoder itself."""
        return self._load()

    @cached_property
    def _place(self) -> Path | None:
        return self._find_place()

    def _find_place(self) -> Path | None:
        name = name_note(self.use, self._folder / "hashes.json")
        return None if name is None else self._folder / f"{name}.json"


def describe(encoder: Any, use: EncoderUse) -> EncoderNote:
    """Ask a loaded encoder."""
    sizes = () if use.num_samples is None else (use.num_samples,)
    return EncoderNote(
        {level: encoder.fingerprint(level) for level in use.levels},
        {level: encoder.feature_shape(*sizes, level) for level in use.levels},
        None if use.num_samples is None else tuple(encoder.frame_samples),
        None if use.layers == "last" else encoder.layers,
    )


def read_note(path: Path, levels: Sequence[Level]) -> EncoderNote | None:
    """Read a note; None if there is none that says all of the levels."""
    try:
        with path.open("rb") as file:
            found = parse_object(file.read(MAX_BYTES + 1))
        note = EncoderNote(
            {level: found["fingerprints"][level] for level in levels},
            {level: _to_pair(found["shapes"][level]) for level in levels},
            None if found["frame_samples"] is None else _to_pair(found["frame_samples"]),
            None if found["layers"] is None else _to_layers(found["layers"]),
        )
    except (OSError, JsonError, LookupError, TypeError, ValueError):
        return None
    return note if all(map(SHA256.fullmatch, note.fingerprints.values())) else None


def _to_pair(numbers: Any) -> tuple[int, int]:
    first, second = numbers
    if not (type(first) is type(second) is int and min(first, second) > 0):
        raise ValueError(f"no sizes: {numbers}")
    return first, second


def _to_layers(numbers: Any) -> tuple[int, ...]:
    if not numbers or not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError(f"no layers: {numbers}")
    return tuple(numbers)


def name_note(use: EncoderUse, memory: Path) -> str | None:
    """Return a hash of all that the features of an encoder follow from.

    None if that is not known. The hub is asked for the version that it has now, unless the
    revision is a commit.

    Args:
        use: which encoder, and how it is used.
        memory: file in which hashes of unchanged files are remembered.
    """
    files = list_files(use.source, use.revision)
    if files is None:
        return None
    described = {
        "use": use._asdict(),
        "files": hash_files(files, memory),
        "code": _hash_code(),
        "libraries": {name: _find_version(name) for name in LIBRARIES},
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def list_files(source: str, revision: str | None = None) -> list[Path] | None:
    """Return the files of an encoder, in its folder or in the cache of the hub; None: unknown."""
    if source in (EMBEDDED, OFF_THE_SHELF, RESEMBLYZER):
        return []
    folder = Path(source) if Path(source).is_dir() else _find_snapshot(source, revision)
    if folder is None:
        return None
    files = [path for path in sorted(folder.rglob("*")) if not path.is_dir()]
    return files if len(files) <= MAX_FILES and all(path.is_file() for path in files) else None


def _find_snapshot(source: str, revision: str | None) -> Path | None:
    """Return the folder of a model on the hub; its name is a commit, as all that is in it is.

    Which repository is meant by a plain name of timm, only timm knows.
    """
    from oragen.models.hub import find_snapshot

    repository, _, pinned = source.removeprefix(TIMM_ON_HUB).partition("@")
    return find_snapshot(repository, revision or pinned or None)


def hash_files(files: Sequence[Path], memory: Path) -> dict[str, str]:
    """Return the SHA-256 of each file; it is remembered while nothing of the file changes.

    The system notes any change in the time of the change (`st_ctime`), which no program can set.
    """
    known = _read_memory(memory)
    hashes: dict[str, str] = {}
    settled: dict[str, Json] = {}
    for path in files:
        place, state, now_s = str(path.resolve()), _find_state(path), time.time()
        remembered = known.get(place)
        if isinstance(remembered, list) and remembered[:-1] == state:
            hashes[str(path)] = remembered[-1]
            continue
        hashes[str(path)] = _hash_file(path)
        if now_s - max(state[2:]) / 1e9 > SETTLED_S:
            settled[place] = [*state, hashes[str(path)]]
    if settled:
        write_text(memory, json.dumps(known | settled))
    return hashes


def _find_state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_memory(memory: Path) -> dict[str, Json]:
    try:
        with memory.open("rb") as file:
            return parse_object(file.read(MAX_BYTES + 1))
    except (OSError, JsonError):
        return {}


def _hash_code() -> str:
    """Return the SHA-256 of our modules that build encoders and hash them."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for place in CODE:
        found = [root / place] if place.endswith(".py") else sorted((root / place).rglob("*.py"))
        for path in found:
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None

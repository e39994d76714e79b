"""A hub id or a folder of an encoder -> its files, known to be data of the size that they say."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import safe_open
from torch import nn
from transformers import AutoConfig
from transformers.utils.hub import cached_file

from oragen.encoders.errors import EncoderError
from oragen.models.encoder_configs import check_config
from oragen.models.folder import MAX_HEADER_BYTES
from oragen.models.outline import outlining
from oragen.models.unimodal import outline_checkpoint
from oragen.models.unimodal.architectures import build_network
from oragen.schema.links import find_inside
from oragen.schema.strict_json import MAX_BYTES, JsonError, parse_object, shorten

CONFIG_FILE: Final = "config.json"
ADAPTER_FILE: Final = "adapter_config.json"  # names another model, anywhere, to load
# In the order in which transformers looks for them.
WEIGHTS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
INDEX: Final = ".index.json"
# A network may have weights that its checkpoint lacks, such as a pooler that nothing uses.
MAX_MISSING_SHARE: Final = 1.2
MAX_MISSING: Final = 10**7
LARGEST_SIDE_PX: Final = 4096
NO_SIDES: Final = ("sampling_rate", "num_classes", "n_samples")  # of a preparation
PREPARATIONS: Final = ("processor_config.json", "preprocessor_config.json")
LARGEST_NUMBER: Final = 10**6


def check_files(source: str, revision: str | None) -> None:
    """Refuse the files of an encoder that ask for more than a network of the weights they hold.

    Raises:
        EncoderError: says what they ask for.
        OSError: a file is missing, or the hub cannot be reached.
    """
    config = read_config(source, revision)
    check_config(config.get("model_type"), config)
    if _find_if_any(source, ADAPTER_FILE, revision) is not None:
        raise EncoderError(
            f"Encoder {source!r} has an {ADAPTER_FILE}, which names another model to load. Merge "
            "the adapter into its model, and save that."
        )
    files = find_weights(source, revision)
    check_count(source, _outline(config), sum(map(count_weights, files)))


def read_config(source: str, revision: str | None) -> dict[str, Any]:
    """Read the config of an encoder, which decides what will be built.

    Raises:
        EncoderError: it is no JSON object.
        OSError: it is missing, or the hub cannot be reached.
    """
    return _read_object(source, _find(source, CONFIG_FILE, revision))


def find_weights(source: str, revision: str | None) -> list[Path]:
    """Return the files of weights that transformers will read; none if there are none.

    Raises:
        EncoderError: an index names a file that is not beside it.
        OSError: the hub cannot be reached.
    """
    for name in WEIGHTS:
        if (found := _find_if_any(source, name, revision)) is None:
            continue
        if not name.endswith(INDEX):
            return [found]
        shards = _list_shards(source, found)
        return [_find(source, shard, revision) for shard in shards]
    return []


def count_weights(file: Path) -> int:
    """Return how many numbers a file of weights holds.

    Raises:
        UserError: it is damaged, or would take more memory than it has bytes.
    """
    if file.suffix != ".safetensors":
        return sum(weight.numel() for weight in outline_checkpoint(file).values())
    with file.open("rb") as opened:
        header_bytes = int.from_bytes(opened.read(8), "little")
    if header_bytes > MAX_HEADER_BYTES:
        raise EncoderError(f"{file} says that its header has {header_bytes} bytes. Fetch it again.")
    with safe_open(file, framework="pt") as weights:
        names = weights.keys()
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in names)


def check_count(source: str, network: nn.Module, num_weights: int) -> None:
    """Refuse a network, on the `meta` device, that is larger than its weights.

    Raises:
        EncoderError: says both numbers.
    """
    described = sum(weight.numel() for weight in network.state_dict().values())
    if described > MAX_MISSING_SHARE * num_weights + MAX_MISSING:
        raise EncoderError(
            f"Encoder {source!r} has {num_weights} weights, and its {CONFIG_FILE} describes a "
            f"network of {described}. Fetch it again."
        )


def check_preparation_files(source: str, revision: str | None) -> None:
    """Refuse such a preparation before it is built: a filterbank is as large as it says.

    Raises:
        EncoderError: names the field.
        OSError: the hub cannot be reached.
    """
    for name in PREPARATIONS:
        if (found := _find_if_any(source, name, revision)) is not None:
            check_preparation(source, _read_object(source, found))


def check_preparation(source: str, preparation: Mapping[str, Any]) -> None:
    """Refuse a preparation of inputs with sizes that no encoder takes.

    Raises:
        EncoderError: names the field.
    """
    for key, number in _list_numbers(preparation):
        largest = LARGEST_NUMBER if key in NO_SIDES else LARGEST_SIDE_PX
        if not abs(number) <= largest:
            raise EncoderError(
                f"Encoder {source!r} prepares its input with {shorten(key)} "
                f"{shorten(str(number))}, expected at most {largest}. Fetch it again."
            )


def _outline(config: Mapping[str, Any]) -> nn.Module:
    fields = {key: value for key, value in config.items() if key != "model_type"}
    with outlining():
        network: nn.Module = build_network(AutoConfig.for_model(config["model_type"], **fields))
        return network


def _list_shards(source: str, index: Path) -> list[str]:
    places = _read_object(source, index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise EncoderError(f"Encoder {source!r}: {index.name} has no weight_map. Fetch it again.")
    for name in places.values():
        if not isinstance(name, str) or name != Path(name).name or name.startswith("."):
            raise EncoderError(
                f"Encoder {source!r}: {index.name} names {shorten(repr(name))}, expected files "
                "beside it. Fetch it again."
            )
    return sorted(set(places.values()))


def _find(source: str, name: str, revision: str | None) -> Path:
    if Path(source).is_dir():
        return find_inside(Path(source), name)
    return Path(str(cached_file(source, name, revision=revision)))


def _find_if_any(source: str, name: str, revision: str | None) -> Path | None:
    if Path(source).is_dir():
        return find_inside(Path(source), name) if (Path(source) / name).exists() else None
    found = cached_file(
        source, name, revision=revision, _raise_exceptions_for_missing_entries=False
    )
    return None if found is None else Path(found)


def _read_object(source: str, file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return parse_object(opened.read(MAX_BYTES + 1))
    except JsonError as error:
        raise EncoderError(
            f"Encoder {source!r}: its {file.name} cannot be used: {error}. Fetch it again."
        ) from error


def _list_numbers(value: object, key: str = "") -> Iterator[tuple[str, int | float]]:
    match value:
        case bool():
            return
        case int() | float():
            yield key, value
        case dict():
            for name, inner in value.items():
                yield from _list_numbers(inner, str(name))
        case list():
            for inner in value:
                yield from _list_numbers(inner, key)

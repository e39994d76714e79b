"""A name in timm, or a folder that timm wrote -> a vision transformer and its image processor."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import timm
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from PIL.Image import Resampling
from timm.data.config import resolve_data_config
from transformers import BaseImageProcessor, ViTImageProcessor

from oragen.encoders.errors import EncoderError, explained
from oragen.encoders.files import (
    CONFIG_FILE,
    check_count,
    check_preparation,
    count_weights,
    read_config,
)
from oragen.encoders.source import refuse_not_finite
from oragen.encoders.timm_names import FOLDER, HUB, PREFIX
from oragen.models.outline import outlining
from oragen.models.unimodal.timm_arguments import (
    VITS,
    check_architecture,
    check_arguments,
)
from oragen.models.unimodal.timm_vit import TimmVit
from oragen.schema.links import find_inside

WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")
# Of the fields of a pretrained config those that say what the weights are, and not where.
_DESCRIPTIVE: Final = (
    "tag", "num_classes", "input_size", "fixed_input_size", "interpolation", "crop_pct",
    "crop_mode", "mean", "std", "pool_size", "first_conv", "classifier", "global_pool",
    "label_offset", "license",
)  # fmt: skip


def load_timm(source: str, revision: str | None) -> tuple[TimmVit, BaseImageProcessor]:
    """Load a pretrained vision transformer, and the processor of its images.

    Args:
        source: `timm:NAME`, `timm:hf-hub:OWNER/NAME`, or a folder as `timm.models.save_for_hf`
            writes it; `timm:` may precede the folder, too.
        revision: of a repository named by `hf-hub:`.

    Raises:
        EncoderError: it cannot be loaded, or is no ViT with a CLS token.
    """
    name = source.removeprefix(PREFIX).removeprefix(FOLDER)
    arguments: dict[str, Any] = {}
    with explained(source, revision):
        if Path(name).is_dir():
            vit, arguments = _load_folder(source, Path(name))
        elif name.startswith(HUB):
            vit, _ = _load_folder(source, _download(name.removeprefix(HUB), revision))
        else:
            # With its classifier: without one, timm would accept missing weights.
            vit = timm.create_model(_refuse_revision(name, revision), pretrained=True)
    if not isinstance(vit, VITS):
        raise EncoderError(
            f"Encoder {source!r} is a {type(vit).__name__}; expected one of timm's vision "
            f"transformers ({', '.join(kind.__name__ for kind in VITS)})."
        )
    if vit.cls_token is None:
        raise EncoderError(
            f"Encoder {source!r} has no CLS token, whose rows are the features. Choose a vision "
            "transformer with one, e.g. timm:vit_small_patch16_224."
        )
    refuse_not_finite(source, vit)
    with explained(source, revision):
        return _wrap(vit, arguments), _build_processor(vit)


def find_timm_px(source: str, revision: str | None) -> int:
    """Return the side of the pictures that a network takes; its weights are not loaded.

    Raises:
        EncoderError: there is no such network.
    """
    name = source.removeprefix(PREFIX).removeprefix(FOLDER)
    with explained(source, revision):
        if Path(name).is_dir():
            outline = _describe_folder(source, Path(name)).outline()
        elif name.startswith(HUB):
            folder = _download_config(*_split(name.removeprefix(HUB), revision)).parent
            outline = _describe_folder(source, folder).outline()
        else:
            architecture = _refuse_revision(name, revision)
            with outlining():
                outline = timm.create_model(architecture, pretrained=False)
        side: int = max(outline.patch_embed.img_size)
    return side


def _wrap(vit: Any, arguments: Mapping[str, Any]) -> TimmVit:
    """Drop the classifier; note also the arguments that timm took from its pretrained config."""
    vit.reset_classifier(0)
    own = {name: value for name, value in arguments.items() if name != "num_classes"}
    pretrained = {"img_size": list(vit.patch_embed.img_size), "global_pool": vit.global_pool}
    return TimmVit(
        vit, architecture=vit.pretrained_cfg["architecture"], arguments={**own, **pretrained}
    )


class _Described(NamedTuple):
    """A network as the config of a folder describes it."""

    build: Callable[..., Any]
    pretrained: dict[str, Any]
    arguments: dict[str, Any]

    def outline(self) -> Any:
        """Build the network without memory for its weights."""
        with outlining():
            return self.build(pretrained=False, pretrained_cfg={**self.pretrained})


def _describe_folder(source: str, folder: Path) -> _Described:
    config = read_config(str(folder), None)
    architecture = check_architecture(config.get("architecture"))
    arguments = check_arguments(config.get("model_args", {}))
    described: dict[str, Any] = config.get("pretrained_cfg", config)
    pretrained: dict[str, Any] = {key: described[key] for key in _DESCRIPTIVE if key in described}
    if "num_classes" in config:
        pretrained["num_classes"] = config["num_classes"]
    check_preparation(source, pretrained)
    build = partial(timm.create_model, architecture, **arguments)
    return _Described(build, pretrained, arguments)


def _load_folder(source: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Build the network that a folder describes, from the weights in the folder and no others."""
    build, pretrained, arguments = described = _describe_folder(source, folder)
    weights = _find_weights(source, folder)
    # With its classifier: without one, timm would accept missing weights.
    check_count(source, described.outline(), count_weights(weights))
    return build(pretrained=True, pretrained_cfg={**pretrained, "file": str(weights)}), arguments


def _find_weights(source: str, folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).exists():
            return find_inside(folder, name)
    raise EncoderError(
        f"Encoder {source!r} has no weights: expected one of {', '.join(WEIGHTS)}. Save it with "
        "timm.models.save_for_hf."
    )


def _download(repository: str, revision: str | None) -> Path:
    """Return the folder of a repository's config and weights in the cache of the hub.

    Raises:
        LocalEntryNotFoundError: the hub cannot be reached, and the cache has no weights.
    """
    owner_and_name, wanted = _split(repository, revision)
    folder = _download_config(owner_and_name, wanted).parent
    unreachable: LocalEntryNotFoundError | None = None
    for name in WEIGHTS:
        try:
            hf_hub_download(owner_and_name, name, revision=wanted)
        except LocalEntryNotFoundError as error:
            unreachable = error
        except EntryNotFoundError:
            continue
        else:
            return folder
    if unreachable is not None:
        raise unreachable
    return folder


def _split(repository: str, revision: str | None) -> tuple[str, str | None]:
    """Return the id of a repository, and the revision that is wanted of it."""
    owner_and_name, _, pinned = repository.partition("@")
    return owner_and_name, revision or pinned or None


def _download_config(owner_and_name: str, revision: str | None) -> Path:
    return Path(hf_hub_download(owner_and_name, CONFIG_FILE, revision=revision))


def _refuse_revision(name: str, revision: str | None) -> str:
    if revision is not None:
        raise EncoderError(
            f"Encoder {PREFIX + name!r} has no revisions, found {revision!r}. Remove it, or name "
            f"the repository: {PREFIX}{HUB}timm/{name}."
        )
    return check_architecture(name)


def _build_processor(vit: Any) -> BaseImageProcessor:
    """Scale to the size and range of the pretraining; a crop is a face already and is not cut."""
    config = resolve_data_config(model=vit)
    height, width = vit.patch_embed.img_size
    method = config["interpolation"].upper()
    return ViTImageProcessor(
        size={"height": height, "width": width},
        resample=Resampling[method] if method in Resampling.__members__ else Resampling.BICUBIC,
        image_mean=list(config["mean"]),
        image_std=list(config["std"]),
    )

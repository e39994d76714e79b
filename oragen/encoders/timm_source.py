"""A name in timm, or a folder that timm wrote -> a vision transformer and its image processor."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import timm
from PIL.Image import Resampling
from timm.data.config import resolve_data_config
from transformers import BaseImageProcessor, ViTImageProcessor

from oragen.encoders.source import EncoderError, explained
from oragen.models.unimodal.timm_vit import VITS, TimmVit

PREFIX: Final = "timm:"
CONFIG_FILE: Final = "config.json"
HUB: Final = "hf-hub:"


def is_timm(source: str) -> bool:
    """Return whether a source is of timm, and not of transformers."""
    return source.startswith(PREFIX) or _holds_timm(_read_config(Path(source)))


def load_timm(source: str, revision: str | None) -> tuple[TimmVit, BaseImageProcessor]:
    """Load a pretrained vision transformer, and the processor of its images.

    Args:
        source: `timm:NAME`, `timm:hf-hub:OWNER/NAME`, or a folder as `timm.models.save_for_hf`
            writes it; `timm:` may precede the folder, too.
        revision: of a repository named by `hf-hub:`.

    Raises:
        EncoderError: it cannot be loaded, or is no ViT with a CLS token.
    """
    name = source.removeprefix(PREFIX)
    config = _read_config(Path(name))
    with explained(source, revision):
        # With its classifier: without one, timm would accept missing weights.
        vit: Any = timm.create_model(
            f"local-dir:{name}" if config else _pin(name, revision), pretrained=True
        )
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
    return _wrap(vit, config.get("model_args", {})), _build_processor(vit)


def _wrap(vit: Any, arguments: Mapping[str, Any]) -> TimmVit:
    """Drop the classifier; note also the arguments that timm took from its pretrained config."""
    vit.reset_classifier(0)
    own = {name: value for name, value in arguments.items() if name != "num_classes"}
    pretrained = {"img_size": list(vit.patch_embed.img_size), "global_pool": vit.global_pool}
    return TimmVit(
        vit, architecture=vit.pretrained_cfg["architecture"], arguments={**own, **pretrained}
    )


def _read_config(folder: Path) -> Mapping[str, Any]:
    """Return a folder's `config.json`; empty if there is none."""
    file = folder / CONFIG_FILE
    if not file.is_file():
        return {}
    with explained(str(folder), None):
        config: dict[str, Any] = json.loads(file.read_bytes())
    return config


def _holds_timm(config: Mapping[str, Any]) -> bool:
    return "architecture" in config and "model_type" not in config  # transformers wraps timm, too


def _pin(name: str, revision: str | None) -> str:
    if revision is None:
        return name
    if not name.startswith(HUB):
        raise EncoderError(
            f"Encoder {PREFIX + name!r} has no revisions, found {revision!r}. Remove it, or name "
            f"the repository: {PREFIX}{HUB}timm/{name}."
        )
    return f"{name}@{revision}"


def _build_processor(vit: Any) -> BaseImageProcessor:
    """Scale to the size and range of the pretraining; a crop is a face already and is not cut."""
    config = resolve_data_config(model=vit)  # type: ignore[no-untyped-call]
    height, width = vit.patch_embed.img_size
    method = config["interpolation"].upper()
    return ViTImageProcessor(
        size={"height": height, "width": width},
        resample=Resampling[method] if method in Resampling.__members__ else Resampling.BICUBIC,
        image_mean=list(config["mean"]),
        image_std=list(config["std"]),
    )

"""The name of an encoder -> the loaded network, or one sentence on why it cannot be loaded."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from oragen.encoders.errors import EncoderError, explained
from oragen.encoders.files import check_files, find_weights, read_config
from oragen.models.finite import find_not_finite
from oragen.models.folder import DESCRIPTION_FILE
from oragen.models.unimodal import SavedUnimodal, holds_unimodal, load_unimodal
from oragen.models.unimodal.front_end import WHISPER
from oragen.schema.vocabulary import Level

UNUSED_WEIGHTS: Final = ("pooler.", "masked_spec_embed", "embeddings.mask_token")
# Before the names of the encoder's weights, in checkpoints of Whisper; none where it is alone.
WHISPER_PREFIXES: Final = ("model.encoder.", "encoder.")
WHISPER_DECODERS: Final = ("model.decoder.", "decoder.", "proj_out.")


def load_complete(source: str, revision: str | None) -> PreTrainedModel:
    """Load a model, all of whose used weights are in the checkpoint.

    A missing weight would be random and differ on every run, so it is refused. Weights that no
    embedding depends on may be missing. No code in the folder or repository is run.

    Raises:
        EncoderError: it cannot be loaded, is not complete, or has weights that are not finite.
    """
    model: PreTrainedModel
    with explained(source, revision):
        check_files(source, revision)
        if read_config(source, revision)["model_type"] == WHISPER:
            model, report = _load_whisper(source, revision)
        else:
            model, report = AutoModel.from_pretrained(
                source, revision=revision, output_loading_info=True, trust_remote_code=False
            )
    if missing := [name for name in report["missing_keys"] if not is_unused(name)]:
        raise EncoderError(
            f"Encoder {source!r} lacks {len(missing)} weights of a {model.config.model_type}, e.g. "
            f"{missing[0]}: it was saved from another kind of model."
        )
    refuse_not_finite(source, model)
    return model


def _load_whisper(source: str, revision: str | None) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Load the encoder of Whisper; its decoder is not read."""
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    weights: dict[str, Tensor] = {}
    for path in find_weights(source, revision):
        if path.suffix != ".safetensors":
            raise EncoderError(
                f"Encoder {source!r} has its weights in {path.name}; expected model.safetensors. "
                "Load it with transformers, write it to a folder with `save_pretrained`, copy its "
                "preprocessor_config.json there, and name that folder."
            )
        weights |= _read_whisper(path)
    loaded: tuple[PreTrainedModel, dict[str, Any]] = WhisperEncoder.from_pretrained(
        None,
        config=config,
        state_dict=weights,
        output_loading_info=True,
        dtype=torch.float32,  # some are released in fp16; computed as `precision` says
    )
    return loaded


def _read_whisper(path: Path) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if not name.startswith(WHISPER_DECODERS)]  # noqa: SIM118
        return {_strip(name): file.get_tensor(name).float() for name in names}


def _strip(name: str) -> str:
    prefix = next((start for start in WHISPER_PREFIXES if name.startswith(start)), "")
    return name.removeprefix(prefix)


def refuse_not_finite(source: str, network: nn.Module) -> None:
    """Refuse a network with weights that are NaN or infinite: all it gives would be NaN.

    Raises:
        EncoderError: names the first one.
    """
    used = {name: w for name, w in network.state_dict().items() if not is_unused(name)}
    if name := find_not_finite(used):
        raise EncoderError(
            f"Encoder {source!r} has numbers in {name} that are not finite. Fetch it again, or "
            "name another one."
        )


def refuse_useless(source: str, embedding: np.ndarray) -> None:
    """Refuse an encoder that gives NaN for silence or a blank picture.

    Raises:
        EncoderError: names it.
    """
    if not np.isfinite(embedding).all():
        raise EncoderError(
            f"Encoder {source!r} gives numbers that are not finite for silence or a blank picture. "
            "Fetch it again, or name another one."
        )


def load_finetuned(source: str) -> SavedUnimodal | None:
    """Load the unimodal model of a fine-tuned encoder; None if `source` is no folder of one.

    Raises:
        EncoderError: the folder holds a head.
        UserError: the folder holds a damaged model.
    """
    folder = Path(source)
    if not (folder / DESCRIPTION_FILE).is_file():
        return None
    if not holds_unimodal(folder):
        raise EncoderError(
            f"Encoder {source!r} is a head, which takes features; expected an encoder. Name one."
        )
    return load_unimodal(folder)


def refuse_late(source: str, levels: Collection[Level]) -> None:
    """Refuse the level `late` of an encoder alone.

    Raises:
        EncoderError: says how to get an encoder with this level.
    """
    if "late" in levels:
        raise EncoderError(
            f"Encoder {source!r} has no level `late`: that is the pooled vector of a fine-tuned "
            "model. Fine-tune it (`encoders.finetune` in params.yaml), convert a published "
            "checkpoint (`oragen convert`), or choose the level `intermediate` or `early`."
        )


def is_unused(name: str) -> bool:
    """Return whether no embedding depends on a weight."""
    return name.startswith(UNUSED_WEIGHTS)

"""A model -> the terms of its parts, as far as they are known.

Terms are never guessed: where nothing states them, the reader is told where to look.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from oragen.models.off_the_shelf import LICENCE, SOURCE
from oragen.models.packages import SPEAKER_LICENCE, SPEAKER_SOURCE
from oragen.models.released import REPOSITORY, TITLE
from oragen.schema.choices.encoders import (
    EMBEDDED,
    OFF_THE_SHELF,
    OFF_THE_SHELF_HEAD,
    RESEMBLYZER,
)
from oragen.schema.vocabulary import Modality

CODE: Final = "MIT"
YUNET: Final = "MIT"
UNSTATED: Final = "not stated; look at"
# Of the head of a model card on the hub, between two lines of dashes.
_FRONT_MATTER: Final = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)
_LICENCE: Final = re.compile(r"^license(?:_name)?: *(\S.*)$", re.MULTILINE)


class Licence(NamedTuple):
    """The terms of one part."""

    what: str
    licence: str


def list_licences(
    description: Mapping[str, str],
    encoders: Mapping[Modality, tuple[str, str]],
    card: str | None = None,
) -> list[Licence]:
    """Return what is known of the licences of the program, the model, its encoders and detector.

    Args:
        description: of the model, see `Pretrained`.
        encoders: the name of each, and where it comes from.
        card: text of the model card that came with the model.
    """
    is_yunet = description.get("face_detector") == "yunet"
    return [
        Licence("program: oragen", CODE),
        Licence("weights of the model", _of_weights(description, card)),
        *(
            Licence(f"{modality} encoder: {name}", _of_encoder(source))
            for modality, (name, source) in encoders.items()
        ),
        *([Licence("face detector: yunet", YUNET)] if is_yunet else []),
    ]


def _of_encoder(source: str) -> str:
    if source == EMBEDDED:
        return f"{CODE}, as the program that it is part of"
    if source == OFF_THE_SHELF:
        return f"{LICENCE} ({SOURCE})"
    if source == RESEMBLYZER:
        return f"{SPEAKER_LICENCE} ({SPEAKER_SOURCE})"
    return f"{UNSTATED} the place that it comes from: {source}"


def _of_weights(description: Mapping[str, str], card: str | None) -> str:
    if description.get("head") == OFF_THE_SHELF_HEAD:
        return f"{LICENCE} ({SOURCE})"
    if stated := _read_card(card or ""):
        return f"{stated}, as its card says"
    if description.get("published_model", "").startswith(f"{TITLE} "):
        return f"{UNSTATED} https://huggingface.co/{REPOSITORY}"
    corpora = description.get("trained_on") or "which it does not name"
    return f"{UNSTATED} the licences of the corpora that it was trained on: {corpora}"


def _read_card(card: str) -> str:
    """Return the licences that the head of a card names, in one line."""
    head = _FRONT_MATTER.match(card)
    return ", ".join(found.strip() for found in _LICENCE.findall(head[1])) if head else ""

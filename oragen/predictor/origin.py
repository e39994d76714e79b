"""The metadata of a converted model -> what predictions say of the checkpoints it was made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from oragen.models.description import LooseForm, Sha256, Text, check_form

Part = Literal["voice", "face", "fusion"]


class CheckpointForm(LooseForm):
    """A file that was converted."""

    file: Text
    sha256: Sha256


class PublishedForm(LooseForm):
    """A published model; those converted by earlier versions have neither title nor checkpoints."""

    model: Text
    level: Text | None = None
    source: Text
    title: Text | None = None
    checkpoints: Annotated[dict[Part, CheckpointForm], Field(default_factory=dict)]


class OriginForm(LooseForm):
    """Metadata of a head; those trained here were not published."""

    published: PublishedForm | None = None


def describe_origin(folder: Path, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the name of a published model and the SHA-256 of its checkpoints; {} for others.

    Raises:
        UserError: names the field of head.json that does not fit.
    """
    published = check_form(folder, "has wrong metadata", OriginForm, dict(metadata)).published
    if published is None:
        return {}
    parts = (published.title, published.model, published.level, f"({published.source})")
    return {"published_model": " ".join(part for part in parts if part)} | {
        f"{part}_checkpoint_sha256": checkpoint.sha256
        for part, checkpoint in published.checkpoints.items()
    }

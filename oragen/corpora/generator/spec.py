"""What a demo corpus is made from, and the file in its folder that says it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from oragen.schema.choices.corpora import Condition
from oragen.schema.errors import UserError

# Raise it with every change that alters the clips of a spec: other versions are refused.
GENERATOR_VERSION: Final = 2
SPEC_FILE: Final = "corpus.json"
FEWEST_SPEAKERS: Final = 6  # both genders in each of the three splits


@dataclass(frozen=True)
class CorpusSpec:
    """The specification of a corpus; ranges include both ends, `fault_share` is for each fault."""

    condition: Condition
    num_speakers: int
    seed: int
    clips_per_speaker: tuple[int, int] = (2, 3)
    duration_s: tuple[float, float] = (3.0, 8.0)
    fault_share: float = 0.03

    def __post_init__(self) -> None:
        if self.num_speakers < FEWEST_SPEAKERS:
            raise UserError(
                f"num_speakers is {self.num_speakers}, expected {FEWEST_SPEAKERS} or more: "
                "each of the three splits needs both genders. Raise it in params.yaml."
            )
        if not 1 <= self.clips_per_speaker[0] <= self.clips_per_speaker[1]:
            raise UserError(
                f"clips_per_speaker is {self.clips_per_speaker}, expected 1 <= low <= high."
            )
        if not 1.0 <= self.duration_s[0] <= self.duration_s[1]:
            raise UserError(f"duration_s is {self.duration_s}, expected 1.0 <= low <= high.")
        if not 0.0 <= self.fault_share <= 0.5:
            raise UserError(f"fault_share is {self.fault_share}, expected 0.0 to 0.5.")


def check_spec(folder: Path, spec: CorpusSpec) -> None:
    """Refuse a generated corpus of another spec, or of another generator.

    Raises:
        UserError: the corpus is another one; says which, and what to do.
    """
    path = folder / SPEC_FILE
    actual = path.read_text(encoding="utf-8")
    if actual != (expected := describe_spec(spec)):
        raise UserError(
            f"{path} describes another corpus. Expected {' '.join(expected.split())}, found "
            f"{' '.join(actual.split())}. Delete {folder} and run `oragen generate`, or choose "
            "another folder."
        )


def describe_spec(spec: CorpusSpec) -> str:
    """Return the text of `SPEC_FILE`."""
    content = {"generator_version": GENERATOR_VERSION, "spec": asdict(spec)}
    return json.dumps(content, indent=2, sort_keys=True) + "\n"

"""Sections of params.yaml -> options of library functions, by the names of their keys."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from oragen.config.options import fill
from oragen.config.params import load_params
from oragen.finetuning.augmentation import WaveformAugmentation
from oragen.training.losses import TaskWeights
from stages import train_head
from tests.shipped_params import SHIPPED, load


@dataclass(frozen=True)
class Mixing:
    """Options as a library function takes them."""

    threshold: float
    padding: int
    how: str = "evenly"
    weights: tuple[int, ...] = ()


def test_options_are_filled_from_the_keys_of_their_names() -> None:
    speech = load_params(SHIPPED).speech
    filled = fill(Mixing, speech, field_of=lambda key: key.replace("pad_ms", "padding"))
    assert filled == Mixing(threshold=0.5, padding=30)
    assert fill(Mixing, speech, padding=1, threshold=0.25, weights=(2,)) == Mixing(
        0.25, 1, weights=(2,)
    )


def test_an_option_that_nothing_fills_is_refused() -> None:
    with pytest.raises(TypeError, match="padding"):
        fill(Mixing, load_params(SHIPPED).speech)


def test_options_of_the_trainings_are_those_of_the_sections(tmp_path: Path) -> None:
    params = load(tmp_path / "params.yaml", "train", "mask_type_weight", value=0.25)
    options = train_head.to_options(params.train)
    assert (options.task_weights, options.learning_rate) == (TaskWeights(1.0, 0.25, 1.0), 0.0005)
    assert (options.max_epochs, options.balance_sampling) == (40, ())
    augmentation = params.finetuning("tiny-wav2vec2").augmentation
    filled = fill(WaveformAugmentation, augmentation, field_of="{}_probability".format)
    for name, probability in augmentation.model_dump().items():
        assert getattr(filled, f"{name}_probability") == probability

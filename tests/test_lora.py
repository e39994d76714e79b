"""Low-rank adapters: they alone are trained, and are then part of the weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from oragen.encoders import prepare_sounds
from oragen.finetuning.examples import ExampleBatch
from oragen.finetuning.learner import freeze_idle
from oragen.finetuning.lora import LoraError, add_lora, find_unreached, merge_lora
from oragen.models.unimodal import build_audio_model, load_unimodal, save_unimodal
from oragen.schema.vocabulary import MASK_TYPES
from oragen.training.losses import Targets
from tests.finetuning_runs import (
    OPTIONS,
    Tables,
    crops,
    make_face_model,
    sounds,
    train,
    write_tables,
)
from tests.tiny_encoders import FACE_MODELS, SPEECH_MODELS, make_extractor, make_noise

pytest.importorskip("peft")
# WavLM hands torch a key mask and a position bias of two types.
pytestmark = pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    return write_tables(tmp_path_factory.mktemp("stores"))


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def test_a_training_moves_linear_maps_alone_and_saves_a_plain_model(
    tables: Tables, tmp_path: Path
) -> None:
    model = make_face_model()
    before = copy_weights(model.encoder)
    add_lora(model.encoder, rank=2, alpha=4)
    trained = train(
        model, crops(tables["crops_train"]), crops(tables["crops_dev"]), tmp_path / "state.ckpt",
        OPTIONS,
    )  # fmt: skip
    assert len(trained.history) == OPTIONS.max_epochs
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        with_adapters = model(images).gender_logits
        merge_lora(model)
        torch.testing.assert_close(model(images).gender_logits, with_adapters)
    after = model.encoder.state_dict()
    assert after.keys() == before.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    maps = {
        f"{name}.weight"
        for name, module in model.encoder.named_modules()
        if isinstance(module, nn.Linear) and "layer" in name
    }
    assert moved == maps
    for name in moved:  # a product of matrices with two columns
        assert torch.linalg.matrix_rank(after[name] - before[name], atol=1e-6) <= 2
    save_unimodal(tmp_path / "saved", model, {})
    saved = load_unimodal(tmp_path / "saved").model.state_dict()
    assert all(torch.equal(saved[name], weight) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("name", SPEECH_MODELS)
def test_every_speech_encoder_has_maps_to_adapt(name: str) -> None:
    model = build_audio_model(SPEECH_MODELS[name](), num_mask_types=len(MASK_TYPES))
    add_lora(model.encoder, rank=2, alpha=4)
    trained = {name for name, weight in model.encoder.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert all(weight.requires_grad for weight in model.decisions.parameters())
    inputs = prepare_sounds(make_extractor(name), [make_noise(8000)])
    labels = torch.zeros(1, dtype=torch.long)
    batch = ExampleBatch(tuple(inputs), Targets(labels, labels, labels.float()), labels)
    unreached = find_unreached(freeze_idle(model, batch))
    assert len(unreached) == (8 if name == "wavlm" else 0)  # four maps of two layers
    assert all(".attention." in name for name in unreached)
    merge_lora(model)
    assert not [name for name in model.state_dict() if "lora" in name]


def test_a_training_says_what_lora_does_not_reach(
    tables: Tables, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = build_audio_model(SPEECH_MODELS["wavlm"](), num_mask_types=len(MASK_TYPES))
    add_lora(model.encoder, rank=2, alpha=4)
    train(
        model, sounds(tables["sounds_train"]), sounds(tables["sounds_dev"]),
        tmp_path / "state.ckpt", replace(OPTIONS, max_epochs=1),
    )  # fmt: skip
    [warning] = [record for record in caplog.records if record.levelname == "WARNING"]
    expected = "LoRA does not reach 8 linear maps of this encoder, e.g. encoder.encoder.layers.0."
    assert warning.getMessage().startswith(expected)


def test_a_merged_model_without_adapters_is_as_it_was() -> None:
    model = FACE_MODELS["vit"]()
    before = copy_weights(model)
    merge_lora(model)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_a_network_without_linear_maps_in_layers_is_refused() -> None:
    with pytest.raises(LoraError, match="A Linear has no linear maps in numbered layers"):
        add_lora(nn.Linear(2, 2), rank=1, alpha=1)

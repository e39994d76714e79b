"""The same inputs -> the same results on a GPU as on the CPU; all tests skip without a GPU."""

import copy
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from transformers import (
    ViTConfig,
    ViTImageProcessor,
    ViTModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
)

from oragen.encoders import AudioEncoder, FaceEncoder
from oragen.encoders.levels import Launched
from oragen.features.extraction import extract
from oragen.features.presence import FeatureInput
from oragen.features.spec import FeatureSpec
from oragen.finetuning.examples import Examples
from oragen.finetuning.loop import finetune
from oragen.models.heads import HeadSizes, build_head
from oragen.predictor import Predictor
from oragen.schema.vocabulary import GENDERS, SAMPLE_RATE_HZ, Level, Precision
from oragen.store.parts import PartStore
from oragen.training.devices import choose_device, make_fabric
from oragen.training.loop import TrainingOptions, train_head
from oragen.training.losses import TaskWeights
from tests.feature_stores import load_speakers, write_speakers
from tests.finetuning_runs import (
    OPTIONS,
    crops,
    make_audio_model,
    make_face_model,
    sounds,
    weights_of,
    write_crops,
    write_sounds,
)
from tests.small_models import save_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

CUDA: Final = torch.device("cuda")
SIZES: Final[dict[str, Any]] = {
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 512,
}


def make_audio_encoder(precision: Precision) -> AudioEncoder:
    """Make an encoder of six layers, with equal weights each time."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(**SIZES, feat_extract_norm="layer", do_stable_layer_norm=True)
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    return AudioEncoder(Wav2Vec2Model(config), extractor, precision)


def make_face_encoder(precision: Precision) -> FaceEncoder:
    """Make an encoder of six layers, with equal weights each time."""
    torch.manual_seed(0)
    network = ViTModel(ViTConfig(**SIZES), add_pooling_layer=False)
    return FaceEncoder(network, ViTImageProcessor(), precision)


def make_waveforms() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = (64_000, 16_000, 40_000, 64_000)
    return [rng.normal(scale=3000, size=length).astype(np.int16) for length in lengths]


def make_pictures(number: int = 4) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (number, 96, 96, 3), dtype=np.uint8))


def assert_close(expected: list[np.ndarray], found: list[np.ndarray], precision: Precision) -> None:
    """Compare rows: in fp32 to 2e-3 of the largest value (TF32 is off), in bf16 by the angle."""
    for one, other in zip(expected, found, strict=True):
        assert one.shape == other.shape
        cosines = (one * other).sum(-1) / np.linalg.norm(one, axis=-1)
        cosines /= np.linalg.norm(other, axis=-1)
        if precision == "fp32":
            assert np.abs(one - other).max() < 2e-3 * np.abs(one).max()
        assert cosines.min() > (0.999999 if precision == "fp32" else 0.9995)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_audio_encoder_has_the_same_output_on_cuda_as_on_the_cpu(precision: Precision) -> None:
    expected = make_audio_encoder("fp32").encode(make_waveforms())
    assert_close(expected, make_audio_encoder(precision).to(CUDA).encode(make_waveforms()),
                 precision)  # fmt: skip


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_face_encoder_has_the_same_output_on_cuda_as_on_the_cpu(precision: Precision) -> None:
    expected = make_face_encoder("fp32").encode(make_pictures())
    assert_close(expected, make_face_encoder(precision).to(CUDA).encode(make_pictures()), precision)


def test_crops_that_the_gpu_scales_are_those_that_the_cpu_scales() -> None:
    on_cpu, on_cuda = make_face_encoder("fp32"), make_face_encoder("fp32").to(CUDA)
    for side in (96, 224):  # the network's own size needs no scaling
        crops = list(np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8))
        raw = on_cuda.prepare(crops)
        assert raw.dtype == torch.uint8
        assert raw.is_pinned()
        difference = (on_cuda.scale(raw.to(CUDA)).cpu() - on_cpu.prepare(crops)).abs().max()
        assert difference < (1e-6 if side != 96 else 2.5 / 127.5)  # of -1..1; in steps of a byte


def test_levels_that_are_extracted_on_cuda_are_those_of_the_cpu() -> None:
    """Also `pooled`, and where the rows are rounded on the way back."""
    on_cpu, on_cuda = make_audio_encoder("fp32"), make_audio_encoder("fp32").to(CUDA)
    levels: tuple[Level, ...] = ("early", "intermediate", "pooled")
    expected = on_cpu.embed(on_cpu.prepare(make_waveforms()), levels)
    found = on_cuda.launch(on_cuda.prepare(make_waveforms()), levels, torch.float16)()
    for level in levels:
        for one, other in zip(expected[level], found[level], strict=True):
            assert other.dtype == np.float16
            np.testing.assert_allclose(other, one, atol=5e-3 * np.abs(one).max())


class Greedy(FaceEncoder):
    """Takes a tenth of the GPU's memory for each crop: a batch of eight fits."""

    def __init__(self, encoder: FaceEncoder) -> None:
        super().__init__(encoder.model, encoder.processor)
        self.batch_sizes: list[int] = []  # of the batches that fitted

    def launch(
        self, images: torch.Tensor, levels: Collection[Level], dtype: torch.dtype = torch.float32
    ) -> Launched:
        _, total_bytes = torch.cuda.mem_get_info()
        torch.empty(len(images) * total_bytes // 10, dtype=torch.uint8, device=CUDA)
        self.batch_sizes.append(len(images))
        return super().launch(images, levels, dtype)


def test_a_batch_that_is_too_large_for_the_gpu_is_halved_and_extraction_goes_on(
    tmp_path: Path,
) -> None:
    encoder = Greedy(make_face_encoder("fp32")).to(CUDA)
    spec = FeatureSpec("face", "six layers", "random", "0" * 64, "intermediate", "fp32", (7, 256))
    inputs = [
        FeatureInput(str(number), "clip", 1.0, partial(np.asarray, picture))
        for number, picture in enumerate(make_pictures(48))
    ]
    num_encoded = extract(
        PartStore(tmp_path, "zarr"), inputs, encoder, [spec], batch_size=32, part_bytes=2**20
    )
    torch.cuda.empty_cache()  # for the tests that come after
    assert num_encoded == 48
    assert sum(encoder.batch_sizes) == 48
    assert max(encoder.batch_sizes) <= 8


TRAINING: Final = TrainingOptions(
    batch_size=16,
    max_epochs=5,
    patience=5,
    learning_rate=0.003,
    weight_decay=0.01,
    gradient_clip=1.0,
    drop_modality=0.5,
    balance_classes=True,
    balance_sampling=(),
    task_weights=TaskWeights(),
)


@pytest.mark.parametrize("memory_bytes", [2**30, 4000], ids=["in memory", "streamed"])
def test_a_head_trained_on_cuda_has_the_weights_of_one_trained_on_the_cpu(
    tmp_path: Path, memory_bytes: int
) -> None:
    tables = {
        split: write_speakers(tmp_path / split, 60, split=split) for split in ("train", "dev")
    }
    train, dev = (load_speakers(table, memory_bytes=memory_bytes) for table in tables.values())
    sizes = HeadSizes(4, 3, 2, 2, 6, len(GENDERS), 6)
    torch.manual_seed(0)
    initial = build_head("cross_attention", sizes, width=16, num_heads=2, dropout=0.0)
    heads = {}
    for device in ("cpu", "cuda"):
        fabric = make_fabric(torch.device(device), "fp32")
        fabric.launch()
        heads[device] = copy.deepcopy(initial)
        history = train_head(fabric, heads[device], train, dev, TRAINING, genders=GENDERS, seed=0)
        assert len(history) == TRAINING.max_epochs
    expected, found = (weights_of(head.cpu()) for head in heads.values())
    assert not torch.equal(expected, weights_of(initial))
    assert (expected - found).abs().max() < 0.01


Case: TypeAlias = tuple[
    Callable[[], nn.Module], Callable[..., Examples], Callable[..., pd.DataFrame]
]
CASES: Final[dict[str, Case]] = {
    "audio": (make_audio_model, sounds, write_sounds),
    "face": (make_face_model, crops, write_crops),
}


@pytest.mark.parametrize("modality", CASES)
@pytest.mark.parametrize(("precision", "num_workers"), [("fp32", 0), ("bf16", 1), ("fp16", 0)])
def test_fine_tuning_takes_steps_on_cuda(
    tmp_path: Path, modality: str, precision: Precision, num_workers: int
) -> None:
    fabric = make_fabric(choose_device("auto"), precision)
    fabric.launch()
    make, load, write = CASES[modality]
    model = make()
    before = weights_of(model)
    train, dev = (load(write(tmp_path / split, 16, split=split)) for split in ("train", "dev"))
    history = finetune(
        fabric, model, train, dev, replace(OPTIONS, max_epochs=2, num_workers=num_workers),
        genders=GENDERS, seed=0, checkpoint=tmp_path / "state.ckpt", identity="this one",
    )  # fmt: skip
    assert len(history) == 2
    assert all(np.isfinite(epoch.train_loss) for epoch in history)
    assert not torch.equal(before, weights_of(model).cpu())


def test_a_predictor_predicts_the_same_on_cuda_as_on_the_cpu(tmp_path: Path) -> None:
    model = save_model(tmp_path)
    sound = np.random.default_rng(0).normal(scale=0.1, size=6 * SAMPLE_RATE_HZ).astype(np.float32)
    on_cpu, on_cuda = (
        Predictor.from_pretrained(model, device=device).predict(audio=sound, faces=make_pictures(6))
        for device in ("cpu", "cuda")
    )
    assert on_cpu.gender is not None
    assert on_cuda.gender is not None
    assert on_cpu.age is not None
    assert on_cuda.age is not None
    assert on_cuda.gender.probabilities == pytest.approx(on_cpu.gender.probabilities, abs=1e-3)
    assert on_cuda.age.value == pytest.approx(on_cpu.age.value, abs=0.05)

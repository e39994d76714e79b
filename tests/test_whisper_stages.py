"""Whisper with low-rank adapters, all its hidden layers and a head that weighs them: all stages."""

import pandas as pd
import pytest

from oragen.models.heads import load_head
from oragen.models.heads.layer_weights import LayerWeights
from tests.pipeline_predictions import HEAD, assert_same, predict, read_predictions
from tests.project import Project, tune_briefly
from tests.template_project import Template
from tests.tiny_encoders import make_audio_encoder, save_encoder

pytestmark = pytest.mark.slow  # whole pipelines

ENCODER = "tiny-whisper"  # takes 2 s at a time


@pytest.fixture(scope="module")
def project(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = template.copy(tmp_path_factory.mktemp("whisper"))
    save_encoder(make_audio_encoder("whisper"), project.folder / "whisper")
    params, encoders = project.read_params(), tune_briefly(project, corpora=["mini"])
    entry = encoders["catalogue"]["tiny-wav2vec2"]
    lora = {"lora": {"rank": 2, "alpha": 4}}
    encoders["catalogue"][ENCODER] = entry | {
        "source": "whisper", "finetuning": entry["finetuning"] | lora,
    }  # fmt: skip
    encoders["finetune"] = [ENCODER]
    audio = params["features"]["audio"] | {"encoder": ENCODER, "layers": "all"}
    head = params["heads"][HEAD] | {"level": "pooled", "audio_layers": "weighted"}
    project.change(
        use_corpora=["mini"], use_heads=[HEAD], encoders=encoders,
        windows={"length_s": 2, "hop_s": 1}, heads={HEAD: head},
        features={"levels": ["pooled"], "audio": audio},
    )  # fmt: skip
    done = project.repro()
    assert done.exit_code == 0, done.output
    return project


def test_what_is_saved_is_a_plain_whisper_that_has_learned(project: Project) -> None:
    history = pd.read_csv(project.folder / "data" / "encoders" / ENCODER / "history.csv")
    assert history["train_loss"].notna().all()
    weights = project.folder / "data" / "encoders" / ENCODER / "model.safetensors"
    assert b"lora_" not in weights.read_bytes()


def test_the_head_has_a_weight_for_each_hidden_layer(project: Project) -> None:
    """The input of the first of two layers, that of the second, and the output."""
    head = load_head(project.folder / "data" / "heads" / HEAD / "seed-0").head
    [weights] = [module.logits for module in head.modules() if isinstance(module, LayerWeights)]
    assert weights.shape == (3,)
    assert weights.abs().min() > 0  # they begin at 0


def test_a_predictor_answers_what_the_pipeline_answered(project: Project) -> None:
    rows = read_predictions(project, "mini")
    predictions = predict(project, "mini", rows)
    assert any(prediction.is_predicted for prediction in predictions)
    assert_same(predictions, rows)

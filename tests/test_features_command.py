"""`oragen features`, `export` and `pack`, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from oragen.cli.models import export, features
from oragen.cli.sharing import pack
from oragen.corpora.generator.clip import write_clip
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from oragen.encoders import load_audio_encoder, load_face_encoder
from oragen.predictor import Predictor
from oragen.predictor.clip_decoder import read_clip_inputs
from oragen.predictor.preprocessing import read_preprocessing
from oragen.schema.errors import UserError
from tests.media_files import tone, write_sound
from tests.small_models import PREPROCESSING, save_finetuned, write_model

app = typer.Typer()
for command in (features, export, pack):
    app.command()(command)


def run(*arguments: str | Path) -> Result:
    """Run a command; what `oragen` tells the user in one sentence is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who speaks, bare-faced, for some seconds."""
    plans = plan_clips(CorpusSpec("studio", num_speakers=6, seed=1))
    plan = next(plan for plan in plans if plan.mask_type == "none" and plan.fault == "none")
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_clip(plan, path)
    return path


def read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def test_the_file_holds_what_the_encoders_give(tmp_path: Path, clip: Path) -> None:
    head = write_model(tmp_path / "head")
    run("features", clip, "--output", tmp_path / "x.npz", "--model", head)
    found = read(tmp_path / "x.npz")
    inputs = read_clip_inputs(clip, read_preprocessing(PREPROCESSING, head))
    assert found["windows"].tolist() == [list(window.span) for window in inputs.windows]
    assert found["crops"].tolist() == [window.crops for window in inputs.windows]
    place = next(i for i, window in enumerate(inputs.windows) if window.has_speech)
    start, stop = found["windows"][place]
    sound = load_audio_encoder("embedded").encode([inputs.samples[start:stop]])[0]
    assert found["audio_valid"][place].sum() == len(sound)
    np.testing.assert_allclose(
        found["audio"][place, : len(sound)], sound.astype(np.float16), atol=2e-3
    )
    crop = load_face_encoder("embedded").encode([inputs.crops[0]])[0]
    assert found["face"].shape == (len(inputs.crops), *crop.shape)
    np.testing.assert_allclose(found["face"][0], crop.astype(np.float16), atol=2e-3)


@pytest.mark.slow
def test_times_and_fingerprints_stand_in_the_file(tmp_path: Path, clip: Path) -> None:
    head = write_model(tmp_path / "head")
    run("features", clip, "--output", tmp_path / "x.npz", "--model", head)
    found = read(tmp_path / "x.npz")
    np.testing.assert_array_equal(found["window_times_s"] * 16_000, found["windows"])
    assert len(found["crop_times_s"]) == len(found["face"])
    assert found["crops"].max() < len(found["face"])
    about = json.loads(str(found["about"]))
    assert about["clip"] == str(clip)
    assert about["sample_rate_hz"] == 16_000
    said = {modality: part["fingerprint"] for modality, part in about["features"].items()}
    assert said == {
        "audio": load_audio_encoder("embedded").fingerprint(),
        "face": load_face_encoder("embedded").fingerprint(),
    }


@pytest.mark.slow
def test_another_level_can_be_asked_for(tmp_path: Path, clip: Path) -> None:
    audio, face = save_finetuned(tmp_path / "encoders")
    head = write_model(tmp_path / "head", audio=audio, face=face)
    run("features", clip, "--output", tmp_path / "x.npz", "--model", head, "--level", "late")
    found = read(tmp_path / "x.npz")
    encoder = load_audio_encoder(audio, levels=["late"])
    assert found["audio"].shape[1:] == (1, encoder.feature_shape(16_000, "late")[1])
    assert found["face"].shape[1] == 1
    said = json.loads(str(found["about"]))["features"]["audio"]
    assert (said["level"], said["fingerprint"]) == ("late", encoder.fingerprint("late"))


def test_a_level_that_there_is_not_is_refused(tmp_path: Path, clip: Path) -> None:
    head = write_model(tmp_path / "head")
    arguments = ("features", clip, "--output", tmp_path / "x.npz", "--model", head, "--level")
    with pytest.raises(UserError, match="no level `late`"):
        run(*arguments, "late")
    wrong = CliRunner().invoke(app, [str(argument) for argument in (*arguments, "middle")])
    assert wrong.exit_code == 2
    assert "'pooled'" in wrong.output
    assert not (tmp_path / "x.npz").exists()


def test_a_clip_with_nothing_usable_is_refused_with_the_reasons(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    write_sound(tmp_path / "tone.wav", tone(0.2))
    with pytest.raises(UserError, match="nothing to encode") as raised:
        run("features", tmp_path / "tone.wav", "--output", tmp_path / "x.npz", "--model", head)
    assert "audio: " in str(raised.value)
    assert "face: " in str(raised.value)


def test_only_npz_is_written(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(UserError, match=r"end in \.npz"):
        run("features", clip, "--output", tmp_path / "x.pt", "--model", tmp_path)


@pytest.mark.slow
def test_without_a_name_the_first_head_of_params_is_taken(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (Path(__file__).parents[1] / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(shipped)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="No head was trained here yet"):
        run("features", clip, "--output", "x.npz")
    write_model(tmp_path / "data/heads/cross_attention/seed-0", name="cross_attention")
    run("features", clip, "--output", "x.npz")
    about = json.loads(str(read(Path("x.npz"))["about"]))
    assert about["model"]["head"] == "cross_attention"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["details.json", "metrics.json"])
def test_a_packed_head_carries_the_metrics_of_its_project(tmp_path: Path, name: str) -> None:
    """An earlier version of oragen wrote these numbers to metrics.json."""
    head = write_model(tmp_path / "data" / "heads" / "ours" / "seed-0")
    reports = tmp_path / "data" / "reports"
    reports.mkdir()
    numbers = {"clips": 7, "gender_uar": 0.9, "age_mae_years": 6.5, "mask_type_uar": 0.5}
    metrics = {"ours": {"phone": {"audio_visual": numbers}}, "other": {}}
    (reports / name).write_text(json.dumps(metrics))
    result = run("pack", head, tmp_path / "packed")
    assert "cross_attention with voices, pictures" in result.output
    card = (tmp_path / "packed" / "README.md").read_text()
    assert "| phone | 7 | 90.0 | 6.5 | 50.0 |" in card
    assert Predictor.from_pretrained(tmp_path / "packed").description["head"] == "cross_attention"


def test_an_export_is_not_written_over_a_file(tmp_path: Path) -> None:
    head = write_model(tmp_path / "head")
    (tmp_path / "head.onnx").write_bytes(b"mine")
    with pytest.raises(UserError, match="--force"):
        run("export", "--onnx", tmp_path / "head.onnx", "--model", head)
    assert (tmp_path / "head.onnx").read_bytes() == b"mine"


@pytest.mark.slow
def test_an_export_says_one_line(tmp_path: Path) -> None:
    """In a process without the checks of annotations, which the exporter cannot follow."""
    head = write_model(tmp_path / "head", name="audio_only")
    program = (
        "import logging, sys\nfrom pathlib import Path\nfrom oragen.cli.models import export\n"
        "logging.basicConfig(level=logging.INFO)\nexport(Path(sys.argv[1]), sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "head.onnx"), str(head)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path}/head.onnx: the head audio_only of {head}\n"

"""`oragen predict`, on generated and broken clips, with a small head over the embedded encoders."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from oragen.config import paths
from oragen.config.params import load_params
from oragen.predictor import Predictor
from oragen.schema.errors import UserError
from oragen.training.model_warnings import UNLIKE
from tests.predict_command import app, read_json, run, write_clips
from tests.project import REPOSITORY
from tests.small_models import add_familiarity, change_metadata, save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a talking head, its sound, its pictures, a still of it, and what is no use."""
    return write_clips(tmp_path_factory.mktemp("clips"))


def test_a_table_shows_the_prediction(model: Path, clips: Path) -> None:
    done = run(clips / "talk.mp4", "--model", model)
    assert done.exit_code == 0
    prediction = Predictor.from_pretrained(model)(clips / "talk.mp4")
    assert not isinstance(prediction, list)
    assert prediction.gender is not None
    assert prediction.age is not None
    shown = " ".join(done.stdout.split())
    share = prediction.gender.probabilities[prediction.gender.label]
    assert f"{prediction.gender.label} {share:.0%}" in shown
    low, high = prediction.age.interval or (0, 0)
    assert f"{prediction.age.value:.1f} ({low:.0f}–{high:.0f})" in shown
    assert "voice, face" in shown


@pytest.mark.slow
def test_a_warning_of_the_model_is_shown_once_below_the_table(model: Path, clips: Path) -> None:
    done = run(clips / "still.png", clips / "mute.mp4", "--model", model)
    warning = "This model does not say on whom it was trained, only names of corpora: studio."
    assert done.stdout.count(f"Warning: {warning}") == 1
    nothing = run(clips / "broken.mp4", "--model", model)
    assert "Warning" not in nothing.stdout


def test_a_clip_unlike_those_of_training_is_said_to_be_a_guess(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    """With a limit that nothing keeps, and with one that everything keeps."""
    for name, limit, unfamiliar in (("strict", 1.0, True), ("lenient", 1e6, False)):
        taught = shutil.copytree(model, tmp_path / name)
        add_familiarity(taught, limit=limit)
        out = tmp_path / f"{name}.json"
        done = run(clips / "talk.mp4", "--model", taught, "-o", out)
        written = read_json(out)
        assert written["unfamiliar"] is unfamiliar
        assert written["unfamiliarity"] == max(
            report["unfamiliarity"] for report in written["modalities"].values()
        )
        assert (written["age"]["interval"] is None) is unfamiliar
        assert ("Warning: 1 of 1 unlike the clips of training" in done.stdout) is unfamiliar
        assert f"{written['unfamiliarity']:.2f}" in done.stdout
        said = [text for text in written["warnings"] if text.startswith(UNLIKE)]
        assert len(said) == unfamiliar
    stated = json.loads((taught / "head.json").read_text())["metadata"]["familiarity"]
    assert stated["limits"] == {"audio": 1e6, "face": 1e6}


def test_an_age_outside_the_ages_of_training_is_flagged(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    taught = shutil.copytree(model, tmp_path / "model")
    corpus = {"name": "studio", "num_speakers": 300, "num_clips": 900, "generated": True}
    record = {"corpora": [corpus], "youngest_years": 1.0, "oldest_years": 2.0}
    change_metadata(taught, training_data=record)
    done = run(clips / "still.png", "--model", taught, "-o", tmp_path / "one.json")
    written = read_json(tmp_path / "one.json")
    years = written["age"]["value"]
    assert written["model"]["training_data"] == record
    of_model, of_clip = written["warnings"]
    assert of_model.startswith("This model knows generated people only: ")
    assert of_clip == f"The age of {years:.1f} is outside the ages of training, 1 to 2."
    assert f"Warning: {of_model}" in " ".join(done.stdout.split())


def test_what_cannot_be_predicted_is_listed_and_the_rest_is_predicted(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "all.json"
    done = run(clips / "gone.mp4", clips / "broken.mp4", clips / "mute.mp4", clips / "nobody.mp4",
               "--model", model, "-o", out)  # fmt: skip
    assert done.exit_code == 3
    assert f"{clips}/gone.mp4: not predicted: no such file" in done.stdout
    assert f"{clips}/broken.mp4: not predicted: empty file" in done.stdout
    assert "nobody.mp4: not predicted: audio: no audio track; face: no face" in done.stdout
    statuses = [prediction["status"] for prediction in read_json(out)]
    assert statuses == ["no_predictions", "no_predictions", "ok", "no_predictions"]


@pytest.mark.slow
def test_names_of_any_kind_are_predicted_and_written(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [os.fsdecode(b"k\xe4se.png"), "two\nlines.png", "\x1b[31mred.png", "-rf [b]$x$.png"]
    for name in names:
        shutil.copy2(clips / "still.png", folder / name)
    os.mkfifo(folder / "pipe.mp4")
    for suffix in (".csv", ".parquet"):
        done = run(folder, "--model", model, "-o", tmp_path / f"all{suffix}", "--plot", tmp_path)
        assert done.exit_code == 3
    assert "pipe.mp4: not predicted: not a file" in done.stdout
    assert r"\x1b[31mred.png" in done.stdout
    assert not {"\x1b", "\udce4"} & set(done.stdout)
    table = pq.read_table(tmp_path / "all.parquet").to_pandas().set_index("input")["status"]
    assert table.value_counts().to_dict() == {"ok": 4, "no_predictions": 1}
    assert f"{folder}/k\\udce4se.png" in table.index
    assert {Path(name).stem for name in names} <= {path.stem for path in tmp_path.glob("*.png")}


def test_one_file_gives_an_object_and_a_folder_a_list(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy2(clips / "voice.mp4", alone)
    run(alone / "voice.mp4", "--model", model, "-o", tmp_path / "one.json")
    (alone / "notes.txt").write_text("It was a dark and stormy night.")
    done = run(alone, "--model", model, "-o", tmp_path / "all.json")
    one = read_json(tmp_path / "one.json")
    assert [one] == read_json(tmp_path / "all.json")
    assert one["notes"] == []  # there is no picture, and that is a reason
    assert f"passed over in folders: 1 file, e.g. {alone}/notes.txt" in done.stdout


def test_standard_output_is_nothing_but_json_lines(model: Path, clips: Path) -> None:
    names = f"{clips}/still.png\n{clips}/broken.mp4\n".encode()
    done = run("-", "--model", model, "--output", "-", given=names)
    written = [json.loads(line) for line in done.stdout.splitlines()]
    assert [prediction["status"] for prediction in written] == ["ok", "no_predictions"]
    assert "broken.mp4: not predicted: empty file" in done.stderr
    assert done.exit_code == 3


def test_standard_output_is_no_file_that_a_clip_could_be(
    model: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy2(clips / "still.png", "-")
    done = run("./-", "--model", model, "--output", "-")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "ok"


def test_a_modality_can_be_withheld(model: Path, clips: Path, tmp_path: Path) -> None:
    for option, withheld, used in (
        ("--audio-only", "face", "audio"),
        ("--face-only", "audio", "face"),
    ):
        out = tmp_path / f"{used}.json"
        assert run(clips / "talk.mp4", "--model", model, option, "-o", out).exit_code == 0
        modalities = read_json(out)["modalities"]
        assert modalities[withheld] == {
            "usable": False, "reason": "not asked for", "unfamiliarity": None,
        }  # fmt: skip
        assert modalities[used] == {"usable": True, "reason": None, "unfamiliarity": None}
    by_voice, by_face = (read_json(tmp_path / f"{name}.json")["age"] for name in ("audio", "face"))
    assert by_voice != by_face


def test_a_table_file_names_the_columns_of_the_labels(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    run(clips / "broken.mp4", clips / "voice.mp4", "--model", model, "-o", tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(newline="") as file:
        broken, voice = csv.DictReader(file)
    assert broken["gender_female"] == ""
    assert float(voice["gender_female"]) + float(voice["gender_male"]) == pytest.approx(1, abs=1e-5)
    assert float(voice["age_high"]) == pytest.approx(float(voice["age"]) + 9.5, abs=0.002)


@pytest.mark.slow
def test_clips_are_drawn_into_a_folder_each_under_its_name(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy2(clips / "voice.mp4", other / "talk.mp4")
    named = (clips / "talk.mp4", other / "talk.mp4", clips / "still.png", clips / "broken.mp4")
    drawn, plots = tmp_path / "drawn", tmp_path / "plots"
    done = run(*named, "--model", model, "--draw", drawn, "--plot", plots)
    assert done.exit_code == 3  # for the broken one, of which there is no drawing
    assert sorted(path.name for path in drawn.iterdir()) == [
        "still.png", "talk-2.mp4", "talk.mp4",
    ]  # fmt: skip
    assert sorted(path.name for path in plots.iterdir()) == [
        "still.png", "talk-2.png", "talk.png",
    ]  # fmt: skip


@pytest.mark.slow
def test_one_clip_is_drawn_to_the_file_that_is_named(
    model: Path, clips: Path, tmp_path: Path
) -> None:
    done = run(clips / "talk.mp4", "--model", model, "--draw", tmp_path / "new" / "a.mp4",
               "--plot", tmp_path / "b.png")  # fmt: skip
    assert done.exit_code == 0
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG")
    with av.open(str(tmp_path / "new" / "a.mp4")) as container:
        assert {stream.type for stream in container.streams} == {"video", "audio"}


@pytest.mark.slow
def test_what_cannot_be_drawn_is_listed(model: Path, clips: Path, tmp_path: Path) -> None:
    done = run(clips / "talk.mp4", "--model", model, "--draw", tmp_path / "a.png")
    assert done.exit_code == 3
    assert "talk.mp4: not drawn" in done.stdout
    assert "Draw it to a.mp4" in done.stdout


MISUSE: dict[str, Callable[[Path, Path], Sequence[object]]] = {
    "use one of them": lambda clips, out: [clips, "--audio-only", "--face-only"],
    r"\.json, \.jsonl, \.csv, \.parquet": lambda clips, out: [clips, "-o", out / "all.xlsx"],
    r"Nothing can be written to /dev/null: .*\. Name another folder\.": lambda clips, out: [
        clips, "-o", "/dev/null/all.json",
    ],
    r"6 clips: name a folder": lambda clips, out: [clips, "--draw", out / "a.mp4"],
    r"ending in \.mp4 or \.png": lambda clips, out: [clips / "talk.mp4", "--draw", out / "a.avi"],
    r"ending in \.png\.": lambda clips, out: [clips / "talk.mp4", "--plot", out / "a.jpg"],
    "is one of the clips": lambda clips, out: [clips, "--draw", clips],
    "would be written twice": lambda clips, out: [
        clips / "still.png", "--draw", out / "a.png", "--plot", out / "a.png",
    ],
    "auto, cpu, cuda": lambda clips, out: [clips, "--device", "gpu"],
    "is a GPU, and": lambda clips, out: [clips, "--device", "cuda:99"],
    "holds no model|make demo": lambda clips, out: [clips, "--model", out / "none"],
    "names no file": lambda clips, out: ["-"],
}  # fmt: skip


@pytest.mark.parametrize("words", MISUSE)
def test_misuse_is_refused_before_any_clip_is_predicted(
    model: Path, clips: Path, tmp_path: Path, words: str
) -> None:
    arguments = list(MISUSE[words](clips, tmp_path))
    if "--model" not in arguments:
        arguments += ["--model", model]
    before = sorted(clips.iterdir())
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, UserError)
    assert _matches(words, str(result.exception))
    assert sorted(clips.iterdir()) == before
    assert not list(tmp_path.iterdir())


def _matches(pattern: str, text: str) -> bool:
    with pytest.raises(UserError, match=pattern):
        raise UserError(text)
    return True


def test_a_wrong_precision_is_exit_code_2(clips: Path) -> None:
    assert run(clips, "--precision", "fp8").exit_code == 2


def test_without_a_model_the_first_head_of_the_parameters_predicts(
    model: Path, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("oragen.models.off_the_shelf.PACKAGE", "a-package-that-nobody-has")
    done = run(clips / "voice.mp4")
    assert done.exit_code == 2
    assert "--model" in done.stderr
    shutil.copy2(REPOSITORY / "params.yaml", tmp_path)
    done = run(clips / "voice.mp4")
    assert done.exit_code == 2
    assert "make demo" in done.stderr
    params = load_params()
    head = paths.head_folder(params.use_heads[0]) / f"seed-{params.train.seeds[0]}"
    shutil.copytree(model, tmp_path / head)
    assert run(clips / "voice.mp4", "-o", "out.json").exit_code == 0
    assert read_json(tmp_path / "out.json")["model"]["folder"] == str(head)


def test_help_teaches_by_example() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    assert "oragen predict clip.mp4 --draw drawn.mp4" in shown.stdout


def test_an_earlier_file_of_predictions_stays_when_the_model_is_refused(
    clips: Path, tmp_path: Path
) -> None:
    out = tmp_path / "all.jsonl"
    out.write_text("earlier")
    assert run(clips, "--model", tmp_path / "none", "-o", out).exit_code == 2
    assert out.read_text() == "earlier"

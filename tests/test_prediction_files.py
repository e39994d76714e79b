"""What is named on the command line -> clips; predictions -> files."""

import csv
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from matplotlib.figure import Figure

from oragen.predictor import (
    FaceBox,
    Prediction,
)
from oragen.predictor.files import NamedClip, find_clips, names_one_file
from oragen.predictor.output import (
    OutputError,
    describe,
    flatten,
    open_output,
)
from oragen.predictor.plot import find_stretches, plot_prediction, to_clip_predictions
from oragen.reporting.figures.example import ExampleWindow
from oragen.reporting.figures.prediction import _steps
from oragen.schema.vocabulary import Span
from tests.made_predictions import NOT_PREDICTED, PREDICTED, WINDOW
from tests.users import open_folder, ordinary_user


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files that are all empty, as the one to work in."""
    for name in (
        "b.MP4", "a.wav", "notes.txt", ".hidden.mp4", "deep/c.jpg", "deep/d.mkv",
        "deep/.cache/e.mp4", "none/readme.md", "odd[1].mp4",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(clips: list[NamedClip]) -> list[str]:
    return [
        str(clip.path) if clip.reason is None else f"{clip.path}: {clip.reason}" for clip in clips
    ]


def test_a_folder_is_searched_for_media_sorted_and_without_hidden_files(tree: Path) -> None:
    expected = ["a.wav", "b.MP4", "deep/c.jpg", "deep/d.mkv", "odd[1].mp4"]
    assert names(find_clips(["."]).clips) == expected
    assert names(find_clips([str(tree / "deep")]).clips) == [
        f"{tree}/deep/c.jpg",
        f"{tree}/deep/d.mkv",
    ]


def test_a_named_file_is_taken_whatever_it_is_called(tree: Path) -> None:
    assert names(find_clips(["notes.txt", ".hidden.mp4", "odd[1].mp4"]).clips) == [
        "notes.txt", ".hidden.mp4", "odd[1].mp4",
    ]  # fmt: skip


def test_what_is_not_there_is_listed_with_its_reason_in_its_place(tree: Path) -> None:
    assert names(find_clips(["gone.mp4", "a.wav", "none", "x*.mp4"]).clips) == [
        "gone.mp4: no such file",
        "a.wav",
        "none: no sound, video or picture in this folder",
        "x*.mp4: no file matches",
    ]


def test_patterns_that_the_shell_left_are_expanded(tree: Path) -> None:
    assert names(find_clips(["**/*.jpg"]).clips) == ["deep/c.jpg"]
    assert names(find_clips(["d*"]).clips) == ["deep/c.jpg", "deep/d.mkv"]


def test_a_clip_named_twice_counts_once(tree: Path) -> None:
    (tree / "link.wav").symlink_to("a.wav")
    inputs = ["a.wav", str(tree / "a.wav"), "deep/../a.wav", "link.wav", "gone", "gone"]
    assert names(find_clips(inputs).clips) == ["a.wav", "gone: no such file"]


def test_links_that_lead_back_end_the_search(tree: Path) -> None:
    (tree / "deep" / "loop").symlink_to(tree / "deep")
    (tree / "linked").symlink_to(tree / "deep")
    assert len(find_clips(["."]).clips) == 5


def test_standard_input_names_one_path_a_line(tree: Path) -> None:
    listed = [b"a.wav\n", b"\n", b"deep\r\n", b"gone \xe9.mp4"]
    assert names(find_clips(["-"], listed).clips) == [
        "a.wav", "deep/c.jpg", "deep/d.mkv", "gone \udce9.mp4: no such file",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_read_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder() as folder, monkeypatch.context() as patch:
        patch.chdir(folder)
        (folder / "deep").mkdir(mode=0)
        (folder / "a.wav").touch()
        with ordinary_user():
            assert names(find_clips(["."]).clips) == ["a.wav", "deep: no permission"]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["a.wav"], True), (["gone.wav"], True), (["odd[1].mp4"], True),
        (["a.wav", "b.MP4"], False),
        (["deep"], False), (["*.wav"], False), (["-"], False),
    ],
)  # fmt: skip
def test_only_a_single_file_is_written_as_an_object(
    tree: Path, inputs: list[str], expected: bool
) -> None:
    assert names_one_file(inputs) is expected


def write(target: Path, *predictions: Prediction, as_object: bool = False) -> None:
    with open_output(target, as_object=as_object) as take:
        for prediction in predictions:
            take(prediction)


def test_json_is_a_list_unless_one_object_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "all.json", PREDICTED, NOT_PREDICTED)
    write(tmp_path / "one.json", PREDICTED, as_object=True)
    both = json.loads((tmp_path / "all.json").read_text())
    assert both == [PREDICTED.to_dict(), NOT_PREDICTED.to_dict()]
    assert json.loads((tmp_path / "one.json").read_text()) == PREDICTED.to_dict()
    assert {path.name for path in tmp_path.iterdir()} == {"all.json", "one.json"}


FLAT_PREDICTED: dict[str, Any] = {
    "input": "a.mp4", "status": "ok",
    "gender": "male", "gender_female": 0.25, "gender_male": 0.75, "gender_set": None,
    "age": 40.25, "age_low": 30.0, "age_high": 50.5,
    "mask_type": "ffp", "mask_type_none": 0.125, "mask_type_ffp": 0.875,
    "mask_type_set": None,
    "num_windows": 1, "audio_usable": True, "audio_reason": None,
    "face_usable": False, "face_reason": "no face", "length_sec": 4.5,
    "speech_sec": 3.5, "snr_db": 21.25, "face_px": None, "sharpness": None, "num_crops": 0,
    "unfamiliarity": 1.5, "unfamiliar": True, "warnings": "It knows nobody.",
}  # fmt: skip
FLAT_NOT_PREDICTED = dict.fromkeys(FLAT_PREDICTED) | {
    "input": "b.mp4", "status": "no_predictions", "num_windows": 0, "audio_usable": False,
    "audio_reason": "empty file", "face_usable": False, "face_reason": "empty file",
    "length_sec": 0.0, "num_crops": 0, "unfamiliarity": None, "unfamiliar": None,
    "warnings": "It knows nobody.",
}  # fmt: skip


def test_a_parquet_file_has_a_row_a_clip_with_typed_columns(tmp_path: Path) -> None:
    write(tmp_path / "all.parquet", NOT_PREDICTED, PREDICTED)
    table = pq.ParquetFile(tmp_path / "all.parquet").read()
    assert table.column_names == list(FLAT_PREDICTED)
    assert table.to_pylist() == [FLAT_NOT_PREDICTED, FLAT_PREDICTED]


def test_a_csv_file_leaves_empty_what_is_not_known(tmp_path: Path) -> None:
    write(tmp_path / "all.csv", NOT_PREDICTED, PREDICTED)
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, flat in zip(rows, (FLAT_NOT_PREDICTED, FLAT_PREDICTED), strict=True):
        assert row == {name: "" if value is None else str(value) for name, value in flat.items()}


def test_a_table_of_nothing_but_unpredicted_clips_can_be_written(tmp_path: Path) -> None:
    write(tmp_path / "all.parquet", NOT_PREDICTED)
    [row] = pq.ParquetFile(tmp_path / "all.parquet").read().to_pylist()
    assert row == {name: FLAT_NOT_PREDICTED[name] for name in flatten(NOT_PREDICTED)}


def write_and_interrupt(target: Path) -> None:
    with open_output(target) as take:
        take(PREDICTED)
        raise KeyboardInterrupt


def test_lines_of_an_interrupted_run_are_kept(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt(tmp_path / "all.jsonl")
    assert json.loads((tmp_path / "all.jsonl").read_text()) == PREDICTED.to_dict()


@pytest.mark.parametrize("suffix", [".json", ".csv", ".parquet"])
def test_an_interrupted_run_leaves_an_earlier_file_as_it_was(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"all{suffix}"
    target.write_text("earlier")
    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt(target)
    assert target.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_lines_of_two_runs_are_not_mixed(tmp_path: Path) -> None:
    """The second is refused before its first prediction."""
    target = tmp_path / "same.jsonl"
    target.write_text("of an earlier run\n" * 9)
    with open_output(target) as append:
        append(PREDICTED)
        with pytest.raises(OutputError, match="Another process"), open_output(target):
            pass
        append(PREDICTED)
    lines = target.read_text().splitlines()
    assert [json.loads(line)["input"] for line in lines] == [PREDICTED.input] * 2


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_of_two_tables_the_last_to_end_is_whole(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"same{suffix}"
    with open_output(target) as first:
        write(target, PREDICTED, PREDICTED)
        earlier = target.read_bytes()
        first(PREDICTED)
    write(tmp_path / f"alone{suffix}", PREDICTED)
    assert target.read_bytes() == (tmp_path / f"alone{suffix}").read_bytes() != earlier
    assert len([*tmp_path.iterdir()]) == 2


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"\.json, \.jsonl, \.csv, \.parquet"),
        open_output(tmp_path / "all.xlsx"),
    ):
        raise AssertionError("it was opened")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    for target in (tmp_path / "file" / "all.json", tmp_path / "folder.json"):
        with pytest.raises(OutputError, match=str(target)), open_output(target):
            raise AssertionError("it was opened")


def test_json_lines_go_through_a_named_pipe(tmp_path: Path) -> None:
    target = tmp_path / "pipe.jsonl"
    os.mkfifo(target)
    reader = os.open(target, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with open_output(target) as write:
            write(PREDICTED)
            write(NOT_PREDICTED)
        lines = os.read(reader, 2**16).splitlines()
    finally:
        os.close(reader)
    expected = [PREDICTED.to_dict(), NOT_PREDICTED.to_dict()]
    assert [json.loads(line) for line in lines] == expected


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".parquet"])
def test_a_name_in_another_encoding_can_be_written(tmp_path: Path, suffix: str) -> None:
    name = os.fsdecode(b"k\xe4se.mp4")
    target = tmp_path / f"all{suffix}"
    write(target, replace(PREDICTED, input=name), as_object=True)
    content = target.read_bytes()
    assert rb"k\udce4se.mp4" in content
    if suffix.startswith(".json"):
        assert json.loads(content)["input"] == name


def test_standard_output_gets_a_line_a_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("-"), PREDICTED, replace(NOT_PREDICTED, input=os.fsdecode(b"k\xe4se.mp4")))
    sys.stdout.flush()
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["ok", "no_predictions"]


def test_a_prediction_is_described_in_words() -> None:
    assert describe(PREDICTED) == ["male 75%", "40 years (30–50)", "mask: ffp 88%"]
    assert describe(NOT_PREDICTED) == ["no prediction (empty file)"]


def test_seconds_in_a_row_are_one_stretch() -> None:
    assert find_stretches([0.0, 1.0, 2.0, 5.0, 7.0, 8.0]) == [(0, 3), (5, 6), (7, 9)]


def test_a_picture_is_drawn_with_and_without_a_prediction(tmp_path: Path) -> None:
    predicted = replace(
        PREDICTED, faces=[FaceBox(second, 1.0, 2.0, 3.0, 4.0, 0.9) for second in (0.0, 1.0)]
    )
    clip = to_clip_predictions(predicted)
    assert clip.faces_s == [(0.0, 2.0)]
    assert clip.speech_s == [(0.5, 4.0)]
    assert (clip.windows[0].start_s, clip.windows[0].stop_s) == (0.0, 4.0)
    for prediction in (predicted, replace(predicted, mask_type=None), NOT_PREDICTED):
        target = tmp_path / "pictures" / f"{prediction.input}.png"
        plot_prediction(target, prediction)
        assert target.read_bytes().startswith(b"\x89PNG")


def test_a_prediction_is_drawn_as_long_as_its_window_lasts() -> None:
    windows = [
        ExampleWindow(start_s, stop_s, {"female": 1.0}, 30.0, {})
        for start_s, stop_s in ((1.0, 5.0), (3.0, 7.0), (9.0, 11.0))
    ]
    assert _steps(windows)[:, :2].tolist() == [[1, 4], [4, 7], [9, 11]]  # 4 is between 3 and 5


def test_the_picture_shows_ages_shares_and_coverage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Figure] = []
    save = Figure.savefig

    def save_and_keep(figure: Figure, *args: Any, **kwargs: Any) -> None:
        save(figure, *args, **kwargs)
        kept.append(figure)

    monkeypatch.setattr(Figure, "savefig", save_and_keep)
    later = replace(WINDOW, span=Span(32_000, 96_000), age_years=44.0)
    plot_prediction(tmp_path / "a.png", replace(PREDICTED, windows=[WINDOW, later]))
    age, gender, mask_type, coverage = kept[0].axes
    assert np.asarray(age.lines[-1].get_xydata()).tolist() == [[2, 40], [4, 44]]
    band = age.patches[0].get_extents().transformed(age.transData.inverted())
    assert (band.y0, band.y1) == pytest.approx((30.0, 50.5))
    female, male = gender.collections
    assert female.get_datalim(gender.transData).bounds == pytest.approx((0, 0, 6, 0.25))
    assert male.get_datalim(gender.transData).bounds == pytest.approx((0, 0.25, 6, 0.75))
    legend = mask_type.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["ffp", "none"]
    assert "no face" in [text.get_text() for text in coverage.texts]
    assert kept[0].get_supxlabel() == "It knows nobody."

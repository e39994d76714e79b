"""The benchmarks run on small inputs and print what they compare; their times are not tested."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.project import REPOSITORY, Project
from tests.small_models import save_model

SHARED = REPOSITORY.parent / "shared"
STEPS = ("read", "prepare", "compute", "write", "whole extraction", "fine-tuning, batches of 1")

pytestmark = pytest.mark.slow


def run(*command: str) -> dict[str, Any]:
    """Run a benchmark -> what its last line says."""
    done = Project(REPOSITORY).run("python", "-m", *command)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output.splitlines()[-1])
    return found


def test_storage_is_compared_by_bytes_and_files() -> None:
    published, compact, ours = run("benchmarks.storage", "--num-windows", "300")["rows"]
    assert published["MB a window"] > compact["MB a window"] > 2 * ours["MB a window"]
    assert ours["MB a window"] == pytest.approx(
        0.4559, abs=0.001
    )  # (199 x 1024 + 2.4 x 13 x 768) x 2
    assert published["files for 10,000 windows"] == 10_000


def test_finding_many_rows_is_compared_with_an_earlier_state() -> None:
    small = ("--num-rows", "200", "--rows-a-part", "60", "--repeats", "1")
    rows = run("benchmarks.many_rows", *small, "--before", str(REPOSITORY))["rows"]
    assert [row[""] for row in rows] == ["now", "now, in parts from before", "before"]
    assert {row["rows"] for row in rows} == {200}
    assert all(row["peak, MB"] >= row["at start, MB"] > 0 for row in rows)


def test_reading_is_compared_with_pickles_and_a_memmap() -> None:
    small = (
        "--num-windows",
        "32",
        "--batch-size",
        "8",
        "--repeats",
        "1",
        "--streaming-gb",
        "0.003",
    )
    rows = run("benchmarks.reading", *small)["rows"]
    assert [row["way"].partition(",")[0] for row in rows] == [
        "published: pickles", "memmap", "ours in memory", "ours streamed",
        "memmap", "ours in memory", "ours streamed",
    ]  # fmt: skip
    assert all(row["windows/s"] > 0 for row in rows)


def test_training_is_compared_with_pickles_and_ready_made_batches() -> None:
    small = ("--num-windows", "32", "--width", "8", "--repeats", "1", "--streaming-gb", "0.003")
    rows = run("benchmarks.training", *small, "--device", "cpu")["rows"]
    assert {row["way"].rpartition(", ")[2] for row in rows} == {"fp32", "bf16"}
    assert sum(row["share of ready-made"] is not None for row in rows) == 4


def test_three_ways_to_find_speech_find_the_same() -> None:
    rows = run("benchmarks.vad", "--repeats", "1")["rows"]
    assert {row["clips with the same spans"] for row in rows} == {12}


def test_the_report_is_measured_beside_an_earlier_state() -> None:
    small = ("--num-clips", "120", "--num-speakers", "40", "--num-seeds", "2")
    rows = run("benchmarks.report", *small, "--before", str(REPOSITORY))["rows"]
    assert [row[""] for row in rows] == ["now", "before"]
    assert all(row["peak, GB"] > 0 and row["page, MB"] < 4 for row in rows)


def test_indexing_is_measured_the_first_time_and_when_nothing_is_new() -> None:
    rows = run("benchmarks.indexing", "--num-clips", "200", "--unlabelled", "0.4")["rows"]
    assert [row[""] for row in rows] == ["first indexing", "nothing new"]
    assert [row["clips"] for row in rows] == [120, 120]  # 3 of 5 speakers have labels


def test_decoding_is_timed_by_one_process_and_by_two() -> None:
    rows = run("benchmarks.decoding", "--num-clips", "2", "--repeats", "1")["rows"]
    assert [row["step"] for row in rows] == ["decode sound", "detect speech", "crop faces", "all"]
    assert all(row["clips/s, 2 processes"] > 0 for row in rows)
    *steps, whole = (row["core ms a clip, 2"] for row in rows)
    assert whole == pytest.approx(sum(steps))


def test_a_prediction_is_timed_by_its_steps(tmp_path: Path) -> None:
    found = run(
        "benchmarks.predicting", "--model", str(save_model(tmp_path)), "--num-clips", "2",
        "--repeats", "1", "--before", str(REPOSITORY),
    )  # fmt: skip
    steps = {row["step"]: row["seconds"] for row in found["rows"]}
    assert sum(steps.values()) == pytest.approx(2 * steps["in all"])
    assert steps["wait for sound and faces"] > 0
    assert found["clips"] == 2
    assert found["clips_per_s_now"] > 0
    assert found["core_ms_a_clip_before"] > 0
    assert found["same_json"] == "True"


def test_a_service_is_compared_with_its_predictor(tmp_path: Path) -> None:
    model = str(save_model(tmp_path))
    small = ("--num-clips", "2", "--repeats", "1", "--clients", "2")
    found = run("benchmarks.serving", "--model", model, *small)
    loop, many, served = found["rows"]
    assert loop["of the loop"] == 1
    assert many["p50, s"] is None  # one call for all clips
    assert served["way"] == "oragen serve, 2 clients"
    assert 0 < served["p50, s"] <= served["p95, s"]
    assert served["core ms a clip"] > 0
    assert found["same_json"] == "True"


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="needs ../shared")
def test_a_drawn_mask_hides_a_real_face_from_the_cascade_first(tmp_path: Path) -> None:
    shutil.copy2(SHARED / "media" / "m_21.mp4", tmp_path)
    (tmp_path / "labels.csv").write_text("media,mask_type\nm_21.mp4,none\n")
    weights = SHARED / "models" / "face_detection_yunet_n_640.onnx"
    drawn = ("--weights", str(weights), "--draw-masks")
    rows = run("benchmarks.detection", str(tmp_path), *drawn)["rows"]
    seconds = {row["mask type"]: (row["cascade"], row["yunet"]) for row in rows}
    assert len(seconds) == 7  # bare, five masks, all
    assert all(cascade <= yunet for cascade, yunet in seconds.values())
    assert seconds["medical, drawn"][0] < seconds["none"][0]


def test_stretches_take_about_half_the_bytes_of_windows() -> None:
    small = ("--num-clips", "1", "--length-s", "12", "--stretch-s", "5", "--repeats", "1")
    on_cpu = ("--num-layers", "2", "--device", "cpu")
    by_window, by_clip = run("benchmarks.spans", *small, *on_cpu)["rows"]
    assert by_window["bytes beside windows"] == 1
    assert by_clip["bytes beside windows"] == pytest.approx(0.6, abs=0.05)  # 12 s of 5 x 4 s


def test_starts_name_the_libraries_that_take_longest() -> None:
    modules = ("oragen.cli", "stages.cut_windows")
    python, *rows = run("benchmarks.starts", *modules, "--repeats", "1")["rows"]
    assert python["seconds"] == 0
    assert [row["module"] for row in rows] == [*modules]
    assert "pandas" in rows[1]["libraries that take longest, ms"]
    assert 0 < rows[0]["seconds"] < rows[1]["seconds"]


def test_what_a_device_reaches_is_measured_on_a_cpu_too() -> None:
    small = ("--num-windows", "2", "--repeats", "1", "--num-layers", "2", "--device", "cpu")
    found = run("benchmarks.gpu", *small)
    rates = {row["what"]: row["rate"] for row in found["rows"]}
    assert {f"{kind}: {step}" for kind in ("audio", "face") for step in STEPS} <= rates.keys()
    assert all(rate > 0 for rate in rates.values())
    assert found["matmul_tflops"] > 0

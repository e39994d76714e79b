"""`oragen compare`: two runs, as folders and as Git revisions."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.comparison import Run, compare_runs, describe_differences
from oragen.reporting.table_formats import ReportTable, to_cells
from oragen.schema.errors import UserError
from tests.convert_command import Convert, type_command
from tests.scored_heads import by_name, clips, labels, predict, values

PARAMS = {"use_heads": ["ours"], "train": {"seeds": [0], "batch_size": 32}, "execution": {"x": 1}}


def many(older: float = 0.0, head: str = "ours") -> pd.DataFrame:
    """Twelve speakers of four clips each."""
    rows = [clips(f"{number}").assign(corpus="x", speaker_id=f"s{number}") for number in range(12)]
    return predict(pd.concat(rows, ignore_index=True), head, older=older)


def compare(a: pd.DataFrame, b: pd.DataFrame, changed: object = None) -> list[ReportTable]:
    draws = SpeakerDraws(np.random.default_rng(0), 199)
    params = PARAMS if changed is None else PARAMS | {"train": changed}
    return compare_runs(Run("a", a, PARAMS), Run("b", b, params), draws)


def test_scores_of_two_runs_stand_side_by_side_with_their_difference() -> None:
    """Ages are off by 5 years in A and by 2 in B; a head that B alone has is not compared."""
    tables = compare(many(5), pd.concat([many(2), many(1, "new")]))
    (table,) = tables
    assert labels(table, "method") == ["ours"] * 3 + ["new"] * 3
    assert values(table)[1] == [5.0, 2.0, -3.0]
    assert values(table)[4] == [None, 1.0, None]
    assert to_cells(table)[1][1][-1] == "-3.00 [-3.00, -3.00], n 48, p 0.030 (holds)"
    assert describe_differences(tables) == ["Differences beyond chance. Age MAE, years: ours."]
    same = compare(many(5), many(5))
    assert describe_differences(same) == ["No difference between the scores is beyond chance."]


def test_changed_parameters_are_listed_by_their_names() -> None:
    """`batch_size` is gone; what decides no result is not said."""
    tables = by_name(compare(many(), many(), {"seeds": [0, 1], "width": 8}))
    assert [tuple(row.labels.values()) for row in tables["params"].rows] == [
        ("train.seeds", "[0]", "[0, 1]"), ("train.batch_size", "32", "–"),
        ("train.width", "–", "8"),
    ]  # fmt: skip


def test_clips_that_one_run_lacks_or_labels_otherwise_are_counted() -> None:
    other = many().iloc[4:].copy()
    other.iloc[0, other.columns.get_loc("gender")] = "male"
    tables = by_name(compare(many(), other))
    assert [tuple(row.labels.values()) for row in tables["corpora"].rows] == [("x", 48, 44, 44, 1)]
    assert values(tables["scores"])[1][2] == 0.0
    assert list(by_name(compare(many(), many()))) == ["scores"]


def write_run(folder: Path, predictions: pd.DataFrame, **params: object) -> Path:
    (folder / "data" / "predictions").mkdir(parents=True)
    predictions.to_parquet(folder / "data" / "predictions" / "ours.parquet")
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS | params))
    return folder


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Convert:
    monkeypatch.chdir(tmp_path)
    return type_command(monkeypatch, capsys, "compare")


def test_two_folders_are_compared_on_the_screen_and_on_a_page(
    command: Convert, tmp_path: Path
) -> None:
    write_run(tmp_path / "a", many(5))
    write_run(tmp_path / "b", many(2), protocol="paper")
    run = command("a", "b", "--output", "page.html")
    assert run.exit_code == 0
    for words in ("Differences beyond chance. Age MAE, years: ours.", "protocol", "-3.00"):
        assert words in run.output
    page = (tmp_path / "page.html").read_text()
    assert "Changed parameters" in page
    assert "-3.00 [-3.00, -3.00]" in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("empty", "empty/params.yaml cannot be read"),
        ("bare", "bare has no predictions of ours in data/predictions"),
        ("old", "an earlier version of oragen wrote it"),
        ("no-such-thing", "'no-such-thing' is no folder, and DVC cannot give"),
        ("odd", "use_heads in params.yaml of odd must be a list of different names of heads"),
        ("cut", "ours.parquet is no table of predictions"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    command: Convert, tmp_path: Path, name: str, sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    write_run(tmp_path / "old", many().drop(columns="modalities"))
    write_run(tmp_path / "odd", many(), use_heads=["ours", "ours"])
    write_run(tmp_path / "cut", many())
    (tmp_path / "cut" / "data" / "predictions" / "ours.parquet").write_bytes(b"PAR1")
    run = command(name)
    assert run.exit_code == 2
    assert sentence in run.output
    assert run.output.count("\n") == 1


def test_ages_in_bands_are_compared_and_no_score_at_all_is_one_sentence() -> None:
    bands = many(5).assign(age_years=np.nan, age_low=20.0, age_high=29.0)
    assert labels(compare(bands, bands)[0], "score")[1] == "Distance to age band, years"
    nothing = bands.assign(age_low=np.nan, gender=None, mask_type=None)
    with pytest.raises(UserError, match="Neither run has a score"):
        compare(nothing, nothing)


def test_many_heads_get_the_resamples_that_a_difference_needs(
    command: Convert, tmp_path: Path
) -> None:
    names = [f"head-{number}" for number in range(9)]
    for run, older in (("a", 5.0), ("b", 2.0)):
        folder = write_run(tmp_path / run, many(), use_heads=names) / "data" / "predictions"
        for name in names:
            many(older, name).to_parquet(folder / f"{name}.parquet")
    assert "Differences beyond chance. Age MAE, years: head-0, head-1" in command("a", "b").output


def test_a_run_of_a_stranger_neither_controls_the_terminal_nor_runs_a_filter(
    command: Convert, tmp_path: Path
) -> None:
    """Git would run the filter of the folder's own configuration to see what has changed."""
    write_run(tmp_path / "b", many(2))
    a = write_run(tmp_path / "a", many(5))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for arguments in (["init", "-q"], ["add", "params.yaml"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], cwd=a, check=True)
    (a / ".gitattributes").write_text("params.yaml filter=evil\n")
    with (a / ".git" / "config").open("a") as file:
        file.write(f'[filter "evil"]\n\tclean = touch {tmp_path}/ran\n')
    (a / "params.yaml").write_text(yaml.safe_dump(PARAMS | {"protocol": "\x1b[2J\u202ex"}))
    run = command("a", "b")
    assert run.exit_code == 0
    assert not (tmp_path / "ran").exists()
    assert r"\x1b[2J\u202ex" in run.output
    assert "\x1b[2J" not in run.output
    assert "\u202e" not in run.output


@pytest.mark.slow
def test_a_revision_is_compared_with_what_is_here_now(command: Convert, tmp_path: Path) -> None:
    """The predictions of the first commit come from DVC's cache; they were overwritten since."""
    write_run(tmp_path, many(5))
    for line in ("git init -q", "dvc init -q", "dvc add -q data/predictions", "git add .",
                 "git -c user.name=t -c user.email=t@example.com commit -qm first"):  # fmt: skip
        subprocess.run(line.split(), cwd=tmp_path, check=True, capture_output=True)
    many(2).to_parquet(tmp_path / "data" / "predictions" / "ours.parquet")
    run = command("HEAD", ".", "-o", "page.html")
    assert run.exit_code == 0, run.output
    assert "-3.00" in run.output

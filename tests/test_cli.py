"""The `oragen` command, as a user types it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from oragen.cli.main import generate
from oragen.config.messages import ParamsError
from tests.oragen_command import oragen
from tests.shipped_params import copy_shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with nothing but the shipped parameters."""
    return copy_shipped(tmp_path)


def test_help_names_the_commands(folder: Path) -> None:
    run = oragen(folder, "--help", warm=False)
    assert run.exit_code == 0
    assert "generate" in run.output
    assert "results" in run.output


@pytest.mark.parametrize(("said", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_of_a_command_do_not_spin_unless_the_user_says_so(
    said: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY")
    if said:
        monkeypatch.setenv("OMP_WAIT_POLICY", said)
    code = (
        "import oragen.cli, os, sys; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == [expected, "False"]  # torch reads it when it is imported


def test_results_without_a_report_say_what_to_do(folder: Path) -> None:
    run = oragen(folder, "results")
    assert run.exit_code == 2
    assert "dvc repro" in run.output
    assert "Traceback" not in run.output


def test_generating_an_unknown_corpus_names_the_known_ones(folder: Path) -> None:
    run = oragen(folder, "generate", "studoi")
    assert run.exit_code == 2
    assert "'studoi'" in run.output
    assert "Did you mean 'studio'? There are: studio, phone." in run.output
    assert "Traceback" not in run.output


def test_without_a_generated_corpus_there_is_nothing_to_generate(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections = yaml.safe_load((folder / "params.yaml").read_text())
    sections["corpora"] = {
        name: {"reader": "csv", "root": entry["root"]}
        for name, entry in sections["corpora"].items()
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(sections))
    monkeypatch.chdir(folder)
    for named in (None, ["studio"]):
        with pytest.raises(ParamsError, match=r"No corpus of params\.yaml is generated.*Add one"):
            generate(named)


def test_a_folder_of_something_else_is_not_overwritten(folder: Path) -> None:
    notes = folder / "data" / "corpora" / "studio" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    run = oragen(folder, "generate", "studio")
    assert run.exit_code == 2
    assert "Traceback" not in run.output
    assert [path.name for path in notes.parent.iterdir()] == ["notes.txt"]


def test_results_show_the_last_report(folder: Path) -> None:
    report = folder / "data" / "reports" / "report.md"
    report.parent.mkdir(parents=True)
    report.write_text("# joint on test\n\n| Corpus | Age |\n| --- | --- |\n| mini | 7.5 |\n")
    run = oragen(folder, "results")
    assert run.exit_code == 0
    assert "7.5" in run.output
    assert "index.html" in run.output


def test_results_compare_the_heads_and_show_the_rest_when_asked(folder: Path) -> None:
    report = folder / "data" / "reports" / "report.md"
    report.parent.mkdir(parents=True)
    report.write_text("# Report\n\nScored so.\n\n## Methods: Age\n\n1.25\n\n## By mask\n\n9.75\n")
    short, whole = (oragen(folder, "results", *options).output for options in ((), ("--all",)))
    assert "Scored so." in short
    assert "1.25" in short
    assert "9.75" not in short
    assert "9.75" in whole

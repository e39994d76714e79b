"""`oragen corpora`, as a user types it."""

from pathlib import Path

import pytest

from oragen.corpora.registry import CARDS
from tests.media_files import tone, write_sphere
from tests.oragen_command import oragen, words
from tests.shipped_params import copy_shipped

TIMIT_TABLE = """; made up
ABX0  F  3  TRN  02/11/86  07/30/58  5'04"  WHT  BS
QRT1  M  7  TST  03/25/86  11/02/31  6'01"  WHT  PHD
ZZA2  M  5  TRN  01/17/86  ??/??/??  5'09"  WHT  HS
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with nothing but the shipped parameters."""
    return copy_shipped(tmp_path)


@pytest.fixture
def timit(tmp_path: Path) -> Path:
    """Two speakers to train on, one of whom has a sentence that is listed nowhere, and one to test.

    The sound of the last is no sound: nothing is decoded when a corpus is checked.
    """
    root = tmp_path / "timit"
    (root / "DOC").mkdir(parents=True)
    (root / "DOC" / "SPKRINFO.TXT").write_text(TIMIT_TABLE)
    for speaker in ("TRAIN/DR3/FABX0", "TRAIN/DR5/MZZA2", "TEST/DR7/MQRT1"):
        (root / speaker).mkdir(parents=True)
        write_sphere(root / speaker / "SA1.WAV", (tone(0.1)[0] * 32767).astype("int16"))
    (root / "TEST/DR7/MQRT1/SA2.WAV").write_text("sound")
    (root / "TRAIN/DR3/FNEW0").mkdir()
    (root / "TRAIN/DR3/FNEW0/SA1.WAV").write_text("sound")
    return root


def test_the_list_names_every_reader_and_where_it_is_used(folder: Path) -> None:
    run = oragen(folder, "corpora", "list")
    assert run.exit_code == 0, run.output
    named = {cells[0] for cells in words(run)}
    assert set(CARDS) <= named
    (generated,) = (cells for cells in words(run) if cells[0] == "generated")
    assert generated[-1] == "studio, phone"


@pytest.mark.parametrize("reader", CARDS)
def test_all_that_is_known_of_a_corpus_can_be_read(folder: Path, reader: str) -> None:
    run = oragen(folder, "corpora", "list", reader)
    card = CARDS[reader]
    assert run.exit_code == 0, run.output
    for text in (card.title, card.licence, card.access, card.splits, card.layout.strip()):
        assert text in run.output
    assert f"{{reader: {reader}, root: FOLDER}}" in run.output
    if card.statistics is not None and card.statistics.hours is not None:
        assert f"{card.statistics.hours:,g} hours" in run.output


def test_a_reader_that_does_not_exist_is_refused_with_those_that_do(folder: Path) -> None:
    run = oragen(folder, "corpora", "list", "timid")
    assert run.exit_code == 2
    expected = "There is no reader 'timid'. Did you mean 'timit'? There are: timit, agender"
    assert expected in run.output


def test_a_check_counts_the_clips_beside_what_is_published(folder: Path, timit: Path) -> None:
    """Of five sentences one is of nobody in the table; nothing is decoded."""
    run = oragen(folder, "corpora", "check", "timit", "--root", str(timit))
    assert run.exit_code == 0, run.output
    lines = words(run)
    assert next(cells[-1] for cells in lines if cells[0] == "clips") == "4"
    assert [cells[-1] for cells in lines if cells[:2] == ["gender", "female"]] == ["1"]
    assert [cells[-1] for cells in lines if cells[:2] == ["age", "unknown"]] == ["1"]
    assert ["clips", "6,300", "4"] in lines
    assert ["male speakers", "438", "2"] in lines
    left_out = [cells for cells in lines if "FNEW0" in " ".join(cells)]
    assert len(left_out) == 1
    assert "Warning: All 2 clips of test are of one speaker." in run.output
    assert not (folder / "data").exists()


def test_a_wrong_root_is_answered_with_the_expected_tree(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    run = oragen(folder, "corpora", "check", "timit", "--root", str(tmp_path / "elsewhere"))
    assert run.exit_code == 2
    assert "SPKRINFO.TXT" in run.output
    assert "Traceback" not in run.output


def test_a_name_that_is_no_corpus_is_refused_with_those_that_are(folder: Path) -> None:
    run = oragen(folder, "corpora", "check", "timit")
    assert run.exit_code == 2
    assert "'timit' is not in corpora of params.yaml. There are: studio, phone" in run.output
    run = oragen(folder, "corpora", "check", "studio")
    assert run.exit_code == 2
    assert "oragen generate studio" in run.output

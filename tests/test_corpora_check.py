"""`oragen corpora check READER --root TREE`, on a small tree of every corpus of the paper."""

from collections.abc import Callable
from pathlib import Path

import pytest

from oragen.corpora.registry import CARDS
from tests import (
    test_afew,
    test_agender,
    test_brave_masks,
    test_common_voice,
    test_imdb_clean,
    test_lagenda,
    test_timit,
    test_voxceleb2,
)
from tests.test_cli import folder, oragen
from tests.test_corpora_cli import words

__all__ = ["folder"]


def plant_agender(root: Path) -> None:
    test_agender.write_lists(root)
    for lines in (test_agender.TRAIN, test_agender.DEVEL):
        for line in lines.splitlines():
            test_agender.write_raw(root / line.split()[0])


def plant_common_voice(root: Path) -> None:
    folder = root / "de"
    rows = {
        "train": [test_common_voice.clip(1), test_common_voice.clip(2)],
        "dev": [test_common_voice.clip(3, "bob", gender="male_masculine", age="fourties")],
        "test": [test_common_voice.clip(4, "cas", gender="non-binary")],
    }
    test_common_voice.write_official(folder, **rows)
    (folder / "clips").mkdir()
    for number in range(1, 5):
        (folder / "clips" / f"common_voice_xx_{number}.mp3").write_text("sound")


def plant_imdb_clean(root: Path) -> None:
    test_imdb_clean.make(root, test_imdb_clean.TRAIN)
    for table in list((root / "csvs").iterdir()):
        table.rename(table.with_name(f"{table.stem}_1024.csv"))
    (root / "data" / "imdb").rename(root / "data" / "imdb-clean-1024")


def plant_voxceleb2(root: Path) -> None:
    row = test_voxceleb2.enriched(test_voxceleb2.JANE, title_age="34.0")
    media = (f"dev/aac/{test_voxceleb2.JANE}.m4a", f"test/aac/{test_voxceleb2.JOHN}.m4a")
    test_voxceleb2.make(root, row, media=media)


def plant_brave_masks(root: Path) -> None:
    lines = (test_brave_masks.MEDICAL, test_brave_masks.SHIELD, test_brave_masks.NO_MASK)
    records = test_brave_masks.read(root, *lines, cameras=("c", "r"))
    test_brave_masks.write_media(root, records)


# What is planted, and the counts of all splits together that the check must show.
TREES: dict[str, tuple[Callable[[Path], object], dict[tuple[str, str], str]]] = {
    "timit": (
        test_timit.plant,
        {("clips", "all"): "3", ("gender", "female"): "1", ("age", "unknown"): "1"},
    ),
    "agender": (
        plant_agender,
        {("clips", "all"): "4", ("gender", "child"): "1", ("age", "60 and over"): "1"},
    ),
    "common_voice": (
        plant_common_voice,
        {("clips", "all"): "4", ("gender", "unknown"): "1", ("age", "30-44"): "1"},
    ),
    "lagenda": (
        lambda root: test_lagenda.make(root, test_lagenda.LABELLED, test_lagenda.FURTHER_FACE),
        {("clips", "all"): "1", ("gender", "female"): "1", ("age", "30-44"): "1"},
    ),
    "imdb_clean": (
        plant_imdb_clean,
        {("clips", "all"): "3", ("gender", "female"): "2", ("age", "60 and over"): "1"},
    ),
    "afew": (
        test_afew.plant,
        {("clips", "all"): "2", ("gender", "male"): "1", ("age", "45-59"): "1"},
    ),
    "voxceleb2": (
        plant_voxceleb2,
        {("clips", "all"): "2", ("gender", "male"): "1", ("age", "unknown"): "1"},
    ),
    "brave_masks": (
        plant_brave_masks,
        {("clips", "all"): "2", ("mask_type", "medical"): "1", ("mask_type", "none"): "1"},
    ),
}


def test_every_corpus_of_the_paper_is_checked() -> None:
    assert {*TREES, "csv", "generated"} == set(CARDS)


@pytest.mark.parametrize("reader", TREES)
def test_a_check_counts_what_is_there(folder: Path, tmp_path: Path, reader: str) -> None:
    plant, expected = TREES[reader]
    root = tmp_path / "tree"
    root.mkdir()
    plant(root)
    run = oragen(folder, "corpora", "check", reader, "--root", str(root))
    assert run.exit_code == 0, run.output
    counts: dict[tuple[str, str], str] = {}
    for cells in words(run):
        if len(cells) == 6:
            counts.setdefault((cells[0], cells[1]), cells[-1])
    assert counts.items() >= expected.items(), run.output
    assert CARDS[reader].title in run.output


@pytest.mark.parametrize("reader", TREES)
def test_another_folder_is_refused_with_the_expected_tree(
    folder: Path, tmp_path: Path, reader: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    run = oragen(folder, "corpora", "check", reader, "--root", str(tmp_path / "elsewhere"))
    assert run.exit_code == 2
    assert CARDS[reader].layout.strip().splitlines()[0] in run.output
    assert "Traceback" not in run.output

"""`oragen corpora check READER --root TREE`, on a small tree of every corpus of the paper."""

from collections.abc import Callable
from pathlib import Path

import pytest

from oragen.corpora.registry import CARDS
from tests import (
    afew_tree,
    agender_tree,
    brave_masks_tree,
    common_voice_tree,
    imdb_clean_tree,
    lagenda_tree,
    timit_tree,
    voxceleb2_tree,
)
from tests.oragen_command import oragen, words
from tests.shipped_params import copy_shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with nothing but the shipped parameters."""
    return copy_shipped(tmp_path)


def plant_agender(root: Path) -> None:
    agender_tree.write_lists(root)
    for lines in (agender_tree.TRAIN, agender_tree.DEVEL):
        for line in lines.splitlines():
            agender_tree.write_raw(root / line.split()[0])


def plant_common_voice(root: Path) -> None:
    folder = root / "de"
    rows = {
        "train": [common_voice_tree.clip(1), common_voice_tree.clip(2)],
        "dev": [common_voice_tree.clip(3, "bob", gender="male_masculine", age="fourties")],
        "test": [common_voice_tree.clip(4, "cas", gender="non-binary")],
    }
    common_voice_tree.write_official(folder, **rows)
    (folder / "clips").mkdir()
    for number in range(1, 5):
        (folder / "clips" / f"common_voice_xx_{number}.mp3").write_text("sound")


def plant_imdb_clean(root: Path) -> None:
    imdb_clean_tree.make(root, imdb_clean_tree.TRAIN)
    for table in list((root / "csvs").iterdir()):
        table.rename(table.with_name(f"{table.stem}_1024.csv"))
    (root / "data" / "imdb").rename(root / "data" / "imdb-clean-1024")


def plant_voxceleb2(root: Path) -> None:
    row = voxceleb2_tree.enriched(voxceleb2_tree.JANE, title_age="34.0")
    media = (f"dev/aac/{voxceleb2_tree.JANE}.m4a", f"test/aac/{voxceleb2_tree.JOHN}.m4a")
    voxceleb2_tree.make(root, row, media=media)


def plant_brave_masks(root: Path) -> None:
    lines = (brave_masks_tree.MEDICAL, brave_masks_tree.SHIELD, brave_masks_tree.NO_MASK)
    records = brave_masks_tree.read(root, *lines, cameras=("c", "r"))
    brave_masks_tree.write_media(root, records)


# What is planted, and the counts of all splits together that the check must show.
TREES: dict[str, tuple[Callable[[Path], object], dict[tuple[str, str], str]]] = {
    "timit": (
        timit_tree.plant,
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
        lambda root: lagenda_tree.make(root, lagenda_tree.LABELLED, lagenda_tree.FURTHER_FACE),
        {("clips", "all"): "1", ("gender", "female"): "1", ("age", "30-44"): "1"},
    ),
    "imdb_clean": (
        plant_imdb_clean,
        {("clips", "all"): "3", ("gender", "female"): "2", ("age", "60 and over"): "1"},
    ),
    "afew": (
        afew_tree.plant,
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

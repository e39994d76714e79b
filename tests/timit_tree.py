"""A small made-up copy of TIMIT."""

from pathlib import Path

import numpy as np

from tests.media_files import write_sphere

SPEAKERS = """\
; made up, as the lines that follow
;
ID  Sex DR Use  RecDate   BirthDate  Ht    Race Edu  Comments
ABX0  F  3  TRN  02/11/86  07/30/58  5'04"  WHT  BS   Grew up near a "lake; moved
QRT1  M  7  TST  03/25/86  11/02/31  6'01"  WHT  PHD

ZZA2  M  5  TRN  01/17/86  ??/??/??  5'09"  WHT  HS   birth date unknown
""".replace("ID  Sex", "; ID  Sex")
FOLDERS = ["TRAIN/DR3/FABX0", "TEST/DR7/MQRT1", "TRAIN/DR5/MZZA2"]
SAMPLES = np.arange(-2000, 2000, dtype=np.int16)


def plant(tree: Path, *, speakers: str = SPEAKERS, folders: list[str] | None = None) -> Path:
    """A tree in the documented layout: a sentence of each speaker, and SPKRINFO.TXT in DOC."""
    for part in ("TRAIN", "TEST"):
        (tree / part / "DR1").mkdir(parents=True)
    for folder in FOLDERS if folders is None else folders:
        (tree / folder).mkdir(parents=True)
        write_sphere(tree / folder / "SA1.WAV", SAMPLES)
        (tree / folder / "SA1.TXT").write_text("0 4000 A made-up sentence.\n")
    (tree / "DOC").mkdir()
    (tree / "DOC" / "SPKRINFO.TXT").write_text(speakers)
    return tree

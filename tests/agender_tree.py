"""A small made-up copy of aGender."""

from pathlib import Path

from tests.media_files import tone

TRAIN = """\
wav_traindevel/9001/1/a19001s3.raw 9001 6 61 f
wav_traindevel/9002/2/a29002s7.raw 9002 1 11 x
wav_traindevel/9003/1/a19003s1.raw 9003 5 38 m
"""
DEVEL = "wav_traindevel/9004/1/a19004s3.raw 9004 3 24 m\n"


def write_lists(root: Path, train: str = TRAIN, devel: str = DEVEL) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "trainSampleList_train.txt").write_text(train)
    (root / "trainSampleList_devel.txt").write_text(devel)
    return root


def write_raw(path: Path, *, length_s: float = 0.5) -> Path:
    """Half-scale sound at 8 kHz without a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(length_s, rate_hz=8000)[0] * 32_767
    path.write_bytes(samples.astype("<i2").tobytes())
    return path

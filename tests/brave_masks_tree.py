"""A small made-up copy of BRAVE-MASKS, and its records."""

from collections.abc import Sequence
from pathlib import Path

from oragen.corpora.brave_masks import read_brave_masks
from oragen.corpora.records import ClipRecord

HEADER = (
    "audio_file_path,image_file_path,video_file_path,speaker_id,gender,age,mask_type,channel,subset"
)
MEDICAL = (
    "s01/m2/utt_004.wav,s01/m2/c/utt_004__s001.jpg,s01/m2/c/utt_004.mp4,"
    "s01,female,27,Medical mask,c,train"
)
SHIELD = (
    "s09/m5/utt_011.wav,s09/m5/r/utt_011__s001.jpg,s09/m5/r/utt_011.mp4,"
    "s09,male,63,Protective face shield,r,dev"
)
NO_MASK = (
    "s22/m0/utt_001.wav,s22/m0/c/utt_001__s001.jpg,s22/m0/c/utt_001.mp4,s22,male,41,No mask,c,test"
)


def make(root: Path, *lines: str, header: str = HEADER) -> Path:
    root.mkdir(exist_ok=True)
    (root / "index.csv").write_text("\n".join([header, *lines]))
    return root


def read(
    root: Path, *lines: str, header: str = HEADER, cameras: Sequence[str] = ("c",)
) -> list[ClipRecord]:
    make(root, *lines, header=header)
    return list(read_brave_masks("masks", root, table=Path("index.csv"), cameras=cameras))


def write_media(root: Path, records: list[ClipRecord]) -> None:
    for record in records:
        for path in filter(None, (record.audio_path, record.video_path)):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(path)

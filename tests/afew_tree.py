"""A small made-up copy of AFEW-VA."""

from collections.abc import Mapping
from pathlib import Path

CLIPS = ["Train_AFEW/Happy/000111222.avi", "Val_AFEW/Sad/000333444.avi"]
LABELS = """\
clip_id,split,emotion,gender,age
000111222,train,Happy,F,31
000333444,val,Sad,Male,58
"""


def plant(
    root: Path, *, table: str | None = LABELS, xml: Mapping[str, str | bytes] | None = None
) -> Path:
    """Files of the names of clips, a table, and XML files beside the clips of these names."""
    for path in CLIPS:
        touch(root / path)
    if table is not None:
        (root / "afew_age_gender.csv").write_text(table)
    for path, content in (xml or {}).items():
        data = content.encode() if isinstance(content, str) else content
        touch(root / path).write_bytes(data)
    return root


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("film")
    return path

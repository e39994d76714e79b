"""A small made-up copy of LAGENDA."""

from pathlib import Path

HEADER = (
    "img_name,age,gender,face_x0,face_y0,face_x1,face_y1,person_x0,person_y0,person_x1,person_y1"
)
LABELLED = "lag_benchmark/0a1b.jpg,34,F,120,80,210,190,60,40,330,700"
FURTHER_FACE = "lag_benchmark/0a1b.jpg,-1,-1,400,90,460,160,-1,-1,-1,-1"
NO_FACE = "lag_benchmark/0c2d.jpg,7,M,-1,-1,-1,-1,15,22,140,380"
TABLE = Path("lagenda_annotation.csv")


def make(root: Path, *lines: str, images: str = "lag_benchmark") -> Path:
    (root / images).mkdir(parents=True, exist_ok=True)
    for name in ("0a1b", "0c2d", "0e3f"):
        (root / images / f"{name}.jpg").write_text(name)
    (root / TABLE).write_text("\n".join([HEADER, *lines]))
    return root

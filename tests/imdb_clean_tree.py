"""A small made-up copy of IMDB-Clean."""

from pathlib import Path

HEADER = "filename,age,gender,x_min,y_min,x_max,y_max,roll,yaw,pitch"
TRAIN = "07/nm0000001_rm111_1950-1-2_1990.jpg,40,M,210,180,420,430,-2.1,5.0,1.3"
VALID = "12/nm0000002_rm222_1975-6-9_2008.jpg,33,F,95,60,240,255,0.4,-11.2,3.8"
TEST = "33/nm0000003_rm333_1940-6-9_2001.jpg,61,F,5,6,40,55,0,0,0"
MIVOLO_HEADER = (
    "img_name,age,gender,face_x0,face_y0,face_x1,face_y1,person_x0,person_y0,person_x1,person_y1"
)


def write_tables(
    folder: Path,
    train: list[str],
    *,
    valid: str = VALID,
    test: str = TEST,
    ending: str = "_new",
    header: str = HEADER,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, lines in (("train", train), ("valid", [valid]), ("test", [test])):
        (folder / f"imdb_{split}{ending}.csv").write_text("\n".join([header, *lines]))


def make(
    root: Path, *train: str, valid: str = VALID, test: str = TEST, header: str = HEADER
) -> Path:
    """Write the tree as the corpus' own script leaves it, with the original images."""
    write_tables(root / "csvs", list(train), valid=valid, test=test, header=header)
    for line in (*train, valid, test):
        image = root / "data" / "imdb" / line.partition(",")[0]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_text(image.name)
    return root

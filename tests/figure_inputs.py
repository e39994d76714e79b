"""What figures are drawn of, and what can be seen in them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from oragen.reporting.attention.lanes import AttentionLane
from oragen.reporting.attention.maps import AttentionMap
from oragen.reporting.figures.example import Attributes, ClipExample, ExampleCrop, ExampleWindow

NOTHING = pd.DataFrame(
    columns=["gender", "age_years", "mask_type", "predicted_gender", "predicted_age_years"]
)


def keep_figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """Yield the figures that were saved, in order; there should be one in the end."""
    figures: list[Figure] = []
    save = Figure.savefig

    def save_and_keep(figure: Figure, *args: Any, **kwargs: Any) -> None:
        save(figure, *args, **kwargs)
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", save_and_keep)
    yield figures
    assert figures, "nothing was drawn"


def words_of(figure: Figure) -> str:
    """All that can be read in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def read_picture(path: Path) -> np.ndarray[Any, Any]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def predictions(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(columns)


AGES = predictions(
    gender=["female", "male", None, "male", "female", "male"],
    age_years=[20, 22, 28, 30, 45, np.nan],
    predicted_age_years=[23.0, 21.0, 30.0, 30.0, np.nan, 40.0],
)

SURE = predictions(
    gender=["female", "male", "female", "female", "child", None],
    predicted_gender=["female", "female", "female", "female", "female", "male"],
    gender_female=[0.55, 0.58, 0.95, 1.0, 0.9, 0.2],
    gender_male=[0.45, 0.42, 0.05, 0.0, 0.1, 0.8],
    predicted_age_years=[30.0] * 6,
)


def history(*scores: tuple[int, int, int, float]) -> pd.DataFrame:
    """Seed, phase, epoch, dev score; the loss is one less the score."""
    rows = pd.DataFrame(scores, columns=["seed", "phase", "epoch", "dev_score"])
    return rows.assign(train_loss=1 - rows["dev_score"])


TWO_PHASES = history((0, 1, 1, 0.3), (0, 1, 2, 0.5), (0, 2, 1, 0.4), (1, 1, 1, 0.2), (0, 2, 2, 0.1))


def lane(name: str = "gender", modality: Any = "audio", **cells: list[float]) -> AttentionLane:
    arrays = {key: np.array(value, dtype=float) for key, value in cells.items()}
    return AttentionLane(name=name, modality=modality, share=0.6, **arrays)


def task_map() -> AttentionMap:
    """Two windows, three queries, 20 audio frames, 2 slots of 3 layers; the second has no face."""
    generator = np.random.default_rng(0)
    audio, face = generator.random((2, 3, 20)), generator.random((2, 3, 2, 3))
    face[1] = 0
    nothing = np.ones((2, 3))
    total = audio.sum(axis=2) + face.sum(axis=(2, 3)) + nothing
    return AttentionMap(
        queries=("gender", "mask type", "age"),
        weights=np.zeros((2, 1, 3, 27)),
        audio=audio / total[..., None],
        face=face / total[..., None, None],
        nothing=nothing / total,
    )


def make_example(**changes: Any) -> ClipExample:
    window = ExampleWindow(0, 4, {"female": 0.9, "male": 0.1}, 30.0, {"none": 0.7, "ffp": 0.3})
    fields: dict[str, Any] = {
        "clip_id": "studio/clip-007",
        "head": "joint",
        "duration_s": 7.0,
        "labels": Attributes("female", 34.0, None),
        "predicted": Attributes("male", 31.6, "ffp"),
        "crops": [
            ExampleCrop(float(second), np.full((96, 96, 3), 60 * second, np.uint8))
            for second in range(3)
        ],
        "speech_s": [(0.5, 2.0), (3.0, 6.5)],
        "windows": [window, window._replace(start_s=2, stop_s=6)],
        "attention": [lane(starts_s=[0, 2], stops_s=[2, 4], times_even=[0.5, 1.5])],
    }
    return ClipExample(**(fields | changes))

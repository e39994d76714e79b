"""A folder of explained clips -> the figures in it, in order."""

from pathlib import Path

from oragen.reporting.figures.figure import Figure


def clip_path(folder: Path, number: int) -> Path:
    """Return where the clip of a number is drawn over its time."""
    return folder / f"{number}-clip.png"


def attention_path(folder: Path, number: int) -> Path:
    """Return where the attention in one window of that clip is drawn."""
    return folder / f"{number}-attention.png"


def list_explanations(folder: Path, head: str) -> list[Figure]:
    """Return the figures of single clips that `explain_head` drew: each clip, then its attention.

    Args:
        folder: with the PNGs.
        head: the name of the explained head.
    """
    numbers = {int(path.stem.partition("-")[0]) for path in folder.glob("*-*.png")}
    figures = []
    for number in sorted(numbers):
        clip, attention = clip_path(folder, number), attention_path(folder, number)
        figures += [
            Figure(clip, f"A clip over its time, as {head} predicts it"),
            Figure(attention, f"Attention of {head} in the window with the most crops"),
        ]
    return [figure for figure in figures if figure.path.is_file()]

"""Scores and predictions -> tables and pictures that people read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

COUNTS: Final = ("clips", "speakers", "without_window")
COLUMNS: Final = {
    "gender_uar": ("Gender UAR %", 100.0, 1),
    "gender_macro_f1": ("Gender F1 %", 100.0, 1),
    "age_mae_years": ("Age MAE, years", 1.0, 2),
    "mask_type_uar": ("Mask UAR %", 100.0, 1),
    "mask_type_macro_f1": ("Mask F1 %", 100.0, 1),
}
EVIDENCE_NAMES: Final = {"audio_visual": "audio-visual", "audio": "audio only", "face": "face only"}
KEYS: Final = ("corpus", "head", "evidence")


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of several seeds -> mean and spread: a row for each corpus, head and evidence.

    Columns come in pairs `(score, "mean")` and `(score, "std")`; the standard deviation of one
    seed is 0.
    """
    groups = scores.groupby(list(KEYS), sort=False)
    measured = groups[[*COLUMNS, "age_ccc"]].agg(["mean", "std"])
    measured = measured.astype(float)
    for name in {name for name, _ in measured.columns}:
        known = measured[(name, "mean")].notna()
        measured.loc[known, (name, "std")] = measured.loc[known, (name, "std")].fillna(0.0)
    counts = groups[list(COUNTS)].max()
    counts.columns = pd.MultiIndex.from_product([COUNTS, ["count"]])
    return measured.join(counts)


def compare_heads(summary: pd.DataFrame, num_seeds: int) -> str:
    """Write a Markdown table of all heads, each with the first kind of evidence it was given."""
    firsts = summary.groupby(["corpus", "head"], sort=False).head(1).droplevel("evidence")
    corpora = dict.fromkeys(firsts.index.get_level_values("corpus"))
    rows = pd.concat([firsts.xs(corpus, level="corpus", drop_level=False) for corpus in corpora])
    return _table(["Corpus", "Head"], rows, num_seeds)


def compare_evidence(summary: pd.DataFrame, head: str, num_seeds: int) -> str:
    """Write a Markdown table of one head with all evidence, and with a modality withheld."""
    lines = summary.xs(head, level="head").rename(index=EVIDENCE_NAMES, level="evidence")
    return _table(["Corpus", "Evidence"], lines, num_seeds)


def to_metrics(
    summary: pd.DataFrame,
) -> dict[str, dict[str, dict[str, dict[str, float | int]]]]:
    """Turn the summary into what `dvc metrics show` reads: head -> corpus -> evidence -> score."""
    metrics: dict[str, dict[str, dict[str, dict[str, float | int]]]] = {}
    for (corpus, head, evidence), row in summary.iterrows():
        scores: dict[str, float | int] = {name: int(row[name, "count"]) for name in COUNTS}
        for name, (_, scale, _) in COLUMNS.items():
            if pd.notna(row[name, "mean"]):
                scores[name] = round(float(row[name, "mean"]), 4 if scale > 1 else 3)
                scores[f"{name}_std"] = round(float(row[name, "std"]), 4 if scale > 1 else 3)
        of_head = metrics.setdefault(str(head), {})
        of_head.setdefault(str(corpus).replace(" ", "_"), {})[str(evidence)] = scores
    return metrics


def write_json(path: Path, content: object) -> None:
    """Write JSON that a person can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


def draw_confusion(
    path: Path, true: pd.Series, predicted: pd.Series, labels: Sequence[str], title: str
) -> None:
    """Draw a confusion matrix as a PNG: the share of each true class that got each answer.

    Without anything to show, the picture says so.
    """
    figure = Figure(figsize=(1.6 + 0.8 * len(labels),) * 2, layout="constrained")
    axes = figure.subplots()
    known = true.isin(labels).to_numpy()
    if known.any():
        ConfusionMatrixDisplay.from_predictions(
            true[known], predicted[known], labels=list(labels), normalize="true",
            values_format=".0%", cmap="Blues", ax=axes, colorbar=False, xticks_rotation=45,
        )  # fmt: skip
    else:
        axes.text(0.5, 0.5, "no labelled clip", ha="center", va="center")
    axes.set(title=title, xlabel="predicted", ylabel="true")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _table(titles: Sequence[str], rows: pd.DataFrame, num_seeds: int) -> str:
    """Rows of a summary -> Markdown: mean ± standard deviation over the seeds, and counts."""
    names = [title for title, _, _ in COLUMNS.values()]
    header = [*titles, *names, "Clips", "Speakers", "Without window"]
    numbers = len(header) - len(titles)
    lines = [_line(header), _line(["---"] * len(titles) + ["---:"] * numbers)]
    for labels, row in rows.iterrows():
        cells = [str(label) for label in labels]
        cells += [
            _cell(row[name, "mean"], row[name, "std"], scale, digits, num_seeds)
            for name, (_, scale, digits) in COLUMNS.items()
        ]
        cells += [str(int(row[name, "count"])) for name in COUNTS]
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(mean: float, std: float, scale: float, digits: int, num_seeds: int) -> str:
    if pd.isna(mean):
        return "–"
    spread = f" ± {std * scale:.{digits}f}" if num_seeds > 1 else ""
    return f"{mean * scale:.{digits}f}{spread}"

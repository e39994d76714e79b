"""Predictions of all heads -> what a report shows of them, and what DVC shows."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

from oragen.reporting.figures import (
    ClassTask,
    age_rows,
    confusion_rows,
    curve_rows,
    draw_age_errors,
    draw_ages,
    draw_confusion,
    draw_curves,
    draw_reliability,
    reliability_rows,
)
from oragen.reporting.page import PagePart, PagePicture, PageSection, PageTable
from oragen.reporting.table_formats import HOW_TO_READ, ReportTable, to_cells
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, EvaluationProtocol

COUNTS: Final = ("clips", "speakers", "without_window")
SCALES: Final = {  # of the scores of a summary, and the digits that DVC shows
    "gender_uar": 4, "gender_macro_f1": 4, "age_mae_years": 3, "mask_type_uar": 4,
    "mask_type_macro_f1": 4,
}  # fmt: skip
KEYS: Final = ("corpus", "head", "modalities")
PROTOCOLS: Final[dict[EvaluationProtocol, str]] = {
    "clean": "heads are selected on dev, and each clip of the evaluation is scored once, by the "
    "mean over its windows; clips without an answer are counted, not scored",
    "paper": "train and dev are merged, the last epoch counts, a clip gets the most frequent class "
    "of its windows and their mean age in whole years, and a clip without a window the usual "
    "labels of the training clips: as published, to be compared with published numbers",
}


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of several seeds -> mean and spread: a row for each corpus, head and evidence.

    Columns come in pairs `(score, "mean")` and `(score, "std")`; the standard deviation of one
    seed is 0.
    """
    groups = scores.groupby(list(KEYS), sort=False)
    measured = groups[[*SCALES, "age_ccc"]].agg(["mean", "std"])
    measured = measured.astype(float)
    for name in {name for name, _ in measured.columns}:
        known = measured[(name, "mean")].notna()
        measured.loc[known, (name, "std")] = measured.loc[known, (name, "std")].fillna(0.0)
    counts = groups[list(COUNTS)].max()
    counts.columns = pd.MultiIndex.from_product([COUNTS, ["count"]])
    return measured.join(counts)


def to_metrics(
    summary: pd.DataFrame,
) -> dict[str, dict[str, dict[str, dict[str, float | int]]]]:
    """Turn the summary into what `dvc metrics show` reads: head -> corpus -> evidence -> score."""
    metrics: dict[str, dict[str, dict[str, dict[str, float | int]]]] = {}
    for (corpus, head, modalities), row in summary.iterrows():
        scores: dict[str, float | int] = {name: int(row[name, "count"]) for name in COUNTS}
        for name, digits in SCALES.items():
            if pd.notna(row[name, "mean"]):
                scores[name] = round(float(row[name, "mean"]), digits)
                scores[f"{name}_std"] = round(float(row[name, "std"]), digits)
        of_head = metrics.setdefault(str(head), {})
        of_head.setdefault(str(corpus).replace(" ", "_"), {})[str(modalities)] = scores
    return metrics


def write_json(path: Path, content: object) -> None:
    """Write JSON that a person can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")


class Origin(NamedTuple):
    """What a reader of scores must know of how they came about."""

    protocol: EvaluationProtocol
    splits: Sequence[str]
    seeds: Sequence[int]
    encoders: Mapping[str, Sequence[str]]  # the corpora that each was fine-tuned on, if any


def describe_run(predictions: pd.DataFrame, head: str, origin: Origin) -> list[str]:
    """Say in a few sentences what was scored, and how."""
    clips = predictions.drop_duplicates("clip_id")
    corpora = ", ".join(sorted(clips["corpus"].unique()))
    num_speakers = len(clips[["corpus", "speaker_id"]].drop_duplicates())
    seeds = ", ".join(map(str, origin.seeds))
    tuned = "; ".join(
        f"{encoder} ({'fine-tuned on ' + ', '.join(corpora) if corpora else 'as it comes'})"
        for encoder, corpora in origin.encoders.items()
    )
    lines = [
        f"Scored on {' and '.join(origin.splits)} of {corpora}: {len(clips)} clips of "
        f"{num_speakers} speakers, by the protocol `{origin.protocol}`: "
        f"{PROTOCOLS[origin.protocol]}.",
        f"Training seeds: {seeds}. Encoders: {tuned}.",
    ]
    if (covered := measure_coverage(choose_predictions(predictions, head))) is not None:
        lines.append(
            f"Of the true ages {covered:.0%} lie in the 90 % interval of {head}, which was made on "
            "dev."
        )
    return lines


def choose_predictions(predictions: pd.DataFrame, head: str) -> pd.DataFrame:
    """Return what one head answered to the widest evidence it takes, with all seeds."""
    of_head = predictions[predictions["head"] == head]
    return of_head[of_head["modalities"] == of_head["modalities"].iloc[0]]


def measure_coverage(answers: pd.DataFrame) -> float | None:
    """Return the share of known ages inside the head's interval; None where it has none."""
    known = answers.dropna(subset=["age_years", "predicted_age_years", "age_half_width_years"])
    errors = (known["age_years"] - known["predicted_age_years"]).abs()
    return float((errors <= known["age_half_width_years"]).mean()) if len(known) else None


class Figure(NamedTuple):
    """A picture, and what it shows."""

    path: Path
    alt: str
    caption: str = ""


def draw_pictures(
    folder: Path, answers: pd.DataFrame, histories: Mapping[str, pd.DataFrame], head: str
) -> list[Figure]:
    """Draw what one head takes for what, its ages, its certainty, and all trainings.

    Args:
        folder: for the PNGs.
        answers: of the head, see `choose_predictions`.
        histories: of the training of each head.
        head: its name.
    """
    drawn = []
    for name, labels in {"gender": GENDERS, "mask_type": MASK_TYPES}.items():
        words = name.replace("_", " ")
        told = answers.reindex(columns=[name, f"predicted_{name}"]).dropna()
        path = folder / f"confusion_{name}.png"
        draw_confusion(path, told[name], told[f"predicted_{name}"], labels, f"{words}, {head}")
        drawn.append(Figure(path, f"Confusion matrix of {words}", f"What {head} takes for what."))
    ages = folder / "ages.png"
    draw_ages(ages, answers, f"Age, {head}")
    drawn.append(Figure(ages, "Predicted over true ages", "Each dot is a clip and a seed."))
    errors = folder / "age_errors.png"
    draw_age_errors(errors, answers, f"Error of the age, {head}")
    drawn.append(Figure(errors, "Error of the age by true age", "Median, quartiles and bias."))
    tasks: tuple[ClassTask, ...] = ("gender", "mask_type")
    for task in tasks:
        path, words = folder / f"reliability_{task}.png", task.replace("_", " ")
        draw_reliability(path, answers, task, f"Reliability of {words}, {head}")
        drawn.append(
            Figure(path, f"Reliability diagram of {words}", "How often a certainty is right.")
        )
    curves = folder / "training.png"
    draw_curves(curves, histories, "Training of all heads")
    drawn.append(
        Figure(curves, "Training curves", "Every seed; the dot is the epoch that is kept.")
    )
    return drawn


def list_explanations(folder: Path, head: str) -> list[Figure]:
    """Return the pictures of single clips that `explain_head` drew, in order."""
    alts = {"clip": "A clip over its time", "attention": "Attention in its fullest window"}
    return [
        Figure(path, f"{alts[path.stem.partition('-')[2]]}, as {head} sees it")
        for path in sorted(folder.glob("*.png"), key=_by_number)
    ]


def _by_number(path: Path) -> tuple[int, bool]:
    number, _, kind = path.stem.partition("-")
    return int(number), kind != "clip"


def lay_out(
    tables: Sequence[ReportTable], drawn: Sequence[Figure], examples: Sequence[Figure], head: str
) -> list[PageSection]:
    """Put tables and pictures into the sections of a page; what scores are based on comes last."""
    *scores, counts = [_to_page_table(table) for table in tables]
    sections = [
        PageSection("Scores", scores, [HOW_TO_READ]),
        PageSection(f"{head} in pictures", _to_page_pictures(drawn)),
        PageSection("Single clips", _to_page_pictures(examples)),
        PageSection("Counts", [counts]),
    ]
    return [section for section in sections if section.parts]


def _to_page_table(table: ReportTable) -> PageTable:
    columns, rows = to_cells(table)
    return PageTable(title=table.title, columns=columns, rows=rows, note=table.note)


def _to_page_pictures(drawn: Sequence[Figure]) -> list[PagePart]:
    return [PagePicture(one.path, one.alt, one.caption) for one in drawn]


def write_plot_data(
    folder: Path, answers: pd.DataFrame, histories: Mapping[str, pd.DataFrame]
) -> None:
    """Write what `dvc plots` draws, as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        "confusion_gender": confusion_rows(answers, "gender"),
        "confusion_mask_type": confusion_rows(answers, "mask_type"),
        "ages": age_rows(answers),
        "reliability_gender": reliability_rows(answers, "gender"),
        "reliability_mask_type": reliability_rows(answers, "mask_type"),
        "training": curve_rows(histories),
    }
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)

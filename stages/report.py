"""What all heads answered -> scores, tables, confusion matrices."""

import logging

import pandas as pd

from oragen import artefacts
from oragen.config import load_params
from oragen.evaluation import score_all
from oragen.report import (
    compare_evidence,
    compare_heads,
    draw_confusion,
    summarise,
    to_metrics,
    write_json,
)
from oragen.schema import GENDERS, MASK_TYPES, UserError
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main() -> None:
    """Compare the heads of `use_heads`, and look closer at the first of them."""
    params = load_params()
    first, num_seeds = params.use_heads[0], len(params.train.seeds)
    answers = {head: read_answers(head) for head in params.use_heads}
    summary = summarise(pd.concat([score_all(answered) for answered in answers.values()]))
    write_json(artefacts.REPORTS / "metrics.json", to_metrics(summary))
    (artefacts.REPORTS / "report.md").write_text(
        f"# Heads on {', '.join(params.evaluate.splits)}\n\n"
        f"{compare_heads(summary, num_seeds)}\n"
        f"# {first} with all evidence, and with a modality withheld\n\n"
        f"{compare_evidence(summary, first, num_seeds)}"
    )
    draw_confusions(answers[first], first)
    logger.info(
        "report: %d heads, %d clips; %s",
        len(params.use_heads), answers[first]["clip_id"].nunique(), artefacts.REPORTS / "report.md",
    )  # fmt: skip


def read_answers(head: str) -> pd.DataFrame:
    """Read what a head answered.

    Raises:
        UserError: when it was not asked yet.
    """
    path = artefacts.predictions_table(head)
    if not path.is_file():
        raise UserError(f"{path} is missing: {head} was not evaluated. Run `dvc repro`.")
    return pd.read_parquet(path)


def draw_confusions(predictions: pd.DataFrame, head: str) -> None:
    """Draw what a head takes for what, over all corpora and seeds."""
    widest = predictions["evidence"].iloc[0]
    seen = predictions[(predictions["evidence"] == widest) & (predictions["num_windows"] > 0)]
    for task, labels in {"gender": GENDERS, "mask_type": MASK_TYPES}.items():
        known = seen.reindex(columns=[task, f"predicted_{task}"]).dropna()
        draw_confusion(
            artefacts.REPORTS / "figures" / f"confusion_{task}.png",
            known[task], known[f"predicted_{task}"], labels,
            f"{head}: {task}, all corpora",
        )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)

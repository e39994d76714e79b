"""What all heads answered -> tables, pictures, a page, and what DVC shows."""

import logging

import numpy as np
import pandas as pd

from oragen.config import paths
from oragen.config.params import Params, load_params
from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.page import write_page
from oragen.reporting.report import (
    Origin,
    choose_predictions,
    describe_run,
    draw_pictures,
    lay_out,
    list_explanations,
    summarise,
    to_metrics,
    write_json,
    write_plot_data,
)
from oragen.reporting.table_formats import HOW_TO_READ, to_markdown, write_tables
from oragen.reporting.tables import HeadScores, build_tables
from oragen.schema.errors import UserError
from oragen.training.evaluation import score_all
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main() -> None:
    """Compare the heads of `use_heads`, and look closer at the first of them."""
    params = load_params()
    first = params.use_heads[0]
    predictions = pd.concat(
        [read_predictions(head) for head in params.use_heads], ignore_index=True
    )
    draws = SpeakerDraws(np.random.default_rng(0), params.report.num_resamples)
    readers = {corpus: params.corpora[corpus].reader for corpus in params.evaluate_corpora}
    tables = build_tables(HeadScores(predictions, draws), head=first, readers=readers)
    about = describe_run(predictions, first, describe_origin(params))
    write_json(paths.REPORTS / "metrics.json", to_metrics(summarise(score_all(predictions))))
    write_tables(paths.REPORTS / "tables", tables)
    text = "\n".join(["# Report\n", *(f"{line}\n" for line in about), f"{HOW_TO_READ}\n\n"])
    text += "\n".join(to_markdown(table) for table in tables)
    (paths.REPORTS / "report.md").write_text(text)
    histories = {head: read_history(head) for head in params.use_heads}
    of_first = choose_predictions(predictions, first)
    write_plot_data(paths.REPORTS / "plots", of_first, histories)
    drawn = draw_pictures(paths.REPORTS / "figures", of_first, histories, first)
    examples = list_explanations(paths.EXPLANATIONS, first)
    plain = [line.replace("`", "") for line in about]
    page = paths.REPORTS / "index.html"
    write_page(page, "oragen report", lay_out(tables, drawn, examples, first), summary=plain)
    logger.info(
        "report: %d heads, %d clips, %d tables; %s",
        len(params.use_heads), of_first["clip_id"].nunique(), len(tables), page,
    )  # fmt: skip


def describe_origin(params: Params) -> Origin:
    """Return what a reader of the scores must know of how they came about."""
    encoders = [params.features.of(modality).encoder for modality in ("audio", "face")]
    return Origin(
        protocol=params.protocol,
        splits=params.evaluate.splits,
        seeds=params.train.seeds,
        encoders={
            encoder: params.finetune_corpora(encoder) if encoder in params.encoders.finetune else []
            for encoder in encoders
        },
    )


def read_predictions(head: str) -> pd.DataFrame:
    """Read what a head answered.

    Raises:
        UserError: when it was not asked yet.
    """
    path = paths.predictions_table(head)
    if not path.is_file():
        raise UserError(f"{path} is missing: {head} was not evaluated. Run `dvc repro`.")
    return pd.read_parquet(path)


def read_history(head: str) -> pd.DataFrame:
    """Read the training history of a head, all seeds.

    Raises:
        UserError: when it was not trained yet.
    """
    path = paths.head_folder(head) / "history.csv"
    if not path.is_file():
        raise UserError(f"{path} is missing: {head} was not trained. Run `dvc repro`.")
    return pd.read_csv(path)


if __name__ == "__main__":
    run_stage(main)

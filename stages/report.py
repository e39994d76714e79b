"""Predictions of all heads -> tables, figures, a page, and what DVC shows."""

import json
import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import yaml

from oragen.config import paths
from oragen.config.params import Params, load_params
from oragen.reporting.best_heads import describe_rankings, rank_heads
from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.commit import describe_commit, read_commit
from oragen.reporting.figures.challenge_ages import draw_challenges
from oragen.reporting.figures.explanations import list_explanations
from oragen.reporting.figures.head_figures import draw_figures, write_plot_data
from oragen.reporting.groupings import OWN
from oragen.reporting.page.rendering import write_page
from oragen.reporting.page.sections import lay_out
from oragen.reporting.reading import read_predictions
from oragen.reporting.run_description import Settings, describe_drawn, describe_run, list_facts
from oragen.reporting.scores import HeadScores, write_details, write_metrics
from oragen.reporting.table_formats import write_markdown, write_tables
from oragen.reporting.tables.all_tables import build_tables
from oragen.schema.attributes import ATTRIBUTES
from oragen.schema.choices.grouping import GROUP_COLUMNS
from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS
from oragen.training.training_data import TrainingData, from_json
from stages.running import run_stage

logger = logging.getLogger(__name__)

# On the page. DVC runs the report again when one of them changes.
SHOWN_PARAMS: Final = (
    "audio", "speech", "faces", "windows", "features", "protocol", "train", "evaluate",
)  # fmt: skip


def main() -> None:
    """Compare the heads of `use_heads`, and look closer at the first of them."""
    params = load_params()
    first = params.use_heads[0]
    options = params.report
    draws = SpeakerDraws(np.random.default_rng(0), options.num_resamples)
    scores = HeadScores(read_grouped_predictions(params), draws, min_speakers=options.min_speakers)
    widest = scores.widest_predictions(first)
    histories = {head: read_history(head) for head in params.use_heads}
    readers = {corpus: params.corpora[corpus].reader for corpus in params.evaluate_corpora}

    usual = read_usual_labels(params)
    thresholds = options.age_thresholds_years
    tables = build_tables(
        scores, head=first, readers=readers, usual=usual,
        age_thresholds_years=thresholds, group_by=find_group_columns(options.group_by),
    )  # fmt: skip
    opening = describe_run(scores.clips, widest, first, read_settings(params))
    drawn = [corpus for corpus, reader in readers.items() if reader == "generated"]
    best = describe_rankings(rank_heads(scores))
    facts = read_facts(params.use_heads)
    write_metrics(paths.REPORTS / "metrics", scores)
    write_details(paths.REPORTS / "details.json", scores)
    (paths.REPORTS / "metrics.json").unlink(missing_ok=True)  # its name before, and numbers too
    write_tables(paths.REPORTS / "tables", tables)
    write_markdown(
        paths.REPORTS / "report.md",
        tables,
        title="Report",
        opening=[*list_facts(facts), *opening, *describe_drawn(drawn), *best],
    )
    write_plot_data(paths.REPORTS / "plots", widest, histories)
    quality = next((table for table in tables if table.name == "quality"), None)
    folder = paths.REPORTS / "figures"
    figures = [
        *draw_figures(folder, widest, histories, first, quality),
        *draw_challenges(folder, scores, first, thresholds),
    ]
    explanations = list_explanations(paths.EXPLANATIONS, first)
    page = paths.REPORTS / "index.html"
    sections = lay_out(tables, figures, explanations, first, best=best, drawn=drawn)
    write_page(
        page, "oragen report", sections, facts=facts, params=show_params(params),
        opening=[line.replace("`", "") for line in [*opening, *describe_drawn(drawn)]],
    )  # fmt: skip
    logger.info(
        "report: %d heads, %d clips, %d tables; %s",
        len(params.use_heads), widest["clip_id"].nunique(), len(tables), page,
    )  # fmt: skip


def read_facts(heads: Sequence[str]) -> dict[str, str]:
    """Return what a report is made from: name -> value."""
    return {
        "Commit": describe_commit(read_commit(Path())),
        "oragen": version("oragen"),
        "Heads": ", ".join(heads),
    }


def show_params(params: Params) -> str:
    """Write the parameters that the scores follow from, without the paths of this machine."""
    deciding = params.model_dump(
        mode="json", include=set(SHOWN_PARAMS), exclude={"faces": {"weights"}}
    )
    return str(yaml.safe_dump(deciding, sort_keys=False, default_flow_style=None))


def read_settings(params: Params) -> Settings:
    """Return the settings that a reader of the scores must know."""
    encoders = [params.features.of(modality).encoder for modality in ("audio", "face")]
    return Settings(
        protocol=params.protocol,
        splits=params.evaluate.splits,
        seeds=params.train.seeds,
        encoders={
            encoder: params.finetune_corpora(encoder) if encoder in params.encoders.finetune else []
            for encoder in encoders
        },
        training={head: read_training(head, params.train.seeds[0]) for head in params.use_heads},
    )


def read_training(head: str, seed: int) -> TrainingData | None:
    """Read on whom a head was trained; None: one of an earlier version does not say it."""
    saved = read_head_metadata(head, seed).get("training_data")
    return None if saved is None else from_json(saved)


def read_usual_labels(params: Params) -> dict[str, str | float | None] | None:
    """Read the usual labels of the clips that the first of the trained heads learned from."""
    seed = params.train.seeds[0]
    saved = (read_head_metadata(head, seed).get("usual_labels") for head in params.use_heads)
    return next(filter(None, saved), None)


def read_head_metadata(head: str, seed: int) -> dict[str, Any]:
    """Read what was saved beside the weights of a head.

    Raises:
        UserError: the head was not trained.
    """
    path = paths.head_folder(head) / f"seed-{seed}" / "head.json"
    if not path.is_file():
        raise UserError(f"{path} is missing: {head} was not trained. Run `dvc repro train_head`.")
    metadata: dict[str, Any] = json.loads(path.read_bytes())["metadata"]
    return metadata


def read_grouped_predictions(params: Params) -> pd.DataFrame:
    """Read the predictions of all heads, with the columns that they are grouped by."""
    predictions = read_predictions([paths.predictions_table(head) for head in params.use_heads])
    return join_groups(predictions, params.report.group_by, params.evaluate_corpora)


def join_groups(
    predictions: pd.DataFrame, columns: Sequence[str], corpora: Sequence[str]
) -> pd.DataFrame:
    """Join columns to group by: of the clips tables, and of the users' own tables.

    See `find_group_columns` for what they are called then.
    """
    ours = [name for name in columns if name in GROUP_COLUMNS and name not in predictions]
    own = [name for name in columns if name not in GROUP_COLUMNS]
    joined = []
    if ours:
        clips = pd.concat([CLIPS.read(paths.clips_table(corpus)) for corpus in corpora])
        joined.append(clips.set_index("clip_id")[ours])
    if own:
        rows = pd.concat([ATTRIBUTES.read(paths.attributes_table(corpus)) for corpus in corpora])
        values = rows.pivot(index="clip_id", columns="name", values="value").reindex(columns=own)
        joined.append(values.set_axis(find_group_columns(own), axis=1))
    further = {name: predictions["clip_id"].map(table[name]) for table in joined for name in table}
    return predictions.assign(**further)


def find_group_columns(names: Sequence[str]) -> list[str]:
    """Return what the columns of `report.group_by` are called in the predictions."""
    return [name if name in GROUP_COLUMNS else f"{OWN}{name}" for name in names]


def read_history(head: str) -> pd.DataFrame:
    """Read the training history of a head, all seeds.

    Raises:
        UserError: there is none.
    """
    path = paths.head_folder(head) / "history.csv"
    if not path.is_file():
        raise UserError(f"{path} is missing: {head} was not trained. Run `dvc repro train_head`.")
    return pd.read_csv(path)


if __name__ == "__main__":
    run_stage(main)

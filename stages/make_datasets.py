"""Tables of all corpora -> what a head is trained on, and what it is scored on.

A list of corpora cannot be a DVC dependency. So this stage depends on the folders of tables and
writes two files that hold the wanted corpora alone; another corpus that changes leaves them the
same, and the head is not trained again.
"""

import logging

import pandas as pd

from oragen import artefacts
from oragen.config import load_params
from oragen.dataset import join_dataset
from oragen.schema import CLIPS, CROPS, DATASET, FEATURE_ROWS, WINDOWS
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main() -> None:
    """Join the tables of the corpora to train on, and of those to evaluate on."""
    params = load_params()
    corpora = dict.fromkeys(params.train_corpora + params.evaluate_corpora)
    joined = {corpus: join_corpus(corpus) for corpus in corpora}
    train = pd.concat([joined[corpus] for corpus in params.train_corpora])
    train = train[train["split"].isin(["train", "dev"])]
    evaluation = pd.concat([joined[corpus] for corpus in params.evaluate_corpora])
    evaluation = evaluation[evaluation["split"].isin(params.evaluate.splits)]
    DATASET.write(artefacts.TRAIN_DATASET, train)
    DATASET.write(artefacts.EVALUATION_DATASET, evaluation)
    logger.info("make_datasets: %s; %s", describe("train", train), describe("evaluate", evaluation))


def join_corpus(corpus: str) -> pd.DataFrame:
    """Join the tables of one corpus."""
    return join_dataset(
        CLIPS.read(artefacts.clips_table(corpus)),
        WINDOWS.read(artefacts.windows_table(corpus)),
        CROPS.read(artefacts.crops_table(corpus)),
        FEATURE_ROWS.read(artefacts.feature_rows_table(corpus, "audio")),
        FEATURE_ROWS.read(artefacts.feature_rows_table(corpus, "face")),
    )


def describe(purpose: str, table: pd.DataFrame) -> str:
    """Count a dataset's windows and clips."""
    corpora = ", ".join(sorted(table["corpus"].unique()))
    without = table.loc[~table["has_window"], "clip_id"].nunique()
    return (
        f"{purpose} {corpora}: {int(table['has_window'].sum())} windows of "
        f"{table['clip_id'].nunique()} clips, {without} clips without a window"
    )


if __name__ == "__main__":
    run_stage(main)

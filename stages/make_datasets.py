"""Tables of all corpora -> the dataset of each head, and the one that all are scored on.

A list of corpora cannot be a DVC dependency. So this stage depends on the folders of tables and
writes files that hold the wanted corpora alone; another corpus that changes leaves them the same,
and no head is trained again.
"""

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from itertools import chain

import pandas as pd

from oragen.config import paths
from oragen.config.params import load_params
from oragen.features.table import join_corpus
from oragen.schema.choices.encoders import OFF_THE_SHELF_HEAD
from oragen.schema.files import write_text
from oragen.schema.tables import DATASET
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main() -> None:
    """Join the tables of the corpora that each head is trained on, and of those to evaluate on."""
    params = load_params()
    corpora_of = {head: tuple(params.train_corpora(head)) for head in params.use_heads}
    evaluated = tuple(params.evaluate_corpora)
    all_corpora = tuple(dict.fromkeys(chain(evaluated, *corpora_of.values())))
    kinds = {head: face_kind(head) for head in params.use_heads}
    joined_by = {
        kind: {corpus: join_corpus(corpus, kind) for corpus in all_corpora}
        for kind in dict.fromkeys(kinds.values())
    }
    for head, corpora in corpora_of.items():
        joined = joined_by[kinds[head]]
        DATASET.write(paths.train_dataset(head), choose(joined, corpora, ["train", "dev"]))
        evaluation = choose(joined, evaluated, params.evaluate.splits)
        DATASET.write(paths.evaluation_dataset(head), evaluation)
        generated = {name: params.corpora[name].reader == "generated" for name in corpora}
        write_text(paths.train_corpora(head), json.dumps({"generated": generated}) + "\n")
    for corpora in dict.fromkeys(corpora_of.values()):
        train = choose(joined, corpora, ["train", "dev"])
        logger.info("make_datasets: %s", describe("train", train))
    logger.info("make_datasets: %s", describe("evaluate", evaluation))


def choose(
    joined: Mapping[str, pd.DataFrame], corpora: Iterable[str], splits: Collection[str]
) -> pd.DataFrame:
    """Return the rows of some corpora and splits."""
    table = pd.concat([joined[corpus] for corpus in corpora])
    return table[table["split"].isin(splits)]


def face_kind(head: str) -> str:
    """Return which features of faces a head takes: the off-the-shelf one has its own."""
    return OFF_THE_SHELF_HEAD if head == OFF_THE_SHELF_HEAD else "face"


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

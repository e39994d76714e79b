"""`oragen cache export`: features and labels of heads or corpora -> Parquet, Lance, WebDataset."""

import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal

from oragen.schema.choices.exports import ExportFormat
from oragen.schema.choices.features import Level
from oragen.schema.errors import UserError
from oragen.schema.names import shorten

if TYPE_CHECKING:  # importing these takes longer than `--help` should
    import pandas as pd

    from oragen.config.params import Params
    from oragen.features.dataset import WindowDataset


def export_features(
    folder: Annotated[Path, typer.Argument(help="Folder to write to; new or empty.")],
    to: Annotated[ExportFormat, typer.Option(help="The format.")],
    head: Annotated[
        str | None, typer.Option(help="The windows that this head is trained and scored on.")
    ] = None,
    corpora: Annotated[
        list[str] | None,
        typer.Option(help="All windows of this corpus instead.", show_default="those in use"),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="train, dev or test.", show_default="all that have windows"),
    ] = None,
    level: Annotated[
        Level | None, typer.Option(help="Level of the features.", show_default="the head's own")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace an earlier export.")] = False,
) -> None:
    """Write features and labels as Parquet, Lance or WebDataset, to train with something else.

    A row is a window: its labels, its audio features and those of its face crops, in float16 as
    they are stored. The order is random. description.json says what the columns are, which encoders
    made the features, and the licences of the corpora.

    Example: `oragen cache export features --to parquet --head joint --split train`
    """
    from oragen.config.params import load_params
    from oragen.features.exports.description import Origin
    from oragen.features.exports.folder import export_windows, refuse_folder
    from oragen.schema.vocabulary import GENDERS

    started = time.monotonic()
    refuse_folder(folder, replace=force)
    if head is not None and corpora:
        raise UserError("--head and --corpora were given, expected one: a head has its corpora.")
    params = load_params()
    splits = _check_splits(split)
    if head is not None:
        dataset = _load_of_head(params, head, splits, level or params.head(head).level)
    else:
        names = corpora or params.use_corpora
        dataset = _load_of_corpora(params, names, splits, level or _only_level(params))
    found = _find_splits(dataset.table, splits, are_wanted=split is not None)
    described = {name: _describe_corpus(params, name) for name in dataset.table["corpus"].unique()}
    chosen_by = {"head": head} if head is not None else {"corpora": sorted(described)}
    export_windows(
        dataset,
        folder,
        to,
        Origin(chosen_by, GENDERS, described),
        splits=found,
        file_bytes=params.execution.part_bytes,
        replace=force,
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    typer.echo(
        f"{folder}: {len(dataset):,} windows of {', '.join(found)} as {to}, {decimal(size)} in "
        f"{time.monotonic() - started:.1f} s"
    )


def _check_splits(wanted: Sequence[str] | None) -> list[str]:
    """Return the splits that are wanted, in their order; all of them by default."""
    from oragen.config.messages import suggest
    from oragen.schema.vocabulary import SPLITS

    for name in wanted or ():
        if name not in SPLITS:
            raise UserError(f"There is no split {shorten(repr(name))}{suggest(name, SPLITS)}")
    return [name for name in SPLITS if not wanted or name in wanted]


def _find_splits(table: "pd.DataFrame", splits: Sequence[str], *, are_wanted: bool) -> list[str]:
    """Return the splits that have windows; where they are wanted by name, all must have."""
    found = [name for name in splits if (table["split"] == name).any()]
    if are_wanted and found != splits:
        missing = next(name for name in splits if name not in found)
        raise UserError(
            f"No window is in the split {missing}, only in {', '.join(found)}. See the `split` "
            "column of the corpora, and evaluate.splits in params.yaml."
        )
    return found


def _load_of_head(
    params: "Params", head: str, splits: Collection[str], level: Level
) -> "WindowDataset":
    """Load the windows that a head is trained on and selected by, and those of test."""
    import pandas as pd

    from oragen.config import paths
    from oragen.features.needed import name_missing_parts
    from oragen.schema.tables import DATASET

    held = {paths.train_dataset(head): ["train", "dev"], paths.evaluation_dataset(head): ["test"]}
    with ExitStack() as stack:
        tables = []
        for path, names in held.items():
            if wanted := [name for name in names if name in splits]:
                fetch = f"oragen cache fetch --head {head} --evaluation"
                stack.enter_context(name_missing_parts(path, level, fetch))
                table = DATASET.read(path)
                tables.append(table[table["split"].isin(wanted)])
        return _load(params, pd.concat(tables), level)


def _load_of_corpora(
    params: "Params", corpora: Sequence[str], splits: Collection[str], level: Level
) -> "WindowDataset":
    """Load all windows of corpora."""
    import pandas as pd

    from oragen.features.table import join_corpus

    for corpus in corpora:
        params.corpus(corpus)  # which refuses an unknown one
    table = pd.concat([join_corpus(corpus) for corpus in corpora])
    return _load(params, table[table["split"].isin(splits)], level)


def _load(params: "Params", table: "pd.DataFrame", level: Level) -> "WindowDataset":
    from oragen.features.loading import load_dataset
    from oragen.schema.vocabulary import GENDERS

    return load_dataset(table, level=level, genders=GENDERS, memory_bytes=params.train.memory_bytes)


def _only_level(params: "Params") -> Level:
    levels = params.features.levels
    if len(levels) > 1:
        raise UserError(f"Features have the levels {', '.join(levels)}: choose one by `--level`.")
    return levels[0]


def _describe_corpus(params: "Params", name: str) -> dict[str, object]:
    """Return what the project knows of a corpus, for whoever gets its features."""
    from oragen.corpora.registry import CARDS

    entry = params.corpora.get(name)
    if entry is None:  # it was taken out of params.yaml since
        return {}
    card = CARDS[entry.reader]
    return {
        "title": card.title,
        "reader": entry.reader,
        "licence": card.licence,
        "generated": entry.reader == "generated",
    }

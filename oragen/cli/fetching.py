"""`oragen cache fetch`: heads or corpora -> the parts of features that they need, from the remote.

DVC brings them, which knows the remote and what `dvc.lock` says of each file.
"""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from oragen.schema.errors import UserError

if TYPE_CHECKING:  # importing these takes longer than `--help` should
    from oragen.config.params import Params
    from oragen.features.needed import Needed

TARGETS_AT_ONCE: Final = 500  # of one run of DVC, which has to read them from its command line


class FetchError(UserError):
    """DVC could not bring what is needed."""


def fetch(
    head: Annotated[
        list[str] | None, typer.Option(help="Train this head. Default: those of `use_heads`.")
    ] = None,
    corpora: Annotated[
        list[str] | None, typer.Option(help="All features in use of this corpus instead.")
    ] = None,
    evaluation: Annotated[
        bool, typer.Option("--evaluation", help="Score the heads, too: brings them as well.")
    ] = False,
    remote: Annotated[str | None, typer.Option(help="DVC remote. Default: DVC's own.")] = None,
) -> None:
    """Bring just the parts of features that a training needs from the DVC remote.

    `dvc pull` brings everything. This brings the datasets of the heads, and of the stores the parts
    that hold their rows. Then train with `dvc repro --single-item`, which looks at no store.

    Example: `oragen cache fetch --head joint`, then `dvc repro --single-item train_head@joint`
    """
    from oragen.config.params import load_params

    params = load_params()
    heads = [] if corpora else (head or params.use_heads)
    pull(_list_tables(params, heads, evaluation=evaluation), remote)
    if corpora:
        needed = _list_all(params, corpora, remote)
    else:
        needed = _list_of_heads(params, heads, evaluation=evaluation)
        pull({needs.places for needs in needed}, remote)
        if evaluation:
            _pull_quality(params, remote)
    num_parts, fetched = _pull_parts(needed, remote)
    typer.echo(f"{num_parts} parts are needed, {len(fetched)} of them were fetched.")
    if heads:
        typer.echo(f"Train with `dvc repro --single-item train_head@{heads[0]}`.")


def pull(targets: Iterable[Path], remote: str | None) -> None:
    """Let DVC bring files or folders, and what is missing in folders.

    Raises:
        FetchError: it could not; it has said why.
    """
    wanted = sorted({*targets})
    chosen = [] if remote is None else [f"--remote={remote}"]
    for start in range(0, len(wanted), TARGETS_AT_ONCE):
        names = [str(target) for target in wanted[start : start + TARGETS_AT_ONCE]]
        done = subprocess.run([sys.executable, "-m", "dvc", "pull", *chosen, *names], check=False)
        if done.returncode:
            raise FetchError(
                f"DVC could not bring {names[0]} or another of {len(names)} files and folders: see "
                "above. Check `dvc remote list` and the right to read it, and that who has made "
                "them has run `dvc push`."
            )


def _list_tables(params: "Params", heads: Sequence[str], *, evaluation: bool) -> list[Path]:
    """Return the files beside features that the stages of heads read."""
    from oragen.config import paths

    for head in heads:
        params.head(head)  # which refuses an unknown one
    found = [paths.CHECKED_PARAMS, paths.SETTLED_FACES] if heads else []
    for head in heads:
        found += [paths.train_dataset(head), paths.train_corpora(head)]
        if evaluation:
            found += [paths.evaluation_dataset(head), paths.head_folder(head)]
    return found


def _pull_quality(params: "Params", remote: str | None) -> None:
    """Bring the measures of the clips; predictions can do without, as those of before."""
    from oragen.config import paths

    tables = [paths.quality_table(corpus) for corpus in params.evaluate_corpora]
    tables[0].parent.mkdir(parents=True, exist_ok=True)  # DVC wants it for evaluate_head
    try:
        pull(tables, remote)
    except FetchError:
        typer.echo(
            "The measures of quality could not be brought, see above: the predictions will have "
            "none. Who has the sound and crops can run `dvc repro measure_quality` and `dvc push`.",
            err=True,
        )


def _list_of_heads(params: "Params", heads: Sequence[str], *, evaluation: bool) -> list["Needed"]:
    """Return the rows that the training of heads needs, and their evaluation."""
    from oragen.config import paths
    from oragen.features.needed import list_needed
    from oragen.schema.tables import DATASET

    needed = []
    for head in heads:
        tables = [paths.train_dataset(head)]
        if evaluation:
            tables.append(paths.evaluation_dataset(head))
        for table in tables:
            needed += list_needed(DATASET.read(table), params.head(head).level)
    return needed


def _list_all(params: "Params", corpora: Sequence[str], remote: str | None) -> list["Needed"]:
    """Return all rows in use of corpora, by the encoders of params.yaml."""
    from oragen.config import paths
    from oragen.features.needed import Needed
    from oragen.features.places import PLACES
    from oragen.schema.vocabulary import MODALITIES

    needed = []
    for corpus in corpora:
        params.corpus(corpus)  # which refuses an unknown one
        for kind in MODALITIES:
            store = paths.feature_store(corpus, params.features.of(kind).encoder)
            table = paths.places_table(corpus, kind)
            pull([table], remote)
            places = PLACES.read(table)
            keys = places.loc[places["store"] == str(store), "feature_key"]
            needed.append(Needed(store, kind, keys))
    return needed


def _pull_parts(needed: Sequence["Needed"], remote: str | None) -> tuple[int, list[Path]]:
    """Bring the parts that are not here; return how many are needed, and what was brought.

    Of a store whose table of places does not name all rows, or names parts that the remote does not
    have, everything is brought.

    Raises:
        FetchError: then some rows are still missing.
    """
    from oragen.features.needed import find_parts, is_whole

    parts: dict[Path, None] = {}
    stores: dict[Path, None] = {}
    for needs in needed:
        found = find_parts(needs)
        if found is None:
            stores[needs.store] = None
        else:
            parts |= dict.fromkeys(found)
    absent = [part for part in parts if not is_whole(part)]
    pull(absent, remote)
    if lost := [part for part in absent if not is_whole(part)]:  # DVC does not say so
        stores |= dict.fromkeys(part.parent for part in lost)
        typer.echo(f"{len(lost)} parts are not in dvc.lock: {len(stores)} stores come whole.")
    pull(stores, remote)
    for needs in needed:
        _check_rows(needs)
    return len(parts), absent


def _check_rows(needed: "Needed") -> None:
    from oragen.store.parts import PartStore

    is_found = PartStore(needed.store, "zarr").locate(needed.keys).are_found
    if not is_found.all():
        raise FetchError(
            f"{needed.store} lacks {sum(~is_found)} of {len(is_found)} rows also with all that the "
            "remote has. Run `git pull`, or ask who has made the datasets for `dvc push`."
        )

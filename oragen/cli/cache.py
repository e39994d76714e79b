"""`oragen cache`: the stores of what was computed -> statistics, damaged parts, fewer parts."""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from oragen.cli.exporting import export_features
from oragen.cli.fetching import fetch
from oragen.cli.printing import print_table

if TYPE_CHECKING:  # importing these takes longer than `--help` should
    from oragen.config.params import Params
    from oragen.store.usage import CorpusStore

EXIT_DAMAGED = 1
cache_app = typer.Typer(
    no_args_is_help=True,
    help="Show, check, shrink, fetch and export what was computed. See docs/cache.md.",
)
cache_app.command("fetch")(fetch)
cache_app.command("export")(export_features)


@cache_app.command()
def stats(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, sizes in bytes.")] = False,
) -> None:
    """Show what the stores hold: corpora, encoders, parts, rows, bytes.

    A row is the audio, the speech spans or the crops of a clip, or the features of one window or
    crop. A row is in use if a table of the pipeline names it; `?` means that such a table is
    missing.
    """
    from oragen.config.params import load_params
    from oragen.store.inventory import add_up, take_statistics
    from oragen.store.usage import find_stores, find_usage

    stores = find_stores()
    usage = find_usage(stores, **_as_cache_parameters(load_params(), stores))
    lines = [line for store, used in usage.items() for line in take_statistics(store, used)]
    total = add_up(lines)
    if as_json:
        typer.echo(json.dumps({"stores": list(map(asdict, lines)), "total": asdict(total)}))
        return
    names = ("kind", "corpus", "encoder", "level", "precision", "fingerprint")
    table = Table(*names)
    for column in ("parts", "rows", "in use", "unused", "size"):
        table.add_column(column, justify="right")
    for line in [*lines, total]:
        used, unused = "?", "?"
        if line.rows_in_use is not None:
            used, unused = f"{line.rows_in_use:,}", f"{line.rows - line.rows_in_use:,}"
        if line is total:
            table.add_section()
        described = [escape(asdict(line)[name]) for name in names]
        table.add_row(
            *described, f"{line.parts:,}", f"{line.rows:,}", used, unused, decimal(line.bytes)
        )
    print_table(table)


@cache_app.command()
def verify(
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove damaged parts; `dvc repro` makes them again.")
    ] = False,
) -> None:
    """Read every part and name those that are damaged, or are not what oragen writes.

    The name of a part is the checksum of its content. `dvc repro` computes what a removed part
    held, and nothing else. A part that cannot be read at present is named, and never removed.
    Exit code 0: every part is whole, or what was damaged has been removed (`--remove`); 1: some
    parts are not.
    """
    from oragen.store.locks import take_store
    from oragen.store.usage import find_stores

    stores = find_stores()
    with ExitStack() as stack:
        if remove:
            for store in stores:
                stack.enter_context(take_store(store.folder, "oragen cache verify --remove"))
        num_parts, damaged, unreachable = _check_stores(stores)
        _list_unused(stores, remove=remove)
        _remove(damaged if remove else [])
    typer.echo(
        f"{num_parts} parts, {len(damaged)} damaged{' and removed' if remove else ''}"
        f"{f', {unreachable} not read' if unreachable else ''}."
    )
    if damaged and remove:
        typer.echo("Run `dvc repro`: only what the removed parts held is computed again.")
    elif damaged:
        typer.echo("Run `oragen cache verify --remove`, then `dvc repro`.")
    if unreachable or (damaged and not remove):
        raise typer.Exit(EXIT_DAMAGED)


def _check_stores(stores: Sequence["CorpusStore"]) -> tuple[int, list[Path], int]:
    """Read all parts; return how many, which are damaged, and how many could not be read."""
    from tqdm import tqdm

    from oragen.store.failures import DamagedPartError
    from oragen.store.inventory import find_fault

    kept = [store.part_store for store in stores]
    parts = [(part, store.part_format) for store in kept for part in store.parts()]
    progress = tqdm(parts, desc="verifying", unit="part")
    faults = {part: find_fault(part, part_format) for part, part_format in progress}
    for fault in filter(None, faults.values()):
        typer.echo(str(fault))
    damaged = [part for part, fault in faults.items() if isinstance(fault, DamagedPartError)]
    return len(parts), damaged, sum(fault is not None for fault in faults.values()) - len(damaged)


def _list_unused(stores: Sequence["CorpusStore"], *, remove: bool) -> None:
    """Say what lies in the stores beside their parts; remove what was set aside if asked to."""
    from oragen.schema.files import find_leftovers

    for store in stores:
        for leftover in find_leftovers(store.folder):
            typer.echo(f"{leftover} is unfinished: whatever writes next to its store removes it.")
        aside = store.part_store.parts_aside()
        for part in aside:
            done = "It is removed" if remove else "`oragen cache verify --remove` removes it"
            typer.echo(f"{part} was damaged and is not used: its rows were made again. {done}.")
        _remove(aside if remove else [])


def _remove(parts: Sequence[Path]) -> None:
    from oragen.store.inventory import remove_part

    for part in parts:
        remove_part(part)


@cache_app.command("compact")
def compact_stores(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
    keep_unused: Annotated[
        bool, typer.Option("--keep-unused", help="Merge small parts, but drop no row.")
    ] = False,
) -> None:
    """Drop rows that no table names, and merge small parts into parts of `execution.part_mb`.

    This drops the rows of removed clips, of other parameters and of encoders that params.yaml does
    not choose. If you need them later, they are computed again. Parts that are large enough and
    wholly in use stay as they are. Run it after `dvc repro` has ended, never at the same time.

    Example: `oragen cache compact --dry-run`
    """
    from oragen.config.params import load_params
    from oragen.features.places import renew_places
    from oragen.store.compaction import compact, plan_compaction
    from oragen.store.inventory import size_on_disk
    from oragen.store.usage import find_stores, find_usage

    params = load_params()
    part_bytes = params.execution.part_bytes
    table = Table("store", title="What would be done" if dry_run else None)
    for column in ("parts", "untouched", "rows dropped", "rows merged", "parts now", "size now"):
        table.add_column(column, justify="right")
    changed = False
    stores = find_stores()
    for store, usage in find_usage(stores, **_as_cache_parameters(params, stores)).items():
        if usage is None and not keep_unused:
            typer.echo(f"{store.folder}: a table of {store.corpus} is missing: nothing is dropped.")
        plan = plan_compaction(store.part_store, None if keep_unused else usage, part_bytes)
        num_parts = plan.num_untouched + len(plan.replaced)
        if not dry_run:
            compact(store.part_store, plan, part_bytes)
            if store.kind == "features" and plan.replaced:
                renew_places(store.folder)
        changed |= bool(plan.replaced)
        parts = store.part_store.parts()
        numbers = (num_parts, plan.num_untouched, plan.num_dropped, plan.num_merged, len(parts))
        size = decimal(sum(map(size_on_disk, parts)))
        table.add_row(str(store.folder), *(f"{number:,}" for number in numbers), size)
    print_table(table)
    if changed and not dry_run:
        typer.echo(
            "DVC sees these stores as changed. `dvc repro` runs their stages, which find every row "
            "in use and compute nothing; no encoder or head is trained again. Where `dvc status` "
            "showed no other change, `dvc commit --force` notes it without running anything."
        )


def _as_cache_parameters(
    params: "Params", stores: "Sequence[CorpusStore]"
) -> dict[str, dict[str, object]]:
    """Return the parameters of sound and faces as the stages put them into keys."""
    from oragen.config.settled_faces import settle

    has_faces = any(store.kind == "faces" for store in stores)
    return {
        "audio": params.audio.as_cache_parameters(),
        "faces": settle(params.faces).as_cache_parameters() if has_faces else {},
    }

"""The `oragen` command."""

import json
import logging
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markdown import Markdown
from rich.table import Table

from oragen import artefacts
from oragen.config import GeneratedCorpus, Params, ParamsError, load_params
from oragen.schema import UserError

EXIT_DAMAGED = 1
EXIT_USER_ERROR = 2
app = typer.Typer(
    help="Gender, age and mask type of a speaking person, from voice and face.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
)
cache_app = typer.Typer(no_args_is_help=True)
app.add_typer(
    cache_app,
    name="cache",
    help="Look at, check and shrink the stores of all that is computed: see docs/cache.md.",
)


@app.callback()
def main() -> None:
    """Set up what all commands share."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


@app.command()
def generate(
    corpora: Annotated[
        list[str] | None, typer.Argument(help="Names in params.yaml; all generated ones if none.")
    ] = None,
) -> None:
    """Make the demo corpora of params.yaml: talking heads as real MP4 files.

    Clips that are there already are left alone, so an interrupted run is taken up again.
    """
    from oragen.generator import CorpusSpec, generate_corpus

    params = load_params()
    made = {name: entry for name, entry in params.corpora.items() if entry.reader == "generated"}
    for name in corpora or list(made):
        if name not in made:
            raise ParamsError(f"{name!r} is no generated corpus. There are: {', '.join(made)}.")
        entry = made[name]
        assert isinstance(entry, GeneratedCorpus)
        spec = CorpusSpec(entry.condition, entry.num_speakers, entry.seed)
        generate_corpus(entry.root, spec, num_workers=params.execution.num_processes)


@app.command()
def results() -> None:
    """Show the table of the last evaluation."""
    report = artefacts.REPORTS / "report.md"
    if not report.is_file():
        raise ParamsError(f"There is no report at {report} yet. Run `make demo` or `dvc repro`.")
    width = max(shutil.get_terminal_size().columns, 140)
    Console(width=width).print(Markdown(report.read_text()))
    Console().print(f"Report: {report}\nPictures: {report.parent / 'figures'}")


@app.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="A file of torch.save or safetensors: the weights of a model.")
    ],
    folder: Annotated[Path, typer.Argument(help="Where to write the model; new or empty.")],
    model: Annotated[
        str | None, typer.Option(help="Published class, such as AVModelV3, if it does not show.")
    ] = None,
    level: Annotated[
        str | None, typer.Option(help="EARLY, INTERMEDIATE or LATE, if it does not show.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="orig (markitantov/ORAGEN) or chimera (the released weights).",
            show_default="chimera, unless the weights show that it is orig",
        ),
    ] = None,
    encoder_config: Annotated[
        Path | None,
        typer.Option(help="JSON of the encoder's config; its sizes show, other settings do not."),
    ] = None,
    age_as_fraction: Annotated[
        bool, typer.Option(help="The age is a fraction: the weights that audEERING released.")
    ] = False,
    like: Annotated[
        Path | None, typer.Option(help="A model of ours that the weights are of the same kind as.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace the model in FOLDER.")] = False,
) -> None:
    """Turn a published or trained CHECKPOINT into a FOLDER with a model and its description.

    No code in the checkpoint is run: one that holds more than tensors is refused.
    """
    from oragen.published import Origin, convert_checkpoint, read_encoder_config

    config = None if encoder_config is None else read_encoder_config(encoder_config)
    origin = Origin(model, level, source, config, age_as_fraction)
    title = convert_checkpoint(checkpoint, folder, origin, like=like, force=force)
    typer.echo(f"{checkpoint}: {title}, now in {folder}")


@cache_app.command()
def stats(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, sizes in bytes.")] = False,
) -> None:
    """Show what the stores hold: rows, bytes, encoders, corpora, parts.

    A row is the sound of a clip, the crops of a clip, or the features of one window or crop. In use
    is what the present tables name; `?` stands where one of them is missing.
    """
    from oragen.cache import add_up, find_stores, find_usage, take_statistics

    usage = find_usage(find_stores(), **_as_ingredients(load_params()))
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
        described = [asdict(line)[name] for name in names]
        table.add_row(
            *described, f"{line.parts:,}", f"{line.rows:,}", used, unused, decimal(line.bytes)
        )
    _print_table(table)


@cache_app.command()
def verify(
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove damaged parts; `dvc repro` makes them again.")
    ] = False,
) -> None:
    """Read every part again and name those that are damaged.

    Each part's name is the checksum of its content. Exit code 0: every part that is there now is
    whole; 1: some are damaged. `dvc repro` computes what a removed part held, and nothing else.
    """
    from tqdm import tqdm

    from oragen.cache import find_damage, find_leftovers, find_stores, remove_part

    stores = find_stores()
    parts = [
        (part, store.part_store.part_format)
        for store in stores
        for part in store.part_store.parts()
    ]
    progress = tqdm(parts, desc="verifying", unit="part")
    found = {part: find_damage(part, part_format) for part, part_format in progress}
    damaged = {part: damage for part, damage in found.items() if damage}
    for part, damage in damaged.items():
        typer.echo(damage)
        if remove:
            remove_part(part)
    for leftover in (path for store in stores for path in find_leftovers(store.folder)):
        typer.echo(f"{leftover} is unfinished: whatever writes next to its store removes it.")
    typer.echo(f"{len(parts)} parts, {len(damaged)} damaged{' and removed' if remove else ''}.")
    if damaged and remove:
        typer.echo("Run `dvc repro`: only what the removed parts held is computed again.")
    elif damaged:
        typer.echo("Run `oragen cache verify --remove`, then `dvc repro`.")
        raise typer.Exit(EXIT_DAMAGED)


@cache_app.command("compact")
def compact_stores(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    keep_unused: Annotated[
        bool, typer.Option("--keep-unused", help="Merge small parts, and drop nothing.")
    ] = False,
) -> None:
    """Drop rows that no table names, and merge small parts into ones of `execution.part_mb`.

    Rows of removed clips, of other parameters and of encoders not chosen in params.yaml go; to
    go back to those costs computing them again. Parts that are large enough and wholly in use stay
    as they are. Let `dvc repro` come to its end first, and do not run it at the same time.
    """
    from oragen.cache import find_stores, find_usage, size_on_disk
    from oragen.compaction import compact, plan_compaction

    params = load_params()
    part_bytes = params.execution.part_bytes
    table = Table("store", title="What would be done" if dry_run else None)
    for column in ("parts", "untouched", "rows dropped", "rows merged", "parts now", "size now"):
        table.add_column(column, justify="right")
    changed = False
    for store, usage in find_usage(find_stores(), **_as_ingredients(params)).items():
        if usage is None and not keep_unused:
            typer.echo(f"{store.folder}: a table of {store.corpus} is missing, nothing is dropped.")
        plan = plan_compaction(store.part_store, None if keep_unused else usage, part_bytes)
        num_parts = plan.num_untouched + len(plan.replaced)
        if not dry_run:
            compact(store.part_store, plan, part_bytes)
        changed |= bool(plan.replaced)
        parts = store.part_store.parts()
        numbers = (num_parts, plan.num_untouched, plan.num_dropped, plan.num_merged, len(parts))
        size = decimal(sum(map(size_on_disk, parts)))
        table.add_row(str(store.folder), *(f"{number:,}" for number in numbers), size)
    _print_table(table)
    if changed and not dry_run:
        typer.echo(
            "DVC sees these stores as changed. `dvc repro` runs their stages, which find every row "
            "in use and compute nothing; no encoder or head is trained again. Where `dvc status` "
            "showed no other change, `dvc commit --force` notes it without running anything."
        )


def _as_ingredients(params: Params) -> dict[str, dict[str, object]]:
    """Return the parameters of sound and faces as the stages put them into keys."""
    return {"audio": params.audio.as_ingredients(), "faces": params.faces.as_ingredients()}


def _print_table(table: Table) -> None:
    """Print a table wide enough for names, also where the output is no terminal."""
    Console(width=max(shutil.get_terminal_size().columns, 140)).print(table)


def run() -> None:
    """Run the command line: a mistake of the user is one sentence and exit code 2."""
    try:
        app()
    except UserError as error:
        typer.echo(str(error), err=True)
        sys.exit(EXIT_USER_ERROR)

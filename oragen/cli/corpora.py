"""`oragen corpora`: which corpora can be read, and whether your copy is as expected."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from oragen.cli.printing import print_table
from oragen.schema.errors import UserError
from oragen.schema.names import shorten

if TYPE_CHECKING:
    from oragen.config.corpora import Corpus
    from oragen.corpora.corpus_card import CorpusCard
    from oragen.corpora.manifest import Manifest

corpora_app = typer.Typer(
    no_args_is_help=True,
    help="List the corpora that oragen can read, and check your copy of one.",
)


@corpora_app.command("list")
def list_corpora(
    reader: Annotated[
        str | None, typer.Argument(help="Show all that is known of one reader.")
    ] = None,
) -> None:
    """Show the corpora that oragen can read: contents, labels, licence, how to get them.

    Example: `oragen corpora list voxceleb2`
    """
    from oragen.config.messages import suggest
    from oragen.config.params import load_params
    from oragen.corpora.registry import CARDS

    if reader is not None:
        if reader not in CARDS:
            raise UserError(f"There is no reader {reader!r}{suggest(reader, CARDS)}")
        _describe(reader, CARDS[reader])
        return
    named: dict[str, list[str]] = {}
    for name, entry in load_params().corpora.items():
        named.setdefault(entry.reader, []).append(name)
    table = Table("reader", "corpus", "holds", "labels", "licence", "how to get it", "in params")
    for name, card in CARDS.items():
        shown = (card.title, card.modalities, card.labels, card.licence, card.access)
        table.add_row(name, *map(escape, shown), ", ".join(named.get(name, [])))
    print_table(table)
    typer.echo("`oragen corpora list READER` shows its layout, splits and published counts.")


@corpora_app.command()
def check(
    name: Annotated[str, typer.Argument(help="A name in params.yaml, or a reader with --root.")],
    root: Annotated[
        Path | None, typer.Option(help="Where the corpus is, if not where params.yaml says.")
    ] = None,
) -> None:
    """Read a corpus as the pipeline does, and count its clips. Nothing is decoded or written.

    Clips are counted by split, gender, age and mask type, next to the published counts. A folder
    with another layout is refused, and the expected tree is shown (exit code 2).

    Example: `oragen corpora check timit --root /data/TIMIT`
    """
    from oragen.corpora.manifest import build_manifest
    from oragen.corpora.registry import CARDS, read_corpus

    entry = _find_entry(name, root)
    manifest = build_manifest(
        name,
        entry.root,
        read_corpus(name, entry),
        hash_memory=None,
        follow_links=entry.follow_links,
    )
    typer.echo(f"{name}: {CARDS[entry.reader].title}, at {entry.root}")
    _print_counts(manifest)
    _print_skipped(manifest)
    _print_oddities(manifest, CARDS[entry.reader])
    _compare(manifest, CARDS[entry.reader])


def _find_entry(name: str, root: Path | None) -> "Corpus":
    from oragen.config.corpora import read_corpus_entry
    from oragen.config.messages import ParamsError, suggest
    from oragen.config.params import load_params

    corpora = load_params().corpora
    if name in corpora:
        entry = corpora[name]
        return entry if root is None else entry.model_copy(update={"root": root})
    from oragen.corpora.registry import CARDS

    if root is None or name not in CARDS:
        raise ParamsError(
            f"{name!r} is not in corpora of params.yaml{suggest(name, corpora)} Or name one of the "
            f"readers ({', '.join(CARDS)}) with --root."
        )
    return read_corpus_entry({"reader": name, "root": str(root)})


def _describe(reader: str, card: "CorpusCard") -> None:
    for title, text in {
        card.title: f"{card.modalities}; labels: {card.labels}",
        "Licence": card.licence,
        "How to get it": card.access,
        "Splits": card.splits,
    }.items():
        typer.echo(f"{title}: {text}")
    if (published := card.statistics) is not None:
        genders = ", ".join(f"{count:,} {word}" for word, count in published.by_gender.items())
        clips = "" if published.clips is None else f"{published.clips:,} clips; "
        hours = "" if published.hours is None else f"{published.hours:,g} hours; "
        typer.echo(f"Published: {clips}{hours}{published.counted}: {genders} ({published.source})")
    typer.echo(f"Expected under its root:\n\n{card.layout.strip()}\n")
    typer.echo(f"In params.yaml, under corpora:\n  NAME: {{reader: {reader}, root: FOLDER}}")


def _print_counts(manifest: "Manifest") -> None:
    from oragen.corpora.statistics import count_clips

    table = Table("", "", title="usable clips")
    counts = count_clips(manifest.clips)
    for column in counts.columns:
        table.add_column(column, justify="right")
    last = None
    for (kind, value), row in counts.iterrows():
        if last not in (None, kind):
            table.add_section()
        last = kind
        table.add_row(kind, value, *(f"{count:,}" for count in row))
    print_table(table)


def _print_skipped(manifest: "Manifest") -> None:
    if not manifest.skipped:
        typer.echo("Nothing is skipped.")
        return
    reasons = Counter(item.reason for item in manifest.skipped)
    example = {item.reason: item.clip_id for item in reversed(manifest.skipped)}
    table = Table("skipped because", "an example", title="skipped clips")
    table.add_column("clips", justify="right")
    for reason, count in reasons.most_common(20):
        table.add_row(escape(reason), escape(shorten(example[reason])), f"{count:,}")
    print_table(table)
    if (rest := len(reasons) - 20) > 0:
        typer.echo(f"... and {rest} more reasons; the pipeline writes all to data/skipped.")


def _print_oddities(manifest: "Manifest", card: "CorpusCard") -> None:
    from oragen.corpora.statistics import find_oddities

    for oddity in find_oddities(manifest.clips, manifest.skipped, card):
        typer.echo(f"Warning: {oddity}")


def _compare(manifest: "Manifest", card: "CorpusCard") -> None:
    from oragen.corpora.statistics import compare_with_published

    if card.statistics is None:
        return
    table = Table("", title="compared with the published counts")
    for column in ("published", "here"):
        table.add_column(column, justify="right")
    for comparison in compare_with_published(manifest.clips, card.statistics):
        table.add_row(*comparison)
    print_table(table)
    typer.echo(f"Published: {card.statistics.source}")

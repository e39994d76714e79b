"""`oragen card`, `pack`, `push`: a head -> its card, a folder to move, a repository on a hub."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oragen.schema.errors import UserError

if TYPE_CHECKING:
    from oragen.predictor.cards import CardSources

REPORT_FILES = ("details.json", "metrics.json")  # the latter of oragen 0.1
HeadArgument = Annotated[
    Path, typer.Argument(help="Folder of a head, such as data/heads/joint/seed-0.")
]
OutArgument = Annotated[Path, typer.Argument(help="Folder to write to; new or empty.")]


def card(head: HeadArgument, out: OutArgument) -> None:
    """Write the model card of HEAD, and a datasheet of each corpus that it was trained on.

    They are made from the tables of the last report, the clips tables and what stages skipped.

    Example: `oragen card data/heads/joint/seed-0 cards`
    """
    from oragen.predictor.cards import refuse_used_folder, write_cards
    from oragen.predictor.pretrained import load_pretrained

    refuse_used_folder(out)
    for path in write_cards(out, load_pretrained(head), find_sources(head)):
        typer.echo(str(path))


def pack(head: HeadArgument, out: OutArgument) -> None:
    """Copy HEAD, its encoders, a model card and SHA-256 sums into a folder that you can move.

    Read its README.md before you publish: fill in the licences of the corpora and encoders.

    Example: `oragen pack data/heads/joint/seed-0 packed`
    """
    from oragen.predictor.packing import pack_model

    packed = pack_model(head, out, find_sources(head))
    encoders = ", ".join(spec["encoder"] for spec in packed.specs.values())
    typer.echo(f"{out}: the head {packed.head.spec.name} with {encoders}")


def push(
    name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Repository on the hub.")],
    folder: Annotated[Path, typer.Argument(help="Folder that `oragen pack` wrote.")],
    public: Annotated[bool, typer.Option(help="Let others see it.")] = False,
) -> None:
    """Send a packed model to the Hugging Face hub; a new repository is private.

    The token is that of `hf auth login`, or of the variable HF_TOKEN.

    Example: `oragen push me/my-model packed`
    """
    from oragen.predictor.pushing import push_model

    typer.echo(push_model(folder, name, public=public))


def find_sources(head: Path) -> "CardSources":
    """Return what the project of a head knows of it; nothing of a head that lies elsewhere."""
    from oragen.predictor.cards import NO_SOURCES, CardSources
    from oragen.reporting.saved_tables import choose_tables, read_tables

    folder = head.resolve()  # <data>/heads/<head>/seed-<n>
    if len(folder.parts) <= 3 or folder.parents[1].name != "heads":
        return NO_SOURCES
    data = folder.parents[2]
    licences, datasheets = _describe_corpora(data, folder)
    return CardSources(
        metrics=_find_metrics(data / "reports", folder.parent.name),
        tables=choose_tables(read_tables(data / "reports" / "tables"), folder.parent.name),
        corpus_licences=licences,
        datasheets=datasheets,
    )


def _find_metrics(reports: Path, head: str) -> dict[str, Any]:
    """Return what the report says about a head; nothing where there is no report."""
    report = next((reports / name for name in REPORT_FILES if (reports / name).is_file()), None)
    if report is None:
        return {}
    try:
        metrics = json.loads(report.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{report} is no JSON: {error}. Run `dvc repro report`.") from error
    found: dict[str, Any] = metrics.get(head) or {}
    return found


def _describe_corpora(data: Path, head: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the licence and the datasheet of each corpus of a head that the project still has."""
    from oragen.config.params import load_params
    from oragen.corpora.datasheet import write_datasheet
    from oragen.corpora.registry import CARDS
    from oragen.models.folder import read_description
    from oragen.schema.tables import CLIPS

    params_path = data.parent / "params.yaml"
    trained_on = read_description(head, ["head"])["metadata"].get("trained_on", [])
    corpora = load_params(params_path).corpora if params_path.is_file() else {}
    licences: dict[str, str] = {}
    datasheets: dict[str, str] = {}
    for corpus in trained_on:
        clips = data / "clips" / f"{corpus}.parquet"
        if corpus in corpora and clips.is_file():
            of_reader = CARDS[corpora[corpus].reader]
            licences[corpus] = of_reader.licence
            datasheets[corpus] = write_datasheet(
                corpus, of_reader, CLIPS.read(clips), _read_skipped(data / "skipped" / corpus)
            )
    return licences, datasheets


def _read_skipped(folder: Path) -> list[Any]:
    """Return what all stages skipped of a corpus."""
    from oragen.schema.tables import SKIPPED
    from oragen.schema.vocabulary import Skipped

    tables = [SKIPPED.read(path) for path in sorted(folder.glob("*.parquet"))]
    return [
        Skipped(*row)
        for table in tables
        for row in table[list(Skipped._fields)].itertuples(index=False)
    ]

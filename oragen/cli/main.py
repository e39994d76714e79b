"""Arguments of the command line -> a command: `oragen`."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from oragen.cli.cache import cache_app
from oragen.cli.compare import compare
from oragen.cli.corpora import corpora_app
from oragen.cli.doctor import doctor
from oragen.cli.kept import models_app
from oragen.cli.models import export, features
from oragen.cli.oceanai import to_oceanai
from oragen.cli.predict import EPILOGUE, predict
from oragen.cli.printing import wide_console
from oragen.cli.serve import serve
from oragen.cli.shard import shard
from oragen.cli.sharing import card, pack, push
from oragen.config import paths
from oragen.schema.ending import ended_by_a_sentence
from oragen.schema.errors import UserError
from oragen.schema.names import printable_lines

app = typer.Typer(
    help="Gender, age and mask type of a speaking person, from voice and face.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
)
app.add_typer(corpora_app, name="corpora")
app.add_typer(cache_app, name="cache")
app.add_typer(models_app, name="models")
app.command(epilog=EPILOGUE)(predict)
for command in (compare, serve, doctor, features, export, card, pack, push, to_oceanai, shard):
    app.command()(command)


@app.callback()
def main() -> None:
    """Set up what all commands share."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


@app.command()
def generate(
    corpora: Annotated[
        list[str] | None,
        typer.Argument(help="Names in params.yaml; all generated ones if none."),
    ] = None,
) -> None:
    """Make the generated corpora of params.yaml: talking heads as real MP4 files.

    Clips that exist are kept, so you can continue an interrupted run.

    Example: `oragen generate studio`
    """
    from oragen.config.corpora import GeneratedCorpus
    from oragen.config.messages import ParamsError, suggest
    from oragen.config.params import load_params
    from oragen.corpora.generator.corpus import generate_corpus
    from oragen.corpora.generator.spec import CorpusSpec

    params = load_params()
    made = {name: entry for name, entry in params.corpora.items() if entry.reader == "generated"}
    if not made:
        raise ParamsError(
            "No corpus of params.yaml is generated: there is nothing to make. Add one with "
            "`reader: generated` under corpora, as the shipped params.yaml has."
        )
    for name in corpora or list(made):
        if name not in made:
            raise ParamsError(f"{name!r} is no generated corpus{suggest(name, made)}")
        entry = made[name]
        assert isinstance(entry, GeneratedCorpus)
        spec = CorpusSpec(entry.condition, entry.num_speakers, entry.seed)
        generate_corpus(entry.root, spec, num_workers=params.execution.num_processes)


@app.command()
def results(
    everything: Annotated[bool, typer.Option("--all", help="Show all tables.")] = False,
) -> None:
    """Show how the heads compare in the last report."""
    from rich.markdown import Markdown

    report = paths.REPORTS / "report.md"
    if not report.is_file():
        raise UserError(f"There is no report at {report} yet. Run `make demo` or `dvc repro`.")
    preface, *tables = report.read_text(encoding="utf-8").split("\n## ")
    chosen = [table for table in tables if everything or table.startswith("Methods")]
    wide_console().print(Markdown("\n## ".join([preface, *(chosen or tables)])))
    typer.echo(f"All tables and figures: {report.parent / 'index.html'}")


@app.command()
def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="Weights of a model: a file of torch.save or safetensors.")
    ],
    folder: Annotated[Path, typer.Argument(help="Folder to write to; new or empty.")],
    model: Annotated[
        str | None,
        typer.Option(help="Published class, such as AVModelV3. Default: by the weights."),
    ] = None,
    level: Annotated[
        str | None, typer.Option(help="EARLY, INTERMEDIATE or LATE. Default: by the weights.")
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
        typer.Option(help="JSON of the encoder's config: settings that weights do not show."),
    ] = None,
    age_as_fraction: Annotated[
        bool,
        typer.Option(help="Age is output as a fraction, as by audEERING's weights."),
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(help="Folder of an oragen model of the same architecture."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace the model in FOLDER.")] = False,
) -> None:
    """Convert a published or trained CHECKPOINT into a FOLDER with a model and its description.

    No code in the checkpoint is run: a checkpoint with anything but tensors is refused.

    Example: `oragen convert AVModelV3.pth models/published`
    """
    from oragen.models.published import Origin, convert_checkpoint, read_encoder_config

    config = None if encoder_config is None else read_encoder_config(encoder_config)
    origin = Origin(model, level, source, config, age_as_fraction)
    title = convert_checkpoint(checkpoint, folder, origin, like=like, force=force)
    typer.echo(f"{checkpoint}: {title}, now in {folder}")


def run() -> None:
    """Run the command line: a mistake of the user is one sentence and exit code 2."""
    with ended_by_a_sentence(lambda sentence: typer.echo(printable_lines(sentence), err=True)):
        app()

"""`oragen compare`: two runs side by side, on the screen and on one page."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final, TypeGuard

import typer

from oragen.config import paths
from oragen.schema.errors import UserError
from oragen.schema.names import printable_lines, shorten

if TYPE_CHECKING:  # importing these takes seconds, which --help need not wait for
    from oragen.reporting.comparison import Run

PREDICTIONS: Final = paths.predictions_table("any").parent
NUM_RESAMPLES: Final = 1000  # at least


class RunError(UserError):
    """A run cannot be compared."""


def compare(
    run_a: Annotated[
        str,
        typer.Argument(metavar="RUN_A", help="A project's folder, or a Git revision of this one."),
    ],
    run_b: Annotated[
        str, typer.Argument(metavar="RUN_B", help="What to compare with it; . is what is here now.")
    ] = ".",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page to write.")
    ] = paths.REPORTS / "comparison.html",
) -> None:
    """Compare two runs: scores, paired tests on the same clips, changed parameters and corpora.

    A folder is a project with `params.yaml` and `data/predictions`. Of a Git revision, a branch, a
    tag or an experiment of DVC, the predictions come from DVC's cache.

    Example: `oragen compare HEAD~1` or `oragen compare ../other .`
    """
    import numpy as np
    from rich.markdown import Markdown

    from oragen.cli.printing import wide_console
    from oragen.reporting.bootstrap import SpeakerDraws
    from oragen.reporting.comparison import compare_runs, describe_differences
    from oragen.reporting.page.rendering import write_page
    from oragen.reporting.page.sections import to_section
    from oragen.reporting.paired import count_needed_resamples
    from oragen.reporting.table_formats import HOW_TO_READ, to_markdown
    from oragen.reporting.tables.rows import MEASURES

    a, b = read_run(run_a), read_run(run_b)
    num_tests = len(MEASURES) * len({*a.predictions["head"]} & {*b.predictions["head"]})
    num_resamples = max(NUM_RESAMPLES, count_needed_resamples(num_tests))
    draws = SpeakerDraws(np.random.default_rng(0), num_resamples)
    tables = compare_runs(a, b, draws)
    opening = [*describe_differences(tables), HOW_TO_READ]
    facts = {"A": a.name, "B": b.name}
    write_page(output, "oragen compare", [*map(to_section, tables)], facts=facts, opening=opening)
    lines = [f"A: {a.name}", f"B: {b.name}", *opening, *map(to_markdown, tables)]
    wide_console().print(Markdown(printable_lines("\n\n".join(lines))))
    typer.echo(f"The page: {output}")


def read_run(name: str) -> "Run":
    """Read a run from a folder, or from a revision of the project in this folder.

    Raises:
        RunError: there is neither, or it has no predictions.
    """
    from oragen.reporting.commit import describe_commit, read_commit

    folder = Path(name)
    if folder.is_dir() and folder.samefile(Path()):
        return read_folder(folder, name, f"{name} ({describe_commit(read_commit(folder))})")
    if folder.is_dir():  # Git would obey its configuration, which may be a stranger's
        return read_folder(folder, name, name)
    with TemporaryDirectory() as copy:
        commit = copy_revision(name, Path(copy))
        return read_folder(Path(copy), name, f"{name} ({commit})")


def read_folder(folder: Path, name: str, title: str) -> "Run":
    """Read the predictions and parameters of a project.

    Args:
        folder: of the project, or of a copy.
        name: of the run, as the user gave it.
        title: of the run, as the page shows it.

    Raises:
        RunError: it names no heads, or has no predictions of one.
        UserError: a file of predictions is damaged, or of an earlier version.
    """
    from oragen.config.params import PARAMS_PATH
    from oragen.config.reading import read_document
    from oragen.reporting.comparison import Run
    from oragen.reporting.reading import read_predictions

    params = read_document(folder / PARAMS_PATH).content
    used = params.get("use_heads") if isinstance(params, dict) else None
    if not is_list_of_names(used):
        raise RunError(
            f"use_heads in {PARAMS_PATH} of {name} must be a list of different names of heads, "
            f"found {shorten(repr(used))}. Correct it."
        )
    files = {path.stem: path for path in (folder / PREDICTIONS).glob("*.parquet")}
    if missing := [head for head in used if head not in files]:
        raise RunError(
            f"{name} has no predictions of {missing[0]} in {PREDICTIONS}: it was not evaluated "
            "there. Run `dvc repro evaluate_head` there first."
        )
    return Run(title, read_predictions([files[head] for head in used]), params)


def is_list_of_names(value: object) -> TypeGuard[list[str]]:
    """Return whether a value is a list of different texts, at least one."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return False
    return 0 < len(value) == len({*value})


def copy_revision(revision: str, folder: Path) -> str:
    """Copy the parameters and predictions of a revision, and return which commit it is.

    Raises:
        RunError: it is no revision, or DVC does not have its predictions.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    from oragen.config.params import PARAMS_PATH

    try:
        files = DVCFileSystem(rev=revision)
        commit = str(files.repo.get_rev())
        files.get_file(PARAMS_PATH.as_posix(), str(folder / PARAMS_PATH))
        files.get(PREDICTIONS.as_posix(), str(folder / PREDICTIONS), recursive=True)
    except (DvcException, OSError) as error:
        raise RunError(
            f"{revision!r} is no folder, and DVC cannot give the predictions of a revision of that "
            f"name: {error}. Name a project's folder, or run `dvc repro` at that revision first."
        ) from error
    return commit[:10]

"""What every stage does around its work: one line of account, and mistakes said in a sentence."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable

import typer

from oragen import artefacts
from oragen.schema import SKIPPED, Skipped, UserError

logger = logging.getLogger(__name__)

EXIT_USER_ERROR = 2
_started = time.monotonic()


def run_stage(main: Callable[..., None]) -> None:
    """Run a stage from the command line.

    A mistake of the user ends it with one sentence and exit code 2, without a traceback.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for library in ("httpx", "transformers", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except UserError as error:
        logger.error("%s", error)
        sys.exit(EXIT_USER_ERROR)


def account(
    stage: str,
    corpus: str,
    *,
    clips_in: Collection[str],
    clips_out: Iterable[str],
    skipped: Iterable[Skipped],
    made: str,
) -> None:
    """Write what was skipped, and log one line; every clip that came in is kept or skipped."""
    left_out = list(skipped)
    gone = {item.clip_id for item in left_out if item.left_out == "clip"}
    out = set(clips_out)
    assert set(clips_in) == out | gone, "a clip is lost"
    assert not out & gone, "a clip is both kept and skipped"
    rows = SKIPPED.frame([item._asdict() for item in left_out])
    SKIPPED.write(artefacts.skipped_table(corpus, stage), rows)
    whole = Counter(item.reason for item in left_out if item.left_out == "clip")
    part = Counter(item.reason for item in left_out if item.left_out == "part")
    partly = f"; {part.total()} used in part{_why(part)}" if part else ""
    logger.info(
        "%s %s: %d clips in, %d out, %d skipped%s%s; %s; %.1f s",
        stage, corpus, len(set(clips_in)), len(out), len(gone), _why(whole), partly,
        made, time.monotonic() - _started,
    )  # fmt: skip


def _why(reasons: Counter[str]) -> str:
    counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f" ({counts})" if counts else ""

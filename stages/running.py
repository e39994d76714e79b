"""A stage's work -> one line of account, the table of what it skipped, and errors as a sentence."""

import ctypes
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

import typer

from oragen.config import paths
from oragen.schema.ending import ended_by_a_sentence
from oragen.schema.errors import UserError
from oragen.schema.files import remove
from oragen.schema.names import PrintableFormatter
from oragen.schema.tables import SKIPPED
from oragen.schema.vocabulary import CHANGED, Skipped

logger = logging.getLogger(__name__)

M_TRIM_THRESHOLD: Final = -1  # as in glibc's malloc.h
M_MMAP_THRESHOLD: Final = -3
_started = time.monotonic()


def run_stage(main: Callable[..., None]) -> None:
    """Run a stage from the command line.

    A mistake of the user, or a full disk, ends it with one sentence and exit code 2.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(PrintableFormatter())
    for library in ("httpx", "transformers", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    keep_freed_memory()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    with ended_by_a_sentence(logger.error):
        app(args=sys.argv[1:] or _name_from_dvc())


def _name_from_dvc() -> list[str]:
    """Return what DVC runs the stage for; a name in a shell's command could hold commands.

    DVC tells a command the name of its stage, such as `train_head@joint`.
    """
    _, separator, name = os.environ.get("DVC_STAGE", "").partition("@")
    return ["--", name] if separator else []


def keep_freed_memory(num_bytes: int = 2**30) -> None:
    """Let the allocator keep freed blocks of up to so many bytes, to use them again.

    By itself glibc gives blocks of 32 MB and more back at once, and fresh pages cost as much as
    what is computed in them: a training step of 128 windows on two cores takes 175 ms and not 117.
    Other allocators are left alone.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, num_bytes)
        libc.mallopt(M_TRIM_THRESHOLD, min(2 * num_bytes, 2**31 - 1))


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
    rows = list(skipped)
    gone = {row.clip_id for row in rows if row.left_out == "clip"}
    out = set(clips_out)
    assert set(clips_in) == out | gone, "a clip is lost"
    assert not out & gone, "a clip is both kept and skipped"
    SKIPPED.write(
        paths.skipped_table(corpus, stage), SKIPPED.frame([row._asdict() for row in rows])
    )
    whole = Counter(row.reason for row in rows if row.left_out == "clip")
    part = Counter(row.reason for row in rows if row.left_out == "part")
    partly = f"; {part.total()} used in part{_why(part)}" if part else ""
    logger.info(
        "%s %s: %d clips in, %d out, %d skipped%s%s; %s; %.1f s",
        stage, corpus, len(set(clips_in)), len(out), len(gone), _why(whole), partly,
        made, time.monotonic() - _started,
    )  # fmt: skip


def refuse_failures(stage: str, corpus: str, failed: Sequence[Skipped]) -> None:
    """End a stage whose clips could not all be read, after what could be read is stored.

    So DVC does not take it as done, and tries these clips again.

    Raises:
        UserError: some could not be read.
    """
    if not failed:
        return
    again = "Put that right and run `dvc repro` again: only these clips are tried."
    if any(row.reason == CHANGED for row in failed):
        remove(paths.hash_memory(corpus))
        again += f" If they stay as they are, run `dvc repro --force index_clips@{corpus}` first."
    raise UserError(
        f"{stage} {corpus}: {len(failed)} clips could not be read"
        f"{_why(Counter(row.reason for row in failed))}, e.g. {failed[0].clip_id}. All others are "
        f"stored; {paths.skipped_table(corpus, stage)} lists these. {again}"
    )


def _why(reasons: Counter[str]) -> str:
    counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f" ({counts})" if counts else ""

"""What ends a command or a stage -> one sentence and an exit code, never a traceback.

What the user can mend ends with 2: a mistake, a full disk, a missing right.
"""

import logging
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final, TextIO

from oragen.schema.errors import UserError
from oragen.schema.surroundings import FULL, explain_os_error

logger = logging.getLogger(__name__)

EXIT_TO_MEND: Final = 2
EXIT_UNREAD: Final = 1  # as other programs whose reader has gone away
NO_MEMORY: Final = (
    "There is not enough memory. Lower `batch_size`, `num_workers` or `train.memory_gb` in "
    "params.yaml, or use a larger machine."
)


@contextmanager
def ended_by_a_sentence(say: Callable[[str], None]) -> Iterator[None]:
    """End the program with a sentence if the block fails for a reason that the user can mend."""
    _prepare_streams()
    try:
        try:
            yield
        finally:
            _flush()
    except UserError as error:
        _end(say, str(error))
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _is_unread(sys.stdout):
            _silence(sys.stdout)  # `| head -1`; files are written already
            sys.exit(EXIT_UNREAD)
        if error.filename is None and error.errno in FULL:
            error.filename = "standard output"  # what writes files names them
        _end(say, explain_os_error(error))
    except MemoryError:
        _end(say, NO_MEMORY)


def _end(say: Callable[[str], None], sentence: str) -> None:
    logger.debug("what ended it", exc_info=True)
    say(sentence)
    sys.exit(EXIT_TO_MEND)


def _prepare_streams() -> None:
    """Let streams show what their encoding has no character for as escapes, and not fail."""
    logging.raiseExceptions = False  # a log that nobody reads any more ends no work
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    """Write what is buffered now, when an error can still be told, and not while Python ends."""
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError:
            _silence(sys.stdout)
            raise


def _is_unread(stream: TextIO) -> bool:
    """Return whether the reader of a pipe has gone away."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _silence(stream: TextIO) -> None:
    """Send what is left in a stream nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)

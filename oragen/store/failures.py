"""An error while a part is read -> a sentence: its content is wrong, or it cannot be reached."""

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from oragen.schema.errors import UserError

logger = logging.getLogger(__name__)


class PartError(UserError):
    """A part cannot be used."""


class DamagedPartError(PartError):
    """A part does not hold what its name says, or is not what oragen writes."""


class UnreachablePartError(PartError):
    """A part cannot be read at present. Nothing says that its content is wrong."""


ADVICE: Final = (
    "Remove it with `oragen cache verify --remove` and run `dvc repro`: only what it held is made "
    "again."
)
_OPEN_FILES: Final = "Too many files are open: raise the limit, for example with `ulimit -n 4096`."
_NO_RIGHT: Final = "Ask its owner for the right to read it, or change it with `chmod -R u+rX`."
_NO_LOCKS: Final = "Its file system has no locks, or they are used up. Run the command again."
_DISK: Final = "The disk or the network failed: look at the log of the system, then run again."
_REMEDIES: Final = {
    errno.EMFILE: _OPEN_FILES,
    errno.ENFILE: _OPEN_FILES,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.ENOLCK: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
    errno.EIO: _DISK,
    errno.ESTALE: "Its network file system has lost it: mount that again, then run again.",
    errno.ENOENT: "Another process has just removed it. Run the command again.",
    errno.ENOMEM: "Free some memory. If there are very many parts, `oragen cache compact` merges "
    "small ones, and `sysctl vm.max_map_count` is how many can be mapped.",
}


# What a name or an address in a part alone can cause: a folder for a file, a place beyond any file.
_OF_CONTENT: Final = {errno.EINVAL, errno.EOVERFLOW, errno.EISDIR, errno.ENOTDIR, errno.ELOOP}


@contextmanager
def name_failures(path: Path) -> Iterator[None]:
    """Say which part cannot be read in the block, and what to do.

    Only content that makes no sense is called damaged. HDF5 and JSON have errors of their own for
    it, which have no number of a failed call of the system.

    Raises:
        DamagedPartError: its content is wrong.
        UnreachablePartError: the system did not give its content.
    """
    try:
        yield
    except PartError:
        raise
    except MemoryError as error:
        raise _name_unreachable(path, errno.ENOMEM) from error
    except OSError as error:
        if error.errno and error.errno not in _OF_CONTENT:
            raise _name_unreachable(path, error.errno) from error
        raise _name_damaged(path, error) from error
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise _name_damaged(path, error) from error


def _name_unreachable(path: Path, number: int) -> UnreachablePartError:
    remedy = _REMEDIES.get(number, "Run the command again.")
    why = os.strerror(number)
    return UnreachablePartError(f"{path} cannot be read now ({why}). {remedy} Do not remove it.")


def _name_damaged(path: Path, error: Exception) -> DamagedPartError:
    return DamagedPartError(f"{path} cannot be read ({error}). {ADVICE}")


@cache
def warn_once(message: str) -> None:
    """Say something about a part the first time it is found."""
    logger.warning("%s", message)

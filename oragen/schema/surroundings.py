"""An error of the operating system -> one sentence that says where, what, and what to do."""

import errno
import os
from typing import Final

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
CLOSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
WRONG_PLACE: Final = frozenset({errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})
MANY: Final = frozenset({errno.EMFILE, errno.ENFILE})
RECEIVED: Final = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV})


def explain_os_error(error: OSError) -> str:
    """Return a sentence that names the place, what is wrong with it, and the remedy."""
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    number = error.errno or find_number(str(error))
    problem = os.strerror(number) if number else str(error)
    return f"{f'{place}: ' if place else ''}{problem}. {_find_remedy(number)}"


def find_number(text: str) -> int | None:
    """Return the number of an error of which a library tells in words alone."""
    known = (number for number in FULL | CLOSED if os.strerror(number) in text)
    return next(known, None)


def _find_remedy(number: int | None) -> str:
    if number in FULL:
        return (
            "Free space, for example with `oragen cache compact` or `dvc gc --workspace`, or raise "
            "your quota; then run it again."
        )
    if number in CLOSED:
        return "Give yourself the right to write there (`ls -ld`, `chmod`), or name another place."
    if number == errno.ENOENT:
        return "Make it, or correct the name."
    if number in WRONG_PLACE:
        return "Move what is there away, or name another place."
    if number in MANY:
        return "Raise the number of files that may be open: `ulimit -n 4096`."
    if number == errno.ENOMEM:
        return "Lower `num_workers` or `train.memory_gb` in params.yaml, or use a larger machine."
    if number in RECEIVED:
        return "Look whether the disk or the network drive is there, and run it again."
    return "Mend that, and run it again."

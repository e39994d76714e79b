"""A call -> its result, in a process that Ray started on some node."""

import os
import platform
from pathlib import Path
from typing import NamedTuple

from oragen.launch.code import Code, describe_code
from oragen.launch.shards import Call, Result, Work
from oragen.schema.errors import UserError


class Refusal(NamedTuple):
    """The sentence of an error that the user can mend."""

    sentence: str


class RayWorker:
    """Does one call after the other; what the work keeps open stays here."""

    def __init__(self) -> None:
        os.environ["TQDM_DISABLE"] = "1"  # one bar is shown, by the process that hands out the work

    def is_ready(self) -> bool:
        """Answer as soon as the process has started."""
        return True

    def run(self, work: Work, call: Call) -> Result | Refusal:
        """Do a call."""
        try:
            return work(call)
        except UserError as error:
            return Refusal(str(error))


class NodeView(NamedTuple):
    """What a node sees of what must be the same on all nodes."""

    host: str
    code: Code
    probe: str | None  # content of a file of the project; None: it is not there


def look_around(project: str, probe: str) -> NodeView:
    """Say what this node sees of the project's folder."""
    try:
        content = Path(probe).read_text(encoding="utf-8")
    except OSError:
        content = None
    return NodeView(platform.node(), describe_code(Path(project)), content)

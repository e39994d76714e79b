"""A YAML file -> plain mappings, and the line of each place in it.

It is read by the library that DVC reads it with, so that no file says one thing to DVC and another
to oragen.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from oragen.config.messages import ParamsError
from oragen.schema.names import shorten

MAX_BYTES: Final = 2**19  # parsing takes a second for 128 KB
MAX_DEPTH: Final = 30
MAX_NODES: Final = 100_000  # with what aliases repeat
TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels; no parameter is that deep"
OLD_YAML: Final = re.compile(rb"^(\xef\xbb\xbf)?%YAML +1\.[01]", re.MULTILINE)
MERGE_TAG: Final = "tag:yaml.org,2002:merge"


@dataclass(frozen=True)
class Document:
    """What a file says, and where."""

    content: Any
    root: Node | None

    def line_of(self, steps: Sequence[str]) -> int | None:
        """Return the line of a place, or of the nearest that holds it; None of an empty file."""
        if self.root is None:
            return None
        node, line = self.root, self.root.start_mark.line
        for step in steps:
            found = _find_child(node, step)
            if found is None:
                break
            (key, node) = found
            line = key.start_mark.line
        return int(line) + 1


def read_document(path: Path) -> Document:
    """Read a file.

    Raises:
        ParamsError: it cannot be read, is no YAML, repeats a key, or is larger than any such file.
    """
    try:
        content = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise ParamsError(
            f"{path} cannot be read ({error.strerror}). Run this in the project's folder."
        ) from error
    if len(content) > MAX_BYTES:
        raise ParamsError(f"{path} is larger than {MAX_BYTES:,} bytes. Take out what is not used.")
    if OLD_YAML.search(content):
        raise ParamsError(
            f"{path} says `%YAML 1.1`, in which `on` is true, and DVC reads it by YAML 1.2. Take "
            "that line out."
        )
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _ShallowComposer
    with _explained(path):
        root = yaml.compose(content.decode())
    if root is None:
        return Document(None, None)
    _refuse_excess(root, path)
    for mapping in _find_mappings(root):
        _refuse_repeated_keys(mapping, path)
    with _explained(path):
        return Document(yaml.constructor.construct_document(root), root)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the errors of the library into a sentence."""
    try:
        yield
    except MarkedYAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {_explain(error)}") from error
    # What a value with a tag of its own may raise, such as `!!int ""` or a number of 5000 digits.
    except (YAMLError, ValueError, LookupError, ArithmeticError, TypeError) as error:
        problem = shorten(" ".join(str(error).split()))
        raise ParamsError(f"{path} is not valid YAML: {problem}") from error


class _ShallowComposer(Composer):
    """Stops at what is nested too deep: the scanner takes a minute for 100,000 brackets."""

    _num_levels = 0  # the library counts in `depth`, since it has a limit of its own

    def compose_node(self, parent: Node | None, index: object) -> Node:
        """Compose a node that is not too deep."""
        if self._num_levels > MAX_DEPTH:
            mark = self.parser.peek_event().start_mark
            raise ComposerError(None, None, TOO_DEEP, mark)
        self._num_levels += 1
        node: Node = super().compose_node(parent, index)
        self._num_levels -= 1
        return node


class _Extent(NamedTuple):
    """A node with all that it holds."""

    size: int  # nodes
    height: int  # levels below it


def _refuse_excess(root: Node, path: Path) -> None:
    """Refuse what repeats too much or is too deep through aliases, or holds itself."""
    extents: dict[int, _Extent] = {}

    def measure(node: Node, depth: int) -> _Extent:
        line = node.start_mark.line + 1
        if depth <= MAX_DEPTH and id(node) not in extents:
            inner = [measure(child, depth + 1) for child in _children_of(node)]
            height = 1 + max((child.height for child in inner), default=-1)
            extents[id(node)] = _Extent(1 + sum(child.size for child in inner), height)
        if depth > MAX_DEPTH or depth + extents[id(node)].height > MAX_DEPTH:
            raise ParamsError(f"{path}, line {line}: {TOO_DEEP}")
        if extents[id(node)].size > MAX_NODES:
            raise ParamsError(
                f"{path}, line {line}: these are more than {MAX_NODES:,} values, with what aliases "
                "repeat. Take out what is not needed."
            )
        return extents[id(node)]

    measure(root, 0)


def _find_mappings(root: Node) -> Iterator[MappingNode]:
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            yield node
        waiting.extend(_children_of(node))


def _refuse_repeated_keys(mapping: MappingNode, path: Path) -> None:
    """Refuse a key that is there twice, also in what is merged: one of the two would count."""
    own: dict[str, Node] = {}
    merged: dict[str, Node] = {}
    for key, value in mapping.value:
        _refuse_repeat(own, key, path)
        for source in _list_merged(key, value):
            for merged_key, _ in source.value:
                _refuse_repeat(merged, merged_key, path)


def _refuse_repeat(known: dict[str, Node], key: Node, path: Path) -> None:
    name = str(key.value)
    if name in known:
        first = known[name].start_mark.line + 1
        raise ParamsError(
            f"{path}, line {key.start_mark.line + 1}: {shorten(repr(name))} is in line {first} "
            "already, and only one of them would count. Take one out."
        )
    known[name] = key


def _list_merged(key: Node, value: Node) -> list[MappingNode]:
    """Return the mappings that `<<` merges; two of them must not have a key in common."""
    if key.tag != MERGE_TAG:
        return []
    sources = value.value if isinstance(value, SequenceNode) else [value]
    return [source for source in sources if isinstance(source, MappingNode)]


def _children_of(node: Node) -> Iterator[Node]:
    match node:
        case MappingNode():
            for key, value in node.value:
                yield key
                yield value
        case SequenceNode():
            yield from node.value


def _find_child(node: Node, step: str) -> tuple[Node, Node] | None:
    """Return what leads to a child and the child: its key, or the item of a list itself."""
    match node:
        case MappingNode():
            for key, value in node.value:
                if isinstance(key, ScalarNode) and str(key.value) == step:
                    return key, value
        case SequenceNode() if step.isdecimal() and int(step) < len(node.value):
            return node.value[int(step)], node.value[int(step)]
    return None


def _explain(error: MarkedYAMLError) -> str:
    problem = shorten(error.problem or error.context or "unreadable")
    mark = error.problem_mark or error.context_mark
    return problem if mark is None else f"line {mark.line + 1}: {problem}"

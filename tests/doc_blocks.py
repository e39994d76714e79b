"""README and docs/ -> their blocks of code, each with its language and the mark before it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.project import REPOSITORY

PAGES: Final = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
MARK: Final = re.compile(r"<!-- not run: (.+) -->")  # readers do not see it
LANGUAGES: Final = {"bash": "shell", "python": "python", "": "text"}
PROGRAMS: Final = {
    "bash", "cp", "curl", "cut", "docker", "dvc", "find", "git", "hf", "ln", "ls", "make", "mkdir",
    "oragen", "pip", "pre-commit", "pytest", "python", "python3", "source", "wget",
}  # fmt: skip


class Block(NamedTuple):
    """A block of a page: in a fence, or indented by four blanks."""

    page: str
    line: int  # of its first line of code, from 1
    language: str  # shell, python or text
    text: str
    reason: str  # why it is not run; "" = it is

    @property
    def name(self) -> str:
        """Return the page and the first command, without its comment."""
        return f"{self.page}: {self.text.splitlines()[0].partition('  #')[0].strip()}"


def find_blocks() -> list[Block]:
    """Return the blocks of all pages, in order."""
    return [block for page in PAGES for block in _read_page(page)]


def _read_page(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    name = page.relative_to(REPOSITORY).as_posix()
    number, reason, in_list = 0, "", False
    while number < len(lines):
        line = lines[number]
        start = number
        if line.startswith("```"):
            number = lines.index("```", start + 1)
            language = LANGUAGES[line.removeprefix("```")]
            yield Block(name, start + 2, language, "\n".join(lines[start + 1 : number]), reason)
            reason = ""
        elif line.startswith("    ") and not in_list:
            while number + 1 < len(lines) and lines[number + 1].startswith("    "):
                number += 1
            text = "\n".join(part[4:] for part in lines[start : number + 1])
            yield Block(name, start + 1, _guess(text), text, reason)
            reason = ""
        elif mark := MARK.fullmatch(line):
            reason = mark[1]
        elif line:
            assert not reason, f"{name}:{number + 1}: a mark that no block follows"
            in_list = bool(re.match(r"\s*([-*]|\d+\.) ", line)) or (in_list and line[0] == " ")
        number += 1


def _guess(text: str) -> str:
    first = text.split()[0]
    return "shell" if first in PROGRAMS else "python" if first in ("from", "import") else "text"

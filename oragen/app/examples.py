"""The demo's generated corpora -> a few clips to try the page with, if they are there."""

from pathlib import Path
from typing import Final

from oragen.app.forms import ExampleForm

CORPORA: Final = Path("data/corpora")  # of the project that the service was started in
FROM_EACH: Final = 3


def find_examples(corpora: Path = CORPORA) -> dict[str, Path]:
    """Return some clips of each generated corpus, by a name that says corpus and clip."""
    return {
        f"{folder.name}-{clip.name}": clip
        for folder in sorted(corpora.glob("*"))
        if (folder / "corpus.json").is_file()  # which `oragen generate` writes
        for clip in sorted((folder / "clips").rglob("*.mp4"))[:FROM_EACH]
        if clip.is_file() and not clip.is_symlink()
    }


def list_examples() -> list[ExampleForm]:
    """Return the names and addresses of the examples."""
    return [ExampleForm(name=name, url=f"/v1/examples/{name}") for name in find_examples()]

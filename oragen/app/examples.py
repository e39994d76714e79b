"""The demo's generated corpora -> a few clips to try the page with, if they are there."""

import asyncio
from pathlib import Path
from typing import Final

from oragen.app.forms import ExampleForm
from oragen.isolation.limits import Limits
from oragen.isolation.workers import Failure, Workers
from oragen.media.errors import UnusableMediaError

CORPORA: Final = Path("data/corpora")  # of the project that the service was started in
FROM_EACH: Final = 3
LIMITS: Final = Limits(work_s=10.0)  # of reading a header
LONGEST_S: Final = 86_400.0


def find_examples(corpora: Path = CORPORA) -> dict[str, Path]:
    """Return some clips of each generated corpus, by a name that says corpus and clip."""
    return {
        f"{folder.name}-{clip.name}": clip
        for folder in sorted(corpora.glob("*"))
        if (folder / "corpus.json").is_file()  # which `oragen generate` writes
        for clip in sorted((folder / "clips").rglob("*.mp4"))[:FROM_EACH]
        if clip.is_file() and not clip.is_symlink()
    }


class Examples:
    """Lists the examples; the length of each is read once, by a process with limits."""

    def __init__(self) -> None:
        self._workers = Workers(1, limits=LIMITS, action="measuring")
        self._lengths: dict[tuple[Path, int], float | None] = {}  # by path and time of change

    def close(self) -> None:
        """End the process."""
        self._workers.__exit__()

    async def list_all(self) -> list[ExampleForm]:
        """Return the names, addresses and lengths of the examples."""
        found = await asyncio.to_thread(find_examples)
        return [
            ExampleForm(
                name=name, url=f"/v1/examples/{name}", length_s=await self._find_length(clip)
            )
            for name, clip in found.items()
        ]

    async def _find_length(self, clip: Path) -> float | None:
        key = clip, clip.stat().st_mtime_ns
        if key not in self._lengths:
            result = await asyncio.wrap_future(self._workers.submit(read_length, clip))
            self._lengths[key] = None if isinstance(result, Failure) else result
        return self._lengths[key]


def read_length(clip: Path) -> float | None:
    """Return the length in seconds that the header of a clip says; called in another process."""
    import av

    from oragen.media.container import open_media

    try:
        with open_media(clip, max_duration_s=LONGEST_S) as container:
            ticks = container.duration
    except UnusableMediaError:
        return None
    return None if ticks is None else round(ticks / av.time_base, 2)

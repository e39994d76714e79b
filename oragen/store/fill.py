"""Clips and what a store lacks of them -> the store with all of them, by several processes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from joblib import Parallel, delayed
from tqdm import tqdm

from oragen.schema.vocabulary import Json, Made, Skipped
from oragen.store.parts import PartStore, PartWriter, Row

Item = TypeVar("Item")
Result = TypeVar("Result")


class Wanted(NamedTuple):
    """A clip that should be in a store, and what to make it from."""

    clip_id: str
    source: object


def map_in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], *, num_workers: int, title: str
) -> Iterator[Result]:
    """Yield `function(item)` for every item, in the items' order, with a progress bar.

    `function` runs in other processes, so it and its arguments must be picklable.
    """
    if not items:
        return
    parallel = Parallel(n_jobs=min(num_workers, len(items)), return_as="generator")
    results = parallel(delayed(function)(item) for item in items)
    yield from tqdm(results, total=len(items), desc=title, unit="clip")


# How a note of a clip begins if part of the clip is lost; other notes say what was chosen.
LOSSES: Final = ("truncated or damaged", "recordings not read", "tracks not read")


def fill_store(
    store: PartStore,
    wanted: Mapping[str, Wanted],
    make: Callable[..., Made],
    *,
    spec: Mapping[str, Json],
    part_bytes: int,
    num_workers: int,
    title: str,
) -> int:
    """Make what the store lacks of the wanted keys; return how many that were.

    A clip that gives nothing has a row with the reason, so that it is not tried again.
    """
    present = store.index()
    missing = {key: item for key, item in wanted.items() if key not in present}
    sources = [item.source for item in missing.values()]
    results = map_in_processes(make, sources, num_workers=num_workers, title=title)
    with PartWriter(store, spec, part_bytes) as writer:
        for (key, item), made in zip(missing.items(), results, strict=True):
            writer.add(key, item.clip_id, made.values, reason=made.reason, details=made.details)
    return len(missing)


def skipped_rows(stage: str, rows: Mapping[str, Row]) -> list[Skipped]:
    """Rows of a store by clip -> the clips that gave nothing, and those that gave a part."""
    skipped: list[Skipped] = []
    for clip, row in rows.items():
        if row.reason:
            skipped.append(Skipped(clip, stage, row.reason))
        else:
            reasons = (note.partition(":")[0] for note in row.details["notes"])
            lost = [reason for reason in reasons if reason in LOSSES]
            skipped += [Skipped(clip, stage, reason, "part") for reason in lost[:1]]
    return skipped

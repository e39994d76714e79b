"""Clips and what a store lacks of them -> the store with all of them, by several processes.

A store remembers only what follows from the bytes of a clip. What comes from the surroundings, such
as a disk that is away, is reported for this run and tried again at the next.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Final, NamedTuple

import numpy as np
from tqdm import tqdm

from oragen.isolation.limits import Limits
from oragen.isolation.workers import Failure, ThisProcess, Workers
from oragen.schema.vocabulary import PASSING_REASONS, Json, Made, Skipped
from oragen.store.keys import failure_key
from oragen.store.parts import PartStore
from oragen.store.rows import OF, Located, Row
from oragen.store.writing import PartWriter

logger = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A clip that should be in a store, and what to make it from."""

    clip_id: str
    source: object


@dataclass(frozen=True)
class Filled:
    """The rows of the wanted keys, and why the others have none this time."""

    located: dict[str, Located]
    failures: dict[str, str]
    num_made: int
    parts: tuple[str, ...] = ()  # names of those that were written


@dataclass(frozen=True)
class Filling:
    """What a stage fills a store with; see `fill_store` for the fields."""

    store: PartStore
    wanted: Mapping[str, Wanted]
    make: Callable[..., Made]
    nothing: np.ndarray
    spec: Mapping[str, Json]
    part_bytes: int
    libraries: Collection[str]
    title: str
    limits: Limits | None = None  # of a clip
    size_of: Callable[..., int] = lambda _: 0

    def only(self, keys: Collection[str]) -> "Filling":
        """Return the same for some of the keys."""
        return replace(self, wanted={key: self.wanted[key] for key in keys})

    def find_missing(self) -> dict[str, Wanted]:
        """Return what the store lacks, also of the clips that fail; damaged parts are set aside."""
        with self.store.writing():
            circumstances = _describe_circumstances(self.limits, self.libraries)
            return _find_missing(self.store, self.wanted, circumstances).items

    def run(self, workers: Workers | ThisProcess) -> Filled:
        """Fill the store, see `fill_store`."""
        return fill_store(
            self.store,
            self.wanted,
            self.make,
            nothing=self.nothing,
            spec=self.spec,
            part_bytes=self.part_bytes,
            workers=workers,
            libraries=self.libraries,
            title=self.title,
            size_of=self.size_of,
        )


# How a note of a clip begins if part of the clip is lost; other notes say what was chosen.
LOSSES: Final = ("truncated or damaged", "recordings not read", "tracks not read")


def fill_store(
    store: PartStore,
    wanted: Mapping[str, Wanted],
    make: Callable[..., Made],
    *,
    nothing: np.ndarray,
    spec: Mapping[str, Json],
    part_bytes: int,
    workers: Workers | ThisProcess,
    libraries: Collection[str],
    title: str,
    size_of: Callable[..., int] = lambda _: 0,
) -> Filled:
    """Make what the store lacks of the wanted keys.

    A clip that gives nothing has a row with the reason, so that it is not tried again. A clip that
    took too much work or memory, or crashed its process even when it was alone, has a row too, but
    only for these limits and versions of the libraries. The parts that hold what is wanted are
    read and checked; what a damaged one held is made again.

    Args:
        store: to fill.
        wanted: the key of each clip, and what to make it from.
        make: a clip's source -> its values; it runs in another process.
        nothing: the values of a clip that gives none.
        spec: what the values are.
        part_bytes: size at which a part is written.
        workers: the processes.
        libraries: the packages that make the values.
        title: of the progress bar.
        size_of: the bytes of a source: more may take longer.
    """
    circumstances = _describe_circumstances(workers.limits, libraries)
    failures: dict[str, str] = {}
    with store.writing():
        missing, failed = _find_missing(store, wanted, circumstances)
        with PartWriter(store, spec, part_bytes) as writer:
            for key, result in _try_all(missing, make, workers, size_of, title):
                clip = missing[key].clip_id
                match result:
                    case Made(reason=reason) if reason in PASSING_REASONS:
                        failures[key] = str(reason)
                    case Made(values, reason, details):
                        writer.add(key, clip, values, reason=reason, details=details)
                    case Failure(reason, "passing"):
                        failures[key] = reason
                    case Failure(reason):
                        details = {"notes": [], OF: key, "circumstances": circumstances}
                        writer.add(failed[key], clip, nothing, reason=reason, details=details)
        index = store.index()
        located = {
            key: row
            for key in wanted
            if key not in failures and (row := index.get(key) or index.get(failed.get(key, key)))
        }
    parts = tuple(sorted(part.name for part in writer.written))
    return Filled(located, failures, len(missing) - len(failures), parts)


class _Missing(NamedTuple):
    """What is to be made; and for each key without values, that of a row that says why."""

    items: dict[str, Wanted]
    failed: dict[str, str]


def _find_missing(
    store: PartStore, wanted: Mapping[str, Wanted], circumstances: Mapping[str, Json]
) -> _Missing:
    """Return what has neither a row nor one that says why there is none."""
    present = store.find(wanted, mend=True)
    failed = {key: failure_key(key, circumstances) for key in wanted if key not in present}
    noted = store.find(failed.values(), mend=True) if failed else {}
    lacking = (key for key, failure in failed.items() if failure not in noted)
    return _Missing({key: wanted[key] for key in lacking}, failed)


def _try_all(
    missing: Mapping[str, Wanted],
    make: Callable[..., Made],
    workers: Workers | ThisProcess,
    size_of: Callable[..., int],
    title: str,
) -> Iterator[tuple[str, Made | Failure]]:
    """Yield what came of each clip; one whose process died or waited is tried again, alone."""
    sources = [item.source for item in missing.values()]
    results = workers.map(make, sources, size_of=size_of)
    shown = tqdm(results, total=len(missing), desc=title, unit="clip", disable=not missing)
    again: list[str] = []
    for key, result in zip(missing, shown, strict=True):
        if isinstance(result, Failure) and result.kind != "limit":
            logger.info("%s: %s; it is tried again alone", missing[key].clip_id, result.reason)
            again.append(key)
        else:
            yield key, result
    for key in again:
        source = missing[key].source
        yield key, workers.submit(make, source, num_bytes=size_of(source)).result()


def _describe_circumstances(limits: Limits | None, libraries: Collection[str]) -> dict[str, Json]:
    """Return what decides, beside the source of a clip, whether its values can be made."""
    return ({} if limits is None else asdict(limits)) | {name: version(name) for name in libraries}


def find_rows(index: Mapping[str, Located], keys: Iterable[str]) -> dict[str, Located]:
    """Index of a store -> the row of each key, or one that says how its clip failed at any time."""
    rows = {key: index.get(key) for key in keys}
    if None in rows.values():
        failed = {located.row.details.get(OF): located for located in index.values()}
        rows = {key: located or failed.get(key) for key, located in rows.items()}
    return {key: located for key, located in rows.items() if located is not None}


def failed_clips(stage: str, keys: Mapping[str, str], filled: Filled) -> list[Skipped]:
    """Keys by clip -> the clips that could not be read this time."""
    return [
        Skipped(clip, stage, filled.failures[key])
        for clip, key in keys.items()
        if key in filled.failures
    ]


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

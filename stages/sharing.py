"""A stage and its corpus -> its work in groups of rows, and each group's rows in the store.

What hands out the groups and what makes them are different processes. Both go by this module.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final, Protocol

from oragen.config.params import Params
from oragen.features.presence import Missing, find_lacking
from oragen.isolation.workers import ThisProcess, Workers
from oragen.launch.code import describe_code
from oragen.launch.plans import PlanError, PlannedRow
from oragen.launch.shards import Result, Share
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Json
from oragen.store.fill import Filling
from stages.extracting import Extraction, batch_size_of

MOST_CLIPS: Final = 512  # of a group of clips
GROUPS_OF_A_WORKER: Final = 4  # at least, so that all workers end at about the same time
STAGES: Final = (
    "decode_audio", "detect_speech", "crop_faces", "extract_audio_features",
    "extract_face_features", "train_head",
)  # fmt: skip
OpenWorkers = Callable[[Params, int], Workers | ThisProcess]


class Work(Protocol):
    """The work of a stage on a corpus."""

    @property
    def asks(self) -> str:
        """Hash of all that decides the rows."""

    @property
    def uses_gpus(self) -> bool:
        """Whether it is faster on a GPU."""

    @property
    def unit(self) -> int:
        """So many rows of a group are made together."""

    def find_groups(
        self, count_workers: Callable[[], int], share: Share | None = None
    ) -> list[list[PlannedRow]]:
        """Return what the store lacks; a share of it, if one is named.

        Args:
            count_workers: is asked if anything is missing.
            share: None = all.
        """

    def make(self, rows: Sequence[PlannedRow]) -> Result:
        """Make the rows of a group, or of a piece of it.

        Raises:
            PlanError: they are not of this work.
        """


class FillingWork:
    """Clips -> what a store keeps of each."""

    uses_gpus = False
    unit = 1

    def __init__(
        self, params: Params, filling: Filling, open_workers: OpenWorkers, num_processes: int
    ) -> None:
        self.asks = hash_question(
            params,
            [dict(filling.spec), filling.title, filling.limits and asdict(filling.limits)],
        )
        self._filling = filling
        self._workers = open_workers(params, num_processes)

    def find_groups(
        self, count_workers: Callable[[], int], share: Share | None = None
    ) -> list[list[PlannedRow]]:
        """Return the clips that the store lacks, in the order of their keys."""
        missing = [
            PlannedRow(key, item.clip_id)
            for key, item in sorted(self._filling.find_missing().items())
            if share is None or share.holds(key)
        ]
        if not missing:
            return []
        size = min(MOST_CLIPS, -(-len(missing) // (GROUPS_OF_A_WORKER * count_workers())))
        return [missing[start : start + size] for start in range(0, len(missing), size)]

    def make(self, rows: Sequence[PlannedRow]) -> Result:
        """Make what the store keeps of some clips."""
        refuse_strangers([row.key for row in rows], self._filling.wanted)
        filled = self._filling.only([row.key for row in rows]).run(self._workers)
        return Result(filled.num_made, filled.parts, filled.failures)


class EncodingWork:
    """Windows or crops -> their features."""

    uses_gpus = True

    def __init__(self, params: Params, corpus: str, extraction: Extraction) -> None:
        note = extraction.encoder.noted or extraction.encoder.described
        self.specs = extraction.make_specs(params, note)
        self.asks = hash_question(params, [spec.as_json() for spec in self.specs])
        self.unit = batch_size_of(params, extraction.modality)
        self.store = extraction.open_store(params, corpus)
        self._part_bytes = params.execution.part_bytes
        self._encoder = extraction.encoder
        self._inputs = {item.key: item for item in extraction.inputs}

    def find_groups(
        self, count_workers: Callable[[], int], share: Share | None = None
    ) -> list[list[PlannedRow]]:
        """Return the inputs that the store lacks, in the groups and the order of `extract`."""
        from oragen.features.extraction import check_disk, group_missing  # which loads torch

        with self.store.writing():
            missing = find_lacking(self.store, self._inputs.values(), self.specs)
        if not missing:
            return []
        check_disk(self.store, missing, self.specs)
        groups = group_missing(
            missing, self.specs, batch_size=self.unit, part_bytes=self._part_bytes
        )
        return [
            [self._to_row(lacking) for lacking in group]
            for group in groups
            if share is None or share.holds(group[0].item.key)
        ]

    def _to_row(self, lacking: Missing) -> PlannedRow:
        lacks = sum(1 << place for place, spec in enumerate(self.specs) if spec in lacking.keys)
        return PlannedRow(lacking.item.key, lacking.item.clip_id, lacks)

    def make(self, rows: Sequence[PlannedRow]) -> Result:
        """Encode some inputs."""
        from oragen.features.extraction import encode_groups

        refuse_strangers([row.key for row in rows], self._inputs)
        group = [
            Missing(
                self._inputs[row.key],
                {
                    spec: spec.key_of(row.key)
                    for place, spec in enumerate(self.specs)
                    if row.lacks >> place & 1
                },
            )
            for row in rows
        ]
        parts = encode_groups(
            self.store, [group], self._encoder.loaded, self.specs, batch_size=self.unit
        )
        return Result(len(rows), tuple(parts))


def open_work(
    stage: str, corpus: str, params: Params, *, num_processes: int, device: str, until: ExitStack
) -> Work:
    """Return the work of a stage on a corpus.

    Args:
        stage: one of `STAGES`.
        corpus: its name, or that of a head.
        params: all parameters.
        num_processes: that decode or search.
        device: to encode on.
        until: what the work needs is open until this is closed.

    Raises:
        UserError: the work of such a stage is not parted.
    """
    match stage:
        case "decode_audio":
            from stages import decode_audio as clips
        case "detect_speech":
            from stages import detect_speech as clips  # type: ignore[no-redef]
        case "crop_faces":
            from stages import crop_faces as clips  # type: ignore[no-redef]
        case "extract_audio_features":
            from stages.extract_audio_features import prepare

            extraction = until.enter_context(prepare(params, corpus, device=device))
            return EncodingWork(params, corpus, extraction)
        case "extract_face_features":
            from stages.extract_face_features import prepare

            extraction = until.enter_context(prepare(params, corpus, device=device))
            return EncodingWork(params, corpus, extraction)
        case "train_head":
            from stages.sharing_seeds import SeedsWork

            return SeedsWork(params, corpus, device)
        case _:
            raise UserError(f"{stage!r} has no shards: name one of {', '.join(STAGES)}.")
    filling = clips.describe(params, corpus)
    return FillingWork(params, filling, clips.open_workers, num_processes)


def hash_question(params: Params, kinds: Json) -> str:
    """Return a hash of the parameters that decide results, of kinds of rows, and of the code."""
    described = params.model_dump(mode="json", exclude={"execution"})
    asked = [described, kinds, describe_code(Path.cwd()).digest]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def refuse_strangers(keys: Sequence[str], known: Mapping[str, object]) -> None:
    """Refuse keys that do not follow from what is here.

    Raises:
        PlanError: some do not.
    """
    if strange := [key for key in keys if key not in known]:
        raise PlanError(
            f"{len(strange)} of {len(keys)} rows of the plan are none of this machine's, e.g. "
            f"{strange[0]}. Its tables in data/, its encoder or its face detector are others than "
            "those of the machine that planned. Share one project folder, or make them equal."
        )

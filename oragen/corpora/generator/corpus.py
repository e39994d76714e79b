"""A corpus spec -> a folder of clips with `labels.csv` and `corpus.json`; can be resumed."""

import csv
import logging
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, get_args

import cv2
import numpy as np
from tqdm import tqdm

from oragen.corpora.generator.clip import PICTURES_PER_S, ClipPlan, Fault, write_clip
from oragen.corpora.generator.speakers import (
    OLDEST_YEARS,
    YOUNGEST_YEARS,
    Gender,
    SpeakerTraits,
    draw_speaker,
)
from oragen.corpora.generator.spec import SPEC_FILE, CorpusSpec, check_spec, describe_spec
from oragen.schema.choices.corpora import Condition
from oragen.schema.errors import UserError
from oragen.schema.files import atomic_write
from oragen.schema.vocabulary import MASK_TYPES, SPLITS, Split

logger = logging.getLogger(__name__)

LABEL_COLUMNS: Final = ("media", "speaker_id", "gender", "age_years", "mask_type", "split")
SPLIT_SHARES: Final = {"train": 0.6, "dev": 0.2, "test": 0.2}
# First words of the entropy of the random draws, so that no two share a stream.
CORPUS_STREAM, SPEAKER_STREAM, CLIP_STREAM = 0, 1, 2


@dataclass(frozen=True)
class Speaker:
    """Traits with a name and a split in one corpus."""

    speaker_id: str
    split: Split
    traits: SpeakerTraits


def generate_corpus(folder: Path, spec: CorpusSpec, *, num_workers: int) -> int:
    """Write the missing clips; return how many were written.

    Raises:
        UserError: `folder` holds something other than this corpus, or `num_workers` is below 1.
    """
    if num_workers < 1:
        raise UserError(f"num_workers is {num_workers}, expected 1 or more.")
    _claim(folder, spec)
    plans = plan_clips(spec)
    missing = [plan for plan in plans if not (folder / plan.media).exists()]
    _write_clips(folder, missing, num_workers)
    _write_labels(folder, plans)
    logger.info("%s: %d clips, %d of them written now", folder, len(plans), len(missing))
    return len(missing)


def plan_clips(spec: CorpusSpec) -> list[ClipPlan]:
    """Spec -> every clip of the corpus, by speaker; the same spec gives the same plans."""
    rng = np.random.default_rng(_entropy(spec, CORPUS_STREAM))
    speakers = draw_speakers(spec, rng)
    counts = rng.integers(*spec.clips_per_speaker, size=len(speakers), endpoint=True)
    mask_types = _deal_mask_types(speakers, counts.tolist(), rng)
    owners = [(s, c) for s, count in enumerate(counts) for c in range(count)]
    faults = _deal_faults(len(owners), spec.fault_share, rng)
    lengths_s = rng.uniform(*spec.duration_s, size=len(owners))
    return [
        ClipPlan(
            media=f"clips/{speakers[s].speaker_id}_{c + 1}.mp4",
            speaker_id=speakers[s].speaker_id,
            split=speakers[s].split,
            traits=speakers[s].traits,
            mask_type=mask_types[s][c],
            condition=spec.condition,
            num_pictures=round(length_s * float(PICTURES_PER_S)),
            fault=fault,
            entropy=(*_entropy(spec, CLIP_STREAM), s, c),
        )
        for (s, c), fault, length_s in zip(owners, faults, lengths_s, strict=True)
    ]


def draw_speakers(spec: CorpusSpec, rng: np.random.Generator) -> list[Speaker]:
    """Spec -> speakers; each gender of each split has its ages spread from 16 to 85."""
    slots: list[tuple[Split, Gender, int]] = []
    for split, count in _split_sizes(spec.num_speakers).items():
        num_female = (count + int(rng.integers(2))) // 2
        slots += [(split, "female", age) for age in _spread_ages(num_female, rng)]
        slots += [(split, "male", age) for age in _spread_ages(count - num_female, rng)]
    speakers = []
    for number, slot in enumerate(rng.permutation(len(slots))):
        split, gender, age_years = slots[slot]
        speaker_rng = np.random.default_rng((*_entropy(spec, SPEAKER_STREAM), number))
        traits = draw_speaker(gender, age_years, speaker_rng)
        speakers.append(Speaker(f"s{number:03d}", split, traits))
    return speakers


def _entropy(spec: CorpusSpec, stream: int) -> tuple[int, ...]:
    # The condition is part of it: corpora of one seed must not share speakers.
    return (spec.seed, get_args(Condition).index(spec.condition), stream)


def _split_sizes(num_speakers: int) -> dict[Split, int]:
    small = {split: max(2, round(SPLIT_SHARES[split] * num_speakers)) for split in SPLITS[1:]}
    return {SPLITS[0]: num_speakers - sum(small.values()), **small}


def _spread_ages(count: int, rng: np.random.Generator) -> list[int]:
    """One age from each of `count` equal parts of the range."""
    shares = (np.arange(count) + rng.uniform(size=count)) / count
    ages = YOUNGEST_YEARS + shares * (OLDEST_YEARS + 1 - YOUNGEST_YEARS)
    return [int(age) for age in ages]


def _deal_mask_types(
    speakers: list[Speaker], counts: list[int], rng: np.random.Generator
) -> list[list[str]]:
    """Deal shuffled packs of all types, split by split: balanced, and rarely one type twice."""
    packs = {split: _endless_packs(rng) for split in SPLITS}
    return [
        [next(packs[speaker.split]) for _ in range(count)]
        for speaker, count in zip(speakers, counts, strict=True)
    ]


def _endless_packs(rng: np.random.Generator) -> Iterator[str]:
    while True:
        yield from (MASK_TYPES[index] for index in rng.permutation(len(MASK_TYPES)))


def _deal_faults(num_clips: int, fault_share: float, rng: np.random.Generator) -> list[Fault]:
    num_faulty = round(fault_share * num_clips)
    faults: list[Fault] = ["none"] * num_clips
    chosen = rng.permutation(num_clips)
    for clip in chosen[:num_faulty]:
        faults[clip] = "no_speech"
    for clip in chosen[num_faulty : 2 * num_faulty]:
        faults[clip] = "no_face"
    return faults


def _claim(folder: Path, spec: CorpusSpec) -> None:
    """Mark an empty folder as this corpus, or check that it already is."""
    path = folder / SPEC_FILE
    if path.exists():
        check_spec(folder, spec)
        return
    _refuse_strangers(folder)
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    _write_whole(path, describe_spec(spec))


def _refuse_strangers(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
    if strangers := sorted(str(path.relative_to(folder)) for path in files):
        raise UserError(
            f"{folder} is not a generated corpus: expected an empty folder or a corpus.json, found "
            f"{len(strangers)} other files, e.g. {strangers[0]}. Choose another folder."
        )


def _write_clips(folder: Path, plans: list[ClipPlan], num_workers: int) -> None:
    progress = tqdm(
        total=len(plans), desc=f"generate {folder.name}", unit="clip", disable=not plans
    )
    with progress:
        for _ in _written(folder, plans, min(num_workers, len(plans))):
            progress.update()


def _written(folder: Path, plans: list[ClipPlan], num_workers: int) -> Iterator[None]:
    if num_workers <= 1:
        for plan in plans:
            write_clip(plan, folder / plan.media)
            yield
        return
    # Spawned, not forked: the caller may hold threads (torch, Zarr) that do not survive a fork.
    executor = ProcessPoolExecutor(num_workers, get_context("spawn"), _one_thread_each)
    try:
        jobs = [executor.submit(write_clip, plan, folder / plan.media) for plan in plans]
        for job in as_completed(jobs):
            job.result()  # raises the error of the worker
            yield
    finally:
        executor.shutdown(cancel_futures=True)


def _one_thread_each() -> None:
    cv2.setNumThreads(1)


def _write_labels(folder: Path, plans: list[ClipPlan]) -> None:
    with (
        atomic_write(folder / "labels.csv") as unfinished,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LABEL_COLUMNS)
        writer.writerows(_label_row(plan) for plan in plans)


def _label_row(plan: ClipPlan) -> tuple[str, str, str, int, str, str]:
    traits = plan.traits
    return plan.media, plan.speaker_id, traits.gender, traits.age_years, plan.mask_type, plan.split


def _write_whole(path: Path, text: str) -> None:
    with atomic_write(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")

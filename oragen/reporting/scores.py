"""Predictions of all heads -> what each head scored, for the tables and as JSON."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32

from oragen.reporting.bootstrap import (
    Measure,
    SpeakerDraws,
    is_scored,
    number_speakers,
)
from oragen.reporting.estimates import to_cell
from oragen.reporting.paired import Difference, Pair, compare_pairs
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.row_scores import estimate_score, value_classes
from oragen.reporting.table_formats import Cell
from oragen.schema.files import write_text
from oragen.schema.vocabulary import LEVELS, MODALITY_SETS, ClassTask

OVERALL: Final = "all corpora"  # in the place of a corpus: all of them together
# What needs no training, linear probes, each modality alone, the published fusions (of one rank:
# levels decide), other baselines, our own.
VARIANT_RANKS: Final = {
    "off_the_shelf": 0, "frozen_probe_audio": 1, "frozen_probe_face": 1, "frozen_probe": 1,
    "audio_only": 2, "face_only": 3, "shared": 4, "separate": 4, "joint": 4, "concatenation": 5,
    "late_fusion": 6, "cross_attention": 7,
}  # fmt: skip
LEVEL_RANKS: Final[dict[str, int]] = {level: rank for rank, level in enumerate(LEVELS)}
METRIC_DIGITS: Final[dict[Measure, int]] = {
    "gender_uar": 4, "age_mae_years": 3, "mask_type_uar": 4,
}  # fmt: skip
TASK_OF: Final[dict[Measure, ClassTask]] = {
    "gender_uar": "gender", "mask_type_uar": "mask_type",
}  # fmt: skip
NAMES: Final = ("clip_id", "corpus", "speaker_id")  # compared as numbers: they are many
Numbers = dict[str, float | int]


class Method(NamedTuple):
    """A head, and what it is."""

    head: str
    variant: str
    level: str
    trained_on: str  # corpora, joined by ", "
    modalities: str  # the widest it takes


class Counts(NamedTuple):
    """The clips and speakers of some predictions; a clip with several rows counts once."""

    clips_in_all: int
    speakers_in_all: int
    predicted: int  # clips
    without_window: int  # clips


class HeadScores:
    """The predictions of all heads, and their scores, each computed once."""

    def __init__(
        self, predictions: pd.DataFrame, draws: SpeakerDraws, *, min_speakers: int = 1
    ) -> None:
        """Sort predictions by head and modalities.

        Args:
            predictions: a row for each clip, head, seed and set of modalities: `corpus`,
                `speaker_id`, `clip_id`, `split`, `head`, `variant`, `level`, `trained_on`,
                `seed`, `modalities`, the labels, `predicted_*`, `num_windows`, and the
                probabilities `gender_<label>`, `mask_type_<label>`.
            draws: of the speakers, for the intervals.
            min_speakers: tables by group show no score of fewer.
        """
        self.min_speakers, self.draws = min_speakers, draws
        kinds = {name: pd.CategoricalDtype(sorted(predictions[name].unique())) for name in NAMES}
        predictions = predictions.astype(kinds)
        self.clips = predictions.drop_duplicates("clip_id")
        # That of a clip is its place in the order of the names.
        self._speaker_of = number_speakers(self.clips.sort_values("clip_id"))
        self.heads = [str(head) for head in predictions["head"].unique()]
        self._predictions = _divide(predictions)
        self._cells: dict[tuple[str, str, str, Measure], Cell] = {}
        self._resampled_rows: dict[tuple[str, str], ResampledRows] = {}
        self._value_classes = lru_cache(maxsize=4)(value_classes)  # one is scored in many groups
        self._differences: dict[Measure, dict[Pair, Difference]] = {}
        self.methods = sorted((self._describe(head) for head in self.heads), key=_rank)

    @property
    def scopes(self) -> list[str]:
        """The corpora, and all of them together where they are several."""
        corpora = sorted(self.clips["corpus"].unique())
        return [*corpora, OVERALL] if len(corpora) > 1 else corpora

    def clips_of(self, scope: str) -> pd.DataFrame:
        """Return a row for each clip of one corpus or all, with its labels."""
        return _within_scope(self.clips, scope)

    def modality_sets(self, head: str) -> list[str]:
        """Return the sets of modalities that a head predicted from, the widest first."""
        return [name for name in MODALITY_SETS if (head, name) in self._predictions]

    def predictions(self, head: str, modalities: str, scope: str = OVERALL) -> pd.DataFrame:
        """Return what a head predicted for one corpus or all."""
        return _within_scope(self._predictions[head, modalities], scope)

    def widest_predictions(self, head: str) -> pd.DataFrame:
        """Return what a head predicted from the widest set of modalities it takes."""
        return self.predictions(head, self.modality_sets(head)[0])

    def resampled_rows(self, head: str, modalities: str) -> ResampledRows:
        """Return what a head predicted, and how often each speaker of the report is drawn."""
        key = head, modalities
        if key not in self._resampled_rows:
            self._resampled_rows[key] = self.resample(self._predictions[key])
        return self._resampled_rows[key]

    def resample(self, predictions: pd.DataFrame) -> ResampledRows:
        """Return predictions of clips of the report, and how often each speaker is drawn."""
        clips = predictions["clip_id"].cat.codes.to_numpy(int)
        return ResampledRows(predictions, clips, self._speaker_of[clips], self._weights)

    def widest_rows(self, head: str) -> ResampledRows:
        """Return the resampled rows of the widest set of modalities that a head takes."""
        return self.resampled_rows(head, self.modality_sets(head)[0])

    def differences(self, measure: Measure) -> dict[Pair, Difference]:
        """Compare every two heads over all corpora, each from all modalities it takes."""
        if measure not in self._differences:
            rows = {method.head: self.widest_rows(method.head) for method in self.methods}
            self._differences[measure] = compare_pairs(rows, measure, self.min_speakers)
        return self._differences[measure]

    @cached_property
    def _weights(self) -> Float32[np.ndarray, "resamples speakers"]:
        """How often each speaker of the report is drawn in each resample."""
        return self.draws.among(int(self._speaker_of.max()) + 1).astype(np.float32)

    def cell(self, head: str, modalities: str, scope: str, measure: Measure) -> Cell:
        """Score a head on one corpus or all."""
        key = head, modalities, scope, measure
        if key not in self._cells:
            rows = self.resampled_rows(head, modalities)
            self._cells[key] = self.score(rows, measure, find_in_scope(rows.table, scope))
        return self._cells[key]

    def score(
        self,
        rows: ResampledRows,
        measure: Measure,
        members: Bool[np.ndarray, " rows"],
        *,
        min_speakers: int = 1,
    ) -> Cell:
        """Score some of the rows of one head.

        Clips are skipped that have no prediction, no label, or a label that the head does not know
        (it gives no probability of it). For UAR there is no score of one class.

        Args:
            rows: of the head from one set of modalities.
            measure: what to score.
            members: the rows that count.
            min_speakers: with fewer, in any class, the cell is too small to show a score.
        """
        in_all = rows.count_clips(members)
        found = estimate_score(rows, self._value_classes(rows, measure), members)
        return to_cell(measure, found, min_speakers=min_speakers, clips_in_all=in_all)

    def _describe(self, head: str) -> Method:
        first = self.widest_predictions(head).iloc[0]
        return Method(*(str(first[name]) for name in Method._fields))


def _divide(predictions: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the rows of each head and set of modalities; not a copy where they follow."""
    groups = predictions.groupby(["head", "modalities"], observed=True)
    numbers = groups.ngroup().to_numpy()
    starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1)]
    if len(starts) > groups.ngroups:
        return _divide(predictions.iloc[np.argsort(numbers, kind="stable")])
    found = {}
    for start, stop in zip(starts, [*starts[1:], len(predictions)], strict=True):
        rows = predictions.iloc[start:stop]
        found[str(rows["head"].iloc[0]), str(rows["modalities"].iloc[0])] = rows
    return found


def count_clips(predictions: pd.DataFrame) -> Counts:
    """Count the clips and speakers of some predictions."""
    clip_ids = predictions["clip_id"]
    return Counts(
        clips_in_all=clip_ids.nunique(),
        speakers_in_all=len(predictions[["corpus", "speaker_id"]].drop_duplicates()),
        predicted=clip_ids[predictions["predicted_age_years"].notna()].nunique(),
        without_window=clip_ids[predictions["num_windows"] == 0].nunique(),
    )


def write_metrics(folder: Path, scores: HeadScores) -> None:
    """Write a JSON file for each head, see `to_metrics`: `dvc metrics show` makes a row of each."""
    for head, numbers in to_metrics(scores).items():
        _write_json(folder / f"{head}.json", numbers)


def to_metrics(scores: HeadScores) -> dict[str, dict[str, float]]:
    """Return what to compare runs by: head -> rounded score, over all corpora.

    The head predicts from all modalities that it takes. A score is the mean over the seeds. What
    cannot be scored is not there.
    """
    return {head: _measure_widest(scores, head) for head in scores.heads}


def _measure_widest(scores: HeadScores, head: str) -> dict[str, float]:
    modalities = scores.modality_sets(head)[0]
    values = {
        measure: scores.cell(head, modalities, OVERALL, measure).value for measure in METRIC_DIGITS
    }
    return {
        measure: round(value, METRIC_DIGITS[measure])
        for measure, value in values.items()
        if value is not None
    }


def write_details(path: Path, scores: HeadScores) -> None:
    """Write all numbers to one JSON file, see `to_details`."""
    _write_json(path, to_details(scores))


def _write_json(path: Path, numbers: Mapping[str, object]) -> None:
    write_text(path, json.dumps(numbers, indent=2) + "\n")


def to_details(scores: HeadScores) -> dict[str, dict[str, dict[str, Numbers]]]:
    """Return the rounded numbers of details.json: head -> corpus -> modalities -> score.

    A score is that of the tables: the mean over the seeds, and `_std` their standard deviation.
    That of one seed is 0. What cannot be scored is not there.
    """
    return {
        head: {
            scope.replace(" ", "_"): {
                modalities: _measure(scores, head, modalities, scope)
                for modalities in scores.modality_sets(head)
            }
            for scope in scores.scopes
        }
        for head in scores.heads
    }


def _measure(scores: HeadScores, head: str, modalities: str, scope: str) -> Numbers:
    predictions = scores.predictions(head, modalities, scope)
    counts = count_clips(predictions)
    numbers: Numbers = {
        "clips": counts.clips_in_all,
        "speakers": counts.speakers_in_all,
        "without_window": counts.without_window,
    }
    for measure, digits in METRIC_DIGITS.items():
        cell = scores.cell(head, modalities, scope, measure)
        if cell.value is not None:
            numbers[measure] = round(cell.value, digits)
            numbers[f"{measure}_std"] = round(cell.std_over_seeds or 0.0, digits)
        if (task := TASK_OF.get(measure)) and (of_seeds := _macro_f1(predictions, task)):
            spread = float(np.std(of_seeds, ddof=1)) if len(of_seeds) > 1 else 0.0
            numbers[f"{task}_macro_f1"] = round(float(np.mean(of_seeds)), digits)
            numbers[f"{task}_macro_f1_std"] = round(spread, digits)
    return numbers


def _macro_f1(predictions: pd.DataFrame, task: ClassTask) -> Sequence[float]:
    """Return the macro F1 of each seed, over the rows that the UAR is of.

    It is that of `score_classes`, from counts: there are many rows.
    """
    scored = predictions[is_scored(predictions, task)]
    of_seeds = []
    for _, rows in scored.groupby("seed"):
        is_hit = rows[task] == rows[f"predicted_{task}"]
        true = rows[task].value_counts()
        hits, predicted = (
            labels.value_counts().reindex(true.index, fill_value=0)
            for labels in (rows.loc[is_hit, task], rows[f"predicted_{task}"])
        )
        if len(true) > 1:
            of_seeds.append(float((2 * hits / (true + predicted)).mean()))
    return of_seeds


def _rank(method: Method) -> tuple[int, int, int, str]:
    return (
        VARIANT_RANKS.get(method.variant, len(VARIANT_RANKS)),  # of another version, maybe
        LEVEL_RANKS.get(method.level, len(LEVEL_RANKS)),
        [*VARIANT_RANKS, method.variant].index(method.variant),
        method.head,
    )


def find_in_scope(table: pd.DataFrame, scope: str) -> Bool[np.ndarray, " rows"]:
    """Return which rows are of one corpus or all."""
    if scope == OVERALL:
        return np.ones(len(table), bool)
    return np.asarray(table["corpus"] == scope)


def _within_scope(rows: pd.DataFrame, scope: str) -> pd.DataFrame:
    return rows if scope == OVERALL else rows[find_in_scope(rows, scope)]

"""Predictions and parameters of two runs -> what differs: scores, tests, parameters, corpora."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

import pandas as pd

from oragen.reporting.bootstrap import Measure, SpeakerDraws
from oragen.reporting.estimates import Estimate
from oragen.reporting.paired import SIGNIFICANCE, decide_differences, estimate_pairs
from oragen.reporting.scores import OVERALL, HeadScores
from oragen.reporting.table_formats import PRESENTATIONS, Cell, Column, Label, ReportTable, Row
from oragen.reporting.tables.differences import HOLDS, to_difference_cell
from oragen.reporting.tables.rows import MEASURES
from oragen.schema.errors import UserError
from oragen.schema.names import shorten
from oragen.schema.vocabulary import Json

LABELS: Final = ["split", "speaker_id", "gender", "age_years", "age_low", "age_high", "mask_type"]
DECIDES_NOTHING: Final = "execution"  # a section of params.yaml
NOT_THERE: Final = "–"
NOTE: Final = (
    "Each head from all modalities it takes, over all corpora. The difference is B minus A on the "
    f"clips that both predict. `{HOLDS}`: beyond chance, as p is below {SIGNIFICANCE:g} after "
    "Holm's correction for all lines. Each run is scored by its own labels."
)


class Run(NamedTuple):
    """The predictions of all heads of a run, and its parameters."""

    name: str  # as the user names it
    predictions: pd.DataFrame
    params: Mapping[str, Json]


def compare_runs(a: Run, b: Run, draws: SpeakerDraws) -> list[ReportTable]:
    """Compare two runs; what is the same in both has no table.

    Args:
        a: the earlier or the reference.
        b: what differences are positive for, if its score is higher.
        draws: of the speakers, the same for both.
    """
    tables = [
        _compare_scores(a.predictions, b.predictions, draws),
        _compare_params(a.params, b.params),
        _compare_corpora(a.predictions, b.predictions),
    ]
    return [table for table in tables if table is not None]


def _compare_scores(a: pd.DataFrame, b: pd.DataFrame, draws: SpeakerDraws) -> ReportTable:
    """Score the heads of both runs together: they have the same resamples."""
    runs = [
        rows.assign(head=f"{run} " + rows["head"].astype(str)) for run, rows in (("A", a), ("B", b))
    ]
    scores = HeadScores(pd.concat(runs, ignore_index=True), draws)
    heads = list(dict.fromkeys(name[2:] for name in scores.heads))
    measures = _choose_measures(scores)
    estimates: dict[tuple[str, Measure], Estimate] = {}
    for head in heads:
        names = [name for name in (f"B {head}", f"A {head}") if name in scores.heads]
        pair = {name: scores.widest_rows(name) for name in names}
        for measure in measures:
            for found in estimate_pairs(pair, measure).values():
                estimates[head, measure] = found
    differences = decide_differences(estimates)
    rows = [
        Row(
            {"method": head, "score": PRESENTATIONS[measure].title},
            [
                _score(scores, f"A {head}", measure),
                _score(scores, f"B {head}", measure),
                to_difference_cell(measure, differences.get((head, measure)), None),
            ],
        )
        for head in heads
        for measure in measures
    ]
    scored = [row for row in rows if any(cell.value is not None for cell in row.cells)]
    if not scored:
        raise UserError(
            "Neither run has a score: no clip has both a label and a prediction. Check "
            "evaluate.corpora in the params.yaml of both."
        )
    columns = [Column("A", "A"), Column("B", "B"), Column("difference", "B minus A")]
    return ReportTable("scores", "Scores", NOTE, columns, scored)


def _choose_measures(scores: HeadScores) -> list[Measure]:
    """Return a score of each task: the first that any head has."""
    chosen: list[Measure] = []
    for measures in MEASURES.values():
        scored = (
            measure
            for measure in measures
            if any(_score(scores, head, measure).value is not None for head in scores.heads)
        )
        chosen += islice(scored, 1)
    return chosen


def _score(scores: HeadScores, head: str, measure: Measure) -> Cell:
    if head not in scores.heads:
        return Cell(measure, None)
    return scores.cell(head, scores.modality_sets(head)[0], OVERALL, measure)


def _compare_params(a: Mapping[str, Json], b: Mapping[str, Json]) -> ReportTable | None:
    """List the parameters that differ, but for those that decide no result."""
    values = [dict(_flatten(params)) for params in (a, b)]
    names = dict.fromkeys([*values[0], *values[1]])
    rows = [
        Row({"parameter": shorten(name), "A": shorten(old), "B": shorten(new)}, [])
        for name in names
        if name.partition(".")[0] != DECIDES_NOTHING
        if (old := values[0].get(name, NOT_THERE)) != (new := values[1].get(name, NOT_THERE))
    ]
    if not rows:
        return None
    note = f"`{NOT_THERE}`: it is not in params.yaml."
    return ReportTable("params", "Changed parameters", note, [], rows)


def _flatten(params: Json, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each parameter by its dotted name; a list is one value."""
    if isinstance(params, Mapping) and params:
        for key, value in params.items():
            yield from _flatten(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, str(params)


def _compare_corpora(a: pd.DataFrame, b: pd.DataFrame) -> ReportTable | None:
    """Count the clips of each corpus that one run lacks, or labels otherwise."""
    clips = [rows.drop_duplicates("clip_id").set_index("clip_id") for rows in (a, b)]
    corpora = sorted({*clips[0]["corpus"], *clips[1]["corpus"]})
    rows = [
        Row({"corpus": corpus, **counts}, [])
        for corpus in corpora
        if (counts := _count_clips(*(table[table["corpus"] == corpus] for table in clips)))
    ]
    if not rows:
        return None
    return ReportTable("corpora", "Changed clips", "Numbers of evaluated clips.", [], rows)


def _count_clips(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, Label]:
    """Count the clips of one corpus; empty where both runs have the same, with the same labels."""
    both = a.index.intersection(b.index)
    one, other = (table.loc[both].reindex(columns=LABELS).astype(object) for table in (a, b))
    differ = int(((one != other) & ~(one.isna() & other.isna())).any(axis=1).sum())
    if len(both) == len(a) == len(b) and not differ:
        return {}
    return {
        "in_A": len(a), "in_B": len(b), "in_both": len(both),
        "with_other_labels_or_speaker": differ,
    }  # fmt: skip


def describe_differences(tables: Sequence[ReportTable]) -> list[str]:
    """Say in sentences which differences between the runs hold."""
    rows = next(table for table in tables if table.name == "scores").rows
    held: dict[str, list[str]] = {}
    for row in rows:
        difference: Any = row.cells[-1]
        if difference.mark == HOLDS:
            held.setdefault(str(row.labels["score"]), []).append(str(row.labels["method"]))
    if not held:
        return ["No difference between the scores is beyond chance."]
    listed = "; ".join(f"{score}: {', '.join(heads)}" for score, heads in held.items())
    return [f"Differences beyond chance. {listed}."]

"""Scores of all heads -> which is best by each score, and from which it differs beyond chance."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from oragen.reporting.bootstrap import Measure
from oragen.reporting.paired import Difference, Pair
from oragen.reporting.scores import OVERALL, TASK_OF, HeadScores
from oragen.reporting.table_formats import PRESENTATIONS, Cell, to_number
from oragen.reporting.tables.rows import MEASURES

CAVEAT: Final = (
    "Each score has a best head of its own. It is compared with the others on the clips that both "
    "predict. Where the difference is not beyond chance, other test speakers could turn them round."
)


class Ranking(NamedTuple):
    """The heads by one score; those of `best` have the same, as it is shown."""

    measure: Measure
    best: dict[str, Cell]
    close: dict[str, Cell]  # not beyond chance from the first of the best; the better ones first
    worse: dict[str, Cell]  # beyond chance
    better: dict[str, Cell]  # beyond chance: the best has predicted other clips, easier ones


def rank_heads(scores: HeadScores) -> list[Ranking]:
    """Rank the heads by a score of each task, over all corpora and from all that each takes.

    Ages that are known as bands alone are ranked by their distance to the band.
    """
    rankings = (_rank_by_first(scores, measures) for measures in MEASURES.values())
    return [ranking for ranking in rankings if ranking is not None]


def describe_rankings(rankings: Iterable[Ranking]) -> list[str]:
    """Write a paragraph for each score by which several heads can be compared."""
    several = [ranking for ranking in rankings if _count(ranking) > 1]
    return [CAVEAT, *map(_describe, several)] if several else []


def _rank_by_first(scores: HeadScores, measures: Iterable[Measure]) -> Ranking | None:
    """Rank by the first measure that any head has a score of."""
    for measure in measures:
        cells = {
            method.head: scores.cell(method.head, method.modalities, OVERALL, measure)
            for method in scores.methods
        }
        scored = {head: cell for head, cell in cells.items() if cell.value is not None}
        if scored:
            return _rank(measure, scored, scores.differences(measure))
    return None


def _rank(
    measure: Measure, cells: Mapping[str, Cell], differences: Mapping[Pair, Difference]
) -> Ranking:
    sign = -1 if measure in TASK_OF else 1
    ordered = dict(sorted(cells.items(), key=lambda item: sign * (item[1].value or 0.0)))
    best, first = next(iter(ordered.items()))
    ranking = Ranking(measure, {}, {}, {}, {})
    for head, cell in ordered.items():
        if to_number(cell) == to_number(first):
            ranking.best[head] = cell
        else:
            found = _find_difference(differences, head, best)
            if found is None or not found.holds:
                ranking.close[head] = cell
            else:
                (ranking.worse if sign * found.value > 0 else ranking.better)[head] = cell
    return ranking


def _find_difference(
    differences: Mapping[Pair, Difference], head: str, best: str
) -> Difference | None:
    """Return the score of a head minus that of the best."""
    if (best, head) in differences:
        return differences[best, head].turned()
    return differences.get((head, best))


def _count(ranking: Ranking) -> int:
    return sum(map(len, (ranking.best, ranking.close, ranking.worse, ranking.better)))


def _describe(ranking: Ranking) -> str:
    """Write such as `Age MAE, years: joint is best, 7.87 [6.11, 10.02]. Not worse ...`."""
    names = list(ranking.best)
    are = "is best" if len(names) == 1 else "are best"
    first = ranking.best[names[0]]
    interval = ""
    if first.low is not None and first.high is not None:
        low, high = (to_number(first._replace(value=edge)) for edge in (first.low, first.high))
        interval = f" [{low}, {high}]"
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    sentences = [f"{PRESENTATIONS[ranking.measure].title}: {listed} {are}, "
                 f"{to_number(first)}{interval}{_count_missing(first)}."]  # fmt: skip
    if ranking.close:
        sentences.append(f"Not worse beyond chance: {_list(ranking.close)}.")
    if ranking.worse:
        sentences.append(f"Worse beyond chance: {_list(ranking.worse)}.")
    if ranking.better:
        sentences.append(f"Better on the clips that both predict: {_list(ranking.better)}.")
    return " ".join(sentences)


def _list(cells: Mapping[str, Cell]) -> str:
    return ", ".join(
        f"{head} {to_number(cell)}{_count_missing(cell)}" for head, cell in cells.items()
    )


def _count_missing(cell: Cell) -> str:
    """Say where a head did not predict all clips: those that it left out may be the hard ones."""
    is_whole = cell.clips == cell.clips_in_all
    return "" if is_whole else f" (on {cell.clips} of {cell.clips_in_all} clips)"

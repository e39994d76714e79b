"""Scores of all heads -> all tables of a report that have something to show."""

from collections.abc import Mapping

from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import ReportTable
from oragen.reporting.tables.counts import count_predictions
from oragen.reporting.tables.coverage import compare_coverage
from oragen.reporting.tables.groups import compare_groups
from oragen.reporting.tables.mask_types import compare_mask_types
from oragen.reporting.tables.methods import compare_methods
from oragen.reporting.tables.modalities import compare_modalities
from oragen.reporting.tables.training_corpora import compare_training_corpora
from oragen.reporting.tables.unfamiliar import count_unfamiliar
from oragen.reporting.tables.usual_labels import UsualLabels


def build_tables(
    scores: HeadScores,
    *,
    head: str,
    readers: Mapping[str, str],
    usual: UsualLabels | None = None,
) -> list[ReportTable]:
    """Build all tables that there is something to show in.

    Args:
        scores: of all heads.
        head: to look closer at.
        readers: of each corpus, to find what others published; a corpus may be missing.
        usual: labels that the heads are compared with, said of every clip.
    """
    tables = [
        *compare_methods(scores, readers, usual),
        *compare_training_corpora(scores),
        compare_modalities(scores, head),
        compare_mask_types(scores, head, readers),
        compare_groups(scores, head),
        *compare_coverage(scores, head),
        count_unfamiliar(scores),
        count_predictions(scores),
    ]
    return [table for table in tables if table is not None]

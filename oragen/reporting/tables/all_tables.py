"""Scores of all heads -> all tables of a report that have something to show."""

from collections.abc import Mapping, Sequence

from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import ReportTable
from oragen.reporting.tables.age_bands import compare_age_bands, compare_bias_by_decade
from oragen.reporting.tables.age_errors import compare_age_errors
from oragen.reporting.tables.calibration import compare_calibration
from oragen.reporting.tables.challenge_ages import compare_challenge_ages
from oragen.reporting.tables.counts import count_predictions
from oragen.reporting.tables.coverage import compare_coverage
from oragen.reporting.tables.differences import compare_differences
from oragen.reporting.tables.failures import count_failures
from oragen.reporting.tables.false_rates import compare_false_rates
from oragen.reporting.tables.group_scores import compare_by_group
from oragen.reporting.tables.groups import compare_groups
from oragen.reporting.tables.mask_types import compare_mask_types
from oragen.reporting.tables.methods import compare_methods
from oragen.reporting.tables.modalities import compare_modalities
from oragen.reporting.tables.quality import compare_quality
from oragen.reporting.tables.stability import compare_masked_speakers, compare_stability
from oragen.reporting.tables.thresholds import compare_threshold_groups, compare_thresholds
from oragen.reporting.tables.training_corpora import compare_training_corpora
from oragen.reporting.tables.unfamiliar import count_unfamiliar
from oragen.reporting.tables.usual_labels import UsualLabels


def build_tables(
    scores: HeadScores,
    *,
    head: str,
    readers: Mapping[str, str],
    usual: UsualLabels | None = None,
    age_thresholds_years: Sequence[int] = (),
    group_by: Sequence[str] = (),
) -> list[ReportTable]:
    """Build all tables that there is something to show in.

    Args:
        scores: of all heads.
        head: to look closer at.
        readers: of each corpus, to find what others published; a corpus may be missing.
        usual: labels that the heads are compared with, said of every clip.
        age_thresholds_years: ages of laws.
        group_by: further columns of the predictions.
    """
    tables = [
        count_failures(scores, group_by),
        *compare_methods(scores, readers, usual),
        *compare_training_corpora(scores),
        compare_modalities(scores, head),
        compare_mask_types(scores, head, readers),
        *compare_differences(scores),
        compare_thresholds(scores, age_thresholds_years),
        compare_threshold_groups(scores, head, age_thresholds_years),
        compare_challenge_ages(scores, head, age_thresholds_years),
        compare_age_errors(scores),
        compare_age_bands(scores),
        compare_bias_by_decade(scores),
        *compare_calibration(scores),
        compare_false_rates(scores, head),
        compare_groups(scores, head),
        *compare_coverage(scores, head),
        *compare_by_group(scores, head, group_by),
        compare_stability(scores),
        compare_masked_speakers(scores, head),
        compare_quality(scores, head),
        count_unfamiliar(scores),
        count_predictions(scores),
    ]
    return [table for table in tables if table is not None]

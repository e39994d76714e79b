"""Heads side by side, by method and by training corpora, with what was published."""

from typing import Any, get_args

import numpy as np
import pandas as pd

from oragen.reporting.scores import VARIANT_RANKS
from oragen.reporting.table_formats import Cell, to_markdown
from oragen.reporting.tables.methods import compare_methods
from oragen.reporting.tables.rows import MODALITY_SET_NAMES
from oragen.reporting.tables.training_corpora import compare_training_corpora
from oragen.reporting.tables.usual_labels import UsualLabels
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import MODALITY_SETS
from tests.scored_heads import by_name, clips, labels, predict, score, values


def test_every_variant_and_set_of_modalities_has_its_place() -> None:
    assert set(VARIANT_RANKS) == set(get_args(HeadName))
    assert tuple(MODALITY_SET_NAMES) == MODALITY_SETS


def test_methods_stand_from_one_modality_over_the_fusions_to_our_own() -> None:
    kinds = [
        ("mine", "cross_attention", "intermediate"), ("decided", "late_fusion", "intermediate"),
        ("joined", "concatenation", "intermediate"), ("last", "joint", "late"),
        ("middle", "joint", "intermediate"), ("middle_a", "shared", "intermediate"),
        ("first", "joint", "early"), ("seen", "face_only", "pooled"),
        ("heard", "audio_only", "late"),
    ]  # fmt: skip
    expected = [
        "heard", "seen", "first", "middle_a", "middle", "last", "joined", "decided", "mine",
    ]  # fmt: skip
    for order in (kinds, kinds[::-1]):
        blocks = [predict(head=name, variant=kind, level=level) for name, kind, level in order]
        table = compare_methods(score(*blocks), {})[0]
        assert labels(table, "method") == expected


def test_methods_are_compared_by_corpus_and_over_all() -> None:
    """Errors of 2 and 6 years in corpora of four clips each; one wrong gender in y."""
    wrong = clips("y")
    wrong.loc[0, "predicted_gender"] = "male"
    scores = score(predict(clips("x"), older=2), predict(wrong, older=6))
    tables = by_name(compare_methods(scores, {}))
    assert list(tables) == ["methods_gender", "methods_age", "methods_mask_type"]
    assert [column.name for column in tables["methods_age"].columns] == ["x", "y", "all corpora"]
    assert values(tables["methods_age"]) == [[2.0, 6.0, 4.0]]
    assert values(tables["methods_gender"]) == [[1.0, 0.75, 0.875]]
    assert values(tables["methods_mask_type"]) == [[1.0, 1.0, 1.0]]
    whole = tables["methods_age"].rows[0].cells[2]
    assert (whole.clips, whole.clips_in_all, whole.speakers) == (8, 8, 4)
    assert tables["methods_age"].columns[0].header == "x (4 clips, 2 speakers)"


def test_heads_stand_below_the_usual_labels_said_of_every_clip() -> None:
    """Women of 20 and men of 50, bare and with a tissue mask, all called bare women of 30."""
    usual: UsualLabels = {"gender": "female", "mask_type": "none", "age_years": 30.0}
    tables = by_name(compare_methods(score(predict()), {}, usual))
    assert labels(tables["methods_age"], "method") == ["most frequent label, mean age", "ours"]
    assert values(tables["methods_age"]) == [[15.0], [0.0]]
    assert values(tables["methods_gender"]) == [[0.5], [1.0]]
    assert values(tables["methods_mask_type"]) == [[0.5], [1.0]]


def test_labels_that_training_did_not_have_are_not_said() -> None:
    usual: UsualLabels = {"gender": "female", "mask_type": None, "age_years": 30.0}
    table = by_name(compare_methods(score(predict()), {}, usual))["methods_mask_type"]
    assert values(table) == [[None], [1.0]]


def test_one_corpus_has_no_column_for_all() -> None:
    table = compare_methods(score(predict()), {})[0]
    assert [column.name for column in table.columns] == ["x"]


def test_a_head_is_compared_from_the_widest_modalities_it_takes() -> None:
    scores = score(
        predict(modalities="face", older=9), predict(older=3), predict(modalities="audio", older=8)
    )
    assert values(by_name(compare_methods(scores, {}))["methods_age"]) == [[3.0]]
    assert scores.modality_sets("ours") == ["audio_visual", "audio", "face"]


def test_heads_are_told_apart_by_what_differs_between_them_alone() -> None:
    same = [predict(head="a", variant="joint"), predict(head="b", variant="joint")]
    assert list(compare_methods(score(*same), {})[0].rows[0].labels) == ["method"]
    other = predict(head="c", variant="shared", level="early", trained_on="y")
    assert list(compare_methods(score(*same, other), {})[0].rows[0].labels) == [
        "method", "variant", "level", "trained_on",
    ]  # fmt: skip
    names = [predict(head=name, variant=name) for name in ("joint", "shared")]
    assert list(compare_methods(score(*names), {})[0].rows[0].labels) == ["method"]


def test_the_distance_to_an_age_band_stands_beside_the_error_where_there_are_bands() -> None:
    """Bands 20-29 and 50-59, ages predicted as 26 and 56, or as 16 and 46."""
    banded = clips("y")
    banded["age_low"], banded["age_high"] = banded["age_years"], banded["age_years"] + 9
    scores = score(
        *(predict(table, "older", older=6) for table in (clips("x"), banded)),
        *(predict(table, "younger", older=-4) for table in (clips("x"), banded)),
    )
    table = by_name(compare_methods(scores, {}))["methods_age"]
    assert [(column.name, cell.measure) for column, cell in zip(
        table.columns, table.rows[0].cells, strict=True
    )] == [
        ("x", "age_mae_years"), ("y", "age_mae_years"), ("y", "age_interval_error_years"),
        ("all corpora", "age_mae_years"), ("all corpora", "age_interval_error_years"),
    ]  # fmt: skip
    assert values(table) == [[6, 6, 0, 6, 0], [4, 4, 4, 4, 4]]
    assert table.rows[0].cells[4].clips == 4
    assert table.rows[0].cells[4].clips_in_all == 8


def test_a_task_that_nobody_can_score_has_no_table() -> None:
    bare = clips().assign(mask_type="none")
    assert list(by_name(compare_methods(score(predict(bare)), {}))) == [
        "methods_gender", "methods_age",
    ]  # fmt: skip


def test_published_numbers_stand_above_ours_with_their_source() -> None:
    table = compare_methods(score(predict(clips("x")), predict(clips("y"))), {"y": "agender"})[0]
    assert labels(table, "method") == [
        "Burkhardt et al. 2023", "ORAGEN, wav2vec 2.0", "ORAGEN, HuBERT", "ours",
    ]  # fmt: skip
    assert values(table) == [
        [None, 0.8615, None], [None, 0.8717, None], [None, 0.8699, None], [1.0, 1.0, 1.0],
    ]  # fmt: skip
    assert "10.1016/j.eswa.2025.127473" in labels(table, "source")[0]
    assert labels(table, "source")[-1] == "measured here"
    assert labels(table, "trained_on")[1] == "timit, agender, common_voice"
    assert table.rows[0].cells[1] == Cell("gender_uar", 0.8615)
    assert "Burkhardt et al. 2023: tested again" in table.note


def test_published_numbers_keep_away_from_other_splits_and_corpora() -> None:
    def methods(split: str, readers: dict[str, str]) -> list[Any]:
        scores = score(predict(clips().assign(split=split)))
        return labels(compare_methods(scores, readers)[0], "method")

    assert methods("test", {"x": "generated"}) == ["ours"]
    assert methods("test", {"y": "timit"}) == ["ours"]
    assert methods("dev", {"x": "timit"}) == ["ours"]
    assert len(methods("test", {"x": "timit"})) == 4
    both = clips()
    both.loc[3, "split"] = "dev"
    assert labels(compare_methods(score(predict(both)), {"x": "timit"})[0], "method") == ["ours"]


def test_numbers_of_a_corpus_that_was_divided_in_another_way_are_marked() -> None:
    table = compare_methods(score(predict()), {"x": "common_voice"})[0]
    assert [row.cells[0].mark for row in table.rows] == ["other split"] * 3 + [""]
    assert "92.2 (other split)" in to_markdown(table)


def test_training_corpora_are_compared_and_what_is_within_them_is_marked() -> None:
    """Of three heads of one kind each is right where it was trained; another kind has no rival."""
    blocks = [
        predict(clips(corpus), f"on_{'_'.join(trained)}", trained_on=", ".join(trained), older=add)
        for trained, errors in {("x",): (1, 5), ("y",): (7, 2), ("x", "y"): (3, 4)}.items()
        for corpus, add in zip("xy", errors, strict=True)
    ]
    alone = predict(clips("x"), "alone", variant="joint")
    tables = by_name(compare_training_corpora(score(*blocks, alone)))
    assert list(tables) == [
        "training_corpora_gender", "training_corpora_age", "training_corpora_mask_type",
    ]  # fmt: skip
    table = tables["training_corpora_age"]
    assert labels(table, "trained_on") == ["x", "x, y", "y"]
    assert values(table) == [[1.0, 5.0], [3.0, 4.0], [7.0, 2.0]]
    assert [[cell.mark for cell in row.cells] for row in table.rows] == [
        ["within", ""], ["within", "within"], ["", "within"],
    ]  # fmt: skip


def test_a_corpus_is_not_taken_for_one_whose_name_begins_alike() -> None:
    scores = score(
        predict(clips("x"), trained_on="xy"), predict(clips("x"), "other", trained_on="x")
    )
    table = compare_training_corpora(scores)[0]
    marks = {row.labels["method"]: row.cells[0].mark for row in table.rows}
    assert marks == {"ours": "", "other": "within"}


def test_one_set_of_training_corpora_has_nothing_to_compare() -> None:
    other_level = predict(head="other", level="early", trained_on="y")
    assert compare_training_corpora(score(predict(), other_level)) == []


def test_one_head_more_changes_no_interval() -> None:
    table = pd.concat([clips(corpus) for corpus in "abcde"], ignore_index=True)
    errors = np.random.default_rng(0).normal(0, 8, len(table))
    first = predict(table.assign(predicted_age_years=table["age_years"] + errors))
    alone = by_name(compare_methods(score(first), {}))["methods_age"].rows[-1].cells
    beside = by_name(
        compare_methods(score(predict(table, "a", variant="joint", level="early"), first), {})
    )["methods_age"].rows[-1].cells  # fmt: skip
    assert alone == beside
    assert alone[-1].low is not None
    assert alone[-1].high is not None
    assert alone[-1].low < alone[-1].high

"""Predictions of heads -> tables, compared with what was worked out by hand."""

import csv
import io
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from oragen.reporting.bootstrap import SpeakerDraws
from oragen.reporting.scores import VARIANT_RANKS, HeadScores
from oragen.reporting.table_formats import (
    Cell,
    ReportTable,
    to_markdown,
    to_records,
    write_tables,
)
from oragen.reporting.tables.all_tables import build_tables
from oragen.reporting.tables.counts import count_predictions
from oragen.reporting.tables.groups import compare_groups
from oragen.reporting.tables.mask_types import compare_mask_types
from oragen.reporting.tables.methods import compare_methods
from oragen.reporting.tables.modalities import compare_modalities
from oragen.reporting.tables.rows import MODALITY_SET_NAMES
from oragen.reporting.tables.training_corpora import compare_training_corpora
from oragen.schema.choices.heads import HeadName
from oragen.schema.vocabulary import MODALITY_SETS

MASKS = ("none", "tissue", "medical")


def clips(corpus: str = "x") -> pd.DataFrame:
    """Two clips each of a woman of 20 and a man of 50, bare and with a tissue mask; all right."""
    rows = [
        {
            "clip_id": f"{corpus}/{number}", "corpus": corpus, "split": "test",
            "speaker_id": gender, "gender": gender, "age_years": years, "age_low": np.nan,
            "age_high": np.nan, "mask_type": mask_type, "num_windows": 1,
            "predicted_gender": gender, "predicted_age_years": years,
            "predicted_mask_type": mask_type,
        }
        for number, (gender, years, mask_type) in enumerate(
            (gender, years, mask_type)
            for gender, years in (("female", 20.0), ("male", 50.0))
            for mask_type in ("none", "tissue")
        )
    ]  # fmt: skip
    shares = [f"gender_{label}" for label in ("female", "male")]
    shares += [f"mask_type_{label}" for label in MASKS]
    return pd.DataFrame(rows).assign(**dict.fromkeys(shares, 0.5))


def predict(
    table: pd.DataFrame | None = None,
    head: str = "ours",
    *,
    variant: str = "cross_attention",
    level: str = "intermediate",
    trained_on: str = "x",
    modalities: str = "audio_visual",
    seed: int = 0,
    older: float = 0.0,
) -> pd.DataFrame:
    """What a head predicts, with all ages `older` by so many years."""
    predicted = clips() if table is None else table
    return predicted.assign(
        head=head, variant=variant, level=level, trained_on=trained_on, modalities=modalities,
        seed=seed, predicted_age_years=predicted["predicted_age_years"] + older,
    )  # fmt: skip


def score(*blocks: pd.DataFrame, num_resamples: int = 50) -> HeadScores:
    draws = SpeakerDraws(np.random.default_rng(0), num_resamples)
    return HeadScores(pd.concat(blocks, ignore_index=True), draws)


def by_name(tables: list[ReportTable]) -> dict[str, ReportTable]:
    return {table.name: table for table in tables}


def values(table: ReportTable) -> list[list[float | None]]:
    return [[cell.value for cell in row.cells] for row in table.rows]


def labels(table: ReportTable, name: str) -> list[Any]:
    return [row.labels[name] for row in table.rows]


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


def test_modalities_are_compared_by_corpus_with_counts() -> None:
    """Without a face one clip of x is not predicted, and the ages are off by 4 years."""
    lost = clips("x")
    lost.loc[0, ["predicted_gender", "predicted_mask_type"]] = None
    lost.loc[0, ["num_windows", "predicted_age_years"]] = [0, np.nan]
    scores = score(
        *(predict(clips(corpus)) for corpus in "xy"),
        predict(lost, modalities="audio", older=4),
        predict(clips("y"), modalities="audio", older=2),
    )  # fmt: skip
    table = compare_modalities(scores, "ours")
    assert [column.header for column in table.columns] == [
        "Gender UAR %", "Age MAE, years", "Mask UAR %",
    ]  # fmt: skip
    assert [tuple(row.labels.values()) for row in table.rows] == [
        ("x", "audio-visual", 4, 2, 4, 0), ("x", "audio only", 4, 2, 3, 1),
        ("y", "audio-visual", 4, 2, 4, 0), ("y", "audio only", 4, 2, 4, 0),
        ("all corpora", "audio-visual", 8, 4, 8, 0), ("all corpora", "audio only", 8, 4, 7, 1),
    ]  # fmt: skip
    ages = [row.cells[1].value for row in table.rows]
    assert ages == pytest.approx([0.0, 4.0, 0.0, 2.0, 0.0, (3 * 4 + 4 * 2) / 7])


def test_mask_types_are_columns_and_modalities_rows() -> None:
    """From audio, tissue masks make people 8 years older, and the woman a man."""
    from_audio = clips()
    tissue = from_audio["mask_type"] == "tissue"
    from_audio.loc[tissue, "predicted_age_years"] += 8
    from_audio.loc[tissue, "predicted_gender"] = "male"
    unknown = clips().assign(mask_type=None, clip_id=lambda rows: "z" + rows["clip_id"])
    table = compare_mask_types(
        score(predict(), predict(from_audio, modalities="audio"), predict(unknown, older=50)),
        "ours",
        {},
    )
    assert table is not None
    assert [column.header for column in table.columns] == [
        "all (4 clips, 2 speakers)", "none (2 clips, 2 speakers)", "tissue (2 clips, 2 speakers)",
    ]  # fmt: skip
    assert [tuple(row.labels.values()) for row in table.rows] == [
        (score, modalities)
        for score in ("Gender UAR %", "Age MAE, years")
        for modalities in ("audio-visual", "audio only")
    ]
    assert values(table) == [[1, 1, 1], [0.75, 1, 0.5], [0, 0, 0], [4, 0, 8]]


def test_published_scores_by_mask_type_stand_above_ours_of_the_same_clips() -> None:
    scores = score(predict(), predict(modalities="face", older=3))
    table = compare_mask_types(scores, "ours", {"x": "brave_masks"})
    assert table is not None
    assert [label.split(", ")[0] for label in labels(table, "source")] == [
        "intermediate fusion", "measured here",
    ] * 4  # fmt: skip
    assert values(table) == [
        [0.9495, 0.9833, 0.9638], [1, 1, 1], [0.9306, 0.9767, 0.9611], [1, 1, 1],
        [8.73, 4.83, 7.74], [0, 0, 0], [8.98, 5.92, 8.78], [3, 3, 3],
    ]  # fmt: skip
    for others in (clips("y"), clips("x").assign(split="dev", clip_id=list("abcd"))):
        wider = compare_mask_types(
            score(predict(), predict(others)), "ours", {"x": "brave_masks", "y": "brave_masks"}
        )
        assert wider is not None
        assert len(wider.rows) == 2


def test_one_mask_type_has_no_influence_to_show() -> None:
    assert compare_mask_types(score(predict(clips().assign(mask_type="none"))), "ours", {}) is None
    assert compare_mask_types(score(predict(clips().assign(mask_type=None))), "ours", {}) is None


def test_groups_show_for_whom_a_head_is_wrong() -> None:
    """The man is predicted 3 years younger once, 5 older once, and once a woman."""
    wrong = clips()
    wrong.loc[2, ["predicted_age_years", "predicted_gender"]] = [47.0, "female"]
    wrong.loc[3, ["predicted_age_years", "predicted_mask_type"]] = [55.0, "medical"]
    unlabelled = clips("y")
    unlabelled.loc[0, "age_years"] = np.nan
    unlabelled.loc[1, "gender"] = None
    unlabelled.loc[2:, "age_years"] = 17.9
    unlabelled.loc[2:, "predicted_age_years"] = 17.9
    table = compare_groups(score(predict(wrong), predict(unlabelled)), "ours")
    assert table is not None
    assert [tuple(row.labels.values())[:4] for row in table.rows] == [
        ("under 18", "male", 2, 1), ("18-29", "female", 2, 1), ("45-59", "male", 2, 1),
    ]  # fmt: skip
    assert values(table) == [[1, 0, 0, 1], [1, 0, 0, 1], [0.5, 4, 1, 0.5]]
    assert table.note == "2 clips of unknown age or gender are skipped."


def test_groups_that_nobody_labelled_are_no_table() -> None:
    assert compare_groups(score(predict(clips().assign(gender=None))), "ours") is None


def test_counts_say_what_every_score_rests_on() -> None:
    """A clip without a window is predicted where the protocol fills it, and only there."""
    some = clips()
    some.loc[0, ["gender", "mask_type"]] = None
    some.loc[1, "age_years"] = np.nan
    some.loc[2:, ["age_low", "age_high"]] = 50.0
    some.loc[3, "num_windows"] = 0
    unpredicted = some.copy()
    unpredicted.loc[3, "predicted_age_years"] = np.nan
    table = count_predictions(score(predict(some), predict(unpredicted, modalities="face")))
    assert [row.labels for row in table.rows] == [
        {
            "corpus": "x", "method": "ours", "modalities": modalities, "clips_in_all": 4,
            "speakers_in_all": 2, "predicted": predicted, "without_window": 1,
            "with_gender": 3, "with_age": 3, "with_age_band": 2, "with_mask_type": 3,
        }
        for modalities, predicted in (("audio-visual", 4), ("face only", 3))
    ]  # fmt: skip


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


def test_a_table_of_everything_leaves_out_what_there_is_not() -> None:
    whole = build_tables(score(predict()), head="ours", readers={})
    assert [table.name for table in whole] == [
        "methods_gender", "methods_age", "methods_mask_type", "modalities", "mask_types", "groups",
        "counts",
    ]  # fmt: skip
    bare = clips().assign(mask_type=None, gender=None)
    some = build_tables(score(predict(bare)), head="ours", readers={})
    assert [table.name for table in some] == ["methods_age", "modalities", "counts"]


def test_every_table_can_be_written_and_read_back(tmp_path: Path) -> None:
    """Also where one speaker has no interval, one seed no spread, and nothing is published."""
    lost = clips("y").iloc[:2].assign(mask_type=None)
    scores = score(predict(clips("x")), predict(lost), predict(clips("x"), "b", variant="joint"))
    tables = build_tables(scores, head="ours", readers={"x": "voxceleb2"})
    write_tables(tmp_path / "tables", tables)
    assert len({table.name for table in tables}) == len(tables) == 7
    for table in tables:
        records = to_records(table)
        path = tmp_path / "tables" / table.name
        content = json.loads(path.with_suffix(".json").read_text(), parse_constant=pytest.fail)
        assert content["rows"] == records
        lines = list(csv.DictReader(io.StringIO(path.with_suffix(".csv").read_text())))
        assert lines == [
            {name: "" if part is None else str(part) for name, part in record.items()}
            for record in records
        ]
        assert to_markdown(table).count("\n| ") == 2 + len(table.rows)


def test_labels_of_a_line_are_not_lost_among_the_parts_of_a_score() -> None:
    lost = clips()
    lost.loc[0, "predicted_age_years"] = np.nan
    record = to_records(compare_modalities(score(predict(lost)), "ours"))[0]
    assert (record["clips_in_all"], record["predicted"], record["clips"]) == (4, 3, 3)
    for table in build_tables(score(predict(lost)), head="ours", readers={"x": "timit"}):
        assert not (set(table.rows[0].labels) - {"clips_in_all"}) & set(Cell._fields)

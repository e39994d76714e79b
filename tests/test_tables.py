"""Predictions of one head -> its tables, worked out by hand; and all tables, written."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from oragen.reporting.table_formats import Cell, to_markdown, to_records, write_tables
from oragen.reporting.tables.all_tables import build_tables
from oragen.reporting.tables.counts import count_predictions
from oragen.reporting.tables.groups import compare_groups
from oragen.reporting.tables.mask_types import compare_mask_types
from oragen.reporting.tables.modalities import compare_modalities
from oragen.reporting.tables.unfamiliar import count_unfamiliar
from tests.scored_heads import clips, labels, predict, score, values


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
    assert table.note.endswith(" 2 clips of unknown age or gender are skipped.")


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


def test_a_table_of_everything_leaves_out_what_there_is_not() -> None:
    whole = build_tables(score(predict()), head="ours", readers={})
    assert [table.name for table in whole] == [
        "failures", "methods_gender", "methods_age", "methods_mask_type", "modalities",
        "mask_types", "age_errors", "age_bands", "age_bias_by_decade", "calibration_gender",
        "calibration_mask_type", "false_rates", "groups", "group_scores", "disparity", "stability",
        "masked_speakers", "counts",
    ]  # fmt: skip
    bare = clips().assign(mask_type=None, gender=None, age_years=np.nan)
    some = build_tables(score(predict(bare)), head="ours", readers={}, age_thresholds_years=[25])
    assert [table.name for table in some] == ["failures", "modalities", "stability", "counts"]


def test_every_table_can_be_written_and_read_back(tmp_path: Path) -> None:
    """Also where one speaker has no interval, one seed no spread, and nothing is published."""
    lost = clips("y").iloc[:2].assign(mask_type=None)
    scores = score(predict(clips("x")), predict(lost), predict(clips("x"), "b", variant="joint"))
    tables = build_tables(scores, head="ours", readers={"x": "voxceleb2"})
    write_tables(tmp_path / "tables", tables)
    assert len({table.name for table in tables}) == len(tables) == 21
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


def test_unfamiliar_clips_are_counted_once_for_each_head_and_corpus() -> None:
    """Of four clips one is beyond the limit, one is at it, and one has no distance."""
    known = clips().assign(unfamiliarity=[1.25, 1.0, 0.5, np.nan])
    old = predict(clips(), "old").assign(unfamiliarity=np.nan)
    table = count_unfamiliar(score(predict(known), predict(known, seed=1), old))
    assert table is not None
    assert [row.labels for row in table.rows] == [
        {"corpus": "x", "method": "ours", "modalities": "audio-visual", "measured": 3,
         "unfamiliar": 1, "share": "33%"},
    ]  # fmt: skip
    assert count_unfamiliar(score(old)) is None
    assert count_unfamiliar(score(predict())) is None

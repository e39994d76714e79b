"""One table -> Markdown, CSV, JSON and cells, compared with what was written by hand."""

import json
from pathlib import Path

import pytest

from oragen.reporting.table_formats import (
    HOW_TO_READ,
    Cell,
    Column,
    ReportTable,
    Row,
    to_cells,
    to_csv,
    to_json,
    to_markdown,
    write_markdown,
)


def small_table() -> ReportTable:
    return ReportTable(
        "small", "A small table", "A note.", [Column("x", "x (9 clips, 3 speakers)")],
        [
            Row(
                {"trained_on": "x, y", "predicted": 8},
                [Cell("gender_uar", 0.87654, 0.8, 0.95, 0.0123, 8, 9, 3, "within")],
            ),
            Row({"trained_on": "a|b", "predicted": 7}, [Cell("age_mae_years", 7.254)]),
            Row({"trained_on": "", "predicted": 0}, [Cell("age_mae_years", None, clips_in_all=9)]),
        ],
    )  # fmt: skip


def test_markdown_is_rounded_and_says_what_there_is() -> None:
    assert to_markdown(small_table()) == (
        "## A small table\n\nA note.\n\n"
        "| Trained on | Predicted | x (9 clips, 3 speakers) |\n"
        "| --- | ---: | ---: |\n"
        "| x, y | 8 | 87.7 [80.0, 95.0] ± 1.2, n 8 (within) |\n"
        "| a/b | 7 | 7.25 |\n"
        "|  | 0 | – |\n"
    )


def test_headers_and_cells_are_there_without_markdown_too() -> None:
    headers, lines = to_cells(small_table())
    assert headers == ["Trained on", "Predicted", "x (9 clips, 3 speakers)"]
    assert lines[1:] == [["a|b", "7", "7.25"], ["", "0", "–"]]


def test_csv_has_all_digits_in_columns_of_their_own() -> None:
    assert to_csv(small_table()) == (
        "trained_on,predicted,column,measure,value,low,high,std_over_seeds,clips,clips_in_all,"
        "speakers,mark\n"
        '"x, y",8,x,gender_uar,0.87654,0.8,0.95,0.0123,8,9,3,within\n'
        "a|b,7,x,age_mae_years,7.254,,,,,,,\n"
        ",0,x,age_mae_years,,,,,,9,,\n"
    )


def test_json_has_null_where_there_is_no_number() -> None:
    content = json.loads(to_json(small_table()), parse_constant=pytest.fail)
    assert (content["title"], content["note"]) == ("A small table", f"A note. {HOW_TO_READ}")
    assert content["rows"][0] == {
        "trained_on": "x, y", "predicted": 8, "column": "x", "measure": "gender_uar",
        "value": 0.87654, "low": 0.8, "high": 0.95, "std_over_seeds": 0.0123, "clips": 8,
        "clips_in_all": 9, "speakers": 3, "mark": "within",
    }  # fmt: skip
    assert content["rows"][2]["value"] is None


def test_a_number_that_json_does_not_know_is_not_written() -> None:
    row = Row({"method": "ours"}, [Cell("age_mae_years", float("nan"))])
    with pytest.raises(ValueError, match="JSON"):
        to_json(ReportTable("broken", "", "", [Column("x", "x")], [row]))


def test_a_report_begins_with_what_was_scored_and_how_to_read_it(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "report.md"
    write_markdown(path, [small_table(), small_table()], title="Report", opening=["One.", "Two."])
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# Report\n\nOne.\n\nTwo.\n\n{HOW_TO_READ}\n\n## A small table\n")
    assert text.endswith("\n" + to_markdown(small_table()))
    assert text.count("\n\n## A small table\n") == 2

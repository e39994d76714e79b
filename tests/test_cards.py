"""Model cards and datasheets: what the report, the clips tables and the model say."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from oragen.corpora.datasheet import write_datasheet
from oragen.corpora.registry import CARDS
from oragen.predictor.cards import CardSources, write_card, write_cards
from oragen.predictor.pretrained import Pretrained, load_pretrained
from oragen.reporting.saved_tables import choose_tables, read_tables
from oragen.reporting.table_formats import ReportTable, to_markdown, write_tables
from oragen.reporting.tables.all_tables import build_tables
from oragen.schema.errors import UserError
from oragen.schema.vocabulary import Skipped
from tests.scored_heads import clips, predict, score
from tests.small_models import change_metadata, write_model


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[ReportTable], list[ReportTable]]:
    """Tables of two heads on two corpora, as they are built and as they are read again."""
    corpora = [clips("x"), clips("y")]
    scores = score(
        *(predict(table, "ours", older=3) for table in corpora),
        *(predict(table, "joint", variant="joint", older=5) for table in corpora),
    )
    usual: dict[str, str | float | None] = {
        "gender": "male",
        "mask_type": "none",
        "age_years": 40.0,
    }
    built = build_tables(scores, head="ours", readers={}, usual=usual)
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder, built)
    return built, read_tables(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    folder = write_model(tmp_path_factory.mktemp("model"))
    corpus = {"name": "tiny", "num_speakers": 30, "num_clips": 77, "generated": True}
    training = {"corpora": [corpus], "youngest_years": 16.0, "oldest_years": 84.0}
    change_metadata(folder, training_data=training)
    return load_pretrained(folder)


def test_tables_are_read_as_they_were_written(
    tables: tuple[list[ReportTable], list[ReportTable]],
) -> None:
    built, read = tables
    assert {table.name for table in read} == {table.name for table in built}
    by_name = {table.name: table for table in read}
    for table in built:
        again = by_name[table.name]
        assert (again.title, again.note, again.rows) == (table.title, table.note, table.rows)
        assert len(again.columns) == len(table.columns)


def test_a_card_has_the_tables_of_its_head_and_its_rows_of_others(
    tables: tuple[list[ReportTable], list[ReportTable]],
) -> None:
    _, read = tables
    ours, joint = (choose_tables(read, head) for head in ("ours", "joint"))
    assert {"groups", "mask_types", "modalities", "methods_age", "counts"} <= {
        table.name for table in ours
    }
    assert {table.name for table in joint} == {
        "age_bands", "age_bias_by_decade", "age_errors", "calibration_gender",
        "calibration_mask_type", "counts", "differences_age", "differences_gender",
        "differences_mask_type", "methods_age", "methods_gender", "methods_mask_type", "stability",
    }  # fmt: skip
    [ages] = [table for table in joint if table.name == "methods_age"]
    assert [row.labels["method"] for row in ages.rows] == ["most frequent label, mean age", "joint"]
    assert choose_tables(read, "our") == []


@pytest.mark.parametrize("content", ["[]", "{}", '{"title": "", "note": "", "rows": []}', "{"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "methods_age.json").write_text(content)
    with pytest.raises(UserError, match=r"is no table of a report .* Run `dvc repro report`"):
        read_tables(tmp_path)


def test_the_head_of_the_card_is_what_the_hub_reads(model: Pretrained) -> None:
    metrics = {"tiny": {"audio_visual": {"clips": 25, "gender_uar": 0.875, "age_mae_years": 8.13}}}
    _, head, _ = write_card(model, CardSources(metrics)).split("---\n", 2)
    described = yaml.safe_load(head)
    assert described["license"] == "other"
    assert "audio-visual" in described["tags"]
    [index] = described["model-index"]
    assert index["name"] == "cross_attention"
    [result] = index["results"]
    assert result["dataset"] == {"type": "tiny", "name": "tiny"}
    assert [(metric["type"], metric["value"]) for metric in result["metrics"]] == [
        ("gender_uar", 87.5), ("age_mae_years", 8.13),
    ]  # fmt: skip
    assert "co2" not in head


def test_the_card_says_on_whom_how_well_for_what_and_under_which_licences(
    model: Pretrained, tables: tuple[list[ReportTable], list[ReportTable]]
) -> None:
    chosen = choose_tables(tables[1], "ours")
    card = write_card(model, CardSources({}, chosen, {"tiny": "CC0"}, {"tiny": "# Datasheet"}))
    assert "| tiny | 30 | 77 | drawn, with synthetic voices |" in card
    assert "Ages of training: 16 to 84 years." in card
    assert "[tiny](datasheets/tiny.md)" in card
    assert all(f"#{to_markdown(table)}" in card for table in chosen)
    assert "### ours by age and gender" in card
    assert "95 % bootstrap interval over speakers" in card
    assert "| corpus: tiny | CC0 |" in card
    assert "| program: oragen | MIT |" in card
    assert "Refused uses" in card
    assert "generated people only" in card


def test_cards_are_written_beside_each_other(model: Pretrained, tmp_path: Path) -> None:
    written = write_cards(
        tmp_path / "new", model, CardSources(datasheets={"tiny": "# Datasheet\n"})
    )
    assert [path.relative_to(tmp_path / "new").as_posix() for path in written] == [
        "README.md", "datasheets/tiny.md",
    ]  # fmt: skip
    assert written[1].read_text() == "# Datasheet\n"


def test_a_datasheet_counts_whom_the_corpus_holds_and_what_was_left_out() -> None:
    table = pd.DataFrame(
        {
            "clip_id": ["a", "b", "c"], "split": ["train", "train", "test"],
            "speaker_id": ["ann", "ann", "bob"], "gender": ["female", "female", "male"],
            "age_years": [30.0, 31.0, 70.0], "mask_type": ["none", "medical", None],
        }
    )  # fmt: skip
    skipped = [
        Skipped("d", "decode_audio", "no | sound"),
        Skipped("e", "decode_audio", "no | sound"),
    ]
    sheet = write_datasheet("mine", CARDS["csv"], table, skipped)
    assert "# Datasheet: mine" in sheet
    assert "| clips | all | 2 | 0 | 1 | 3 |" in sheet
    assert "| speakers | all | 1 | 0 | 1 | 2 |" in sheet
    assert "| age | 30-44 | 2 | 0 | 0 | 2 |" in sheet
    assert "| mask_type | unknown | 0 | 0 | 1 | 1 |" in sheet
    assert "| decode_audio | no / sound | 2 |" in sheet
    assert "Licence: yours." in sheet
    published = write_datasheet("faces", CARDS["lagenda"], table, [])
    assert "| clips | 84,192 | 3 |" in published
    assert "Nothing." in published

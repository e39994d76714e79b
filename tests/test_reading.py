"""Files of predictions of several heads -> one table, and what is not kept of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from oragen.reporting.reading import NAMES, read_predictions
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import to_cells
from oragen.reporting.tables.all_tables import build_tables
from tests.scored_heads import clips, predict, score


def write(folder: Path, *heads: pd.DataFrame) -> list[Path]:
    paths = []
    for head in heads:
        paths.append(folder / f"{head['head'].iloc[0]}.parquet")
        head.to_parquet(paths[-1])
    return paths


def test_names_are_numbers_and_the_rows_of_a_set_of_modalities_follow(tmp_path: Path) -> None:
    """The second head has no mask types, and a set of genders that the first lacks."""
    voice = predict(head="voice", modalities="audio", variant="audio_only")
    both = pd.concat([predict(seed=0), predict(seed=0, modalities="audio"), predict(seed=1)])
    voice = voice.drop(columns=[name for name in voice if "predicted_mask_type" in name])
    paths = write(tmp_path, both.assign(age_condition="all", set_of_gender=None),
                  voice.assign(set_of_gender="female, male", age_low=20))  # fmt: skip
    read = read_predictions(paths)
    assert "age_condition" not in read
    assert {str(read[name].dtype) for name in NAMES if name in read} == {"category"}
    assert read["modalities"].tolist() == ["audio_visual"] * 8 + ["audio"] * 8
    assert read["seed"].tolist() == [0] * 4 + [1] * 4 + [0] * 8
    assert read["set_of_gender"].tolist()[-4:] == ["female, male"] * 4
    assert read["set_of_gender"].isna().sum() == 12
    assert read["age_low"].tolist()[-4:] == [20.0] * 4


def test_a_report_is_the_same_however_predictions_are_kept(tmp_path: Path) -> None:
    wrong = clips().assign(predicted_gender="female", predicted_age_years=[21.0, 28.0, 50.0, 41.0])
    blocks = [predict(), predict(modalities="face"), predict(wrong, "other", variant="joint")]
    usual = score(*blocks)
    paths = write(tmp_path, pd.concat(blocks[:2]), blocks[2])
    kept = HeadScores(read_predictions(paths), usual.draws)
    found, expected = (
        [to_cells(table) for table in build_tables(one, head="ours", readers={})]
        for one in (kept, usual)
    )
    assert found == expected


def test_rows_that_are_mixed_are_put_in_order() -> None:
    together = pd.concat([predict(), predict(modalities="face")], ignore_index=True)
    mixed = together.iloc[np.random.default_rng(0).permutation(len(together))]
    assert sorted(score(mixed).predictions("ours", "face")["clip_id"]) == sorted(clips()["clip_id"])
    assert len(score(mixed).widest_predictions("ours")) == 4

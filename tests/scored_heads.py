"""Predictions of heads that are right but for what a test makes wrong, and their scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from oragen.reporting.bootstrap import SpeakerDraws, number_speakers
from oragen.reporting.resampled_rows import ResampledRows
from oragen.reporting.scores import HeadScores
from oragen.reporting.table_formats import ReportTable

Years = Sequence[float] | Float[np.ndarray, " clips"]
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


def people(true_years: Years, predicted_years: Years, **columns: Any) -> pd.DataFrame:
    """One clip each of as many women without a mask, but for what the columns say."""
    numbers = range(len(true_years))
    table = pd.DataFrame(
        {
            "clip_id": [f"x/{number:03}" for number in numbers], "corpus": "x", "split": "test",
            "speaker_id": [f"s{number:03}" for number in numbers], "gender": "female",
            "age_years": true_years, "age_low": np.nan, "age_high": np.nan, "mask_type": "none",
            "num_windows": 1, "predicted_gender": "female", "predicted_mask_type": "none",
            "predicted_age_years": predicted_years,
        }
    )  # fmt: skip
    shares = [f"gender_{label}" for label in ("female", "male")]
    shares += [f"mask_type_{label}" for label in MASKS]
    return predict(table.assign(**dict.fromkeys(shares, 0.5))).assign(**columns)


def resample(
    tables: Mapping[str, pd.DataFrame], num_resamples: int = 50
) -> dict[str, ResampledRows]:
    """Rows of several heads, whose clips and speakers are numbered together."""
    together = pd.concat(tables.values())
    clips, speakers = pd.factorize(together["clip_id"], sort=True)[0], number_speakers(together)
    draws = SpeakerDraws(np.random.default_rng(0), num_resamples)
    weights = draws.among(int(speakers.max()) + 1).astype(np.float32)
    ends = np.cumsum([len(table) for table in tables.values()])
    return {
        name: ResampledRows(
            table, clips[end - len(table) : end], speakers[end - len(table) : end], weights
        )
        for (name, table), end in zip(tables.items(), ends, strict=True)
    }


def score(*blocks: pd.DataFrame, num_resamples: int = 50, min_speakers: int = 1) -> HeadScores:
    draws = SpeakerDraws(np.random.default_rng(0), num_resamples)
    predictions = pd.concat(blocks, ignore_index=True)
    return HeadScores(predictions, draws, min_speakers=min_speakers)


def by_name(tables: list[ReportTable]) -> dict[str, ReportTable]:
    return {table.name: table for table in tables}


def values(table: ReportTable) -> list[list[float | None]]:
    return [[cell.value for cell in row.cells] for row in table.rows]


def labels(table: ReportTable, name: str) -> list[Any]:
    return [row.labels[name] for row in table.rows]

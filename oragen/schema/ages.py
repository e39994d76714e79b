"""An age -> the band of ages that it is counted in."""

from typing import Final

import pandas as pd

# Children and adolescents, young adults, the middle, the older, the old: narrow enough to show whom
# a model is wrong for, wide enough to hold clips.
BAND_STARTS_YEARS: Final = (0, 18, 30, 45, 60)
BANDS: Final = ("under 18", "18-29", "30-44", "45-59", "60 and over")


def band_ages(age_years: pd.Series) -> pd.Series:
    """Return the band of each age, None where it is unknown."""
    edges = [*BAND_STARTS_YEARS, float("inf")]
    bands = pd.cut(age_years.astype(float), edges, right=False, labels=list(BANDS))
    return bands.astype(object).where(bands.notna(), None)

"""How often windows are drawn, by hand."""

import pandas as pd
import pytest

from oragen.features.sampling import weigh_windows

TABLE = pd.DataFrame(
    {
        "corpus": ["x", "x", "x", "y"],
        "gender": ["female", "male", "male", None],
        "age_years": [21.0, 29.9, 30.0, None],
        "mask_type": ["none"] * 4,
    }
)


@pytest.mark.parametrize(
    ("by", "shares"),
    [
        ((), [1 / 4] * 4),
        (("corpus",), [1 / 6, 1 / 6, 1 / 6, 1 / 2]),
        (("gender",), [3 / 8, 3 / 16, 3 / 16, 1 / 4]),  # the unknown one keeps its quarter
        (("age",), [3 / 16, 3 / 16, 3 / 8, 1 / 4]),  # two in their twenties, one of thirty
        (("mask_type",), [1 / 4] * 4),
    ],
)
def test_each_class_gets_the_same_share(by: tuple[str, ...], shares: list[float]) -> None:
    weights = weigh_windows(TABLE, by)  # type: ignore[arg-type]  # typed where it is read
    assert (weights / 4).tolist() == pytest.approx(shares)


def test_criteria_multiply() -> None:
    """Of corpus x the woman counts as much as both men; corpus y is one clip without a label."""
    weights = weigh_windows(TABLE, ("corpus", "gender"))
    both = [2 / 3 * 3 / 2, 2 / 3 * 3 / 4, 2 / 3 * 3 / 4, 2.0]
    assert weights.tolist() == pytest.approx([weight / sum(both) * 4 for weight in both])

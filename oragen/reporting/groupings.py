"""The rows of a head -> groups of them: by gender, age band, mask type, and columns of the user."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool

from oragen.schema.ages import BANDS, band_ages
from oragen.schema.errors import UserError
from oragen.schema.names import shorten
from oragen.schema.vocabulary import GENDERS_WITH_CHILD, MASK_TYPES

OWN: Final = "own "  # before a user's own column, so that it is none of the predictions
MAX_GROUPS: Final = 100  # of a column of the user: a table of more could not be read


class Group(NamedTuple):
    """Some rows, and what they have in common."""

    attribute: str
    name: str
    rows: Bool[np.ndarray, " rows"]


def list_groups(table: pd.DataFrame, further: Sequence[str] = ()) -> list[Group]:
    """List the groups that have rows, by gender, age band and mask type, then by further columns.

    Rows of which an attribute is not known are in none of its groups.

    Args:
        table: of predictions.
        further: columns of it to group by, too.

    Raises:
        UserError: a further column has more than `MAX_GROUPS` values.
    """
    bands = band_ages(table["age_years"].where(table["age_years"] >= 0))
    groups = [
        *_group("gender", table["gender"], GENDERS_WITH_CHILD),
        *_group("age band", bands, BANDS),
        *_group("mask type", table["mask_type"], MASK_TYPES),
    ]
    for column in further:
        names = sorted(table[column].dropna().unique(), key=str)
        if len(names) > MAX_GROUPS:
            named = shorten(column.removeprefix(OWN))
            raise UserError(
                f"report.group_by in params.yaml: {named} has {len(names)} values, "
                f"expected at most {MAX_GROUPS}. Name a column of fewer groups."
            )
        groups += _group(column.removeprefix(OWN), table[column], names)
    return groups


def _group(attribute: str, values: pd.Series, names: Sequence[object]) -> list[Group]:
    found = [Group(attribute, str(name), (values == name).to_numpy(bool)) for name in names]
    return [group for group in found if group.rows.any()]

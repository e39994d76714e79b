"""Files of predictions -> one table of all heads, in little memory.

Of many clips, heads and seeds the predictions are most of the memory of a report. So columns that
no table uses are not read, names are kept as numbers, and no column is there twice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from oragen.schema.errors import UserError

# Kept as numbers. Labels are not: they are compared with predicted ones.
NAMES: Final = (
    "clip_id", "corpus", "split", "speaker_id", "head", "variant", "level", "trained_on",
    "modalities", "modalities_used", "set_of_gender", "set_of_mask_type",
)  # fmt: skip
REQUIRED: Final = (
    "clip_id", "corpus", "split", "speaker_id", "head", "variant", "level", "trained_on", "seed",
    "modalities", "num_windows", "gender", "age_years", "mask_type", "predicted_age_years",
)  # fmt: skip
UNUSED: Final = ("age_condition", "age_condition_clips")


def read_predictions(paths: Sequence[Path]) -> pd.DataFrame:
    """Read the predictions of all heads; those of one head and one set of modalities follow.

    Raises:
        UserError: one is missing, damaged, or of an earlier version of oragen.
    """
    tables = [part for path in paths for part in _divide(_read_file(path))]
    together = pa.concat_tables(tables, promote_options="permissive").unify_dictionaries()
    del tables
    frame: pd.DataFrame = together.to_pandas(self_destruct=True, split_blocks=True)
    return frame


def _read_file(path: Path) -> pa.Table:
    if not path.is_file():
        raise UserError(
            f"{path} is missing: {path.stem} was not evaluated. Run `dvc repro evaluate_head`."
        )
    try:
        columns = pq.read_schema(path).names
        table = pq.read_table(path, columns=[name for name in columns if name not in UNUSED])
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} is no table of predictions: {error}. Run `dvc repro evaluate_head`."
        ) from error
    if lacking := [name for name in REQUIRED if name not in columns]:
        raise UserError(
            f"{path} has no column `{lacking[0]}`: an earlier version of oragen wrote it, or "
            "another program. Run `dvc repro evaluate_head`."
        )
    for name in {*NAMES} & {*columns}:
        numbered = table[name].cast(pa.string()).dictionary_encode()
        table = table.set_column(table.column_names.index(name), name, numbered)
    return table.replace_schema_metadata()


def _divide(table: pa.Table) -> list[pa.Table]:
    """Return the rows of each set of modalities."""
    sets = pc.unique(table["modalities"].cast(pa.string())).to_pylist()
    return [table.filter(pc.equal(table["modalities"].cast(pa.string()), name)) for name in sets]

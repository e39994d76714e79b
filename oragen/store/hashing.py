"""Everything a value depends on -> its key."""

import hashlib
import json
from typing import Final

from oragen.schema.vocabulary import Json

SCHEMA_VERSION: Final = 2  # of keys and parts; rows of another one are not used
_TO_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def make_key(**cache_parameters: Json) -> str:
    """Everything a value depends on -> its key: 32 hexadecimal digits of SHA-256."""
    versioned = {"schema_version": SCHEMA_VERSION, **cache_parameters}
    return hashlib.sha256(_TO_JSON.encode(versioned).encode()).hexdigest()[:32]

"""params.yaml -> a note that all of it is valid, on which every stage with a name depends.

DVC removes the outputs of a stage before it runs it, and names are part of their paths. So the
names are checked by a stage of their own, before any other runs.
"""

from oragen.config import paths
from oragen.config.params import load_params
from oragen.schema.files import write_text
from stages.running import run_stage

NOTE = "The names in params.yaml are valid.\n"  # always the same: no other stage runs again


def main() -> None:
    """Check params.yaml."""
    load_params()
    write_text(paths.CHECKED_PARAMS, NOTE)


if __name__ == "__main__":
    run_stage(main)

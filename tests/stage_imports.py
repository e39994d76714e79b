"""What the stages import, of the modules that decide their results."""

from typing import Final

import grimp

from tests.project import REPOSITORY

# A change in these changes no result, or reaches the stages by their parameters.
DECIDES_NO_RESULT: Final = {
    *(f"oragen.config.{path.stem}" for path in (REPOSITORY / "oragen" / "config").glob("*.py")),
    *(f"oragen.launch.{path.stem}" for path in (REPOSITORY / "oragen" / "launch").glob("*.py")),
    "oragen.models.places",
    "oragen.schema.lfs",
    "oragen.store.fill",
    "oragen.training.devices",
    "stages.launching",
    "stages.running",
    "stages.shard",
    "stages.sharing",
    "stages.sharing_seeds",
}


def build_stage_imports() -> grimp.ImportGraph:
    """Build the graph, without the modules that decide no result and what only they import."""
    graph = grimp.build_graph("oragen", "stages")
    for module in DECIDES_NO_RESULT & graph.modules:
        graph.remove_module(module)
    return graph

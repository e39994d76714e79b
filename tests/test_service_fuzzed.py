"""Requests that are made from /openapi.json, and all the wrong ones beside them: no 5xx."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import serve
from tests.small_models import save_model

# A form whose use_audio and use_face are both false fits the schema and is refused.
UNFIT_CHECK = "positive_data_acceptance"


@pytest.mark.slow
def test_requests_made_from_its_description_are_answered_as_it_says(tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    (tmp_path / "model").mkdir()
    with serve(save_model(tmp_path / "model"), tmp_path / "spool", "--queue", "100") as served:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{served.address}/openapi.json",
            "--checks", "all", "--exclude-checks", UNFIT_CHECK,
            "--phases", "coverage,fuzzing", "--max-examples", "20", "--seed", "1", "--no-color",
        ]  # fmt: skip
        found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
        assert found.returncode == 0, found.stdout[-6000:]
        assert "No test cases were generated" not in found.stdout
        assert 'status="500"' not in served.ask("GET", "/metrics").text

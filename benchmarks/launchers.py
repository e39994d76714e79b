"""A project with windows -> seconds of the extraction of their sound by each launcher.

Two workers of one thread are compared with one process of one thread, and Ray with processes of
this machine. Each way has a copy of the project without features. The names of the parts, which are
hashes of their content, must be the same. Two cores must be free.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from ruamel.yaml import YAML
from transformers import Wav2Vec2FeatureExtractor

from benchmarks.extraction import make_networks
from benchmarks.measuring import Row, show

STAGE: Final = "extract_audio_features"
NEEDED: Final = ("oragen", "stages", "params.yaml", "data/audio", "data/speech", "data/windows")
ENCODER: Final = "measured"
ENCODED: Final = re.compile(r"(\d+) encoded now")
WAYS: Final[dict[str, dict[str, Any]]] = {
    "one process": {"local": {"num_encoders": 1}},
    "local, two processes": {"local": {"num_encoders": 2}},
    "Ray, two workers": {"launcher": "ray", "ray": {"address": "local", "max_workers": 2}},
}
TARGET: Final = 1.8  # times the rate of one process


class Measured(NamedTuple):
    """What came of a way."""

    seconds: float
    num_rows: int
    parts: list[str]


def main() -> None:
    """Time each way once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.launchers", description=__doc__)
    parser.add_argument("corpus", help="of the project; its windows are cut")
    parser.add_argument("--project", type=Path, default=Path(), help="its folder")
    parser.add_argument("--embedded", action="store_true", help="a small encoder, not a real one")
    parser.add_argument("--part-mb", type=float, default=4.0, help="size of the groups of work")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = "embedded" if options.embedded else write_encoder(Path(folder) / "encoder")
        found = {}
        for way, execution in WAYS.items():
            project = copy_project(options.project, Path(folder) / way.replace(" ", "-"))
            configure(project, source, {**execution, "part_mb": options.part_mb})
            found[way] = measure(project, options.corpus)
    alone, local, _ = found.values()
    rows: list[Row] = [
        {
            "way": way,
            "seconds": round(measured.seconds, 1),
            "windows/s": round(measured.num_rows / measured.seconds, 2),
            "times one process": round(alone.seconds / measured.seconds, 2),
            "times local": round(measured.seconds / local.seconds, 3),
            "same bits": str(measured.parts == alone.parts),
        }
        for way, measured in found.items()
    ]
    show("launchers", "Extraction of sound by each launcher", rows, target_ratio=TARGET)


def write_encoder(folder: Path) -> str:
    """Write an encoder of the published size with random weights; return its folder."""
    torch.manual_seed(0)
    audio, _ = make_networks(torch.device("cpu"))
    audio.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return str(folder)


def copy_project(project: Path, folder: Path) -> Path:
    """Copy what the extraction needs."""
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (project / name).is_dir():
            shutil.copytree(project / name, folder / name)
        else:
            shutil.copy2(project / name, folder / name)
    return folder


def configure(project: Path, source: str, execution: dict[str, Any]) -> None:
    """Choose the encoder, and who works."""
    yaml, path = YAML(), project / "params.yaml"
    params = yaml.load(path)
    params["encoders"]["catalogue"][ENCODER] = {"modality": "audio", "source": source}
    params["features"]["audio"]["encoder"] = ENCODER
    params["execution"] |= {"device": "cpu", **execution}
    yaml.dump(params, path)


def measure(project: Path, corpus: str) -> Measured:
    """Run the stage; return its seconds and its parts."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(project)}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{STAGE}", corpus], cwd=project, env=environment,
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout)
    encoded = ENCODED.search(done.stdout)
    assert encoded is not None
    store = project / "data" / "features" / corpus / ENCODER
    return Measured(seconds, int(encoded[1]), sorted(part.name for part in store.glob("part-*")))


if __name__ == "__main__":
    main()

"""Made-up predictions of many clips -> seconds and memory of the stage `report`.

The stage runs in a process of its own, in a temporary project, with the parameters of this one.
`--before` runs the stage of an earlier state of the code, too, on the same predictions.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pandas as pd
import typer
import yaml

from benchmarks.measuring import Row, show
from oragen.schema.quality import MEASURES
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, MODALITY_SETS

REPOSITORY: Final = Path(__file__).parents[1]
HEADS: Final = (
    "cross_attention", "joint", "concatenation", "late_fusion", "audio_only", "face_only",
)  # fmt: skip
CORPORA: Final = ("studio", "phone")
FAILED: Final = 0.02  # of the clips have no usable voice, and as many no usable face
REPORT: Final = """
import json, resource, time
start, work = time.perf_counter(), time.process_time()
from stages.report import main
main()
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "seconds on cores": time.process_time() - work,
    "peak, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
}))
"""


def main(
    num_clips: Annotated[int, typer.Option(help="Clips of all corpora.")] = 50_000,
    num_speakers: Annotated[int, typer.Option(help="Their speakers.")] = 10_000,
    num_seeds: Annotated[int, typer.Option(help="Training seeds of each head.")] = 3,
    before: Annotated[Path | None, typer.Option(help="An earlier state of the code.")] = None,
) -> None:
    """Make a report of six heads."""
    with tempfile.TemporaryDirectory() as place:
        states = {"now": REPOSITORY} | ({"before": before.resolve()} if before else {})
        rows = []
        for name, code in states.items():
            folder = Path(place) / name
            make_project(folder, code, num_clips, num_speakers, num_seeds)
            rows.append(measure(name, code, folder))
    show(
        "report", f"A report of {num_clips:,} clips of {num_speakers:,} speakers", rows,
        heads=len(HEADS), seeds=num_seeds, cores=os.cpu_count(),
    )  # fmt: skip


def measure(name: str, code: Path, folder: Path) -> Row:
    """Run the stage with one state of the code."""
    environment = os.environ | {"PYTHONPATH": str(code)}
    done = subprocess.run(
        [sys.executable, "-c", REPORT],
        cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    page = folder / "data" / "reports" / "index.html"
    measured = json.loads(done.stdout.splitlines()[-1])
    return {"": name, **measured, "page, MB": page.stat().st_size / 1e6}


def make_project(
    folder: Path, code: Path, num_clips: int, num_speakers: int, num_seeds: int
) -> None:
    """Write what the stage reads: parameters, predictions, histories and notes of the heads."""
    (folder / "data" / "predictions").mkdir(parents=True)
    params = yaml.safe_load((code / "params.yaml").read_text())
    params |= {"use_heads": [*HEADS], "use_corpora": [*CORPORA]}
    params["train"]["seeds"] = [*range(num_seeds)]
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    clips = make_clips(num_clips, num_speakers)
    for number, head in enumerate(HEADS):
        predictions = predict(clips, head, num_seeds, np.random.default_rng(number))
        predictions.to_parquet(folder / "data" / "predictions" / f"{head}.parquet", index=False)
        notes = folder / "data" / "heads" / head
        for seed in range(num_seeds):
            (notes / f"seed-{seed}").mkdir(parents=True)
            (notes / f"seed-{seed}" / "head.json").write_text(json.dumps({"metadata": {}}))
        make_history(num_seeds).to_csv(notes / "history.csv", index=False)


def make_clips(num_clips: int, num_speakers: int) -> pd.DataFrame:
    """Draw clips of speakers of all ages."""
    generator = np.random.default_rng(0)
    speakers = generator.integers(num_speakers, size=num_clips)
    ages = generator.uniform(5, 85, num_speakers).round()
    corpora = np.array(CORPORA)[speakers % len(CORPORA)]
    return pd.DataFrame(
        {
            "clip_id": [f"{corpus}/{n:07}" for n, corpus in enumerate(corpora)], "corpus": corpora,
            "split": "test", "speaker_id": [f"s{speaker:06}" for speaker in speakers],
            "gender": np.array(GENDERS)[speakers // len(CORPORA) % 2], "age_years": ages[speakers],
            "mask_type": generator.choice(MASK_TYPES, num_clips), "age_low": np.nan,
            "age_high": np.nan,
            **{name: generator.gamma(4, 2, num_clips).round(2) for name in MEASURES},
        }
    )  # fmt: skip


def predict(
    clips: pd.DataFrame, head: str, num_seeds: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Predict by chance, from each set of modalities that the head takes, with each seed."""
    single = {"audio_only": "audio", "face_only": "face"}.get(head)
    sets = (single,) if single else MODALITY_SETS
    blocks = []
    for modalities in sets:
        is_lost = generator.random(len(clips)) < (0 if modalities == "audio_visual" else FAILED)
        for seed in range(num_seeds):
            block = clips.assign(seed=seed, modalities=modalities)
            blocks.append(_predict_block(block, is_lost, generator))
    kind = {"head": head, "variant": head, "level": "intermediate", "trained_on": "studio, phone"}
    return pd.concat(blocks, ignore_index=True).assign(**kind)


def _predict_block(
    block: pd.DataFrame, is_lost: np.ndarray, generator: np.random.Generator
) -> pd.DataFrame:
    columns: dict[str, object] = {"num_windows": np.where(is_lost, 0, 2)}
    for task, labels in {"gender": GENDERS, "mask_type": MASK_TYPES}.items():
        shares = generator.dirichlet(np.ones(len(labels)), len(block))
        true = block[task].to_numpy()
        guess = np.array(labels)[shares.argmax(axis=1)]
        predicted = np.where(generator.random(len(block)) < 0.7, true, guess).astype(object)
        columns[f"predicted_{task}"] = np.where(is_lost, None, predicted)
        for place, label in enumerate(labels):
            columns[f"{task}_{label}"] = np.where(is_lost, np.nan, shares[:, place])
    errors = generator.normal(0, 9, len(block))
    columns["predicted_age_years"] = np.where(is_lost, np.nan, block["age_years"] + errors)
    columns["unfamiliarity"] = np.where(is_lost, np.nan, generator.uniform(0, 1.05, len(block)))
    columns["age_half_width_years"] = np.where(is_lost, np.nan, 14.0)
    columns["modalities_used"] = block["modalities"].mask(is_lost, None)
    columns["age_conditional_half_width_years"] = columns["age_half_width_years"]
    columns["age_condition"] = "all"
    columns["age_condition_clips"], columns["interval_coverage"] = 5000.0, 0.9
    for task, labels in {"gender": GENDERS, "mask_type": MASK_TYPES}.items():
        columns[f"set_of_{task}"] = ", ".join(labels[:2])
    columns["window_std_age_years"] = generator.gamma(2, 1, len(block))
    columns["window_std_female"] = generator.uniform(0, 0.2, len(block))
    return block.assign(**columns)


def make_history(num_seeds: int) -> pd.DataFrame:
    """Write a training of three epochs."""
    rows = [
        {
            "seed": seed, "phase": 1, "epoch": epoch, "train_loss": 1 / epoch, "dev_score": 0.5,
            "gender_uar": 0.7, "age_mae_years": 9.0, "mask_type_uar": 0.6,
        }
        for seed in range(num_seeds)
        for epoch in (1, 2, 3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


if __name__ == "__main__":
    typer.run(main)

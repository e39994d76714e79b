"""Trained heads and held-out clips -> predictions, metrics, a table, confusion matrices."""

import logging

from oragen import artefacts
from oragen.config import load_params
from oragen.dataset import load_dataset, read_dataset
from oragen.devices import choose_device
from oragen.evaluation import predict_all, refuse_other_features, score_all
from oragen.heads import load_head
from oragen.report import draw_confusion, summarise, to_markdown, to_metrics, write_json
from oragen.schema import GENDERS, MASK_TYPES
from stages.running import run_stage

logger = logging.getLogger(__name__)


def main() -> None:
    """Score the trained heads on the clips of `evaluate.corpora`."""
    params = load_params()
    folder = artefacts.head_folder(params.head.name)
    device = choose_device(params.execution.device)
    saved = {seed: load_head(folder / f"seed-{seed}") for seed in params.train.seeds}
    heads = {seed: found.head.to(device) for seed, found in saved.items()}
    table = read_dataset(artefacts.EVALUATION_DATASET, params.evaluate.splits)
    dataset = load_dataset(table, genders=GENDERS)
    for found in saved.values():
        refuse_other_features(folder, found.metadata["features"], dataset.specs)
    predictions = predict_all(heads, dataset, table, genders=GENDERS)
    summary = summarise(score_all(predictions))
    reports = artefacts.REPORTS
    reports.mkdir(parents=True, exist_ok=True)
    predictions.to_parquet(reports / "predictions.parquet", index=False)
    write_json(reports / "metrics.json", to_metrics(summary))
    markdown = to_markdown(summary, len(heads))
    (reports / "report.md").write_text(
        f"# {params.head.name} on {', '.join(params.evaluate.splits)}\n\n{markdown}"
    )
    seen = predictions[
        (predictions["evidence"] == "audio_visual") & (predictions["num_windows"] > 0)
    ]
    for task, labels in {"gender": GENDERS, "mask_type": MASK_TYPES}.items():
        known = seen.dropna(subset=[task])
        draw_confusion(
            reports / "figures" / f"confusion_{task}.png",
            known[task], known[f"predicted_{task}"], labels, f"{task}, all corpora",
        )  # fmt: skip
    clips = table["clip_id"].nunique()
    logger.info(
        "evaluate_head: %d clips in, %d scored, %d without a usable window; report in %s",
        clips, dataset.table["clip_id"].nunique(), clips - dataset.table["clip_id"].nunique(),
        reports / "report.md",
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)

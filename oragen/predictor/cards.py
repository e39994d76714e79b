"""A loaded model, the tables of its report, its corpora -> a model card and datasheets.

The card follows Mitchell et al. 2019 (doi 10.1145/3287560.3287596). Its head is that of the
Hugging Face hub, which reads the scores from it.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from oragen.models.places import ModelError
from oragen.predictor.licences import list_licences
from oragen.predictor.pretrained import Pretrained
from oragen.reporting.bootstrap import Measure
from oragen.reporting.table_formats import HOW_TO_READ, PRESENTATIONS, ReportTable, to_markdown
from oragen.schema.files import write_text
from oragen.store.inventory import name_level

CARD_FILE: Final = "README.md"
TASK: Final = "gender, age and mask type of a speaking person"
DATASHEETS: Final = "datasheets"  # the folder beside the card
# Of `data/reports/details.json`, in the order of the card.
MEASURES: Final[tuple[Measure, ...]] = ("gender_uar", "age_mae_years", "mask_type_uar")

_LIMITS: Final = (
    "## Intended use and limits",
    "",
    "Meant for statistics over many clips, and for research on how masks change voice and face. "
    "The people recorded must have given informed consent.",
    "",
    "Refused uses: do not use it to identify people, to check the age of a person, or to decide "
    "about a person: not for hiring, policing, border control, insurance, credit, or access to "
    "services.",
    "",
    "- It predicts the labels of its corpora as annotators gave them; gender is not identity.",
    "- Expect larger errors for people, languages, cameras and masks that are rare in the corpora "
    "above, for children and old people, and for less than 3 s of speech.",
    "- Probabilities, intervals and sets hold for clips like those of the calibration.",
    "- Recordings of faces and voices are personal data: have a legal ground to process them.",
)
_LICENCES: Final = (
    "The weights are bound by the licences of the training corpora and of each encoder. Check both "
    "before you redistribute them."
)

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]  # corpus -> modalities -> metric


class CardSources(NamedTuple):
    """What is known of a model beside what is in its folder."""

    metrics: Metrics = NOTHING  # of its head, from details.json
    tables: Sequence[ReportTable] = ()  # of the report, about its head
    corpus_licences: Mapping[str, str] = NOTHING
    datasheets: Mapping[str, str] = NOTHING  # of each corpus, as Markdown


NO_SOURCES: Final = CardSources()


def refuse_used_folder(folder: Path) -> None:
    """Refuse to write where something is.

    Raises:
        ModelError: it is neither new nor empty, or a link.
    """
    if folder.is_symlink():
        raise ModelError(f"{folder} is a link. Name a new or an empty folder.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} is not empty. Name a new or an empty folder.")


def write_cards(folder: Path, model: Pretrained, sources: CardSources = NO_SOURCES) -> list[Path]:
    """Write the model card and the datasheets into a folder; return their paths."""
    texts = {CARD_FILE: write_card(model, sources)} | {
        f"{DATASHEETS}/{corpus}.md": text for corpus, text in sources.datasheets.items()
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def write_card(model: Pretrained, sources: CardSources = NO_SOURCES) -> str:
    """Write the model card: tasks, inputs, results, and limits."""
    return "\n".join(
        [
            _write_head(model, sources.metrics),
            *_introduce(model),
            *_describe_training(model, sources),
            *_list_results(sources.metrics),
            *_list_tables(sources.tables),
            *_LIMITS,
            "",
            *_list_licences(model, sources.corpus_licences),
        ]
    )


def _write_head(model: Pretrained, metrics: Metrics) -> str:
    """Write what the hub reads: tags, and the scores over all modalities by corpus."""
    from huggingface_hub import EvalResult, ModelCardData  # takes a moment

    results = [
        EvalResult(
            task_type="other",
            task_name=TASK,
            dataset_type=corpus,
            dataset_name=corpus.replace("_", " "),
            metric_type=measure,
            metric_name=PRESENTATIONS[measure].title,
            metric_value=round(scores[measure] * PRESENTATIONS[measure].scale, 2),
        )
        for corpus, scores in _take_widest(metrics).items()
        for measure in MEASURES
        if scores.get(measure) is not None
    ]
    head = ModelCardData(
        license="other",
        license_name="those-of-its-parts",
        library_name="oragen",
        tags=_list_tags(model),
        eval_results=results or None,
        model_name=model.description["head"] if results else None,
        ignore_metadata_errors=False,
    )
    return f"---\n{head.to_yaml()}\n---\n"


def _introduce(model: Pretrained) -> list[str]:
    tasks = ["gender", "age", *(["mask type"] if model.mask_types else [])]
    lines = [
        f"# {', '.join(tasks).capitalize()} of a speaking person",
        "",
        f"A head `{model.head.spec.name}` of oragen {version('oragen')} on frozen encoders. "
        "Encoders that are not part of oragen are in this folder.",
        "",
        "```python",
        "from oragen.predictor import Predictor",
        "",
        'print(Predictor.from_pretrained("THIS FOLDER")("clip.mp4").to_json())',
        "```",
        "",
        "## Predictions",
        "",
        f"- Gender, in this order: {', '.join(model.genders)}.",
        f"- Age in years, {_describe_interval(model)}.",
    ]
    if model.mask_types:
        lines.append(f"- Mask type, in this order: {', '.join(model.mask_types)}.")
    if model.conformal.thresholds:
        lines.append(
            f"- Intervals of the age, and sets of labels, hold the truth for "
            f"{model.conformal.coverage:.0%} of clips of the same condition: what a clip is "
            "predicted from, and its predicted mask type."
        )
    return [*lines, ""]


def _describe_training(model: Pretrained, sources: CardSources) -> list[str]:
    corpora = model.description["trained_on"] or "not recorded"
    lines = ["## Training", "", f"Trained on: {corpora}.", ""]
    if (training := model.training_data) is not None:
        lines += ["| corpus | speakers | clips | people |", "|---|---:|---:|---|"]
        lines += [
            f"| {corpus.name} | {_or_unknown(corpus.num_speakers)} | "
            f"{_or_unknown(corpus.num_clips)} | {_name_people(corpus.generated)} |"
            for corpus in training.corpora
        ]
        lines.append("")
        if training.youngest_years is not None and training.oldest_years is not None:
            ages = f"{training.youngest_years:.0f} to {training.oldest_years:.0f}"
            lines += [f"Ages of training: {ages} years.", ""]
    lines += [f"**{warning}**\n" for warning in model.warnings]
    links = [f"[{corpus}]({DATASHEETS}/{corpus}.md)" for corpus in sources.datasheets]
    lines += [f"Datasheets: {', '.join(links)}.", ""] if links else []
    lines += ["| | encoder | level | fingerprint |", "|---|---|---|---|"]
    lines += [
        f"| {modality} | {part['encoder']} | {name_level(part)} | `{part['fingerprint'][:16]}` |"
        for modality, part in model.specs.items()
    ]
    return [*lines, ""]


def _list_results(metrics: Metrics) -> list[str]:
    """Write the metrics as a table; no lines without metrics."""
    if not metrics:
        return []
    titles = [PRESENTATIONS[measure].title for measure in MEASURES]
    lines = [
        "## Results",
        "",
        "Mean over the trained seeds, from voice and face together where a clip has both.",
        "",
        f"| corpus | clips | {' | '.join(titles)} |",
        f"|---|{'---:|' * (len(titles) + 1)}",
    ]
    for corpus, scores in _take_widest(metrics).items():
        cells = [
            f"{scores[measure] * PRESENTATIONS[measure].scale:.1f}"
            if scores.get(measure) is not None
            else ""
            for measure in MEASURES
        ]
        lines.append(f"| {corpus} | {scores.get('clips', '')} | {' | '.join(cells)} |")
    return [*lines, ""]


def _list_tables(tables: Sequence[ReportTable]) -> list[str]:
    """Write the tables of the report, a level below the headings of the card."""
    if not tables:
        return []
    written = [f"#{to_markdown(table)}" for table in tables]
    return ["## Scores by group, with intervals", "", HOW_TO_READ, "", *written]


def _list_licences(model: Pretrained, of_corpora: Mapping[str, str]) -> list[str]:
    encoders = {
        modality: (str(spec["encoder"]), str(spec["source"]))
        for modality, spec in model.specs.items()
    }
    lines = ["## Licences", "", _LICENCES, "", "| part | licence |", "|---|---|"]
    lines += [
        f"| {part.what} | {part.licence} |" for part in list_licences(model.description, encoders)
    ]
    lines += [f"| corpus: {corpus} | {licence} |" for corpus, licence in of_corpora.items()]
    return [*lines, ""]


def _take_widest(metrics: Metrics) -> dict[str, Mapping[str, Any]]:
    """Return the scores of each corpus from all modalities, which come first."""
    return {
        corpus: next(iter(by_modalities.values()), {}) for corpus, by_modalities in metrics.items()
    }


def _or_unknown(number: int | None) -> str:
    return "not known" if number is None else f"{number:,}"


def _name_people(generated: bool | None) -> str:
    return {None: "not known", True: "drawn, with synthetic voices", False: "real"}[generated]


def _list_tags(model: Pretrained) -> list[str]:
    tags = ["age-recognition", "gender-recognition"]
    tags += ["face-mask-recognition"] if model.mask_types else []
    tags += ["speech"] if "audio" in model.specs else []
    tags += ["face"] if "face" in model.specs else []
    return [*tags, *(["audio-visual"] if len(model.specs) == 2 else [])]


def _describe_interval(model: Pretrained) -> str:
    calibration = model.calibration
    if calibration.age_half_width_years is None:
        return "without an interval: the model was not calibrated"
    return (
        f"± {calibration.age_half_width_years:.1f} for {calibration.coverage:.0%} of clips like "
        "those of the calibration"
    )

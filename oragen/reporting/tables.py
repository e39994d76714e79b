"""Predictions of all heads -> the tables of a report."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd

from oragen.reporting.bootstrap import Measure, SpeakerDraws, score_predictions
from oragen.reporting.published_results import (
    ORAGEN,
    PUBLISHED,
    PublishedScore,
    find_mask_influence,
    find_published,
)
from oragen.reporting.table_formats import SHOWN, Cell, Column, Label, ReportTable, Row
from oragen.schema.ages import BANDS, band_ages
from oragen.schema.vocabulary import GENDERS_WITH_CHILD, LEVELS, MASK_TYPES, OVERALL

WITHIN: Final = "within"
OTHER_SPLIT: Final = "other split"
MEASURED_HERE: Final = "measured here"
MODALITY_SET_NAMES: Final = {
    "audio_visual": "audio-visual",
    "audio": "audio only",
    "face": "face only",
}
# Each modality alone, the published fusions (of one rank: levels decide), other baselines, our own.
VARIANT_RANKS: Final = {
    "audio_only": 0, "face_only": 1, "shared": 2, "separate": 2, "joint": 2, "concatenation": 3,
    "late_fusion": 4, "cross_attention": 5,
}  # fmt: skip
LEVEL_RANKS: Final[dict[str, int]] = {level: rank for rank, level in enumerate(LEVELS)}
COMPARED: Final[dict[str, tuple[Measure, ...]]] = {
    "gender": ("gender_uar",),
    "age": ("age_mae_years", "age_interval_error_years"),
    "mask_type": ("mask_type_uar",),
}


class Method(NamedTuple):
    """A head, and what it is."""

    head: str
    variant: str
    level: str
    trained_on: str  # corpora, joined by ", "
    modalities: str  # the widest it takes


class HeadScores:
    """What all heads answered, and their scores, each worked out once."""

    def __init__(self, predictions: pd.DataFrame, draws: SpeakerDraws) -> None:
        """Sort predictions by head and evidence.

        Args:
            predictions: a row for each clip, head, seed and evidence, see `score_predictions`;
                beside that the columns `head`, `variant`, `level`, `trained_on`, `modalities`,
                `split`, `num_windows`, `age_low` and `age_high`.
            draws: of the speakers, for the intervals.
        """
        self.clips = predictions.drop_duplicates("clip_id")
        self._draws = draws
        self._answers: dict[tuple[str, str], pd.DataFrame] = dict(
            iter(predictions.groupby(["head", "modalities"]))
        )
        self._cells: dict[tuple[str, str, str, Measure], Cell] = {}
        methods = [self._describe(head) for head in predictions["head"].unique()]
        self.methods = sorted(methods, key=_rank)

    @property
    def scopes(self) -> list[str]:
        """The corpora, and all of them together where they are several."""
        corpora = sorted(self.clips["corpus"].unique())
        return [*corpora, OVERALL] if len(corpora) > 1 else corpora

    def clips_of(self, scope: str) -> pd.DataFrame:
        """Return a row for each clip of one corpus or all, with its labels."""
        return _within_scope(self.clips, scope)

    def modality_sets(self, head: str) -> list[str]:
        """Return what a head was asked with, the widest first."""
        return [name for name in MODALITY_SET_NAMES if (head, name) in self._answers]

    def answers(self, head: str, modalities: str, scope: str = OVERALL) -> pd.DataFrame:
        """Return what a head answered about one corpus or all."""
        return _within_scope(self._answers[head, modalities], scope)

    def cell(self, head: str, modalities: str, scope: str, measure: Measure) -> Cell:
        """Score a head on one corpus or all."""
        key = head, modalities, scope, measure
        if key not in self._cells:
            self._cells[key] = self.score(self.answers(head, modalities, scope), measure)
        return self._cells[key]

    def score(self, answers: pd.DataFrame, measure: Measure) -> Cell:
        """Score some answers of one head to one kind of evidence."""
        in_all = answers["clip_id"].nunique()
        score = score_predictions(answers, measure, self._draws)
        if score is None:
            return Cell(measure, None, clips_in_all=in_all)
        return Cell(
            measure, score.value, score.low, score.high, score.std_over_seeds, score.clips, in_all,
            score.speakers,
        )  # fmt: skip

    def _describe(self, head: str) -> Method:
        first = self._answers[head, self.modality_sets(head)[0]].iloc[0]
        return Method(
            *(str(first[n]) for n in ("head", "variant", "level", "trained_on", "modalities"))
        )


def build_tables(scores: HeadScores, *, head: str, readers: Mapping[str, str]) -> list[ReportTable]:
    """Build all tables that there is something to show in.

    Args:
        scores: of all heads.
        head: to look closer at.
        readers: of each corpus, to find what others published; a corpus may be missing.
    """
    tables = [
        *compare_methods(scores, readers),
        *compare_training_corpora(scores),
        compare_modalities(scores, head),
        compare_mask_types(scores, head, readers),
        compare_groups(scores, head),
        count_predictions(scores),
    ]
    return [table for table in tables if table is not None]


def compare_methods(scores: HeadScores, readers: Mapping[str, str]) -> list[ReportTable]:
    """Compare heads, on the widest evidence each takes, by corpus: gender, age, mask type.

    What others published stands above, where corpus and split are the same; a number of another
    split of that name is marked. A task without any score has no table.
    """
    tables = []
    for task, measures in COMPARED.items():
        places = [
            (scope, measure)
            for scope in scores.scopes
            for measure in measures
            if measure != "age_interval_error_years" or _has_bands(scores.clips_of(scope))
        ]
        ours = [
            Row(
                _about(method) | {"source": MEASURED_HERE},
                [scores.cell(method.head, method.modalities, *place) for place in places],
            )
            for method in scores.methods
        ]
        if _has_score(ours):
            published, notes = _find_rows(scores, readers, places)
            shown = " and ".join({SHOWN[measure].title: None for _, measure in places})
            columns = [_corpus_column(scores, *place) for place in places]
            tables.append(
                ReportTable(
                    f"methods_{task}", f"Methods: {shown}", " ".join(notes),
                    columns, _drop_equal_labels([*published, *ours]),
                )
            )  # fmt: skip
    return tables


def compare_training_corpora(scores: HeadScores) -> list[ReportTable]:
    """Compare heads of one variant and level by the corpora that they were trained on.

    A corpus that a head was trained on (but for the speakers it is tested on) is marked.
    """
    trained_on: dict[tuple[str, str], set[str]] = {}
    for method in scores.methods:
        trained_on.setdefault((method.variant, method.level), set()).add(method.trained_on)
    rivals = [name for name in scores.methods if len(trained_on[name.variant, name.level]) > 1]
    corpora = [scope for scope in scores.scopes if scope != OVERALL]
    tables = []
    for task, (measure, *_) in COMPARED.items():
        rows = [
            Row(
                _about(method),
                [
                    scores.cell(method.head, method.modalities, corpus, measure)._replace(
                        mark=WITHIN if corpus in method.trained_on.split(", ") else ""
                    )
                    for corpus in corpora
                ],
            )
            for method in rivals
        ]
        if _has_score(rows):
            tables.append(
                ReportTable(
                    f"training_corpora_{task}",
                    f"Across corpora: {SHOWN[measure].title}",
                    f"`{WITHIN}`: trained on other speakers of that corpus.",
                    [_corpus_column(scores, corpus, measure) for corpus in corpora],
                    _drop_equal_labels(rows),
                )
            )
    return tables


def compare_modalities(scores: HeadScores, head: str) -> ReportTable:
    """Show one head with all evidence, and with a modality withheld, by corpus."""
    measures = [name for names in COMPARED.values() for name in names]
    if not _has_bands(scores.clips):
        measures.remove("age_interval_error_years")
    rows = [
        Row(
            {
                "corpus": scope,
                "modalities": MODALITY_SET_NAMES[modalities],
                **_count(scores.answers(head, modalities, scope)),
            },
            [scores.cell(head, modalities, scope, measure) for measure in measures],
        )
        for scope in scores.scopes
        for modalities in scores.modality_sets(head)
    ]
    return ReportTable(
        "modalities", f"{head} with all evidence, and with a modality withheld", "",
        [Column(name, SHOWN[name].title) for name in measures], rows,
    )  # fmt: skip


def compare_mask_types(
    scores: HeadScores, head: str, readers: Mapping[str, str]
) -> ReportTable | None:
    """Show how coverings change what one head tells; None where there are not two of them.

    What is published of the same clips stands beside it.
    """
    covered = scores.clips[scores.clips["mask_type"].notna()]
    worn = {name: [name] for name in MASK_TYPES if (covered["mask_type"] == name).any()}
    if len(worn) < 2:
        return None
    groups = {"all": list(worn), **worn}
    measures: tuple[Measure, ...] = ("gender_uar", "age_mae_years")
    rows = []
    for measure in measures:
        for modalities in scores.modality_sets(head):
            about: dict[str, Label] = {
                "score": SHOWN[measure].title, "modalities": MODALITY_SET_NAMES[modalities],
            }  # fmt: skip
            answers = scores.answers(head, modalities)
            cells = [
                scores.score(answers[answers["mask_type"].isin(types)], measure)
                for types in groups.values()
            ]
            if published := _find_influence(covered, readers, measure, modalities):
                others = [Cell(measure, published[name]) for name in groups]
                rows.append(Row(about | {"source": f"intermediate fusion, {ORAGEN}"}, others))
            rows.append(Row(about | {"source": MEASURED_HERE}, cells))
    return ReportTable(
        "mask_types", f"{head} by mask type", "Clips whose mask type is known.",
        [
            Column(name, _with_counts(name, covered[covered["mask_type"].isin(types)]))
            for name, types in groups.items()
        ],
        _drop_equal_labels(rows),
    )  # fmt: skip


def compare_groups(scores: HeadScores, head: str) -> ReportTable | None:
    """Show for whom one head is right, by age band and gender; None where these are not known."""
    answers = scores.answers(head, scores.modality_sets(head)[0])
    bands = band_ages(answers["age_years"])
    measures: tuple[Measure, ...] = (
        "gender_recall", "age_mae_years", "age_bias_years", "mask_type_uar",
    )  # fmt: skip
    groups = {
        (band, gender): answers[(bands == band) & (answers["gender"] == gender)]
        for band in BANDS
        for gender in GENDERS_WITH_CHILD
    }
    rows = [
        Row(
            {"age_band": band, "gender": gender, **_count(group)},
            [scores.score(group, measure) for measure in measures],
        )
        for (band, gender), group in groups.items()
        if len(group)
    ]
    if not rows:
        return None
    unknown = scores.clips[["age_years", "gender"]].isna().any(axis=1).sum()
    left_out = f"{unknown} clips of unknown age or gender are left out." if unknown else ""
    return ReportTable(
        "groups", f"{head} by age and gender", left_out,
        [Column(name, SHOWN[name].title) for name in measures], rows,
    )  # fmt: skip


def count_predictions(scores: HeadScores) -> ReportTable:
    """Count the clips, answers and labels behind the scores, by corpus, head and evidence."""
    rows = []
    for scope in scores.scopes:
        clips = scores.clips_of(scope)
        labelled: dict[str, Label] = {
            "with_gender": int(clips["gender"].notna().sum()),
            "with_age": int(clips["age_years"].notna().sum()),
            "with_age_band": int(clips[["age_low", "age_high"]].notna().all(axis=1).sum()),
            "with_mask_type": int(clips["mask_type"].notna().sum()),
        }
        for method in scores.methods:
            for modalities in scores.modality_sets(method.head):
                about = {
                    "corpus": scope, "method": method.head,
                    "modalities": MODALITY_SET_NAMES[modalities],
                    **_count(scores.answers(method.head, modalities, scope)),
                }  # fmt: skip
                rows.append(Row(about | labelled, []))
    return ReportTable("counts", "What the scores are based on", "Numbers of clips.", [], rows)


def _find_rows(
    scores: HeadScores, readers: Mapping[str, str], places: Sequence[tuple[str, Measure]]
) -> tuple[list[Row], list[str]]:
    """Return a row for each method that others published numbers of, and what to know of them."""
    found: dict[str, dict[int, PublishedScore]] = {}
    for column, (scope, measure) in enumerate(places):
        splits = scores.clips_of(scope)["split"].unique()
        if scope in readers and len(splits) == 1:
            for score in find_published(readers[scope], splits[0], measure):
                found.setdefault(score.method, {})[column] = score
    order = list(dict.fromkeys(score.method for score in PUBLISHED))
    rows: list[Row] = []
    notes: dict[str, list[str]] = {}
    for method in sorted(found, key=order.index):
        known = found[method]
        first = next(iter(known.values()))
        about = _about(Method(method, "", "", ", ".join(first.trained_on), first.modality))
        cells = [Cell(measure, None) for _, measure in places]
        for column, score in known.items():
            mark = "" if score.same_split else OTHER_SPLIT
            cells[column] = Cell(score.measure, score.value, mark=mark)
            if mark:
                notes.setdefault("the corpus is divided in another way", [f"`{mark}`"])
        if first.note:
            notes.setdefault(first.note, []).append(method)
        rows.append(Row(about | {"source": first.source}, cells))
    return rows, [f"{'; '.join(methods)}: {note}." for note, methods in notes.items()]


def _find_influence(
    covered: pd.DataFrame, readers: Mapping[str, str], measure: Measure, modalities: str
) -> dict[str, float] | None:
    """Return what is published by mask type, if all these clips are of one corpus and split."""
    places = covered[["corpus", "split"]].drop_duplicates()
    corpus, split = places.iloc[0]
    if len(places) > 1 or corpus not in readers:
        return None
    return find_mask_influence(readers[corpus], split, measure, modalities)


def _rank(method: Method) -> tuple[int, int, int, str]:
    return (
        VARIANT_RANKS[method.variant],
        LEVEL_RANKS[method.level],
        list(VARIANT_RANKS).index(method.variant),
        method.head,
    )


def _about(method: Method) -> dict[str, Label]:
    return {
        "method": method.head,
        "variant": method.variant,
        "level": method.level,
        "trained_on": method.trained_on,
        "modalities": MODALITY_SET_NAMES[method.modalities],
    }


def _drop_equal_labels(rows: Sequence[Row]) -> list[Row]:
    """Leave out labels that tell no two rows apart, and variants that are but the names."""
    equal = {
        name
        for name in ("variant", "level", "trained_on", "modalities", "source")
        if len({row.labels.get(name) for row in rows}) == 1
        or (
            name == "variant"
            and all(row.labels[name] in ("", row.labels["method"]) for row in rows)
        )
    }
    return [
        Row({name: label for name, label in row.labels.items() if name not in equal}, row.cells)
        for row in rows
    ]


def _within_scope(rows: pd.DataFrame, scope: str) -> pd.DataFrame:
    return rows if scope == OVERALL else rows[rows["corpus"] == scope]


def _has_bands(clips: pd.DataFrame) -> bool:
    return bool(clips[["age_low", "age_high"]].notna().all(axis=1).any())


def _has_score(rows: Iterable[Row]) -> bool:
    return any(cell.value is not None for row in rows for cell in row.cells)


def _corpus_column(scores: HeadScores, scope: str, measure: Measure) -> Column:
    if measure == "age_interval_error_years":
        return Column(scope, f"{scope}, distance to age band")
    return Column(scope, _with_counts(scope, scores.clips_of(scope)))


def _with_counts(name: str, clips: pd.DataFrame) -> str:
    counts = _count(clips)
    return f"{name} ({counts['clips_in_all']} clips, {counts['speakers_in_all']} speakers)"


def _count(answers: pd.DataFrame) -> dict[str, Label]:
    """Count clips; one with several rows counts once."""
    answered = answers["clip_id"][answers["predicted_age_years"].notna()]
    return {
        "clips_in_all": answers["clip_id"].nunique(),
        "speakers_in_all": len(answers[["corpus", "speaker_id"]].drop_duplicates()),
        "answered": answered.nunique(),
        "without_window": answers["clip_id"][answers["num_windows"] == 0].nunique(),
    }

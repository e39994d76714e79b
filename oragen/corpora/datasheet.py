"""A clips table, what was skipped, the card of the corpus -> a datasheet as Markdown.

The questions are those of Gebru et al. 2021 (doi 10.1145/3458723), as far as tables answer them.
"""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from oragen.corpora.corpus_card import CorpusCard
from oragen.corpora.statistics import compare_with_published, count_clips
from oragen.schema.vocabulary import Skipped

MOST_REASONS = 20


def write_datasheet(
    corpus: str, card: CorpusCard, clips: pd.DataFrame, skipped: Sequence[Skipped]
) -> str:
    """Write the datasheet of a corpus.

    Args:
        corpus: its name.
        card: of what its reader knows of it.
        clips: its clips table.
        skipped: what the stages left out of it, and why.
    """
    return "\n".join(
        [
            f"# Datasheet: {corpus}",
            "",
            f"Corpus: {card.title}. It holds: {card.modalities}. Labels: {card.labels}.",
            "",
            "## Composition",
            "",
            *_list_counts(clips),
            "",
            "One person is in one split. Labels are those of the corpus: nobody was asked anew.",
            "",
            *_list_published(card, clips),
            "## Collection and splits",
            "",
            f"How to get it: {card.access}. Splits: {card.splits}.",
            "",
            "## What was left out",
            "",
            *_list_skipped(skipped),
            "",
            "## Licence, uses, distribution",
            "",
            f"Licence: {card.licence}. Faces and voices are personal data: use them as far as the "
            "licence, the consent of the people and the law allow. The corpus itself is not part "
            "of this model and is not distributed with it.",
            "",
        ]
    )


def _list_counts(clips: pd.DataFrame) -> list[str]:
    counts = count_clips(clips)
    lines = [f"| | | {' | '.join(counts.columns)} |", f"|---|---|{'---:|' * len(counts.columns)}"]
    for (kind, value), row in counts.iterrows():
        lines.append(f"| {kind} | {value} | {' | '.join(f'{count:,}' for count in row)} |")
    return lines


def _list_published(card: CorpusCard, clips: pd.DataFrame) -> list[str]:
    """Put published counts beside those of this copy; no lines where nothing is published."""
    if card.statistics is None:
        return []
    lines = [f"Published counts: {card.statistics.source}.", ""]
    lines += ["| | published | here |", "|---|---:|---:|"]
    lines += [
        f"| {figure} | {published} | {here} |"
        for figure, published, here in compare_with_published(clips, card.statistics)
    ]
    return [*lines, ""]


def _list_skipped(skipped: Sequence[Skipped]) -> list[str]:
    if not skipped:
        return ["Nothing."]
    reasons = Counter((item.stage, item.reason) for item in skipped).most_common(MOST_REASONS)
    lines = ["| stage | reason | clips |", "|---|---|---:|"]
    return [
        *lines,
        *(f"| {stage} | {_inline(reason)} | {count:,} |" for (stage, reason), count in reasons),
    ]


def _inline(text: str) -> str:
    """Write a reason, which may quote a file, so that it stays in its cell."""
    return text.replace("|", "/").replace("\n", " ")

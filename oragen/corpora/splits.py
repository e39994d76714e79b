"""Clips and their speakers -> a split for each clip, the same on every machine.

Official splits are kept. Speakers without one are divided here: 70 % train, 15 % dev, 15 % test, no
speaker in two, alike in gender and age. A stratum is the speakers of one gender and decade of age.
Within a stratum speakers are ordered by a hash of their names, and their rank decides the split. So
one speaker more moves about one other over each border, as long as the strata stay the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

SHARES: Final = {"train": 0.70, "dev": 0.15, "test": 0.15}
TRAIN_OR_DEV: Final = "train or dev"  # the split of a record whose corpus has a test but no dev
TRAIN_OR_DEV_SHARES: Final = {name: SHARES[name] for name in ("train", "dev")}
MIN_STRATUM_SPEAKERS: Final = 7  # they are divided 5 to 1 to 1


def assign_splits(corpus: str, clips: pd.DataFrame) -> pd.Series:
    """Return the split of each clip: the official one, or else the one of its speaker.

    If some clips of a speaker have an official split, the speaker's other clips get it, too.
    Contradicting official splits are not checked here.

    Args:
        corpus: its name, a part of the hashed text.
        clips: with the columns `speaker_id`, `split` (train, dev, test or TRAIN_OR_DEV; null =
            any), `gender` and `age_years`.
    """
    numbers, names = pd.factorize(clips["speaker_id"])  # a name may be long
    clips = clips[["split", "gender", "age_years"]].assign(speaker=numbers)
    given, speakers = clips["split"], clips["speaker"]
    is_official = given.notna() & (given != TRAIN_OR_DEV)
    official = clips[is_official].drop_duplicates("speaker").set_index("speaker")["split"]
    train_or_dev = official[official.isin(TRAIN_OR_DEV_SHARES)]
    either = clips[(given == TRAIN_OR_DEV) & ~speakers.isin(train_or_dev.index)]
    settled = official.index.union(either["speaker"].unique())
    free = clips[given.isna() & ~speakers.isin(settled)]
    assigned = pd.concat(
        [
            divide_speakers(corpus, names, either, TRAIN_OR_DEV_SHARES),
            divide_speakers(corpus, names, free, SHARES),
        ]
    )
    by_speaker = pd.concat([assigned, official[~official.index.isin(assigned.index)]])
    return given.where(is_official, speakers.map(by_speaker))


def divide_speakers(
    corpus: str, names: Sequence[str] | pd.Index, clips: pd.DataFrame, shares: Mapping[str, float]
) -> pd.Series:
    """Return a split for each speaker of the clips; each stratum is divided by the shares.

    The speaker of rank r among n, by the SHA-256 of `<corpus>/<speaker>`, is at (r + 0.5) / n.

    Args:
        corpus: its name.
        names: of all speakers, by number.
        clips: with the columns `speaker` (a number), `gender` and `age_years`.
        shares: of each split; only their ratios count.
    """
    speakers = stratify_speakers(clips).rename("stratum").to_frame()
    speakers["digest"] = [
        hashlib.sha256(f"{corpus}/{names[number]}".encode()).hexdigest()
        for number in speakers.index
    ]
    strata = speakers.sort_values(["stratum", "digest"]).groupby("stratum")
    position = (strata.cumcount() + 0.5) / strata["digest"].transform("size")
    borders = np.cumsum(list(shares.values())) / sum(shares.values())
    borders = np.round(borders, 12)  # 0.7 + 0.15 is not 0.85, but must be, on every machine
    split = np.array(list(shares), dtype=object)[np.searchsorted(borders, position, side="right")]
    return pd.Series(split, index=position.index, dtype=str)


def stratify_speakers(clips: pd.DataFrame) -> pd.Series:
    """Return the stratum of each speaker: gender and decade of age, unless they are too few.

    A speaker has the most frequent gender of the clips (of equally frequent ones the first by name)
    and their median age. Speakers of unknown gender or age form strata as well. Strata of fewer
    than MIN_STRATUM_SPEAKERS are joined by gender; those that are still too small are joined into
    one.

    Args:
        clips: with the columns `speaker`, `gender` and `age_years`.
    """
    ages = clips.groupby("speaker")["age_years"].median()
    counts = clips.groupby(["speaker", "gender"]).size().reset_index(name="count")
    frequent = counts.sort_values(["count", "gender"], ascending=[False, True])
    known = frequent.drop_duplicates("speaker").set_index("speaker")["gender"]
    gender = known.reindex(ages.index).fillna("unknown").astype(str)
    stratum = gender + " " + (ages // 10).astype(str)
    stratum = stratum.where(_is_large(stratum), gender)
    return stratum.where(_is_large(stratum), "rest")


def _is_large(stratum: pd.Series) -> pd.Series:
    return stratum.map(stratum.value_counts()) >= MIN_STRATUM_SPEAKERS

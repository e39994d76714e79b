"""A corpus, a split and a measure -> what others published for them.

UAR are shares from 0 to 1, ages in years. Corpora are named as their readers. Splits are named as
these readers name them: the labelled `devel` of aGender, and `Val` of AFEW, are our `test`. Results
of another split than ours carry `same_split=False`: Common Voice divides its speakers anew at every
release, and the release is not named.

Not listed are LAGENDA, which has no split of its own (the authors' is not published, and ours is by
a hash); accuracies, which are no UAR; errors of women and men apart only; and a mask UAR of 100 %
on VoxCeleb2, where there is one class.
"""

from dataclasses import dataclass
from typing import Final, Literal

from oragen.schema.vocabulary import MASK_TYPES, ModalitySet

PublishedMeasure = Literal["gender_uar", "mask_type_uar", "age_mae_years"]

ORAGEN: Final = "Markitantov et al. 2026, doi 10.1016/j.eswa.2025.127473"
MIVOLO: Final = "Kuprashevich and Tolstykh 2023, arXiv 2307.04616 (repository)"
AGAIN: Final = "tested again by the authors of ORAGEN"
ENCODERS: Final = "its encoders were trained before, on the corpora of the heads of one modality"
UNNAMED: Final = "the split is not named; the error fits the test split"
OF_AUDIO: Final = ("timit", "agender", "common_voice")
OF_FACES: Final = ("lagenda", "afew", "imdb_clean")
OTHER_SPLIT: Final = {"common_voice"}


@dataclass(frozen=True)
class PublishedScore:
    """One number of somebody else's table."""

    method: str
    reader: str
    split: str  # as we name it
    measure: PublishedMeasure
    modality: ModalitySet
    value: float
    source: str
    trained_on: tuple[str, ...]  # readers
    note: str = ""
    same_split: bool = True


def find_published(
    reader: str, split: str, measure: str, *, modality: str | None = None
) -> list[PublishedScore]:
    """Find what is published for a corpus and split, in the order of the tables it is from.

    Args:
        reader: of the corpus; one that only we have, such as `generated`, has no results.
        split: as our reader of the corpus names it.
        measure: `gender_uar`, `mask_type_uar` or `age_mae_years`; others have no results.
        modality: `audio_visual`, `audio` or `face`; None = any.
    """
    return [
        score
        for score in PUBLISHED
        if (score.reader, score.split, score.measure) == (reader, split, measure)
        and modality in (None, score.modality)
    ]


def find_mask_influence(
    reader: str, split: str, measure: str, modality: str
) -> dict[str, float] | None:
    """Find what is published of one fusion head by mask type.

    Args:
        reader: of the corpus.
        split: as our reader names it.
        measure: `gender_uar` or `age_mae_years`.
        modality: the modalities that the head predicted from.

    Returns:
        the score for each mask type, and for `all`; None where nothing is published. The page heads
        two columns `Protective mask` and `Respirator (FFP2/FFP3)`; they are taken in the order of
        the published classes, as `ffp` and `respirator`.
    """
    if (reader, split) != ("brave_masks", "test"):
        return None
    found = MASK_INFLUENCE.get((measure, modality))
    if found is None:
        return None
    digits = 2 if measure == "age_mae_years" else 4
    scale = 1 if measure == "age_mae_years" else 100
    numbers = (round(number / scale, digits) for number in found)
    return dict(zip(("all", *MASK_TYPES), numbers, strict=True))


def _list(
    method: str,
    modality: ModalitySet,
    trained_on: tuple[str, ...],
    note: str = "",
    *,
    source: str = ORAGEN,
    **columns: tuple[float | None, ...],
) -> list[PublishedScore]:
    """Turn lines of the published tables into scores; `<reader>_<split>` is UAR in %, age error.

    A third number is the mask UAR in %.
    """
    scores = []
    measures: tuple[PublishedMeasure, ...] = ("gender_uar", "age_mae_years", "mask_type_uar")
    for place, numbers in columns.items():
        reader, split = place.rsplit("_", 1)
        for measure, number in zip(measures, numbers, strict=False):
            if number is not None:
                scores.append(
                    PublishedScore(
                        method, reader, split, measure, modality,
                        number if measure == "age_mae_years" else round(number / 100, 6),
                        source, trained_on, note, reader not in OTHER_SPLIT,
                    )
                )  # fmt: skip
    return scores


PUBLISHED: Final[tuple[PublishedScore, ...]] = (
    *_list(
        "Burkhardt et al. 2023", "audio", ("agender", "common_voice", "timit", "voxceleb2"),
        AGAIN,
        timit_test=(98.60, 7.10), agender_test=(86.15, 10.80), common_voice_test=(92.20, 11.15),
        voxceleb2_test=(89.50, 10.31), brave_masks_dev=(84.16, 13.96),
        brave_masks_test=(85.15, 13.09),
    ),
    *_list(
        "ORAGEN, wav2vec 2.0", "audio", OF_AUDIO,
        timit_test=(98.60, 6.90), agender_test=(87.17, 10.60), common_voice_test=(92.59, 10.47),
        voxceleb2_test=(90.00, 9.91), brave_masks_dev=(85.14, 11.65),
        brave_masks_test=(86.22, 11.89),
    ),
    *_list(
        "ORAGEN, HuBERT", "audio", OF_AUDIO,
        timit_test=(97.97, 7.00), agender_test=(86.99, 10.92), common_voice_test=(92.22, 11.32),
        voxceleb2_test=(89.83, 10.34), brave_masks_dev=(84.95, 13.01),
        brave_masks_test=(86.21, 12.23),
    ),
    *_list(
        "VOLO-D1, age alone", "face", ("imdb_clean",), UNNAMED, source=MIVOLO,
        imdb_clean_test=(None, 4.29),
    ),
    *_list(
        "VOLO-D1", "face", ("imdb_clean",), UNNAMED, source=MIVOLO,
        imdb_clean_test=(None, 4.22),
    ),
    *_list(
        "MiVOLO-D1, face and body", "face", ("imdb_clean",), UNNAMED, source=MIVOLO,
        imdb_clean_test=(None, 4.24),
    ),
    *_list(
        "MiVOLO (Kuprashevich 2023)", "face", ("imdb_clean",),
        AGAIN,
        afew_test=(94.60, 6.09), imdb_clean_dev=(99.70, 3.48), imdb_clean_test=(99.40, 4.28),
        voxceleb2_test=(98.35, 7.32), brave_masks_dev=(87.84, 9.60),
        brave_masks_test=(93.39, 9.22),
    ),
    *_list(
        "ORAGEN, SDPSA", "face", OF_FACES,
        afew_test=(95.16, 5.62), imdb_clean_dev=(98.49, 5.23), imdb_clean_test=(98.37, 5.47),
        voxceleb2_test=(98.37, 5.97), brave_masks_dev=(88.12, 8.86),
        brave_masks_test=(94.44, 8.71),
    ),
    *_list(
        "ORAGEN, GSA", "face", OF_FACES,
        afew_test=(95.41, 5.59), imdb_clean_dev=(98.70, 5.03), imdb_clean_test=(98.46, 5.43),
        voxceleb2_test=(98.25, 6.59), brave_masks_dev=(89.83, 9.65),
        brave_masks_test=(90.16, 9.42),
    ),
    *_list(
        "ORAGEN, early fusion", "audio_visual", ("voxceleb2",),
        ENCODERS,
        voxceleb2_test=(98.90, 5.80), brave_masks_test=(94.80, 9.00),
    ),
    *_list(
        "ORAGEN, intermediate fusion", "audio_visual", ("voxceleb2",),
        ENCODERS,
        voxceleb2_test=(99.11, 5.68), brave_masks_test=(94.95, 8.73),
    ),
    *_list(
        "ORAGEN, late fusion", "audio_visual", ("voxceleb2",),
        ENCODERS,
        voxceleb2_test=(99.02, 6.51), brave_masks_test=(97.21, 7.23),
    ),
    *_list(
        "ORAGEN, with mask type", "audio_visual", ("voxceleb2", "brave_masks"),
        ENCODERS,
        voxceleb2_test=(99.51, 5.42), brave_masks_test=(96.63, 7.52, 95.87),
    ),
)  # fmt: skip
# UAR in %, errors in years: all, then by mask type.
MASK_INFLUENCE: Final[dict[tuple[str, str], tuple[float, ...]]] = {
    ("gender_uar", "audio_visual"): (94.95, 98.33, 96.38, 97.69, 98.02, 90.56, 89.00),
    ("gender_uar", "audio"): (93.98, 98.33, 96.77, 94.75, 97.80, 88.61, 89.00),
    ("gender_uar", "face"): (93.06, 97.67, 96.11, 97.69, 94.74, 89.91, 89.00),
    ("age_mae_years", "audio_visual"): (8.73, 4.83, 7.74, 11.12, 10.44, 15.27, 5.63),
    ("age_mae_years", "audio"): (11.91, 10.93, 12.09, 15.39, 12.04, 17.44, 8.85),
    ("age_mae_years", "face"): (8.98, 5.92, 8.78, 12.29, 11.06, 19.87, 6.62),
}

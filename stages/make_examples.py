"""Windows or crops of some corpora -> what an encoder is fine-tuned on.

A list of corpora cannot be a DVC dependency. So this stage depends on the folders of tables and
writes one file that holds the wanted corpora alone; another corpus that changes leaves it the
same, and the encoder is not trained again.
"""

import logging

import pandas as pd

from oragen.config import paths
from oragen.config.params import load_params
from oragen.schema.errors import UserError
from oragen.schema.tables import CLIPS, CROPS, EXAMPLES, WINDOWS
from oragen.schema.vocabulary import Modality
from stages.running import run_stage

logger = logging.getLogger(__name__)

LABELS = ["clip_id", "corpus", "split", "speaker_id", "gender", "age_years", "mask_type"]


def main(encoder: str) -> None:
    """List the windows or crops of train and dev that ENCODER learns from."""
    params = load_params()
    choose = {"audio": choose_windows, "face": choose_crops}
    modality = params.encoder(encoder).modality
    corpora = params.finetune_corpora(encoder)
    examples = pd.concat([label(corpus, choose[modality](corpus)) for corpus in corpora])
    refuse_nothing(encoder, modality, corpora, examples)
    EXAMPLES.write(paths.examples_table(encoder), examples)
    counts = examples["split"].value_counts()
    logger.info(
        "make_examples %s: %d to train on, %d to select by, of %d clips in %s",
        encoder, counts.get("train", 0), counts.get("dev", 0), examples["clip_id"].nunique(),
        ", ".join(corpora),
    )  # fmt: skip


def refuse_nothing(
    encoder: str, modality: Modality, corpora: list[str], examples: pd.DataFrame
) -> None:
    """Refuse to fine-tune an encoder on corpora that have nothing for it.

    Raises:
        UserError: names the encoder, the corpora and the split.
    """
    for split in ("train", "dev"):
        if split not in set(examples["split"]):
            what = {"audio": "window with speech", "face": "face"}[modality]
            raise UserError(
                f"{encoder} has no {what} to learn from in the split {split} of "
                f"{', '.join(corpora)}. Take it out of encoders.finetune, or name other corpora in "
                f"encoders.catalogue.{encoder}.finetuning.corpora."
            )


def choose_windows(corpus: str) -> pd.DataFrame:
    """Return where the sound of the windows with speech is."""
    windows = WINDOWS.read(paths.windows_table(corpus))
    spoken = windows[windows["has_speech"]]
    return spoken[["clip_id", "start", "stop"]].assign(
        content_key=spoken["key"],
        store=str(paths.audio_store(corpus)),
        key=spoken["audio_key"],
        landmarks=None,
    )


def choose_crops(corpus: str) -> pd.DataFrame:
    """Return where the pictures of faces are; also of those that are in no window."""
    crops = CROPS.read(paths.crops_table(corpus))
    return crops[["clip_id", "landmarks"]].assign(
        start=crops["crop"],
        stop=crops["crop"] + 1,
        content_key=crops["key"],
        store=str(paths.faces_store(corpus)),
        key=crops["faces_key"],
    )


def label(corpus: str, examples: pd.DataFrame) -> pd.DataFrame:
    """Put the labels of the clips of train and dev to their examples."""
    clips = CLIPS.read(paths.clips_table(corpus))[LABELS]
    return examples.merge(clips[clips["split"].isin(["train", "dev"])], on="clip_id")


if __name__ == "__main__":
    run_stage(main)

"""A corpus, an encoder or a head -> where each of its files lies in data/."""

from pathlib import Path

DATA = Path("data")
CHECKED_PARAMS = DATA / "params" / "checked.txt"
SETTLED_FACES = DATA / "params" / "faces.json"
EXPLANATIONS = DATA / "explanations"
REPORTS = DATA / "reports"


def clips_table(corpus: str) -> Path:
    """Return where the clips table lies."""
    return DATA / "clips" / f"{corpus}.parquet"


def attributes_table(corpus: str) -> Path:
    """Return the table of what a user's own columns say of each clip."""
    return DATA / "attributes" / f"{corpus}.parquet"


def hash_memory(corpus: str) -> Path:
    """Return the remembered hashes of media files; may be removed."""
    return DATA / "cache" / "media_hashes" / f"{corpus}.parquet"


def encoder_notes() -> Path:
    """Return the folder of what is known of encoders; may be removed."""
    return DATA / "cache" / "encoders"


def plans() -> Path:
    """Return the folder of what is handed to other processes; may be removed between runs."""
    return DATA / "cache" / "plans"


def audio_store(corpus: str) -> Path:
    """Return the folder of decoded sound."""
    return DATA / "audio" / corpus


def speech_store(corpus: str) -> Path:
    """Return the folder of speech spans."""
    return DATA / "speech" / corpus


def speech_table(corpus: str) -> Path:
    """Return where the speech table lies."""
    return DATA / "speech" / f"{corpus}.parquet"


def faces_store(corpus: str) -> Path:
    """Return the folder of face crops."""
    return DATA / "faces" / corpus


def crops_table(corpus: str) -> Path:
    """Return where the crops table lies."""
    return DATA / "faces" / f"{corpus}.parquet"


def windows_table(corpus: str) -> Path:
    """Return where the windows table lies."""
    return DATA / "windows" / f"{corpus}.parquet"


def quality_table(corpus: str) -> Path:
    """Return the table of how much speech and face each clip has, and how good they are."""
    return DATA / "quality" / f"{corpus}.parquet"


def feature_store(corpus: str, encoder: str) -> Path:
    """Return the folder of one encoder's features."""
    return DATA / "features" / corpus / encoder


def feature_rows_table(corpus: str, kind: str) -> Path:
    """Return the table that says which features belong to the present windows or crops.

    Args:
        corpus: its name.
        kind: `audio`, `face` or `off_the_shelf`.
    """
    return DATA / "feature_rows" / corpus / f"{kind}.parquet"


def places_table(corpus: str, kind: str) -> Path:
    """Return the table that says which parts hold the features in use; `kind` as above."""
    return DATA / "places" / corpus / f"{kind}.parquet"


def skipped_table(corpus: str, stage: str) -> Path:
    """Return the table of what a stage skipped of a corpus."""
    return DATA / "skipped" / corpus / f"{stage}.parquet"


def examples_table(encoder: str) -> Path:
    """Return the table of what an encoder is fine-tuned on."""
    return DATA / "examples" / f"{encoder}.parquet"


def encoder_folder(encoder: str) -> Path:
    """Return the folder of a fine-tuned encoder."""
    return DATA / "encoders" / encoder


def finetuning_checkpoint(encoder: str) -> Path:
    """Return where a fine-tuning under way is kept; may be removed."""
    return DATA / "cache" / "finetuning" / f"{encoder}.ckpt"


def train_dataset(head: str) -> Path:
    """Return the table of the windows that a head is trained on and selected by."""
    return DATA / "datasets" / "train" / f"{head}.parquet"


def train_corpora(head: str) -> Path:
    """Return the file that says of each corpus of a head whether its people are generated."""
    return DATA / "datasets" / "train" / f"{head}.json"


def evaluation_dataset(head: str) -> Path:
    """Return the table of the windows that a head is scored on."""
    return DATA / "datasets" / "evaluation" / f"{head}.parquet"


def head_folder(head: str) -> Path:
    """Return the folder of a trained head, a folder a seed inside."""
    return DATA / "heads" / head


def predictions_table(head: str) -> Path:
    """Return the table of a head's predictions for the clips of the evaluation."""
    return DATA / "predictions" / f"{head}.parquet"

"""The released checkpoints of ORAGEN: where they are, and what is known of them."""

from typing import Any, Final

# As the authors' own inference names them (chimera_ml, examples/oragen/configs/inference.yaml).
REPOSITORY: Final = "markitantov/ORAGEN"
TITLE: Final = "ORAGEN"
NUM_BYTES: Final = 1_700_000_000  # of the three files, about
# The training configurations beside that inference name the corpora of the voice encoder and of the
# fusion; the paper (doi 10.1016/j.eswa.2025.127473) names those of the face encoder.
FUSION_CORPORA: Final = ("VoxCeleb2", "BRAVE-MASKS")
VOICE_CORPORA: Final = ("aGender", "Common Voice", "TIMIT")
FACE_CORPORA: Final = ("LAGENDA", "AFEW", "IMDB-Clean")
CORPORA: Final = (*FUSION_CORPORA, *VOICE_CORPORA, *FACE_CORPORA)
# As `oragen.training.training_data` writes it. Ages are those of the corpora of the fusion.
TRAINING_DATA: Final[dict[str, Any]] = {
    "corpora": [
        {"name": name, "num_speakers": None, "num_clips": None, "generated": False}
        for name in CORPORA
    ],
    "youngest_years": 10.0,
    "oldest_years": 95.0,
}

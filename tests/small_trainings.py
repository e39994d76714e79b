"""A head and a training for the windows of `tests.feature_stores.write_speakers`."""

from oragen.models.heads import HeadSizes
from oragen.training.loop import TrainingOptions
from oragen.training.losses import TaskWeights

SIZES = HeadSizes(
    audio_steps=4, audio_width=3, face_slots=2, face_layers=2, face_width=6,
    num_genders=2, num_mask_types=6,
)  # fmt: skip
OPTIONS = TrainingOptions(
    batch_size=16, max_epochs=3, patience=3, learning_rate=0.01, weight_decay=0.01,
    gradient_clip=1.0, drop_modality=0.5, balance_classes=True, balance_sampling=(),
    task_weights=TaskWeights(),
)  # fmt: skip

"""A prediction of a clip, and one of a clip of which nothing can be predicted."""

from dataclasses import replace

from oragen.detection.quality import FaceQuality, SoundQuality
from oragen.predictor import (
    AgePrediction,
    ClassPrediction,
    ModalityReport,
    Prediction,
    WindowPrediction,
)
from oragen.schema.vocabulary import Span

WINDOW = WindowPrediction(
    span=Span(0, 64_000),
    has_speech=True,
    num_faces=4,
    gender=ClassPrediction("male", {"female": 0.25, "male": 0.75}),
    age_years=40.0,
    mask_type=ClassPrediction("ffp", {"none": 0.125, "ffp": 0.875}),
)
PREDICTED = Prediction(
    input="a.mp4",
    gender=WINDOW.gender,
    age=AgePrediction(40.25, (30.0, 50.5)),
    mask_type=WINDOW.mask_type,
    windows=[WINDOW],
    modalities={"audio": ModalityReport(True, None), "face": ModalityReport(False, "no face")},
    speech=[Span(8_000, 64_000)],
    faces=[],
    length_s=4.5,
    sound_quality=SoundQuality(3.5, 21.25),
    face_quality=FaceQuality(),
    notes=[],
    model={"head": "joint"},
    training_data=None,
    unfamiliarity=1.5,
    warnings=["It knows nobody."],
)
NOT_PREDICTED = replace(
    PREDICTED,
    input="b.mp4",
    gender=None,
    age=None,
    mask_type=None,
    windows=[],
    modalities=dict.fromkeys(("audio", "face"), ModalityReport(False, "empty file")),
    speech=[],
    length_s=0.0,
    sound_quality=SoundQuality(),
    unfamiliarity=None,
)

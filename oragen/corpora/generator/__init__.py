"""A seed -> a demo corpus of talking heads, in the place of licensed corpora."""

from oragen.corpora.generator.clip import Clip, ClipPlan, render_clip, write_clip
from oragen.corpora.generator.corpus import (
    GENERATOR_VERSION,
    LABEL_COLUMNS,
    SPEC_FILE,
    CorpusSpec,
    check_spec,
    generate_corpus,
    plan_clips,
)
from oragen.corpora.generator.recording import muffle, record
from oragen.corpora.generator.speakers import SpeakerTraits, draw_speaker
from oragen.corpora.generator.voice import Utterance, speak

__all__ = [
    "GENERATOR_VERSION",
    "LABEL_COLUMNS",
    "SPEC_FILE",
    "Clip",
    "ClipPlan",
    "CorpusSpec",
    "SpeakerTraits",
    "Utterance",
    "check_spec",
    "draw_speaker",
    "generate_corpus",
    "muffle",
    "plan_clips",
    "record",
    "render_clip",
    "speak",
    "write_clip",
]

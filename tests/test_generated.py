"""A generated corpus -> records of its clips, where it is there and of the spec asked for."""

import dataclasses
from pathlib import Path

import pytest

from oragen.corpora.generated import read_generated
from oragen.corpora.generator.corpus import generate_corpus
from oragen.corpora.generator.spec import CorpusSpec
from oragen.corpora.manifest import CorpusError, build_manifest
from oragen.schema.errors import UserError


def test_a_generated_corpus_is_listed_whole_and_one_that_is_not_there_says_how(
    tmp_path: Path,
) -> None:
    spec = CorpusSpec("studio", 6, 1, clips_per_speaker=(1, 1), duration_s=(1.0, 1.0))
    with pytest.raises(CorpusError, match="Run `oragen generate studio`"):
        list(read_generated("studio", tmp_path / "studio", spec))
    generate_corpus(tmp_path / "studio", spec, num_workers=1)
    records = list(read_generated("studio", tmp_path / "studio", spec))
    manifest = build_manifest("studio", tmp_path / "studio", records, tmp_path / "hashes.parquet")
    assert manifest.skipped == []
    assert len(manifest.clips) == 6
    assert set(manifest.clips["split"]) == {"train", "dev", "test"}
    assert manifest.clips[["gender", "age_years", "mask_type", "audio_hash"]].notna().all(axis=None)


def test_a_generated_corpus_of_another_spec_is_refused(tmp_path: Path) -> None:
    spec = CorpusSpec("studio", 6, 1, clips_per_speaker=(1, 1), duration_s=(1.0, 1.0))
    generate_corpus(tmp_path, spec, num_workers=1)
    with pytest.raises(UserError, match="describes another corpus"):
        list(read_generated("studio", tmp_path, dataclasses.replace(spec, seed=2)))

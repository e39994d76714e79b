"""A generated corpus -> records of its clips, where it is there and of the spec asked for."""

import dataclasses
from pathlib import Path

import pytest

from oragen.corpora.generated import read_generated
from oragen.corpora.generator.corpus import generate_corpus
from oragen.corpora.generator.spec import CorpusSpec
from oragen.corpora.manifest import build_manifest
from oragen.corpora.records import CorpusError
from oragen.schema.errors import UserError

SPEC = CorpusSpec("studio", 6, 1, clips_per_speaker=(1, 1), duration_s=(1.0, 1.0))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a generated corpus."""
    folder = tmp_path_factory.mktemp("studio")
    generate_corpus(folder, SPEC, num_workers=1)
    return folder


def test_a_generated_corpus_is_listed_whole(root: Path, tmp_path: Path) -> None:
    records = list(read_generated("studio", root, SPEC))
    manifest = build_manifest("studio", root, records, tmp_path / "hashes.parquet")
    assert manifest.skipped == []
    assert len(manifest.clips) == 6
    assert set(manifest.clips["split"]) == {"train", "dev", "test"}
    assert manifest.clips[["gender", "age_years", "mask_type", "audio_hash"]].notna().all(axis=None)


def test_a_generated_corpus_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="Run `oragen generate studio`"):
        list(read_generated("studio", tmp_path / "studio", SPEC))


def test_a_generated_corpus_of_another_spec_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="describes another corpus"):
        list(read_generated("studio", root, dataclasses.replace(SPEC, seed=2)))

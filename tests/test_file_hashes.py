"""The memory of hashes: only files that changed are read again."""

import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest

from oragen.corpora.records import CorpusError
from tests.csv_corpora import list_text, make_files, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_files(tmp_path / "corpus")


def hash_of_a(root: Path) -> str:
    return str(list_text(root, "media\na.mp4\n").clips["audio_hash"][0])


def test_an_unchanged_file_is_not_read_again(root: Path) -> None:
    """Its content is changed behind the back of size and time, so that reading would show."""
    status = (root / "a.mp4").stat()
    assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()
    write(root / "a.mp4", "z")
    os.utime(root / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()
    (root.parent / "hashes.parquet").unlink()
    assert hash_of_a(root) == hashlib.sha256(b"z").hexdigest()


def test_another_time_or_size_makes_it_read_again(root: Path) -> None:
    status = (root / "a.mp4").stat()
    hash_of_a(root)
    write(root / "a.mp4", "zz")
    os.utime(root / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hash_of_a(root) == hashlib.sha256(b"zz").hexdigest()
    write(root / "a.mp4", "yy")
    os.utime(root / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert hash_of_a(root) == hashlib.sha256(b"yy").hexdigest()


def test_a_damaged_memory_is_forgotten(root: Path) -> None:
    for content in (b"", b"junk"):
        (root.parent / "hashes.parquet").write_bytes(content)
        assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()
    pd.DataFrame({"other": [1]}).to_parquet(root.parent / "hashes.parquet")
    assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()


def test_the_memory_is_kept_when_the_indexing_ends_in_an_error(root: Path) -> None:
    status = (root / "a.mp4").stat()
    text = "media,speaker_id,split\na.mp4,Ann,train\nb.mp4,Ann,test\n"
    with pytest.raises(CorpusError, match="Ann"):
        list_text(root, text)
    write(root / "a.mp4", "z")
    os.utime(root / "a.mp4", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert hash_of_a(root) == hashlib.sha256(b"a").hexdigest()

"""Paths as tables of other systems name them, links, and names alike -> as many clips as lines."""

import os
import socket
import unicodedata
from pathlib import Path

import pytest

from oragen.corpora.csv import read_csv
from oragen.corpora.manifest import Manifest, build_manifest
from oragen.corpora.records import ClipRecord, CorpusError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "José.wav") for form in ("NFC", "NFD"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "Day 1").mkdir(parents=True)
    (folder / "Day 1" / "Anna_01.WAV").write_text("sound")
    return folder


def plant(root: Path, *names: str) -> None:
    for name in names:
        (root / name).write_bytes(os.fsencode(name))


def index(root: Path, *lines: str, header: str = "media", follow_links: bool = False) -> Manifest:
    table = root / "labels.csv"
    table.write_text("\n".join([header, *lines]), encoding="utf-8")
    records = read_csv("mine", root, Path("labels.csv"))
    return build_manifest("mine", root, records, None, follow_links=follow_links)


def files(manifest: Manifest) -> list[str]:
    clips = manifest.clips
    return [str(path) for path in clips["audio_path"].fillna(clips["image_path"])]


def ids(manifest: Manifest) -> list[str]:
    return [clip.removeprefix("mine/") for clip in manifest.clips["clip_id"]]


def reasons(manifest: Manifest) -> list[str]:
    return [item.reason for item in manifest.skipped]


# As many clips as lines


def test_clips_of_one_stem_are_told_apart_by_their_suffixes(root: Path) -> None:
    names = ["001.wav", "001.jpg", "s1.utt1.wav", "s1.utt2.wav", "s2.utt1", "s2.utt2", "003.wav"]
    plant(root, *names)
    manifest = index(root, *names)
    assert files(manifest) == names
    expected = ["001.wav", "001.jpg", "s1.utt1", "s1.utt2", "s2.utt1", "s2.utt2", "003"]
    assert ids(manifest) == expected


def test_a_longer_name_is_no_other_clips_name(root: Path) -> None:
    names = ["1.wav", "1.jpg", "1.wav.flac"]
    plant(root, *names)
    assert sorted(ids(index(root, *names))) == ["1.jpg", "1.wav", "1.wav.flac"]


def test_a_sound_beside_several_videos_is_several_clips(root: Path) -> None:
    plant(root, "a.wav", "left.mp4", "right.mp4")
    manifest = index(root, "a.wav,left.mp4", "a.wav,right.mp4", header="audio_path,video_path")
    assert ids(manifest) == ["a.wav+left.mp4", "a.wav+right.mp4"]


def test_faces_of_one_picture_are_told_apart_by_their_boxes(root: Path) -> None:
    plant(root, "a.jpg", "b.jpg")
    lines = ["a.jpg,1 2 3 4,f", "a.jpg,5 6 7.5 8,m", "b.jpg,1 2 3 4,m"]
    manifest = index(root, *lines, header="media,face_box,gender")
    assert ids(manifest) == ["a.jpg/1_2_3_4", "a.jpg/5_6_7.5_8", "b"]


def test_one_file_with_two_labels_is_still_no_clip(root: Path) -> None:
    plant(root, "1.wav", "1.jpg")
    manifest = index(root, "1.wav,f", "1.jpg,f", "1.wav,m", header="media,gender")
    assert ids(manifest) == ["1.jpg"]
    assert reasons(manifest) == ["listed twice, with different files or labels"]


# Unicode


@pytest.mark.parametrize(("listed", "there"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_name_in_the_other_form_of_unicode_is_found(root: Path, listed: str, there: str) -> None:
    plant(root, there)
    assert files(index(root, listed)) == [there]


def test_names_that_differ_in_the_form_of_unicode_alone_are_two_clips(root: Path) -> None:
    plant(root, COMPOSED, DECOMPOSED)
    manifest = index(root, COMPOSED, DECOMPOSED)
    assert files(manifest) == [COMPOSED, DECOMPOSED]
    assert len(set(ids(manifest))) == 2


def test_a_speaker_in_two_forms_of_unicode_is_one_person(root: Path) -> None:
    plant(root, "a.wav", "b.wav", "c.wav")
    composed, decomposed = COMPOSED.removesuffix(".wav"), DECOMPOSED.removesuffix(".wav")
    lines = [f"a.wav,{composed}", f"b.wav,{decomposed}", f"c.wav,{decomposed}x"]
    manifest = index(root, *lines, header="media,speaker_id")
    assert manifest.clips["speaker_id"].tolist() == [composed, composed, f"{decomposed}x"]


# Paths of other systems


@pytest.mark.parametrize(
    "path",
    [r"Day 1\Anna_01.WAV", r".\Day 1\Anna_01.WAV", "day 1/anna_01.wav", r"DAY 1\ANNA_01.wav",
     "Day 1//Anna_01.WAV", "file:Day%201/Anna_01.WAV", "{root}/Day 1/Anna_01.WAV",
     "file://{root}/Day%201/anna_01.WAV", "file://localhost{root}/Day%201/Anna_01.WAV"],
)  # fmt: skip
def test_a_path_that_can_only_mean_one_file_is_found(root: Path, path: str) -> None:
    (found,) = files(index(root, path.format(root=root)))
    assert (root / found).samefile(root / "Day 1" / "Anna_01.WAV")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (r"C:\data\a.wav", "no such file: a path with a drive of Windows: write it relative"),
        (r"d:a.wav", "no such file: a path with a drive of Windows"),
        (r"\\server\share\a.wav", "no such file: a path with a drive of Windows"),
        ("~/a.wav", "no such file: `~` is no folder in a table"),
        ("https://host/a.wav", "no such file: an address, not a file: download it"),
        ("s3://bucket/a.wav", "no such file: an address"),
        ("file:///elsewhere/a.wav", "no such file: it is outside the root"),
        (r"..\a.wav", "no such file"),
        ("Day 1/gone.wav", "no such file"),
        ("two.wav", "no such file: there are TWO.wav, Two.wav: write the name as it is"),
    ],
)
def test_a_path_that_means_no_file_here_says_why(root: Path, path: str, reason: str) -> None:
    plant(root, "a.wav", "Two.wav", "TWO.wav")
    (found,) = reasons(index(root, "a.wav", path))
    assert found.startswith(reason)


def test_a_file_with_a_backslash_in_its_name_is_that_file(root: Path) -> None:
    plant(root, r"Day 1\Anna_01.WAV")
    assert files(index(root, r"Day 1\Anna_01.WAV")) == [r"Day 1\Anna_01.WAV"]


# Links, and what is no file


def test_links_to_a_cache_are_read_where_the_entry_allows_it(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "ab").mkdir(parents=True)
    (cache / "ab" / "cdef").write_text("sound")
    (root / "clip.wav").symlink_to(cache / "ab" / "cdef")
    (root / "clips").symlink_to(cache / "ab")
    plant(root, "a.wav")
    lines = ["a.wav", "clip.wav", "clips/cdef"]
    refused = index(root, *lines)
    assert files(refused) == ["a.wav"]
    assert all("`follow_links: true` in the entry" in reason for reason in reasons(refused))
    assert files(index(root, *lines, follow_links=True)) == lines


def test_a_name_that_leaves_the_root_is_refused_with_links_too(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_text("secret")
    (tmp_path / "away" / "deep").mkdir(parents=True)
    (tmp_path / "away" / "a.wav").write_text("secret")
    (root / "out").symlink_to(tmp_path / "away" / "deep")
    plant(root, "a.wav")
    outside = ["../secret.wav", f"{tmp_path}/secret.wav", "out/../a.wav"]
    manifest = index(root, "a.wav", *outside, follow_links=True)
    assert [reason.partition(":")[0] for reason in reasons(manifest)] == [
        "path leaves the corpus root"
    ] * 3


@pytest.mark.parametrize("follow_links", [False, True])
def test_what_is_no_file_is_never_opened(root: Path, tmp_path: Path, follow_links: bool) -> None:
    os.mkfifo(root / "pipe.wav")
    (root / "device.wav").symlink_to("/dev/zero")
    (root / "round.wav").symlink_to(root / "round.wav")
    (root / "nowhere.wav").symlink_to(root / "gone.wav")
    (root / "loop").symlink_to(root)
    plant(root, "a.wav")
    folder = os.open(root, os.O_RDONLY)  # the path of a socket may have 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{folder}/socket.wav")
        os.close(folder)
        names = ["pipe.wav", "device.wav", "round.wav", "nowhere.wav", "socket.wav", "loop"]
        manifest = index(root, "a.wav", "loop/loop/a.wav", *names, follow_links=follow_links)
    assert files(manifest) == ["a.wav", "loop/loop/a.wav"]
    assert len(reasons(manifest)) == len(names)


def test_awkward_names_are_clips_too(root: Path) -> None:
    names = ["two\nlines.wav", "tab\there.wav", "-rf.wav", "\u202egpj.wav", "x" * 250 + ".wav"]
    plant(root, *names, "blank .wav", "blank.wav ")
    quoted = [f'"{name}"' for name in names]
    manifest = index(root, *quoted, "blank .wav", "blank.wav ")
    assert files(manifest) == [*names, "blank .wav", "blank.wav "]


def test_a_reason_is_one_short_line(root: Path) -> None:
    plant(root, "a.wav", "b.wav")
    word = "\x1b[31m\n" + "x" * 999
    manifest = index(root, f'a.wav,"{word}"', "b.wav,f", header="media,gender")
    (reason,) = reasons(manifest)
    assert reason.startswith(r"unknown gender: \x1b[31m\n")
    assert len(reason) <= 300


def test_a_name_that_is_not_utf8_costs_that_clip_alone(root: Path) -> None:
    name = os.fsdecode(b"K\xe4se.wav")
    plant(root, "a.wav", name)
    records = [ClipRecord("a", audio_path="a.wav"), ClipRecord(name, audio_path=name)]
    manifest = build_manifest("mine", root, records, None)
    assert (files(manifest), reasons(manifest)) == (["a.wav"], [r"not UTF-8: K\udce4se.wav"])


def test_a_message_shows_no_control_characters(root: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        index(root, "\x1b[31mred.wav")
    assert r"\x1b[31mred" in str(caught.value)
    assert "\x1b" not in str(caught.value)

"""The generated corpora: same spec same bytes, resumed, refused, complete; voices are speech."""

import csv
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from oragen.corpora.generator.clip import Clip, ClipPlan, render_clip, write_clip
from oragen.corpora.generator.corpus import LABEL_COLUMNS, generate_corpus, plan_clips
from oragen.corpora.generator.face import Expression, draw_look, paint_head
from oragen.corpora.generator.masks import draw_mask
from oragen.corpora.generator.recording import muffle
from oragen.corpora.generator.speakers import Gender, draw_speaker
from oragen.corpora.generator.spec import CorpusSpec
from oragen.corpora.generator.voice import speak
from oragen.schema.choices.corpora import Condition
from oragen.schema.vocabulary import MASK_TYPES, SAMPLE_RATE_HZ, SPLITS

TINY = CorpusSpec("studio", 6, seed=3, clips_per_speaker=(1, 1), duration_s=(1.0, 1.2))
FULL_SIZE = CorpusSpec("phone", 50, seed=5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "tiny"
    assert generate_corpus(folder, TINY, num_workers=2) == 6
    return folder


def file_bytes(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def labels(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def clip_of(**changes: object) -> Clip:
    return render_clip(replace(plan_clips(TINY)[0], **changes))  # type: ignore[arg-type]


def level_above_4_khz(waveform: NDArray[np.float64]) -> float:
    spectrum = np.abs(np.fft.rfft(waveform)) ** 2
    return float(spectrum[np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE_HZ) > 4000].sum())


def pitch_hz(gender: Gender, seed: int) -> float:
    rng = np.random.default_rng(seed)
    return draw_speaker(gender, 40, rng).voice.pitch_hz


@pytest.mark.slow
def test_same_spec_gives_the_same_bytes_with_one_worker_and_with_two(
    corpus: Path, tmp_path: Path
) -> None:
    generate_corpus(tmp_path / "again", TINY, num_workers=1)
    assert file_bytes(tmp_path / "again") == file_bytes(corpus)


@pytest.mark.slow
def test_a_clip_has_the_same_bytes_whatever_was_made_before(tmp_path: Path) -> None:
    """Of the phone: what the encoder finds beside pictures 192 wide are those of earlier clips."""
    plans = plan_clips(CorpusSpec("phone", 50, 2))[:3]
    contents: dict[str, set[bytes]] = defaultdict(set)
    for plan in plans * 3:
        write_clip(plan, tmp_path / "clip.mp4")
        contents[plan.media].add((tmp_path / "clip.mp4").read_bytes())
    assert [len(of_clip) for of_clip in contents.values()] == [1, 1, 1]


def test_a_finished_corpus_is_left_alone(corpus: Path) -> None:
    assert generate_corpus(corpus, TINY, num_workers=1) == 0


def test_a_deleted_clip_is_rewritten_and_no_other(corpus: Path) -> None:
    before = file_bytes(corpus)
    times = {path: path.stat().st_mtime_ns for path in (corpus / "clips").iterdir()}
    gone = corpus / "clips" / "s002_1.mp4"
    gone.unlink()
    assert generate_corpus(corpus, TINY, num_workers=1) == 1
    assert file_bytes(corpus) == before
    changed = [path for path, time in times.items() if path.stat().st_mtime_ns != time]
    assert changed == [gone]


def test_another_spec_is_refused(corpus: Path) -> None:
    with pytest.raises(ValueError, match="describes another corpus"):
        generate_corpus(corpus, replace(TINY, seed=4), num_workers=1)


def test_a_folder_of_something_else_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holiday\.jpg"):
        generate_corpus(tmp_path, TINY, num_workers=1)
    assert list(file_bytes(tmp_path)) == ["holiday.jpg"]


@pytest.mark.parametrize(
    "changes",
    [
        {"num_speakers": 5},
        {"clips_per_speaker": (3, 2)},
        {"duration_s": (0.1, 2.0)},
        {"fault_share": 0.9},
    ],
)
def test_an_impossible_spec_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        replace(TINY, **changes)  # type: ignore[arg-type]


def test_labels_name_every_clip_on_disk(corpus: Path) -> None:
    rows = labels(corpus)
    assert tuple(rows[0]) == LABEL_COLUMNS
    on_disk = sorted(f"clips/{path.name}" for path in (corpus / "clips").iterdir())
    assert sorted(row["media"] for row in rows) == on_disk
    assert all(16 <= int(row["age_years"]) <= 85 for row in rows)


def test_splits_share_no_speaker_and_each_has_all_labels() -> None:
    plans = plan_clips(FULL_SIZE)
    splits_of = defaultdict(set)
    for plan in plans:
        splits_of[plan.speaker_id].add(plan.split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    sizes = {split: sum({split} == splits for splits in splits_of.values()) for split in SPLITS}
    assert sizes == {"train": 30, "dev": 10, "test": 10}
    for split in SPLITS:
        members = [plan for plan in plans if plan.split == split]
        assert {plan.mask_type for plan in members} == set(MASK_TYPES)
        assert {plan.traits.gender for plan in members} == {"female", "male"}
        ages = [plan.traits.age_years for plan in members]
        assert min(ages) < 31
        assert max(ages) > 70


def test_traits_stay_with_the_speaker_and_masks_change() -> None:
    speakers, mask_types = defaultdict(set), defaultdict(set)
    for plan in plan_clips(FULL_SIZE):
        speakers[plan.speaker_id].add(plan.traits)
        mask_types[plan.speaker_id].add(plan.mask_type)
    assert all(len(traits) == 1 for traits in speakers.values())
    assert sum(len(worn) > 1 for worn in mask_types.values()) > 40


def test_corpora_of_one_seed_share_no_speakers() -> None:
    studio = {plan.traits for plan in plan_clips(CorpusSpec("studio", 50, seed=5))}
    assert studio.isdisjoint({plan.traits for plan in plan_clips(FULL_SIZE)})


def test_a_file_has_the_planned_length_and_codecs(corpus: Path) -> None:
    for plan in plan_clips(TINY):
        with av.open(str(corpus / plan.media)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
            num_pictures = sum(1 for _ in container.decode(video=0))
            container.seek(0)
            num_samples = sum(frame.samples for frame in container.decode(audio=0))
        assert num_pictures == plan.num_pictures
        # AAC rounds up to whole frames of 1024 samples and may start with one of them.
        assert num_samples / audio.rate == pytest.approx(plan.duration_s, abs=3 * 1024 / audio.rate)


@pytest.mark.parametrize("mask_type", [kind for kind in MASK_TYPES if kind != "none"])
def test_a_mask_takes_from_the_voice_above_4_khz(mask_type: str) -> None:
    voice = draw_speaker("female", 30, np.random.default_rng(1)).voice
    clean = speak(voice, 2.0, np.random.default_rng(2)).waveform
    bare = level_above_4_khz(muffle(clean, "none", np.random.default_rng(3)))
    masked = level_above_4_khz(muffle(clean, mask_type, np.random.default_rng(3)))
    assert masked < 0.8 * bare


def test_women_speak_higher_on_average_but_not_always() -> None:
    female = np.array([pitch_hz("female", seed) for seed in range(200)])
    male = np.array([pitch_hz("male", seed) for seed in range(200, 400)])
    assert 1.4 < np.median(female) / np.median(male) < 1.9
    border = np.sqrt(np.median(female) * np.median(male))
    assert 0.85 < np.mean(np.concatenate([female > border, male < border])) < 0.97


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.load` is deprecated")
@pytest.mark.parametrize("condition", ["studio", "phone"])
def test_silero_detects_speech_unless_the_fault_is_silence(condition: Condition) -> None:
    num_threads = torch.get_num_threads()
    from silero_vad import get_speech_timestamps, load_silero_vad

    torch.set_num_threads(num_threads)  # importing silero_vad sets it to one
    spec = CorpusSpec(condition, 6, seed=8, duration_s=(3.0, 4.0), fault_share=0.1)
    model = load_silero_vad()
    shares: dict[str, list[float]] = defaultdict(list)
    for plan in plan_clips(spec):
        # Sound alone is wanted: no head is painted for a clip without a face.
        kind = "no_speech" if plan.fault == "no_speech" else "speech"
        silent = replace(plan, fault="no_speech" if kind == "no_speech" else "no_face")
        sound = render_clip(silent).sound
        spans = get_speech_timestamps(torch.from_numpy(sound).float(), model)
        shares[kind].append(sum(span["end"] - span["start"] for span in spans) / len(sound))
    assert 0.7 < np.mean(shares["speech"]) < 0.97
    assert min(shares["speech"]) > 0.5
    assert max(shares["no_speech"]) == 0.0


def test_faulty_clips_are_there_and_labelled_like_any_other() -> None:
    faults = [plan.fault for plan in plan_clips(FULL_SIZE)]
    assert faults.count("no_speech") == faults.count("no_face") == round(0.03 * len(faults))
    assert not {"fault"} & set(LABEL_COLUMNS)
    assert "none" in {plan.fault for plan in plan_clips(TINY)}


def test_a_clip_without_a_face_still_has_the_voice_and_an_empty_picture() -> None:
    faceless, normal = clip_of(fault="no_face"), clip_of(fault="none")
    np.testing.assert_array_equal(faceless.sound, normal.sound)
    spreads = [float(np.std(clip.pictures[0])) for clip in (faceless, normal)]
    assert spreads[0] < 0.6 * spreads[1]


def mouth_shows(mask_type: str) -> bool:
    """Whether fuller lips, all else equal, change the painted head."""
    traits = draw_speaker("female", 30, np.random.default_rng(1)).face
    mask = draw_mask(mask_type, np.random.default_rng(2))
    thin, full = (
        paint_head(
            draw_look(replace(traits, lip_fullness=fullness), mask, np.random.default_rng(3)),
            Expression(mouth=0.5, eyes=1.0),
        )
        for fullness in (0.4, 1.4)
    )
    return bool(np.abs(thin.pixels - full.pixels).max() > 1)


@pytest.mark.parametrize("mask_type", MASK_TYPES)
def test_every_mask_but_the_visor_hides_the_mouth(mask_type: str) -> None:
    assert mouth_shows(mask_type) == (mask_type in {"none", "shield"})


def test_the_mouth_opens_while_the_person_speaks() -> None:
    voice = draw_speaker("male", 50, np.random.default_rng(1)).voice
    spoken = speak(voice, 3.0, np.random.default_rng(2))
    loudness = np.abs(spoken.waveform).reshape(len(spoken.opening), -1).mean(axis=1)
    assert np.corrcoef(loudness, spoken.opening)[0, 1] > 0.4


def test_an_interrupted_write_leaves_no_clip_behind(tmp_path: Path) -> None:
    plan: ClipPlan = replace(plan_clips(TINY)[0], mask_type="veil")
    with pytest.raises(KeyError, match="veil"):
        write_clip(plan, tmp_path / "clip.mp4")
    assert not (tmp_path / "clip.mp4").exists()

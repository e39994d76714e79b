"""Several video tracks, or sizes, in one file -> the pictures of the speaker."""

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from oragen.corpora.generator.clip import write_clip
from oragen.corpora.generator.corpus import plan_clips
from oragen.corpora.generator.spec import CorpusSpec
from oragen.detection.faces import CropOptions, crop_clip
from oragen.media.errors import UnusableMediaError
from oragen.media.video import sample_pictures
from oragen.predictor.drawing import draw_clip
from tests.made_predictions import NOT_PREDICTED
from tests.media_files import Rgb, plain, write_video

CASCADE = CropOptions("cascade", None, 0.5, 2, 0.0, 32, 60.0)


def write_tracks(path: Path, tracks: list[Rgb | None]) -> Path:
    """Write a second of each picture as a track; None is a track of nothing but damage."""
    with av.open(str(path), "w") as container:
        streams = []
        for picture in tracks:
            stream = container.add_stream("libx264", rate=5)
            height, width = (400, 400) if picture is None else picture.shape[:2]
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for stream, picture in zip(streams, tracks, strict=True):
            if picture is None:
                packet = av.Packet(b"no H.264 at all" * 9)
                packet.stream, packet.pts, packet.dts = stream, 0, 0
                container.mux(packet)
                continue
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def sample(path: Path) -> tuple[list[int], list[str]]:
    notes: list[str] = []
    pictures = list(sample_pictures(path, max_duration_s=9.0, notes=notes))
    return [round(picture.rgb.mean() / 10) * 10 for picture in pictures], notes


def test_a_track_that_cannot_be_decoded_gives_way_to_one_that_can(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", [None, plain(80, width=320, height=240)])
    assert sample(path) == ([80], ["video track 2 of 2 was used"])


def test_where_no_track_can_be_decoded_there_is_a_reason(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", [None, None])
    with pytest.raises(UnusableMediaError, match=r"truncated or damaged|empty track"):
        sample(path)


def test_of_two_good_tracks_the_one_that_a_player_chooses_is_used(tmp_path: Path) -> None:
    large, small = plain(80, width=640, height=480), plain(160, width=64, height=48)
    assert sample(write_tracks(tmp_path / "a.mkv", [large, small])) == (
        [80], [],
    )  # fmt: skip


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Rgb:
    path = tmp_path_factory.mktemp("face") / "a.mp4"
    spec = CorpusSpec("studio", 6, seed=3, clips_per_speaker=(1, 1), duration_s=(1.0, 1.1))
    write_clip(replace(plan_clips(spec)[0], mask_type="none", fault="none"), path)
    return next(sample_pictures(path, max_duration_s=9.0)).rgb


def test_the_camera_beside_a_shared_screen_has_the_face(tmp_path: Path, face: Rgb) -> None:
    path = write_tracks(tmp_path / "a.mkv", [plain(80, width=640, height=480), face])
    faces = crop_clip(path, options=CASCADE)
    assert (faces.reason, faces.details["notes"]) == (None, ["video track 2 of 2 was used"])
    notes = faces.details["notes"]
    draw_clip(path, replace(NOT_PREDICTED, notes=notes, length_s=1.0), tmp_path / "drawn.mp4")
    drawn = next(sample_pictures(tmp_path / "drawn.mp4", max_duration_s=9.0)).rgb
    assert np.ptp(drawn[: len(face)].astype(int)) > 100  # no plain screen


def test_without_a_face_in_any_track_the_first_is_used(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mkv", [plain(80, width=640, height=480), plain(9)])
    faces = crop_clip(path, options=CASCADE)
    assert (faces.reason, faces.details["notes"]) == ("no face", [])


def test_a_damaged_track_beside_one_without_a_face_is_no_other_reason(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mp4", [plain(90, width=64, height=48), None])
    made = crop_clip(path, options=CASCADE)
    assert (made.reason, made.details["notes"]) == ("no face", [])


def test_the_reason_is_that_of_the_first_track(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "a.mp4", [plain(90, width=640, height=480), None])
    with pytest.raises(UnusableMediaError, match="640 x 480 pixels"):
        list(sample_pictures(path, max_duration_s=9.0, max_pixels=1_000))


def test_a_face_is_followed_and_drawn_where_pictures_change_their_size(
    tmp_path: Path, face: Rgb
) -> None:
    """As a call does that begins in low resolution."""
    large = np.asarray(cv2.resize(face, None, fx=2, fy=2), np.uint8)
    times_s = [k / 5 for k in range(10)]
    parts = [
        write_video(tmp_path / "part.ts", times_s, [rgb] * 10, codec="mpeg4").read_bytes()
        for rgb in (face, large)
    ]
    path = tmp_path / "a.ts"
    path.write_bytes(b"".join(parts))
    sizes = {picture.rgb.shape for picture in sample_pictures(path, max_duration_s=9.0)}
    assert sizes == {face.shape, large.shape}
    details = crop_clip(path, options=CASCADE).details
    assert details["num_pictures"] == len(details["boxes"]) >= 4
    np.testing.assert_allclose(details["boxes"][-1][:4], details["boxes"][0][:4], atol=8)

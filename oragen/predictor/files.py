"""Files, folders, patterns and lists -> clips, and the reasons for inputs without a clip."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Final, NamedTuple

from oragen.corpora.csv import IMAGE_SUFFIXES, SOUND_SUFFIXES
from oragen.detection.faces import KnownBoxes
from oragen.detection.quality import FaceQuality, SoundQuality
from oragen.media.signatures import looks_like_media
from oragen.predictor.prediction import ModalityReport, Prediction
from oragen.predictor.predictor import NO_BOXES, Predictor

STANDARD_INPUT: Final = "-"
VIDEO_SUFFIXES: Final = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts",
    ".wmv", ".flv", ".ogv", ".3gp",
)  # fmt: skip
# Such a file is a clip even if nothing in it can be read; any other one is if its content says so.
MEDIA_SUFFIXES: Final = frozenset((*VIDEO_SUFFIXES, *SOUND_SUFFIXES, *IMAGE_SUFFIXES))


class NamedClip(NamedTuple):
    """A file to predict on, or an input without a clip and the reason."""

    path: Path
    reason: str | None = None


class FoundClips(NamedTuple):
    """The clips of some inputs, and the files in their folders that are no clips, sorted."""

    clips: list[NamedClip]
    passed_over: list[Path]


def find_clips(inputs: Sequence[str], lines: Iterable[bytes] = ()) -> FoundClips:
    """Find the clips of all inputs, in their order and each once.

    Args:
        inputs: files of any name; folders, searched through links for audio, video and pictures by
            their suffix or content, without hidden names; patterns such as `clips/**/*.mp4`; `-`
            for `lines`.
        lines: lines that each name an input, as bytes since a name may be in any encoding.
    """
    clips: dict[str, NamedClip] = {}
    others: list[Path] = []
    for clip in _find_all(inputs, lines, others):
        clips.setdefault(os.path.realpath(clip.path), clip)
    return FoundClips(list(clips.values()), sorted(set(others)))


def names_one_file(inputs: Sequence[str]) -> bool:
    """Return whether the only input is a file, and no folder, pattern or list."""
    [first, *more] = inputs
    is_file = Path(first).is_file() or not (has_magic(first) or Path(first).is_dir())
    return not more and first != STANDARD_INPUT and is_file


def predict_named_clips(
    predictor: Predictor,
    clips: Sequence[NamedClip],
    *,
    use_audio: bool = True,
    use_face: bool = True,
    boxes: Mapping[str, KnownBoxes] = NO_BOXES,
) -> Iterator[Prediction]:
    """Yield a prediction for each clip; for inputs without a clip it has the reason."""
    predictions = predictor.predict_files(
        [clip.path for clip in clips if clip.reason is None],
        use_audio=use_audio,
        use_face=use_face,
        boxes=boxes,
    )
    for clip in clips:
        if clip.reason is None:
            yield next(predictions)
        else:
            yield _to_empty_prediction(clip.path, clip.reason, predictor)


def _to_empty_prediction(path: Path, reason: str, predictor: Predictor) -> Prediction:
    report = ModalityReport(usable=False, reason=reason)
    return Prediction(
        input=str(path),
        gender=None,
        age=None,
        mask_type=None,
        windows=[],
        modalities={"audio": report, "face": report},
        speech=[],
        faces=[],
        length_s=0.0,
        sound_quality=SoundQuality(),
        face_quality=FaceQuality(),
        notes=[],
        model=predictor.description,
        unfamiliarity=None,
        training_data=predictor.training_data,
        warnings=[*predictor.warnings],
    )


def _find_all(
    inputs: Sequence[str], lines: Iterable[bytes], others: list[Path]
) -> Iterator[NamedClip]:
    for name in inputs:
        if name == STANDARD_INPUT:
            for line in lines:
                path = os.fsdecode(line.rstrip(b"\r\n"))
                if path.strip():
                    yield from _find(path, others)
        else:
            yield from _find(name, others)


def _find(name: str, others: list[Path]) -> Iterator[NamedClip]:
    if os.path.isdir(name):  # noqa: PTH112  # an impossible name is simply no folder
        yield from _search(Path(name), others)
    elif os.path.lexists(name):
        yield NamedClip(Path(name))
    elif has_magic(name):
        matches = sorted(glob(name, recursive=True))  # noqa: PTH207  # patterns may be absolute
        for match in matches:
            yield from _find(match, others)
        if not matches:
            yield NamedClip(Path(name), "no file matches")
    else:
        yield NamedClip(Path(name), "no such file")


def _search(folder: Path, others: list[Path]) -> Iterator[NamedClip]:
    """Yield the media files below a folder, sorted by path, and the folders that cannot be read."""
    clips: list[NamedClip] = []
    _collect(folder, clips, others, visited=set())
    if not clips:
        yield NamedClip(folder, "no sound, video or picture in this folder")
    yield from sorted(clips)


def _collect(folder: Path, clips: list[NamedClip], others: list[Path], visited: set[str]) -> None:
    real_path = os.path.realpath(folder)
    if real_path in visited:  # a link that leads back
        return
    visited.add(real_path)
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        reason = "no permission" if isinstance(error, PermissionError) else "unreadable"
        clips.append(NamedClip(folder, reason))
        return
    for path in entries:
        is_hidden = path.name.startswith(".")
        if path.is_dir():
            if not is_hidden:
                _collect(path, clips, others, visited)
        elif not is_hidden and (path.suffix.lower() in MEDIA_SUFFIXES or looks_like_media(path)):
            clips.append(NamedClip(path))
        else:
            others.append(path)

"""Files of clips -> their sound and face crops, decoded in processes of their own.

A process knows no network and imports no torch: it starts within half a second, while the model is
loaded. A file that kills it costs that file alone.
"""

import os
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from joblib import cpu_count

from oragen.detection.faces import KnownBoxes, crop_clip
from oragen.isolation.limits import Limits
from oragen.isolation.workers import Failure, Workers
from oragen.media.audio import decode_clip
from oragen.predictor.clip_inputs import NOT_REQUESTED, ClipInputs, to_clip_inputs
from oragen.predictor.preprocessing import Preprocessing
from oragen.schema.vocabulary import Made

# To decode a clip of 6 s takes 0.3 s on a core, and to encode it 0.04 s with the smallest encoders.
MAX_PROCESSES: Final = 8
GIVEN_UP: Final = "decoding was given up"  # as `Workers` says it of a call that had begun
MODULES: Final = ("oragen.media.audio", "oragen.detection.faces", "cv2")  # imported ahead

Pending: TypeAlias = Made | Future[Made | Failure]


class Decoding(NamedTuple):
    """A clip whose sound and faces are being decoded."""

    path: Path
    sound: Pending
    faces: Pending


class ClipDecoder:
    """Processes that decode clips; the calls of several threads may overlap."""

    def __init__(self, limits: Limits | None = None) -> None:
        num_processes = min(cpu_count(), MAX_PROCESSES)
        self._workers = Workers(num_processes, limits=limits or Limits(), modules=MODULES)
        self.num_ahead = num_processes  # clips that are decoded while another is predicted

    def start(self) -> None:
        """Start a process now, and do not wait for it."""
        self._workers.start(1)

    def begin(
        self,
        path: Path,
        preprocessing: Preprocessing,
        *,
        use_audio: bool,
        use_face: bool,
        boxes: KnownBoxes | None = None,
    ) -> Decoding:
        """Begin to decode a file; sound and pictures are apart, so one may fail without the other.

        The suffix of the file does not matter. With `boxes`, no face is searched for.
        """
        sound: Callable[[Path], Made] | None = None
        faces: Callable[[Path], Made] | None = None
        if use_audio:
            sound = partial(
                decode_clip,
                max_duration_s=preprocessing.max_audio_s,
                as_floats=preprocessing.are_published,
            )
        if use_face:
            faces = partial(crop_clip, options=preprocessing.faces, boxes=boxes)
        return Decoding(path, self._submit(sound, path), self._submit(faces, path))

    def _submit(self, make: Callable[[Path], Made] | None, path: Path) -> Pending:
        if make is None:
            return _nothing(NOT_REQUESTED)
        try:
            status = path.stat()
        except FileNotFoundError:
            return _nothing("no such file")
        except PermissionError:
            return _nothing("no permission")
        except OSError:
            return _nothing("unreadable")
        # A process may have been started with other rights than this one has now.
        if stat.S_ISREG(status.st_mode) and not os.access(path, os.R_OK, effective_ids=True):
            return _nothing("no permission")
        return self._workers.submit(make, path, num_bytes=status.st_size)

    def abandon(self, decodings: Iterable[Decoding]) -> None:
        """Give up what nobody waits for any more."""
        pending = (made for decoding in decodings for made in (decoding.sound, decoding.faces))
        self._workers.abandon(made for made in pending if not isinstance(made, Made))

    def close(self) -> None:
        """End the processes; what they are at fails."""
        self._workers.__exit__()


def finish(decoding: Decoding, preprocessing: Preprocessing) -> ClipInputs:
    """Wait for a clip, find the speech in it, and cut it into windows.

    A file without usable audio or pictures is no error: the record has the reasons.
    """
    sound, faces = wait_for(decoding.sound), wait_for(decoding.faces)
    return to_clip_inputs(str(decoding.path), sound, faces, preprocessing, is_still=False)


def read_clip_inputs(
    path: Path, preprocessing: Preprocessing, *, use_audio: bool = True, use_face: bool = True
) -> ClipInputs:
    """Decode a single file, find speech and the main face in it, and cut it into windows."""
    decoder = ClipDecoder()
    decoding = decoder.begin(path, preprocessing, use_audio=use_audio, use_face=use_face)
    return finish(decoding, preprocessing)


def wait_for(made: Pending) -> Made:
    """Return what was decoded, or the reason why there is nothing."""
    try:
        result = made if isinstance(made, Made) else made.result()
    except CancelledError:
        return _nothing(GIVEN_UP)
    return _nothing(result.reason) if isinstance(result, Failure) else result


def _nothing(reason: str) -> Made:
    return Made(np.zeros(0, np.int16), reason, {"notes": []})

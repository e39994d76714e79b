"""A model, loaded once, and clips -> a prediction for each."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int16, UInt8

from oragen.detection.faces import KnownBoxes
from oragen.predictor.clip_decoder import ClipDecoder, Decoding, finish
from oragen.predictor.clip_inputs import ClipInputs, take_clip_inputs
from oragen.predictor.features import BATCH_SIZE, ONE_CLIP, ModalityEncoders, embed_windows
from oragen.predictor.outcomes import to_prediction, to_window
from oragen.predictor.prediction import Prediction, WindowPrediction
from oragen.predictor.pretrained import Pretrained, load_pretrained
from oragen.predictor.published import find_model
from oragen.schema.choices.preprocessing import PreprocessingRules
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Modality, ModalitySet, Precision
from oragen.training.devices import choose_device
from oragen.training.familiarity import measure_windows
from oragen.training.inference import find_modalities_used, modality_sets_of, predict_windows
from oragen.training.scoring import WindowPredictions, group_predictions
from oragen.training.training_data import TrainingData

NO_BOXES: Final[Mapping[str, KnownBoxes]] = MappingProxyType({})
WINDOWS_AT_ONCE: Final = 64  # whose features are in memory: an hour has 1,800
NOT_FINITE: Final = "the model's output for it is not finite"


class UnwantedError(Exception):
    """Nobody wants the prediction of a file any more."""


OnProgress: TypeAlias = Callable[[str, int, int], None]


def ignore_progress(path: str, num_done: int, num_windows: int) -> None:
    """Do nothing with it."""


class Predictor:
    """Gender, age and mask type of the speaking person of a clip.

    Clips are decoded, cut and encoded by the functions of the pipeline's stages, with the
    parameters of the head's training. So a prediction here equals that of the pipeline.
    """

    def __init__(
        self, model: Pretrained, device: str = "auto", decoder: ClipDecoder | None = None
    ) -> None:
        self._decoder = decoder or ClipDecoder()
        self.device = choose_device(device)
        self._decodings: dict[str, Decoding] = {}  # by path
        self._model = model
        self._head = model.head.to(self.device)
        self._modalities = modality_sets_of(model.head)[0]
        self._encoders = ModalityEncoders(
            audio=None if model.audio is None else model.audio.to(self.device),
            face=None if model.face is None else model.face.to(self.device),
            specs=model.specs,
            batch_size=BATCH_SIZE,
        )

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        device: str = "auto",
        precision: Precision | None = None,
        revision: str | None = None,
        rules: PreprocessingRules | None = None,
        max_duration_s: float | None = None,
    ) -> "Predictor":
        """Load a model once.

        Args:
            source: a folder, such as `data/heads/joint/seed-0`, the id of a model on the hub, or
                `off-the-shelf`. Folders of the three published checkpoints are converted.
            device: auto, cpu, cuda, cuda:1, ...
            precision: of the encoders: fp32, bf16 or fp16; as in training if None.
            revision: of a model on the hub.
            rules: how clips are prepared for the published model: as the published inference does
                (None), or as for models that are trained here (`oragen`).
            max_duration_s: longer clips get this as their reason; never more than the model says.

        Raises:
            UserError: the model is missing or damaged, or its parts do not belong together.
        """
        folder = find_model(source, revision)
        decoder = ClipDecoder()
        decoder.start()  # it imports what it needs while the model is loaded
        model = load_pretrained(folder, precision=precision, revision=revision, rules=rules)
        if max_duration_s is not None:
            model = replace(model, preprocessing=model.preprocessing.shorten(max_duration_s))
        return cls(model, device, decoder)

    @property
    def description(self) -> dict[str, str]:
        """Describe the model: the head, its encoders and their fingerprints."""
        return self._model.description

    @property
    def training_data(self) -> TrainingData | None:
        """On whom the model was trained; None where it does not say it."""
        return self._model.training_data

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What the model uses: audio, face, or both."""
        return tuple(self._model.specs)

    @property
    def encoder_sources(self) -> dict[Modality, tuple[str, str]]:
        """The name of each encoder, and where it comes from: a folder, a hub or oragen."""
        return {
            modality: (str(spec["encoder"]), str(spec["source"]))
            for modality, spec in self._model.specs.items()
        }

    @property
    def max_duration_s(self) -> float:
        """The longest clip that is predicted on, in seconds."""
        preprocessing = self._model.preprocessing
        return min(preprocessing.max_audio_s, preprocessing.faces.max_duration_s)

    @property
    def genders(self) -> tuple[str, ...]:
        """The labels of gender, in the model's order."""
        return tuple(self._model.genders)

    @property
    def mask_types(self) -> tuple[str, ...]:
        """The labels of mask types, in the model's order; none if it does not predict them."""
        return tuple(self._model.mask_types)

    @property
    def warnings(self) -> list[str]:
        """What a reader must know of the model: each prediction has these sentences."""
        return self._model.warnings

    def __call__(
        self,
        clips: str | Path | Iterable[str | Path],
        *,
        use_audio: bool = True,
        use_face: bool = True,
        boxes: Mapping[str, KnownBoxes] = NO_BOXES,
    ) -> Prediction | list[Prediction]:
        """Predict on one file, or on several: see `predict_files`."""
        several = [clips] if isinstance(clips, str | Path) else clips
        predictions = list(
            self.predict_files(several, use_audio=use_audio, use_face=use_face, boxes=boxes)
        )
        return predictions[0] if isinstance(clips, str | Path) else predictions

    def predict_files(
        self,
        clips: Iterable[str | Path],
        *,
        use_audio: bool = True,
        use_face: bool = True,
        boxes: Mapping[str, KnownBoxes] = NO_BOXES,
        on_progress: OnProgress = ignore_progress,
    ) -> Iterator[Prediction]:
        """Yield a prediction for each file, in order: video, audio or pictures.

        The next files are decoded while the encoders run. The prediction of an unusable file has
        the reason.

        Args:
            clips: paths.
            use_audio: False ignores all audio.
            use_face: False ignores all faces.
            boxes: the place of the face in each file of this name, if that is known: an entry a
                second, None or x1, y1, x2, y2 in pixels of the upright picture. No face is searched
                for in these files.
            on_progress: is told the path of a file, how many of its windows are predicted, and of
                how many: first when it is decoded. If it raises `UnwantedError`, the file is
                passed over, without a prediction.
        """
        preprocessing = self._model.preprocessing
        ahead: deque[tuple[Decoding, Future[ClipInputs]]] = deque()
        with ThreadPoolExecutor(1) as executor:  # the detector of speech keeps a state
            try:
                for path in clips:
                    decoding = self._decoder.begin(
                        Path(path),
                        preprocessing,
                        use_audio=use_audio and preprocessing.use_sound,
                        use_face=use_face,
                        boxes=boxes.get(Path(path).name),
                    )
                    self._decodings[str(path)] = decoding
                    ahead.append((decoding, executor.submit(finish, decoding, preprocessing)))
                    if len(ahead) > self._decoder.num_ahead:
                        yield from self._predict_first(ahead, on_progress)
                while ahead:
                    yield from self._predict_first(ahead, on_progress)
            finally:
                self._decoder.abandon(decoding for decoding, _ in ahead)
                for decoding, _ in ahead:
                    self._decodings.pop(str(decoding.path), None)

    def give_up(self, path: str | Path) -> None:
        """End the decoding of a file of `predict_files`, from any thread.

        Its prediction has that as its reason, unless the file is decoded already.
        """
        if decoding := self._decodings.pop(str(path), None):
            self._decoder.abandon([decoding])

    def close(self) -> None:
        """End the processes that decode; files that are being decoded get that as their reason."""
        self._decoder.close()

    def _predict_first(
        self, ahead: deque[tuple[Decoding, Future[ClipInputs]]], on_progress: OnProgress
    ) -> Iterator[Prediction]:
        """Wait for the first clip; an interrupted wait leaves it to be given up."""
        inputs = ahead[0][1].result()
        self._decodings.pop(str(ahead.popleft()[0].path), None)
        with suppress(UnwantedError):
            yield self.predict_inputs(inputs, on_progress)

    def predict(
        self,
        *,
        audio: Float[np.ndarray, " samples"] | Int16[np.ndarray, " samples"] | None = None,
        rate_hz: int = SAMPLE_RATE_HZ,
        faces: Sequence[UInt8[np.ndarray, "_ _ 3"]] = (),
        name: str = "arrays",
    ) -> Prediction:
        """Predict on a waveform, on crops of a face, or on both.

        Args:
            audio: mono, floats in -1..1 or int16.
            rate_hz: of the audio.
            faces: RGB crops of one face, one a second from the start; a single crop beside audio
                holds for all of it.
            name: of the clip in the prediction.

        Raises:
            UserError: neither is given, or the audio is not one channel of finite numbers.
        """
        return self.predict_inputs(
            take_clip_inputs(
                self._model.preprocessing, audio=audio, rate_hz=rate_hz, faces=faces, name=name
            )
        )

    def predict_inputs(
        self, inputs: ClipInputs, on_progress: OnProgress = ignore_progress
    ) -> Prediction:
        """Predict on a clip that is decoded and cut into windows; see `predict_files`."""
        model = self._model
        windows: list[WindowPrediction] = []
        blocks: list[WindowPredictions] = []
        distances: list[pd.DataFrame] = []
        used: set[ModalitySet] = set()
        for start in range(0, len(inputs.windows), WINDOWS_AT_ONCE):
            on_progress(inputs.name, start, len(inputs.windows))
            chunk = inputs.windows[start : start + WINDOWS_AT_ONCE]
            dataset = embed_windows(
                inputs,
                chunk,
                self._encoders,
                zeros_where_missing=model.preprocessing.are_published,
            )
            places, predictions, not_finite = predict_windows(
                self._head, dataset, modalities=self._modalities
            )
            if not_finite:
                return to_prediction(model, _without_input(inputs, NOT_FINITE), [], None)
            blocks.append(model.calibration.apply(predictions))
            distances.append(measure_windows(model.familiarity, dataset))
            used |= set(find_modalities_used(dataset, self._modalities))
            windows += [
                to_window(model, chunk[place], blocks[-1], row) for row, place in enumerate(places)
            ]
        if not windows:
            return to_prediction(model, inputs, [], None)
        unfamiliarity = pd.concat(distances).mean().dropna()
        merged = _merge(blocks)
        clips = pd.Series([ONE_CLIP] * len(windows))
        grouped = group_predictions(
            clips, merged, genders=model.genders, mask_types=model.mask_types
        )
        grouped["modalities_used"] = "audio_visual" if len(used) > 1 else next(iter(used))
        calibrated = grouped.join(model.conformal.apply(grouped))
        return to_prediction(model, inputs, windows, calibrated.iloc[0], unfamiliarity)


def _without_input(inputs: ClipInputs, reason: str) -> ClipInputs:
    """Return a clip of which nothing could be used, for a reason."""
    return replace(inputs, audio_reason=reason, face_reason=reason)


def _merge(blocks: Sequence[WindowPredictions]) -> WindowPredictions:
    genders, ages, mask_types = zip(*blocks, strict=True)
    return WindowPredictions(
        np.concatenate(genders),
        np.concatenate(ages),
        None if mask_types[0] is None else np.concatenate(mask_types),
    )

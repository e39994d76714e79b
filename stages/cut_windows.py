"""Speech spans and crops -> windows."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd

from oragen.config import paths
from oragen.config.params import load_params
from oragen.detection.windows import Window, WindowOptions, cut_windows
from oragen.schema.tables import CLIPS, CROPS, SPEECH, WINDOWS
from oragen.schema.vocabulary import Skipped, to_spans
from oragen.store.keys import window_key
from stages.running import account, run_stage

STAGE = "cut_windows"
NO_AUDIO: Mapping[str, Any] = {"num_samples": 0, "starts": [], "stops": []}


def main(corpus: str) -> None:
    """Cut the clips of CORPUS into windows."""
    params = load_params().windows
    options = WindowOptions.from_seconds(**params.model_dump())
    clips = CLIPS.read(paths.clips_table(corpus)).set_index("clip_id")
    still = {*clips.index[clips["image_path"].notna() & clips["video_path"].isna()]}
    speech = SPEECH.read(paths.speech_table(corpus)).set_index("clip_id").to_dict("index")
    crops = list_samples(CROPS.read(paths.crops_table(corpus)))
    cache_parameters = params.as_cache_parameters()
    rows: list[dict[str, object]] = []
    for clip in clips.index:
        audio = speech.get(clip, NO_AUDIO)
        windows = cut_windows(
            audio["num_samples"],
            to_spans(audio["starts"], audio["stops"]),
            crops.get(clip, []),
            options=options,
            is_still=clip in still,
        )
        rows += [to_row(clip, window, audio, cache_parameters) for window in windows]
    table = WINDOWS.frame(rows)
    WINDOWS.write(paths.windows_table(corpus), table)
    reason = f"neither {params.min_length_s:g} s of speech nor a face"
    account(
        STAGE,
        corpus,
        clips_in=clips.index,
        clips_out=table["clip_id"],
        skipped=[
            Skipped(clip, STAGE, reason) for clip in sorted({*clips.index} - {*table["clip_id"]})
        ],
        made=f"{len(table)} windows, {table['has_speech'].sum()} with speech",
    )


def list_samples(crops: pd.DataFrame) -> dict[str, list[int]]:
    """Return when each crop of a clip was taken, in order."""
    samples: dict[str, list[int]] = defaultdict(list)
    for clip, sample in zip(crops["clip_id"], crops["sample"].tolist(), strict=True):
        samples[clip].append(sample)
    return samples


def to_row(
    clip: str, window: Window, audio: Mapping[str, Any], cache_parameters: dict[str, object]
) -> dict[str, object]:
    """One window -> its row; only a window with speech has a key for its sound."""
    keys: dict[str, str | None] = {"key": None, "audio_key": None}
    if window.has_speech:
        key = window_key(audio["key"], cache_parameters, window.span)
        keys = {"key": key, "audio_key": audio["audio_key"]}
    return {
        "window_id": f"{clip}#{window.span.start:09d}-{window.span.stop:09d}",
        "clip_id": clip,
        "start": window.span.start,
        "stop": window.span.stop,
        "has_speech": window.has_speech,
        "crops": window.crops,
        **keys,
    }


if __name__ == "__main__":
    run_stage(main)

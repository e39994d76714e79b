"""Speech spans and crops -> windows."""

from collections.abc import Mapping
from typing import Any

from oragen.config import paths
from oragen.config.params import load_params
from oragen.detection.windows import Window, cut_windows
from oragen.schema.tables import CLIPS, CROPS, SPEECH, WINDOWS
from oragen.schema.vocabulary import SAMPLE_RATE_HZ, Skipped, Span
from oragen.store.keys import window_key
from stages.running import account, run_stage

STAGE = "cut_windows"
NOTHING_HEARD: Mapping[str, Any] = {"num_samples": 0, "starts": [], "stops": []}


def main(corpus: str) -> None:
    """Cut the clips of CORPUS into windows."""
    params = load_params().windows
    clips = CLIPS.read(paths.clips_table(corpus)).set_index("clip_id")
    is_still = clips["image_path"].notna() & clips["video_path"].isna()
    speech = SPEECH.read(paths.speech_table(corpus)).set_index("clip_id").to_dict("index")
    crops = CROPS.read(paths.crops_table(corpus)).groupby("clip_id")["sample"].agg(list)
    rows: list[dict[str, object]] = []
    for clip in clips.index:
        heard = speech.get(clip, NOTHING_HEARD)
        windows = cut_windows(
            heard["num_samples"],
            [
                Span(int(start), int(stop))
                for start, stop in zip(heard["starts"], heard["stops"], strict=True)
            ],
            crops.get(clip, []),
            rule=params.rule,
            length=round(params.length_s * SAMPLE_RATE_HZ),
            hop=round(params.hop_s * SAMPLE_RATE_HZ),
            min_length=round(params.min_length_s * SAMPLE_RATE_HZ),
            is_still=bool(is_still[clip]),
        )
        rows += [to_row(clip, window, heard, params.as_cache_parameters()) for window in windows]
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


def to_row(
    clip: str, window: Window, heard: Mapping[str, Any], cache_parameters: dict[str, object]
) -> dict[str, object]:
    """One window -> its row; only a window with speech has a key for its sound."""
    sound: dict[str, str | None] = {"key": None, "audio_key": None}
    if window.has_speech:
        key = window_key(heard["key"], cache_parameters, window.span)
        sound = {"key": key, "audio_key": heard["audio_key"]}
    return {
        "window_id": f"{clip}#{window.span.start:09d}-{window.span.stop:09d}",
        "clip_id": clip,
        "start": window.span.start,
        "stop": window.span.stop,
        "has_speech": window.has_speech,
        "crops": window.crops,
        **sound,
    }


if __name__ == "__main__":
    run_stage(main)

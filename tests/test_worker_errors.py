"""An error of ours while a clip is predicted: the clip is told, and the next one is answered."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oragen.app.jobs import Job, Jobs
from oragen.app.measured import Measured
from oragen.app.options import ServeOptions
from oragen.app.worker import FAILED, Worker
from oragen.predictor import Prediction, Predictor
from tests.media_files import tone, write_sound
from tests.small_models import save_model


def break_once(predictor: Predictor, *, with_clip: bool) -> None:
    """Let the first call end in an error, before a clip is taken or after."""
    whole = predictor.predict_files

    def broken(clips: Iterator[Path], **options: Any) -> Iterator[Prediction]:
        predictor.predict_files = whole  # type: ignore[method-assign]
        if with_clip:
            next(clips)
        raise RuntimeError("no thread can be started")

    predictor.predict_files = broken  # type: ignore[method-assign,assignment]


async def predict_two(predictor: Predictor, clip: Path) -> list[Job]:
    jobs = [Job(clip, use_audio=True, use_face=False) for _ in range(2)]
    measured = Measured()
    queue = Jobs(ServeOptions(), measured)
    failures: list[BaseException] = []
    worker = Worker(lambda: predictor, queue, measured, failures.append)
    worker.start()
    for job in jobs:
        queue.add(job)
        worker.wake()
        async with asyncio.timeout(60):
            await queue.wait_for_end(job)
    worker.stop()
    assert failures == []
    return jobs


@pytest.mark.parametrize("with_clip", [False, True])
def test_an_error_costs_the_clip_that_was_begun_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, with_clip: bool
) -> None:
    predictor = Predictor.from_pretrained(save_model(tmp_path / "model"))
    break_once(predictor, with_clip=with_clip)
    clip = tmp_path / "clip.wav"
    write_sound(clip, tone(2.0))
    with caplog.at_level(logging.ERROR):
        first, second = asyncio.run(predict_two(predictor, clip))
    assert (first.state, first.detail) == ("failed", FAILED)
    assert second.state == "done"
    assert "no thread can be started" in caplog.text  # the log has the reason

"""A signal -> the end of the service: what runs may end, what waits is told, nothing is left."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from tests.predict_command import write_clips
from tests.serving import Served, serve
from tests.small_models import save_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips")) / "talk.mp4"


@pytest.fixture(scope="module")
def served(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that goes on."""
    with serve(model, tmp_path_factory.mktemp("spool")) as running:
        yield running


@contextmanager
def held_decoders(served: Served, clip: Path) -> Iterator[None]:
    """Let the decoders stand still while the block runs, so that clips do not end."""
    served.predict(clip)
    held = served.decoders()
    for decoder in held:
        decoder.suspend()
    try:
        yield
    finally:
        for decoder in held:
            if decoder.is_running():
                decoder.resume()


def read_states(served: Served, addresses: list[str]) -> list[str]:
    return [str(served.ask("GET", address).json()["state"]) for address in addresses]


def test_what_runs_ends_what_waits_is_cancelled_and_new_clips_are_refused(
    model: Path, clip: Path, tmp_path: Path
) -> None:
    with serve(model, tmp_path / "spool") as served:
        with held_decoders(served, clip):
            addresses = [served.predict(clip, wait_s=0).headers["Location"] for _ in range(12)]
            streams = [
                served.ask("GET", f"{address}/events", stream=True)
                for address in (addresses[0], addresses[-1])
            ]
            waiting = [state == "waiting" for state in read_states(served, addresses)]
            assert not waiting[0]
            assert waiting[-1]
            served.process.send_signal(signal.SIGINT)
            time.sleep(1)
            refused = served.predict(clip)
            assert refused.status_code == 503
            assert "being ended" in refused.json()["detail"]
            assert served.ask("GET", "/readyz").status_code == 503
            for state, was_waiting in zip(read_states(served, addresses), waiting, strict=True):
                assert (state == "cancelled") == was_waiting
        first, last = (stream.text for stream in streams)
        assert '"state":"done"' in first.rpartition("event: end")[2]
        assert '"state":"cancelled"' in last.rpartition("event: end")[2]
        assert served.process.wait(timeout=60) == 0
    assert served.uploads() == []


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once(model: Path, clip: Path, tmp_path: Path) -> None:
    with serve(model, tmp_path / "spool") as served:
        children = psutil.Process(served.process.pid).children()
        with held_decoders(served, clip):
            served.predict(clip, wait_s=0)
            began = time.monotonic()
            for _ in range(2):
                served.process.send_signal(signal.SIGINT)
                time.sleep(0.5)
            assert served.process.wait(timeout=60) == 0
            assert time.monotonic() - began < 15
    assert served.uploads() == []
    assert not any(child.is_running() for child in children)


def test_a_removed_clip_does_not_keep_others_waiting(served: Served, clip: Path) -> None:
    """Its decoders are ended, though they would never have answered."""
    with held_decoders(served, clip):
        address = served.predict(clip, wait_s=0).headers["Location"]
        time.sleep(1)  # until it is being decoded
        assert read_states(served, [address]) == ["decoding"]
        assert served.ask("DELETE", address).status_code == 204
        answer = served.predict(clip)
        assert answer.json()["prediction"]["status"] == "ok"


def test_decoders_that_are_killed_in_a_clip_cost_that_clip_alone(
    served: Served, clip: Path
) -> None:
    with held_decoders(served, clip):
        address = served.predict(clip, wait_s=0).headers["Location"]
        time.sleep(1)  # until it is being decoded
        for decoder in served.decoders():
            decoder.kill()
        following = served.predict(clip).json()
        killed = served.ask("GET", address).json()
    reasons = {report["reason"] for report in killed["prediction"]["modalities"].values()}
    assert reasons == {"decoding was killed (SIGKILL)"}
    assert following["prediction"]["status"] == "ok"


def test_a_client_that_leaves_takes_its_clip_with_it(served: Served, clip: Path) -> None:
    cancelled = served.metric("oragen_clips_total", state="cancelled")
    with held_decoders(served, clip):
        before = len(served.uploads())

        def leave() -> None:
            with clip.open("rb") as file, pytest.raises(requests.ReadTimeout):
                requests.post(
                    f"{served.address}/v1/predictions?wait_s=60", files={"file": file}, timeout=1
                )

        leaving = [threading.Thread(target=leave) for _ in range(3)]
        for thread in leaving:
            thread.start()
        for thread in leaving:
            thread.join()
        time.sleep(0.5)
        assert len(served.uploads()) == before
    assert served.metric("oragen_clips_total", state="cancelled") - cancelled == 3

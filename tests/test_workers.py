"""Calls in other processes: one that kills its process costs itself alone, and says why."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from oragen.isolation.limits import Limits
from oragen.isolation.workers import Failure, Workers
from oragen.schema.errors import UserError

SMALL = Limits(memory_gb=0.5, work_s=1.0)


def act(word: str) -> object:
    """Do what a word says."""
    match word.split():
        case ["die", name]:
            os.kill(os.getpid(), getattr(signal, name))
        case ["exit"]:
            os._exit(3)
        case ["work"]:
            while True:
                pass
        case ["allocate", megabytes]:
            return len(np.ones(int(megabytes) * 2**20, np.uint8))
        case ["refuse"]:
            raise UserError("this is a sentence")
        case ["stumble"]:
            raise ValueError("nobody\nexpected this")
        case ["wait", seconds]:
            time.sleep(float(seconds))
        case ["who"]:
            return os.getpid()
    return word


@pytest.mark.slow
def test_each_death_costs_its_own_call_and_says_how_it_came() -> None:
    words = [
        "a", "die SIGKILL", "b", "die SIGSEGV", "exit", "allocate 100", "allocate 900", "stumble",
        "work", "c",
    ]  # fmt: skip
    with Workers(2, limits=SMALL) as workers:
        assert list(workers.map(act, words)) == [
            "a",
            Failure("decoding was killed (SIGKILL)", "passing"),
            "b",
            Failure("decoding crashed (SIGSEGV)", "crash"),
            Failure("decoding crashed (exit code 3)", "crash"),
            100 * 2**20,
            Failure("decoding needs more than 0.5 GB of memory", "limit"),
            Failure("decoding failed (ValueError: nobody expected this)", "crash"),
            Failure("decoding needs more than 1 s of work", "limit"),
            "c",
        ]


def test_a_larger_file_may_take_longer() -> None:
    assert Limits(work_s=60.0).work_of(0) == 60
    assert Limits(work_s=60.0).work_of(2**20) == 120
    assert Limits(work_s=2.5).work_of(2**19) == 4  # 3.75


@pytest.mark.slow
def test_a_call_that_only_waits_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oragen.isolation.workers.WAIT_FACTOR", 2)
    with Workers(1, limits=Limits(work_s=1.0)) as workers:
        [failure, result] = workers.map(act, ["wait 60", "a"])
    assert failure == Failure("decoding took more than 2 s", "passing")
    assert result == "a"


def end_in(error: Exception) -> None:
    """Raise an error, and leave behind what works for two seconds more."""

    def work() -> None:
        while time.thread_time() < 2:
            pass

    threading.Thread(target=work).start()
    raise error


@pytest.mark.slow
@pytest.mark.parametrize("error", [UserError("a sentence"), MemoryError()])
def test_what_a_failed_call_leaves_behind_costs_no_later_call(error: Exception) -> None:
    with Workers(1, limits=Limits(work_s=1.0)) as workers:
        process = workers.submit(act, "who").result()
        with suppress(UserError):
            workers.submit(end_in, error).result()
        time.sleep(4)  # its limit is one second
        assert workers.submit(act, "who").result() == process


def refuse(number: int, *_: object, **__: object) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("missing", ["Pipe", "subprocess.Popen"])
def test_a_process_that_could_not_be_started_says_nothing_of_the_call(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    open_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with Workers(1) as workers:
        for number in (errno.EAGAIN, errno.EMFILE, errno.ENOMEM):
            with monkeypatch.context() as patch:
                patch.setattr(f"oragen.isolation.workers.{missing}", partial(refuse, number))
                workers.start(1)
                failure = workers.submit(act, "a").result()
            assert failure == Failure(
                f"decoding could not be started ({os.strerror(number)})", "passing"
            )
            assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208
        assert workers.submit(act, "a").result() == "a"


def test_a_process_that_dies_before_its_first_call_says_nothing_of_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Dead(subprocess.Popen[bytes]):
        def __init__(self, *_: object, **__: object) -> None:
            super().__init__(["true"], stdin=subprocess.PIPE)
            self.wait()

    with Workers(1) as workers:
        with monkeypatch.context() as patch:
            patch.setattr("oragen.isolation.workers.subprocess.Popen", Dead)
            failure = workers.submit(act, "a").result()
        assert failure == Failure("decoding could not be started (Broken pipe)", "passing")
        assert workers.submit(act, "a").result() == "a"


def test_a_mistake_of_the_user_is_raised() -> None:
    with Workers(1) as workers:
        with pytest.raises(UserError, match="this is a sentence"):
            workers.submit(act, "refuse").result()
        assert workers.submit(act, "a").result() == "a"


def test_results_come_in_order_from_two_processes() -> None:
    with Workers(2) as workers:
        assert list(workers.map(act, ["wait 0.3", "a", "wait 0.2", "b"])) == [
            "wait 0.3", "a", "wait 0.2", "b",
        ]  # fmt: skip
        first, second = workers.submit(act, "who"), workers.submit(act, "who")
        assert os.getpid() not in {first.result(), second.result()}


def test_processes_end_with_their_pool() -> None:
    with Workers(1) as workers:
        process = workers.submit(act, "who").result()
        running = workers.submit(act, "wait 60")
    assert isinstance(process, int)
    assert running.cancelled() or isinstance(running.result(), Failure)
    assert not Path(f"/proc/{process}").exists()


def test_an_abandoned_call_is_ended_and_the_next_one_runs() -> None:
    with Workers(1) as workers:
        running, waiting = workers.submit(act, "wait 60"), workers.submit(act, "b")
        workers.abandon([running, waiting])
        assert workers.submit(act, "d").result() == "d"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_processes_end_with_the_one_that_started_them(name: str) -> None:
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored behind nohup\n"
        "from oragen.isolation.workers import Workers; from tests.test_workers import act\n"
        "with Workers(1) as workers:\n"
        "    print(workers.submit(act, 'who').result(), flush=True)\n"
        "    workers.submit(act, 'wait 60').result()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        parent.send_signal(getattr(signal, name))
        parent.wait(timeout=30)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{process}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{process}").exists()


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from oragen.isolation.workers import Workers\n"
        "from tests.test_workers import act\n"
        "print('once')\n"
        "with Workers(1) as workers:\n"
        "    print(workers.submit(act, 'a').result())\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert (done.stdout, done.stderr) == ("once\na\n", "")

"""The queue of the service, and what is kept of clips that have ended."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from oragen.app.jobs import Job, Jobs
from oragen.app.measured import Measured
from oragen.app.options import ServeOptions
from oragen.app.problems import ProblemError
from oragen.app.reasons import KINDS, OTHER, find_kind
from oragen.app.spool import PREFIX, Spool
from oragen.schema.errors import UserError
from oragen.schema.owners import name_owner
from tests.made_predictions import NOT_PREDICTED, PREDICTED


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path) as entered:
        yield entered


def make_job(spool: Spool, num_bytes: int = 1) -> Job:
    path = spool.new_file()
    path.write_bytes(bytes(num_bytes))
    return Job(path, use_audio=True, use_face=True, num_bytes=num_bytes)


def make_jobs(**options: object) -> Jobs:
    return Jobs(replace(ServeOptions(), **options), Measured())  # type: ignore[arg-type]


def end_each(jobs: Jobs, made: list[Job], length_s: float = 1.0) -> None:
    for job in made:
        jobs.add(job)
        prediction = replace(PREDICTED, length_s=length_s)
        jobs.update(job, state="done", prediction=prediction)


def test_uploads_that_arrive_count_against_the_queue(spool: Spool) -> None:
    jobs = make_jobs(queue=2)
    jobs.add(make_job(spool))
    with jobs.place(), pytest.raises(ProblemError, match="waiting already"), jobs.place():
        pytest.fail("let in")
    with jobs.place():  # it is free again
        pass


@pytest.mark.parametrize(
    ("options", "length_s"),
    [({"kept_jobs": 2}, 1.0), ({"max_upload_bytes": 5}, 1.0), ({"kept_length_s": 20.0}, 10.0)],
)
def test_the_oldest_of_too_many_that_ended_are_removed(
    spool: Spool, options: dict[str, object], length_s: float
) -> None:
    """Each has 10 bytes; 4 times 5 bytes, 2 jobs or 20 s are kept: two of five jobs."""
    jobs = make_jobs(**options)
    made = [make_job(spool, num_bytes=10) for _ in range(5)]
    end_each(jobs, made, length_s)
    assert [job.is_gone for job in made] == [True, True, True, False, False]
    assert [job.path.exists() for job in made] == [False, False, False, True, True]


def test_the_newest_stays_even_if_it_is_too_large(spool: Spool) -> None:
    jobs = make_jobs(max_upload_bytes=1)
    [job] = made = [make_job(spool, num_bytes=100)]
    end_each(jobs, made)
    assert jobs.get(job.key) is job


def test_jobs_end_a_quarter_of_an_hour_after_their_work(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = make_jobs()
    [job] = made = [make_job(spool)]
    end_each(jobs, made)
    now = job.since
    monkeypatch.setattr("oragen.app.jobs.time.monotonic", lambda: now + 899)
    assert jobs.get(job.key) is job
    monkeypatch.setattr("oragen.app.jobs.time.monotonic", lambda: now + 901)
    with pytest.raises(ProblemError, match="no such job"):
        jobs.get(job.key)
    assert not job.path.parent.exists()


def test_a_closed_queue_ends_what_waits_and_takes_no_more(spool: Spool) -> None:
    jobs = make_jobs()
    waiting, running = make_job(spool), make_job(spool)
    jobs.add(waiting)
    jobs.add(running)
    jobs.update(running, state="predicting")
    jobs.close()
    assert (waiting.state, running.state) == ("cancelled", "predicting")
    assert waiting.detail is not None
    assert "being ended" in waiting.detail
    with pytest.raises(ProblemError, match="being ended"), jobs.place():
        pytest.fail("let in")
    jobs.cancel_all()
    assert running.state == "cancelled"


def test_event_streams_are_few(spool: Spool) -> None:
    jobs = make_jobs(max_watchers=1)
    job = make_job(spool)
    jobs.add(job)

    async def watch() -> None:
        watching = jobs.watch(job)
        await anext(watching)
        with pytest.raises(ProblemError, match="watched already"):
            jobs.refuse_watcher()
        await watching.aclose()  # type: ignore[attr-defined]
        jobs.refuse_watcher()

    asyncio.run(watch())


def test_steps_are_timed_and_ends_are_counted(spool: Spool) -> None:
    measured = Measured()
    jobs = Jobs(ServeOptions(), measured)
    job = make_job(spool)
    jobs.add(job)
    for state in ("decoding", "predicting", "predicting", "done"):
        jobs.update(job, state=state)
    found = measured.registry.get_sample_value
    for step in ("waiting", "decoding", "predicting"):
        assert found("oragen_step_seconds_count", {"step": step}) == 1
    assert found("oragen_clips_total", {"state": "done"}) == 1


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("longer than 7200 s", "longer than"),
        ("no 1.5 s of speech without a pause", "too little speech"),
        ("decoding failed (ValueError: any text)", "decoding failed"),
        ("decoding needs more than 61 s of work", "decoding needs more than"),
        ("what nobody has seen", OTHER),
        ("not asked for", None),
        ("the model does not use face", None),
    ],
)
def test_reasons_are_counted_by_few_kinds(reason: str, kind: str | None) -> None:
    assert find_kind(reason) == kind


def test_failures_are_counted_by_kind() -> None:
    measured = Measured()
    measured.count_failures(NOT_PREDICTED)
    labels = {"modality": "face", "reason": "empty file"}
    assert measured.registry.get_sample_value("oragen_unused_total", labels) == 1
    assert len(set(KINDS)) == len(KINDS)


def test_the_folder_is_private_and_made_again_if_a_cleaner_took_it(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.folder.rmdir()
        path = spool.new_file()
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert not spool.folder.exists()


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Spool(tmp_path) as spool:
        spool.folder.rmdir()
        spool.folder.symlink_to(elsewhere)
        with pytest.raises(OSError, match="another user"):
            spool.new_file()
    assert list(elsewhere.iterdir()) == []


def test_a_running_neighbour_keeps_its_uploads(tmp_path: Path) -> None:
    with Spool(tmp_path) as first:
        upload = first.new_file()
        upload.touch()
        abandoned = tmp_path / f"{PREFIX}{name_owner()}"  # of this process, and nobody is at it
        abandoned.mkdir()
        with Spool(tmp_path):
            assert upload.exists()
            assert not abandoned.exists()


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="Set TMPDIR"), Spool(tmp_path / "file"):
        pytest.fail("entered")

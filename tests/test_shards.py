"""Shards of work: their names, their plans, and the processes that do them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oragen.launch.local import open_local
from oragen.launch.plans import PlanError, PlannedRow, plan_path, read_plan
from oragen.launch.shards import Call, Result, Share, read_share
from oragen.launch.slurm_jobs import DoneGroups, note_group, to_command
from oragen.schema.errors import UserError
from tests.shard_work import TRIED, make_letters, plan_keys

ARRAY = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "4"}


def test_each_name_is_in_one_share_and_stays_there() -> None:
    shares = [Share(number, 3) for number in (1, 2, 3)]
    holders = [[share.number for share in shares if share.holds(name)] for name in "abcdef"]
    assert [len(found) for found in holders] == [1] * 6
    # The first eight bytes of the SHA-256 of each letter, modulo 3.
    assert [number for [number] in holders] == [2, 2, 3, 3, 3, 1]


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("3/16", {}, Share(3, 16)),
        ("1/1", {**ARRAY, "SLURM_ARRAY_TASK_ID": "2"}, Share(1, 1)),
        (None, {**ARRAY, "SLURM_ARRAY_TASK_ID": "0"}, Share(1, 4)),
        (None, {**ARRAY, "SLURM_ARRAY_TASK_ID": "3"}, Share(4, 4)),
    ],
)
def test_a_share_is_read_as_people_count(
    text: str | None, environment: dict[str, str], expected: Share
) -> None:
    assert read_share(text, environment) == expected


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "1/9999999", "-1/4", "1/4/4"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is no shard: expected"):
        read_share(text, {})


def test_a_share_that_is_not_named_is_refused() -> None:
    with pytest.raises(UserError, match="No shard is named"):
        read_share(None, {})
    with pytest.raises(UserError, match="Number the tasks without gaps"):
        read_share(None, {**ARRAY, "SLURM_ARRAY_TASK_ID": "7"})


def test_a_call_is_halved_between_what_is_made_together() -> None:
    call = Call("p", "s", "c", "n", (0,))
    first, second = call.split(num_rows=10, unit=4)  # 4, 4 and 2
    assert (first.start, first.stop, second.start, second.stop) == (0, 4, 4, 10)
    assert first.split(10, 4) == [first]
    assert [(piece.start, piece.stop) for piece in second.split(10, 4)] == [(4, 8), (8, 10)]


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    _, call = plan_keys(tmp_path, "ab", "c", unit=2)
    found = read_plan(tmp_path, call.plan)
    assert (found.stage, found.subject, found.asks, found.unit) == ("letters", "abc", "question", 2)
    assert found.rows(0) == [PlannedRow("a", "clip of a"), PlannedRow("b", "clip of b")]
    assert found.rows(1) == [PlannedRow("c", "clip of c")]
    assert [found.size_of(group) for group in range(found.num_groups)] == [2, 1]
    assert plan_keys(tmp_path, "ab", "c", unit=2)[1].plan == call.plan


def test_a_plan_that_was_changed_is_refused(tmp_path: Path) -> None:
    _, call = plan_keys(tmp_path, "ab")
    path = plan_path(tmp_path, call.plan)
    pq.write_table(pa.table({"key": ["z"]}), path)
    with pytest.raises(PlanError, match="does not hold what its name says"):
        read_plan(tmp_path, call.plan)
    path.unlink()
    with pytest.raises(PlanError, match="is missing"):
        read_plan(tmp_path, call.plan)
    with pytest.raises(PlanError, match="64 digits"):
        read_plan(tmp_path, "../../etc/passwd")


def run(folder: Path, *groups: str, unit: int = 1, num_workers: int = 2) -> Result:
    plan, call = plan_keys(folder, *groups, unit=unit)
    return open_local(make_letters, [None] * num_workers).run(plan, call)


def test_all_groups_are_made_once(tmp_path: Path) -> None:
    result = run(tmp_path, "ab", "c", "def")
    assert result.num_made == 6
    assert sorted(result.parts) == list("abcdef")
    assert result.failures == {}
    assert sorted((tmp_path / TRIED).read_text()) == list("abcdef")


def test_work_whose_worker_dies_once_is_done_by_the_next(tmp_path: Path) -> None:
    result = run(tmp_path, "ao", "b")
    assert sorted({*result.parts}) == ["a", "b", "o"]
    assert result.failures == {}


@pytest.mark.slow
def test_what_kills_its_worker_each_time_is_named_and_all_else_is_made(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = run(tmp_path, "abxcd", "ef")
    assert sorted({*result.parts}) == list("abcdef")
    assert [*result.failures] == ["x"]
    assert "was killed (SIGKILL)" in result.failures["x"]
    assert "given up, as their worker ends each time" in caplog.text
    assert caplog.text.rstrip().endswith("clip of x")


@pytest.mark.slow
def test_what_is_made_together_is_given_up_together(tmp_path: Path) -> None:
    result = run(tmp_path, "abxcd", unit=2)  # ab, xc, d
    assert sorted({*result.parts}) == ["a", "b", "d"]
    assert sorted(result.failures) == ["c", "x"]


@pytest.mark.slow
def test_an_unexpected_error_of_a_worker_names_its_clip_too(tmp_path: Path) -> None:
    result = run(tmp_path, "a?")
    assert [*result.failures] == ["?"]
    assert "a mistake of ours" in result.failures["?"]


def test_what_the_user_can_mend_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^The disk is full\.$"):
        run(tmp_path, "a!", "b", num_workers=1)


def test_a_group_of_a_task_is_done_when_it_is_noted(tmp_path: Path) -> None:
    plan, call = plan_keys(tmp_path, "ab", "c", "d", "e")
    done = DoneGroups(tmp_path / call.plan, plan)
    note_group(done.folder, 1, Result(1, ("part-c",)))
    assert done.find_undone() == [0, 2, 3]
    assert done.find_first_undone(num_shards=2) == [0, 3]  # of tasks with groups 0, 2 and 1, 3
    assert done.count_rows() == 1
    for group in (0, 2):
        note_group(done.folder, group, Result(plan.size_of(group)))
    done.give_up(3, "its task ended")
    assert done.find_undone() == []
    assert done.read() == Result(4, ("part-c",), {"e": "its task ended"})


def test_a_note_that_is_no_note_is_refused(tmp_path: Path) -> None:
    plan, call = plan_keys(tmp_path, "a")
    done = DoneGroups(tmp_path / call.plan, plan)
    (done.folder / "0.json").write_text('{"num_made": NaN}')
    with pytest.raises(UserError, match="cannot be read"):
        done.read()


def test_a_task_is_no_stage_of_dvc(tmp_path: Path) -> None:
    command = to_command(Call("/p", "decode_audio", "studio", "f" * 64), Share(3, 16), tmp_path)
    assert command[:3] == ["env", "-u", "DVC_STAGE"]
    assert command[-7:-4] == ["decode_audio", "studio", "3/16"]

"""One shard of a stage's work -> its parts in the store: by hand, in a job, or for a launcher.

The stage itself is run afterwards. It finds nothing missing, and writes its tables.
"""

import logging
import os
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import typer

from oragen.config import paths
from oragen.config.params import load_params
from oragen.launch.plans import Plan, PlanError, read_plan
from oragen.launch.shards import Call, Result, Share, read_share
from oragen.launch.slurm_jobs import is_noted, note_group, note_refusal
from oragen.schema.errors import UserError
from stages.running import run_stage
from stages.sharing import Work, open_work

logger = logging.getLogger(__name__)


def main(
    stage: str,
    subject: str,
    shard: Annotated[str | None, typer.Argument()] = None,
    plan: str | None = None,
    results: Path | None = None,
) -> None:
    """Do the work of one SHARD of STAGE on a corpus, such as 3/16.

    Args:
        stage: its name.
        subject: the corpus.
        shard: which one; by default that of a task in an array of Slurm.
        plan: name of the plan to go by; by default what is missing is looked for.
        results: folder for a note of each group of the plan that is done; groups with one are done.
    """
    share = read_share(shard, os.environ)
    if plan is None:
        made = _make(stage, subject, share)
    else:
        made = _make_planned(stage, subject, share, plan, results or paths.plans() / plan)
    logger.info(
        "%s %s, shard %s: %d rows made, %d failed; %d parts%s",
        stage, subject, share, made.num_made, len(made.failures), len(made.parts),
        "".join(f"\n{part}" for part in made.parts),
    )  # fmt: skip
    if made.failures and plan is None:
        reason = next(iter(made.failures.values()))
        raise UserError(
            f"{stage} {subject}, shard {share}: {len(made.failures)} rows could not be made, e.g. "
            f"as {reason}. All others are stored; run the shard again to try these."
        )


def _make(stage: str, corpus: str, share: Share) -> Result:
    """Make what the store lacks of a share: of clips by their keys, of inputs by whole groups."""
    params = load_params()
    execution = params.execution
    made = Result(0)
    with ExitStack() as until:
        work = open_work(
            stage, corpus, params,
            num_processes=execution.num_processes, device=execution.device, until=until,
        )  # fmt: skip
        for group in work.find_groups(lambda: 1, share):
            made += work.make(group)
    return made


def _make_planned(stage: str, corpus: str, share: Share, name: str, results: Path) -> Result:
    """Make the groups of a share of a plan that are not done, and note each."""
    plan = read_plan(paths.plans(), name)
    num_processes = load_params().execution.num_processes
    call = Call(str(Path.cwd()), stage, corpus, name, num_processes=num_processes)
    made = Result(0)
    for group in range(share.number - 1, plan.num_groups, share.of):
        if not is_noted(results, group):
            try:
                result = run_shard(call.of(group))
            except UserError as error:
                note_refusal(results, str(error))
                raise
            note_group(results, group, result)
            made += result
    return made


def run_shard(call: Call) -> Result:
    """Do what a launcher asks for; what the work needs stays open for the next call.

    Raises:
        UserError: something that the user can mend.
    """
    os.chdir(call.project)
    plan, work = _open(call.stage, call.subject, call.plan, call.num_processes, call.device)
    made = Result(0)
    for group in call.groups:
        made += work.make(plan.rows(group, call.start, call.stop))
    return made


@lru_cache(maxsize=1)
def _open(
    stage: str, corpus: str, name: str, num_processes: int, device: str | None
) -> tuple[Plan, Work]:
    plan = read_plan(paths.plans(), name)
    params = load_params()
    work = open_work(
        stage, corpus, params,
        num_processes=num_processes, device=device or params.execution.device, until=ExitStack(),
    )  # fmt: skip
    if (plan.stage, plan.subject, plan.asks) != (stage, corpus, work.asks):
        raise PlanError(
            f"The plan {name[:12]} is of other parameters, another encoder or other code than "
            f"{Path.cwd()} has now. Leave params.yaml and the code as they are while a stage runs, "
            "and run it again."
        )
    return plan, work


if __name__ == "__main__":
    run_stage(main)

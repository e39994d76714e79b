"""What a store lacks -> the same made by the launcher of `execution.launcher`, and what failed.

A launcher only fills stores. The stage that called it then finds nothing missing and writes its
tables, as ever. So no result depends on the launcher.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

from oragen.config import paths
from oragen.config.execution import Execution
from oragen.config.options import fill
from oragen.config.params import Params
from oragen.isolation.workers import ThisProcess, Workers
from oragen.schema.errors import UserError
from oragen.schema.files import remove
from oragen.store.fill import Filled, Filling
from oragen.store.parts import PartStore

if TYPE_CHECKING:  # stages without a launcher need not load them
    from oragen.features.spec import FeatureSpec
    from oragen.launch.launcher import Launcher
    from oragen.launch.shards import Result
    from oragen.training.seeds import HeadTraining, TrainedHead
    from stages.extracting import Extraction
    from stages.sharing import Work

DEVICES: Final = Path("/dev")


def fill_lacking(
    corpus: str,
    params: Params,
    filling: Filling,
    open_workers: Callable[[Params, int], Workers | ThisProcess],
) -> Filled:
    """Make what a store of clips lacks: by processes of this machine, or by a launcher first."""
    num_processes = params.execution.num_processes
    if params.execution.launcher == "local":
        with open_workers(params, num_processes) as workers:
            return filling.run(workers)
    from stages.sharing import FillingWork

    with filling.store.writing():
        work = FillingWork(params, filling, open_workers, 1)
        made = launch(filling.title, corpus, params, work)
        rest = filling.only([key for key in filling.wanted if key not in made.failures])
        with open_workers(params, num_processes) as workers:
            filled = rest.run(workers)
    failures = {**filled.failures, **made.failures}
    return Filled(filled.located, failures, filled.num_made + made.num_made)


def encode_by_launcher(
    stage: str, corpus: str, params: Params, extraction: "Extraction", store: PartStore
) -> "tuple[list[FeatureSpec], int, Mapping[str, str]]":
    """Encode what a store lacks by a launcher.

    Returns how the features are made, how many inputs were encoded, and why others have no row.

    Raises:
        UserError: the store here lacks what workers made.
    """
    from stages.sharing import EncodingWork

    with store.writing():
        work = EncodingWork(params, corpus, extraction)
        made = launch(stage, corpus, params, work)
        if made.num_made:
            _check_arrival(store, extraction, work.specs, made.failures)
    return work.specs, made.num_made, made.failures


def _check_arrival(
    store: PartStore,
    extraction: "Extraction",
    specs: "Sequence[FeatureSpec]",
    failures: Mapping[str, str],
) -> None:
    present = store.index()
    inputs = [item for item in extraction.inputs if item.key not in failures]
    absent = [i for i in inputs if any(spec.key_of(i.key) not in present for spec in specs)]
    if absent:
        raise UserError(
            f"{store.folder} lacks features of {len(absent)} of {len(inputs)} inputs, e.g. of "
            f"{absent[0].clip_id}, after all were encoded. Is data/ the same folder on all "
            "machines? Run the stage again: only these are encoded."
        )


def train_by_launcher(
    params: Params, head: str, training: "HeadTraining"
) -> "Iterator[TrainedHead]":
    """Train a head for each seed by a launcher; yield them in order.

    Raises:
        UserError: some could not be trained.
    """
    from stages.sharing_seeds import SeedsWork, refuse_lost_seeds

    work = SeedsWork(params, head, params.execution.device)
    made = launch("train_head", head, params, work)
    refuse_lost_seeds(head, made.failures)
    return work.take(training)


def launch(stage: str, subject: str, params: Params, work: "Work") -> "Result":
    """Have the work done that is left; return what came of it."""
    from oragen.launch.plans import Plan, tabulate, write_plan
    from oragen.launch.shards import Call, Result

    execution = params.execution
    uses_gpus = work.uses_gpus and execution.device != "cpu"
    with ExitStack() as stack:
        opening = open_launcher(execution, uses_gpus=uses_gpus)
        open_once = cache(lambda: stack.enter_context(opening))
        groups = work.find_groups(lambda: open_once().num_workers)
        if not groups:
            return Result(0)
        plan = Plan(stage, subject, work.asks, work.unit, tabulate(groups))
        name = write_plan(paths.plans(), plan)
        with _removing(name, open_once()) as launcher:
            return launcher.run(plan, Call(str(Path.cwd()), stage, subject, name))


@contextmanager
def _removing(plan: str, launcher: "Launcher") -> "Iterator[Launcher]":
    """Remove a plan and what was noted of it, unless jobs that are left may need it."""
    from oragen.launch.plans import plan_path

    is_done = False
    try:
        yield launcher
        is_done = True
    finally:
        if is_done or not launcher.leaves_work:
            for path in (plan_path(paths.plans(), plan), paths.plans() / plan):
                remove(path)


@contextmanager
def open_launcher(execution: Execution, *, uses_gpus: bool) -> "Iterator[Launcher]":
    """Have the launcher that params.yaml names, while the block runs."""
    from stages.shard import run_shard

    match execution.launcher:
        case "local":
            from oragen.launch.local import open_local

            yield open_local(run_shard, find_devices(execution))
        case "ray":
            from oragen.launch.ray_cluster import RayOptions, open_ray

            options = fill(RayOptions, execution.ray, uses_gpus=uses_gpus)
            with open_ray(run_shard, options, Path.cwd()) as launcher:
                yield launcher
        case "slurm":
            from oragen.launch.slurm_jobs import SlurmLauncher, SlurmOptions

            yield SlurmLauncher(fill(SlurmOptions, execution.slurm), paths.plans())
        case _:
            assert_never(execution.launcher)


def may_launch_encoders(execution: Execution) -> bool:
    """Whether other processes may encode; if not, this one does, and need not look for GPUs."""
    if execution.launcher != "local" or execution.local.num_encoders != "auto":
        return execution.launcher != "local" or execution.local.num_encoders != 1
    return execution.device in ("auto", "cuda") and len([*DEVICES.glob("nvidia[0-9]*")]) > 1


def find_devices(execution: Execution) -> list[str | None]:
    """Return the device of each process of this machine that encodes; None: by params.yaml."""
    import torch

    num_gpus = torch.cuda.device_count() if execution.device in ("auto", "cuda") else 0
    wanted = execution.local.num_encoders
    count = max(num_gpus, 1) if wanted == "auto" else wanted
    return [f"cuda:{number % num_gpus}" if num_gpus else None for number in range(count)]

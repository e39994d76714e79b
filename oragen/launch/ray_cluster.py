"""The nodes of a Ray cluster -> places for workers; each is one actor that stays."""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, Literal

from joblib import cpu_count

from oragen.isolation.workers import Failure
from oragen.launch.code import describe_code
from oragen.launch.launcher import PoolLauncher
from oragen.launch.ray_worker import NodeView, RayWorker, Refusal, look_around
from oragen.launch.shards import Call, Result, Work
from oragen.schema.errors import UserError

logger = logging.getLogger(__name__)

OBJECT_STORE_BYTES: Final = 100 * 2**20  # calls are file names and numbers
CONNECT_S: Final = 20.0
NODE_ANSWERS_S: Final = 120.0


class ClusterError(UserError):
    """A cluster cannot be used."""


@dataclass(frozen=True)
class RayOptions:
    """Which cluster, and how it is used."""

    address: str  # auto | local | host:port | ray://host:port
    cores: int  # of a worker
    max_workers: Literal["auto"] | int
    max_tries: int
    uses_gpus: bool = False  # a worker has one, if there is any in the cluster


class RaySlot:
    """A place for an actor; after one has died another takes it, on any node with room."""

    def __init__(self, work: Work, options: RayOptions, num_gpus: int) -> None:
        import ray

        self._work = work
        self._make = ray.remote(
            num_cpus=options.cores, num_gpus=num_gpus, max_restarts=0, max_task_retries=0
        )(RayWorker)
        self._actor: Any = None

    def start(self) -> "Future[Any]":
        """Have a fresh actor; it is ready when it answers."""
        self.close()
        self._actor = self._make.remote()
        ready: Future[Any] = self._actor.is_ready.remote().future()
        return ready

    def submit(self, call: Call) -> "Future[Any]":
        """Begin a call."""
        begun: Future[Any] = self._actor.run.remote(self._work, call).future()
        return begun

    def read(self, done: "Future[Any]") -> Result | Failure:
        """Return what came of a call.

        Raises:
            UserError: the call found what the user can mend.
        """
        from ray.exceptions import RayError, RayTaskError

        try:
            result: Result | Refusal = done.result()
        except RayTaskError as error:
            return Failure(f"the worker failed ({_last_line(error)})", "crash")
        except RayError as error:  # the process, or its node
            return Failure(f"the worker died ({type(error).__name__})", "passing")
        if isinstance(result, Refusal):
            raise UserError(result.sentence)
        return result

    def close(self) -> None:
        """End the actor."""
        import ray

        if self._actor is not None:
            with suppress(ray.exceptions.RayError):
                ray.kill(self._actor)
            self._actor = None


@contextmanager
def open_ray(work: Work, options: RayOptions, project: Path) -> Iterator[PoolLauncher]:
    """Connect to a cluster, check its nodes, and have places for workers while the block runs.

    Raises:
        ClusterError: there is no cluster, a node sees another project, or none has room.
    """
    with ExitStack() as stack:
        _connect(options.address, stack)
        import ray

        nodes = _check_nodes([node for node in ray.nodes() if node["Alive"]], project)
        has_gpus = options.uses_gpus and any(node["Resources"].get("GPU") for node in nodes)
        num_workers = _count_places(nodes, options, num_gpus=int(has_gpus))
        logger.info("%d workers on %d nodes of Ray", num_workers, len(nodes))
        slots = [RaySlot(work, options, int(has_gpus)) for _ in range(num_workers)]
        yield PoolLauncher(slots, options.max_tries)


def _connect(address: str, stack: ExitStack) -> None:
    """Connect to a running cluster, or start one on this machine."""
    if address == "local":
        # Only who knows a secret may send work. Otherwise Ray keeps one in the home folder.
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # both are read when ray is imported
        os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            "`execution.launcher: ray` needs the package ray: run `pip install 'oragen[ray]'`."
        ) from error
    settings: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.WARNING,
        "address": address,
    }
    if address == "local":
        folder = tempfile.mkdtemp(prefix="oragen-ray-", dir="/tmp")  # a socket's path must be short
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        settings |= {
            "_temp_dir": folder,
            "include_dashboard": False,
            "num_cpus": cpu_count(),
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    stack.callback(ray.shutdown)
    try:
        _knock(address)
        ray.init(**settings)
    except (ImportError, OSError, OverflowError, RuntimeError, ValueError) as error:
        raise ClusterError(
            f"No cluster of Ray can be used at `execution.ray.address: {address}` "
            f"({_last_line(error)}). Start one with `ray start --head`, name the address that this "
            "prints, or choose `local`. docs/scaling.md has the steps."
        ) from error


def _knock(address: str) -> None:
    """See that somebody listens at `host:port`; Ray itself would wait for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()


def _check_nodes(nodes: Sequence[dict[str, Any]], project: Path) -> list[dict[str, Any]]:
    """Have each node read a fresh file of the project, and describe the code it runs.

    Returns:
        Those that answered: the cluster lists a node that died for up to half a minute more.

    Raises:
        ClusterError: names the node that differs.
    """
    answered = []
    probe = project / "data" / "cache" / f"probe-{token_hex(8)}.txt"
    probe.parent.mkdir(parents=True, exist_ok=True)
    content = token_hex(16)
    probe.write_text(content, encoding="utf-8")
    try:
        for node in nodes:
            if (view := _ask(node, project, probe)) is None:
                logger.warning(
                    "The node %s of Ray has died; no work goes to it.", node["NodeManagerAddress"]
                )
                continue
            _compare(node["NodeManagerAddress"], view, project, content)
            answered.append(node)
    finally:
        probe.unlink()
    return answered


def _ask(node: dict[str, Any], project: Path, probe: Path) -> NodeView | None:
    """Return what a node sees; None: it died."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    ask = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(look_around)
    try:
        view: NodeView = ray.get(ask.remote(str(project), str(probe)), timeout=NODE_ANSWERS_S)
    except ray.exceptions.RayError as error:
        if not _is_alive(node):
            return None
        raise ClusterError(
            f"The node {node['NodeManagerAddress']} of Ray cannot run oragen ({_last_line(error)})."
            f" Install it there, in the environment that `ray start` runs in, at {project}."
        ) from error
    return view


def _is_alive(node: dict[str, Any]) -> bool:
    import ray

    return any(other["Alive"] for other in ray.nodes() if other["NodeID"] == node["NodeID"])


def _compare(address: str, view: NodeView, project: Path, content: str) -> None:
    if view.probe != content:
        raise ClusterError(
            f"The node {address} ({view.host}) does not see what this machine writes to {project}. "
            "Put the project on a file system that all nodes share, at the same path, or take the "
            "node out of the cluster."
        )
    if view.code != (here := describe_code(project)):
        raise ClusterError(
            f"The node {address} ({view.host}) runs {view.code}, and this machine {here}. Install "
            "the same code on all nodes, and start Ray again there."
        )


def _count_places(nodes: Sequence[dict[str, Any]], options: RayOptions, num_gpus: int) -> int:
    """Return how many workers the cluster has room for.

    Raises:
        ClusterError: for none.
    """
    places = 0
    for node in nodes:
        by_cores = int(node["Resources"].get("CPU", 0)) // options.cores
        places += min(by_cores, int(node["Resources"].get("GPU", 0))) if num_gpus else by_cores
    if not places:
        raise ClusterError(
            f"No node of Ray has {options.cores} cores{' and a GPU' * num_gpus} for a worker. "
            "Lower `execution.ray.cores`, or add nodes."
        )
    return places if options.max_workers == "auto" else min(places, options.max_workers)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

"""A real Slurm of one node on this machine: munged, slurmctld and slurmd, by this user alone."""

import os
import platform
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

PROGRAMS: Final = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
PATH: Final = f"{os.environ['PATH']}:/usr/sbin:/sbin"
START_S: Final = 60.0
SETTINGS: Final = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={first_port}
SlurmdPort={second_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def can_run() -> bool:
    """Whether all is installed, and may be started."""
    return os.getuid() == 0 and all(shutil.which(program, path=PATH) for program in PROGRAMS)


class Slurm:
    """A context manager; `environment` is that of its commands."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.environment = {"SLURM_CONF": str(self._folder / "slurm.conf"), "PATH": PATH}
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Slurm":
        self._folder.chmod(0o755)
        for name in ("state", "spool"):
            (self._folder / name).mkdir()
        key = self._folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        names = {"folder": self._folder, "host": platform.node().partition(".")[0]}
        ports = {"first_port": find_port(), "second_port": find_port()}
        (self._folder / "slurm.conf").write_text(SETTINGS.format(**names, **ports))
        kept = [f"--{name}={self._folder}/munge.{name.partition('-')[0]}" for name in (
            "pid-file", "log-file", "seed-file")]  # fmt: skip
        self._start("munged", "--foreground", "--force", f"--key-file={key}",
                    f"--socket={self._folder}/munge.sock", *kept)  # fmt: skip
        self._wait_for(lambda: (self._folder / "munge.sock").exists())
        self._start("slurmctld", "-D")
        self._start("slurmd", "-D")
        self._wait_for(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%T"))
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started):
            process.terminate()
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout

    def _start(self, *command: str) -> None:
        executable = shutil.which(command[0], path=PATH)
        assert executable is not None
        self._started.append(
            subprocess.Popen(
                [executable, *command[1:]], env=os.environ | self.environment,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip

    def _wait_for(self, is_there: Callable[[], bool]) -> None:
        until = time.monotonic() + START_S
        while not is_there():
            assert time.monotonic() < until, "Slurm does not start"
            time.sleep(0.1)


def find_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

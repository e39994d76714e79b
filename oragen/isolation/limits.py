"""What one call may cost -> limits that the kernel keeps for the process that runs it.

A limit decides whether a file can be used, so it depends on the file alone: memory is what the
process itself asked for, and work is the time of its own on a core, whatever else the machine does.
"""

import math
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIB: Final = 2**20
GIB: Final = 2**30
# A call that waits and does no work ends after so many times the work that it may do.
WAIT_FACTOR: Final = 10


@dataclass(frozen=True)
class Limits:
    """What one call may cost."""

    memory_gb: float = 4.0
    work_s: float = 60.0  # seconds on a core; as many again for each MiB of its file

    def work_of(self, num_bytes: int) -> int:
        """Return the whole seconds of work that a file of this size may take."""
        return math.ceil(self.work_s * (1 + num_bytes / MIB))


def limit_memory(memory_gb: float) -> None:
    """Let this process have so much memory; a request for more is refused by the kernel."""
    _lower(resource.RLIMIT_DATA, round(memory_gb * GIB))
    _lower(resource.RLIMIT_CORE, 0)  # a crash leaves no image of the memory on the disk


def limit_work(work_s: int) -> None:
    """Let this process work so many seconds more; then the kernel ends it with SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime) + work_s)


def end_work_limit() -> None:
    """Let this process work as long as it may by itself."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (most, most))


def _lower(kind: int, value: int) -> None:
    _, most = resource.getrlimit(kind)
    soft = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(kind, (soft, most))


def is_machine_short(memory_gb: float) -> bool:
    """Return whether the machine has less memory than this process may still take.

    So a refused request was no fault of the limit.
    """
    status = _read_kib(Path("/proc/self/status"))
    free = _read_kib(Path("/proc/meminfo"))["MemAvailable"]
    return free < memory_gb * MIB - status["VmData"]  # both in KiB


def _read_kib(path: Path) -> dict[str, int]:
    """Read the lines of a file of /proc such as `VmData:  265596 kB`."""
    fields = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in fields if words[-1:] == ["kB"]}

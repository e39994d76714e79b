"""`execution` of params.yaml -> how the work is done; it decides no result."""

from typing import Annotated, Literal

from joblib import cpu_count
from pydantic import Field

from oragen.config.section import Count, Positive, Section
from oragen.isolation.limits import Limits


class Execution(Section):
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    num_devices: Count
    num_workers: Literal["auto"] | Count
    part_mb: Positive
    checkpoint_minutes: Positive
    clip_memory_gb: Positive = Limits.memory_gb
    clip_work_s: Positive = Limits.work_s

    @property
    def num_processes(self) -> int:
        """How many processes work on clips; `auto` is one for each core."""
        return cpu_count() if self.num_workers == "auto" else self.num_workers

    @property
    def clip_limits(self) -> Limits:
        """What the decoding of one clip may cost."""
        return Limits(memory_gb=self.clip_memory_gb, work_s=self.clip_work_s)

    @property
    def part_bytes(self) -> int:
        """Size at which a part is written."""
        return round(self.part_mb * 2**20)

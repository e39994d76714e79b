"""`execution` of params.yaml -> how the work is done; it decides no result."""

from typing import Annotated, Final, Literal

from joblib import cpu_count
from pydantic import Field

from oragen.config.section import Section, Words, auto_or
from oragen.isolation.limits import Limits
from oragen.schema.choices.launchers import JobsOfInterrupted, LauncherName

ADDRESS: Final = r"^(auto|local|(ray://)?[A-Za-z0-9\[][A-Za-z0-9_.:\[\]-]*:[0-9]{1,5})$"
MaxTries = Annotated[int, Field(ge=1, le=100)]
NumCores = Annotated[int, Field(ge=1, le=1024)]


class LocalLauncher(Section):
    num_encoders: Annotated[Literal["auto"] | int, auto_or(1, 1024)] = "auto"


class RayLauncher(Section):
    address: Annotated[str, Field(pattern=ADDRESS, max_length=300)] = "auto"
    cores: NumCores = 1
    max_workers: Annotated[Literal["auto"] | int, auto_or(1, 100_000)] = "auto"
    max_tries: MaxTries = 3


class SlurmLauncher(Section):
    partition: Words | None = None
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    cores: NumCores = 4
    memory_gb: Annotated[float, Field(gt=0, le=100_000)] | None = None
    minutes: Annotated[int, Field(ge=1, le=525_600)] = 240
    max_tasks: Annotated[int, Field(ge=1, le=10_000)] = 64
    max_at_once: Annotated[int, Field(ge=1, le=10_000)] = 16
    setup: Annotated[tuple[Words, ...], Field(max_length=100)] = ()
    when_interrupted: JobsOfInterrupted = "cancel"
    max_tries: MaxTries = 3


class Execution(Section):
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")]
    num_devices: Annotated[int, Field(ge=1, le=1024)]
    num_workers: Annotated[Literal["auto"] | int, auto_or(1, 1024)]
    part_mb: Annotated[float, Field(ge=0.001, le=65_536)]
    checkpoint_minutes: Annotated[float, Field(gt=0, le=10_080)]  # a week
    clip_memory_gb: Annotated[float, Field(ge=1, le=100_000)] = Limits.memory_gb
    clip_work_s: Annotated[float, Field(ge=1, le=604_800)] = Limits.work_s
    launcher: LauncherName = "local"
    local: LocalLauncher = LocalLauncher()
    ray: RayLauncher = RayLauncher()
    slurm: SlurmLauncher = SlurmLauncher()

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

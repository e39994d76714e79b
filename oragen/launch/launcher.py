"""A plan -> its rows in the store, by whoever does the work."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from oragen.launch.plans import Plan
from oragen.launch.pool import Slot, run_calls
from oragen.launch.shards import Call, Result


@runtime_checkable  # so that its users can be type-checked in tests
class Launcher(Protocol):
    """Has shards of work done by others."""

    num_workers: int  # how many shards are worked on at once
    leaves_work: bool  # whether others go on with a plan after an interrupt

    def run(self, plan: Plan, call: Call) -> Result:
        """Have all groups of a plan done; `call` says all but the groups.

        Raises:
            UserError: a worker found what the user can mend.
        """


class PoolLauncher:
    """Hands out a plan group by group, to workers that stay."""

    leaves_work = False

    def __init__(self, slots: Sequence[Slot], max_tries: int) -> None:
        self.num_workers = len(slots)
        self._slots = slots
        self._max_tries = max_tries

    def run(self, plan: Plan, call: Call) -> Result:
        """Have all groups of a plan done."""
        calls = [call.of(group) for group in range(plan.num_groups)]
        title = f"{plan.stage} of {plan.subject}"
        return run_calls(self._slots, plan, calls, max_tries=self._max_tries, title=title)

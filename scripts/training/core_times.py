"""Whether other programs keep a training waiting for the cores."""

from pathlib import Path
from typing import NamedTuple, Optional

MOST_WAITING = 0.3  # Share of the time from which a training says so
TASKS = Path("/proc/self/task")


class CoreTimes(NamedTuple):
    """Seconds of all threads of this process together."""

    ran: float
    waited: float  # for a core, while they could have run

    def describe_waiting(self, before: "CoreTimes") -> Optional[str]:
        """Say that threads had to wait for a core for much of the time.

        before (CoreTimes): Those at the time to count from.
        RETURNS (Optional[str]): What happened and what to do, None if nothing did.
        """
        waited = self.waited - before.waited
        share = waited / max(self.ran - before.ran + waited, 1e-9)
        if share < MOST_WAITING:
            return None
        return (
            f"Other programs use the cores: the training waited for one in {share:.0%} of its time. "
            "Set OMP_NUM_THREADS to the number of cores that are free."
        )


def read_core_times() -> CoreTimes:
    """Read how long the threads of this process ran, and waited for a core. Zeros where there is no Linux.

    Linux, `Documentation/scheduler/sched-stats.rst`: the first two numbers of a thread's schedstat are its nanoseconds on a core and in
    the queue for one.
    """
    ran = waited = 0
    for path in TASKS.glob("*/schedstat"):
        try:
            numbers = path.read_text().split()
        except OSError:  # The thread has ended.
            continue
        ran, waited = ran + int(numbers[0]), waited + int(numbers[1])
    return CoreTimes(ran / 1e9, waited / 1e9)

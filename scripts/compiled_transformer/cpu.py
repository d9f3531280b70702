"""The cores that this process may use, and what the CPU can do."""

import math
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Optional, Set

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def get_threads(settings: Dict[str, Any]) -> int:
    """Count the threads of the engine: those that the component's settings say, or as many as there are cores."""
    return settings["threads"] or available_cores()


def available_cores() -> int:
    """Count the cores that this process may use: its affinity, within the quota of its control group (Linux)."""
    cores = count_affine_cores()
    return min(cores, read_quota(CPU_QUOTA) or cores)


def count_affine_cores() -> int:
    """Count the cores that this process may run on, whatever share of their time it has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=None)  # Reading takes longer than padding a sentence.
def read_quota(path: Path) -> Optional[int]:
    """Read how much of the machine a control group may use, https://docs.kernel.org/admin-guide/cgroup-v2.html.

    path (Path): Its cpu.max: microseconds of CPU time, or "max", in a period of so many microseconds.
    RETURNS (Optional[int]): Cores, rounded up; None without a quota.
    """
    try:
        quota, period = path.read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        return None


def read_cpu_features() -> Optional[Set[str]]:
    """Read the CPU's flags, as Linux names them; None where they can't be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return set(next(line for line in lines if line.startswith("flags")).split())
    except (OSError, StopIteration):
        return None

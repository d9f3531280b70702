"""The cores that this process may use, and what the CPU can do."""

import math
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def get_threads(settings: Dict[str, Any]) -> int:
    """Count the threads of the engine: those that the component's settings say, or as many as there are cores."""
    return settings["threads"] or available_cores()


def available_cores() -> int:
    """Count the cores that this process may use: its affinity, within the quotas of its control groups (Linux)."""
    cores = count_affine_cores()
    return min(cores, read_quota(CGROUPS, OWN_GROUPS) or cores)


def count_affine_cores() -> int:
    """Count the cores that this process may run on, whatever share of their time it has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=None)  # Reading takes longer than padding a sentence.
def read_quota(mount: Path, own_groups: Path) -> Optional[int]:
    """Read how much of the machine this process may use, by its control groups and those that they are in.

    https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html (version 1)

    mount (Path): Where the control groups are.
    own_groups (Path): The list of those of this process: lines like "4:cpu,cpuacct:/docker/1f", "0::/" for version 2.
    RETURNS (Optional[int]): Cores, rounded up; None without a quota.
    """
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return None
    quotas: List[Optional[int]] = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = mount / "cpu" if controllers else mount
        group = root / name.lstrip("/")
        # A container may see the name that its group has outside, and the group itself as the root.
        folders = [folder for folder in (group, *group.parents) if folder.is_relative_to(root)]
        quotas.extend(read_group_quota(folder, version=1 if controllers else 2) for folder in folders)
    return min((quota for quota in quotas if quota), default=None)


def read_group_quota(group: Path, version: int) -> Optional[int]:
    """Read the quota of one control group: microseconds of CPU time in a period of so many microseconds.

    RETURNS (Optional[int]): Cores, rounded up; None without a quota, which is "max" in version 2 and -1 in version 1.
    """
    names = ["cpu.cfs_quota_us", "cpu.cfs_period_us"] if version == 1 else ["cpu.max"]
    try:
        quota, period = " ".join((group / name).read_text() for name in names).split()
        return max(1, math.ceil(int(quota) / int(period))) if int(quota) >= 0 else None
    except (OSError, ValueError):
        return None


def read_cpu_features() -> Optional[Set[str]]:
    """Read the CPU's flags, as Linux names them; None where they can't be read."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return set(next(line for line in lines if line.startswith("flags")).split())
    except (OSError, StopIteration):
        return None

"""What this process may take of its machine: a pod's limits count, not only what is there."""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # has no types of its own

CGROUP = Path("/sys/fs/cgroup")
_LIMIT_AND_USE = (
    ("memory.max", "memory.current"),  # cgroup 2
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),  # cgroup 1
)


def free_memory_bytes(cgroup: Path = CGROUP) -> int:
    """Bytes that are free on this machine and under the limit of this process's container."""
    free = [int(psutil.virtual_memory().available)]
    for limit, use in _LIMIT_AND_USE:
        allowed, used = _number(cgroup / limit), _number(cgroup / use)
        if allowed is not None and used is not None:
            free.append(max(allowed - used, 0))
    return min(free)


def available_processors(cgroup: Path = CGROUP) -> int:
    """Processors that this process may run on and that its container's quota pays for, at least 1."""
    quotas = [len(os.sched_getaffinity(0))]
    share = _text(cgroup / "cpu.max").split()  # cgroup 2: "200000 100000", or "max 100000"
    quota, period = _number(cgroup / "cpu/cpu.cfs_quota_us"), _number(cgroup / "cpu/cpu.cfs_period_us")  # cgroup 1
    if len(share) == 2 and share[0].isdigit():
        quota, period = int(share[0]), int(share[1])
    if quota and period:
        quotas.append(math.ceil(quota / period))
    return max(min(quotas), 1)


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None  # "max" or -1 where there is no limit


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

"""How much memory this process may still take: a pod's limit counts, not only what its machine has free."""

from __future__ import annotations

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


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max" where there is no limit

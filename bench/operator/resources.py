"""What a process has used so far, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def memory_mib(process_id: int) -> float:
    """Resident memory now."""
    return status_kib(_read(process_id, "status"), "VmRSS") / 1024


def peak_mib(process_id: int) -> float:
    """Resident memory at its highest."""
    return status_kib(_read(process_id, "status"), "VmHWM") / 1024


def processor_s(process_id: int) -> float:
    """Processor time, the kernel's for it included."""
    return processor_ticks(_read(process_id, "stat")) / _TICKS_PER_S


def children_s(process_id: int) -> dict[str, float]:
    """Processor time so far of a process and its children, by program."""
    found = {"bench": processor_s(process_id)}
    for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        name = command[2] if command[1:2] == ["-m"] else Path(command[0]).name
        found[name] = found.get(name, 0.0) + processor_s(int(child))
    return found


def status_kib(text: str, field: str) -> int:
    """A field of /proc/ID/status."""
    for line in text.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise ValueError(f"no {field}: the process has ended")


def processor_ticks(text: str) -> int:
    """utime and stime of /proc/ID/stat; the name before them may hold anything."""
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _read(process_id: int, name: str) -> str:
    return Path(f"/proc/{process_id}/{name}").read_text()

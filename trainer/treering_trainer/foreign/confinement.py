"""What the child may still do after it has begun: read and write what it was handed, and think.

Each border is put up as far as the machine lets it, as root or not, in a container or not; the child says which stand.
The unpickler's lists are the first border, these are for the case that it has a hole.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys

CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWIPC = 0x10000000, 0x40000000, 0x00020000, 0x08000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, REFUSE, EPERM = 0x7FFF0000, 0x00050000, 1
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_AT, MACHINE_AT = 0, 4
X32 = 0x40000000
"""From this number on, calls of x86's third convention would pass by the list."""

_X86 = (  # open, sockets, processes, names of files, mounts, other processes, limits, namespaces, io_uring, bpf
    *(2, 85, 257, 437),
    *(41, 42, 43, 44, 46, 49, 50, 53, 288, 307),
    *(56, 57, 58, 59, 62, 322, 435),
    *(76, 82, 83, 84, 86, 87, 88, 90, 92, 94, 133, 258, 259, 260, 263, 264, 265, 266, 268, 316),
    *(155, 161, 165, 166, 101, 310, 311, 424, 434, 438, 160, 302, 272, 308, 425, 426, 427, 321, 298),
)
_ARM = (
    *(56, 437),
    *(198, 199, 200, 201, 202, 203, 206, 211, 242, 269),
    *(220, 221, 129, 281, 435),
    *(45, 33, 34, 35, 36, 37, 38, 53, 54, 276),
    *(41, 51, 40, 39, 117, 270, 271, 424, 434, 438, 164, 261, 97, 268, 425, 426, 427, 280, 241),
)
CALLS = {"x86_64": (0xC000003E, _X86), "aarch64": (0xC00000B7, _ARM)}
"""By machine, its number in seccomp's data and the system calls that are refused."""

FORBIDDEN = ("socket.", "subprocess.", "os.", "shutil.", "ctypes.", "open", "import", "exec", "compile", "code.")
"""Audit events of Python itself: the border where the kernel gives none."""


def confine(*, memory_bytes: int, cpu_s: int, output_bytes: int) -> list[str]:
    """Put up every border that can be had; there is no way back.

    Returns:
        What stands: `limits`, `namespace`, `seccomp`, `audit`.
    """
    _limit(memory_bytes, cpu_s, output_bytes)
    standing = ["limits"]
    libc = ctypes.CDLL(None, use_errno=True)
    if _leave_network(libc):
        standing.append("namespace")
    if _filter_calls(libc):
        standing.append("seccomp")
    _listen_to_audit()
    return [*standing, "audit"]


def _limit(memory_bytes: int, cpu_s: int, output_bytes: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (least, least))


def _leave_network(libc: ctypes.CDLL) -> bool:
    spaces = CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC
    return bool(libc.unshare(spaces) == 0 or libc.unshare(spaces | CLONE_NEWUSER) == 0)


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """seccomp needs no rights once the process has given up gaining any; a container's own filter stays in force."""
    machine = CALLS.get(platform.machine())
    if machine is None or sys.byteorder != "little" or struct.calcsize("P") != 8:
        return False
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    program = _program(*machine)
    rows = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(rows))
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0) == 0)


def _program(machine: int, calls: tuple[int, ...]) -> bytes:
    """Berkeley Packet Filter rows: code, jump if true, jump if false, value."""
    count = len(calls)
    rows = [(LOAD, 0, 0, MACHINE_AT), (EQUAL, 0, count + 3, machine), (LOAD, 0, 0, NUMBER_AT)]
    rows.append((AT_LEAST, count + 1, 0, X32))
    rows += [(EQUAL, count - place, 0, call) for place, call in enumerate(calls)]
    rows += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE | EPERM)]
    return b"".join(struct.pack("<HBBI", *row) for row in rows)


def _listen_to_audit() -> None:
    allowed = {"os.putenv"}

    def refuse(event: str, _arguments: tuple[object, ...]) -> None:
        if event.startswith(FORBIDDEN) and event not in allowed:
            raise PermissionError(f"refused: {event}")

    sys.addaudithook(refuse)


def leave_descriptors(kept: tuple[int, ...]) -> None:
    """Close every open file but the ones given and the three standard ones."""
    last = 2
    for descriptor in sorted(set(kept) - {0, 1, 2}):
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, 1 << 16)

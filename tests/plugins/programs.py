"""Programs that test clusters are made of: found or named as missing, started with a log, dead when the session dies.

`Program.start` hands the program to `setpriv --pdeathsig KILL`: whatever ends this process, the kernel ends it, too.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 20
_PORTS = range(10_000, 32_768)
"""Below those of clients: the kernel may give one of theirs away before the server listens on it."""
_DRAW = random.SystemRandom()  # hypothesis seeds the ordinary one, the same in every process
_PACKAGES = {
    "etcd": "etcd-server",
    "setpriv": "util-linux",
    "promtool": "prometheus",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "buildah": "buildah",
}


class ProgramError(RuntimeError):
    """A program is missing, did not start, or ended by itself."""


@dataclass(frozen=True)
class Program:
    """A running program."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, name: str, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None
    ) -> Program:
        """Start it; its output is appended to `folder`/name.log."""
        # The kernel watches the thread that starts a program, not the process: another thread may end too early.
        assert threading.current_thread() is threading.main_thread(), f"{name}: only the main thread starts programs"
        log = folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [system_program("setpriv"), "--pdeathsig", "KILL", *(str(part) for part in command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                cwd=folder,
            )
        return cls(name, process, log)

    def check(self) -> None:
        """Raise if it has ended by itself."""
        if self.process.poll() is not None:
            raise ProgramError(f"{self.name} ended with {self.process.returncode}:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:]

    def end(self) -> None:
        """Ask it to end, and make it after a while."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()


@cache
def system_program(name: str) -> str:
    """Path of a program of the machine."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        package = _PACKAGES.get(name, name)
        raise ProgramError(f"MISSING: {name}, which these tests run. Mend: sudo apt-get install {package}")
    return found


@cache
def cluster_tools(*names: str) -> Path:
    """Folder with these programs of a cluster; what is not there yet is built, which takes minutes once."""
    answer = subprocess.run([ROOT / "scripts" / "cluster_tools.sh", *names], capture_output=True, text=True)
    if answer.returncode != 0:
        raise ProgramError(answer.stderr[-4000:])
    return Path(answer.stdout.strip())


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on; drawn, so that several runs of tests don't meet."""
    with ExitStack() as stack:
        return [_hold_port(stack) for _ in range(count)]


def _hold_port(stack: ExitStack) -> int:
    while True:
        held = stack.enter_context(socket.socket())
        with suppress(OSError):  # somebody else has it
            held.bind(("127.0.0.1", _DRAW.choice(_PORTS)))
            return int(held.getsockname()[1])


def wait_until(what: str, true: Callable[[], bool], timeout_s: float, *needed: Program) -> None:
    """Return once it is true; raise if it takes too long or a program that is needed for it has ended."""
    end_s = time.monotonic() + timeout_s
    while not true():
        for program in needed:
            program.check()
        if time.monotonic() > end_s:
            words = "\n".join(f"{program.name}: {program.last_words()}" for program in needed)
            raise ProgramError(f"{what}: not within {timeout_s:g} s\n{words}")
        time.sleep(0.05)

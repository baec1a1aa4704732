"""Runs the operator as the image does: a process of its own, killed with the test. Ask for `operators`.

`operators(...)` starts one and waits until it is ready; every one started is ended with the test. Several at once are
several replicas.
"""

from __future__ import annotations

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.plugins.api_server import ApiServer
from tests.plugins.programs import Program, free_ports, wait_until

READY_S = 30.0
_COUNT = count(1)


@dataclass(frozen=True)
class OperatorProcess:
    """One running operator."""

    program: Program
    port: int

    @classmethod
    def start(cls, folder: Path, kubeconfig: Path, *flags: str, ready: bool = True) -> OperatorProcess:
        """Start one; `flags` come last and so win.

        Args:
            folder: for its log.
            kubeconfig: whose rights it has.
            flags: further flags of the command line.
            ready: wait until it says that it is.
        """
        (port,) = free_ports(1)
        name = f"operator-{next(_COUNT)}"
        command: list[str | Path] = [
            *(sys.executable, "-m", "treering_operator", "--trainer-image", "localhost/treering-trainer:test"),
            *("--kubeconfig", kubeconfig, "--listen", f"127.0.0.1:{port}", "--identity", name),
            *("--lease-namespace", "default", "--progress-interval", "0.3", "--verbose"),
            *flags,
        ]
        started = cls(Program.start(name, command, folder), port)
        if ready:
            wait_until("the operator is ready", lambda: started.get("/readyz")[0] == 200, READY_S, started.program)
        return started

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of its own HTTP; 0 where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def leads(self) -> bool:
        """Whether it is the one that acts."""
        return "\ntreering_operator_leader 1.0" in self.get("/metrics")[1]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.program.kill()

    def stop(self) -> int:
        """Ask it to end, as the kubelet does; its exit code."""
        self.program.process.send_signal(signal.SIGTERM)
        return self.program.process.wait(30)

    def words(self) -> str:
        """The end of its log."""
        return self.program.last_words()

    def size_mib(self) -> float:
        """Memory that it has in use."""
        pages = int(Path(f"/proc/{self.program.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


Starter = Callable[..., OperatorProcess]


@pytest.fixture
def operators(api_server: ApiServer, namespace: str, tmp_path: Path) -> Iterator[Starter]:
    """Starts operators for the test's namespace, as admin unless `user` says otherwise."""
    started: list[OperatorProcess] = []

    def start(*flags: str, user: str = "admin", kubeconfig: Path | None = None, ready: bool = True) -> OperatorProcess:
        own = ("--namespaces", namespace, "--lease-namespace", namespace)
        way = kubeconfig or api_server.kubeconfig(user)
        started.append(OperatorProcess.start(tmp_path, way, *own, *flags, ready=ready))
        return started[-1]

    yield start
    for one in started:
        one.kill()

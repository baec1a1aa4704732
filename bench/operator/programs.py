"""Programs that the bench runs: started with a log, measured from /proc, ended by their own process id."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


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
        log = folder / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [str(part) for part in command], stdout=out, stderr=out, env={**os.environ, **(environment or {})}
            )
        return cls(name, process, log)

    def check(self) -> None:
        """Raise if it has ended by itself."""
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{tail}")

    def end(self) -> None:
        """Ask it to end, and make it after 10 s."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def memory_mib(self) -> float:
        """Resident memory now."""
        return self._status("VmRSS") / 1024

    def peak_mib(self) -> float:
        """Resident memory at its highest."""
        return self._status("VmHWM") / 1024

    def processor_s(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def _status(self, field: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise RuntimeError(f"{self.name} has ended")

"""A real Prometheus over invented series: whether an expression finds anything. Used by the dashboards' tests."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.plugins.programs import free_ports, system_program

_START_S = 30


@dataclass(frozen=True)
class Prometheus:
    """One server on this machine."""

    url: str

    def query(self, expression: str, at: float) -> list[dict[str, Any]]:
        """The series of an instant query.

        Raises:
            AssertionError: Prometheus does not take the expression; its words are in it.
        """
        parameters = urllib.parse.urlencode({"query": expression, "time": at})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?{parameters}", timeout=30) as reply:
                found: list[dict[str, Any]] = json.load(reply)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}\n{error.read().decode()}") from None
        return found


@contextmanager
def prometheus(folder: Path, openmetrics: str) -> Iterator[Prometheus]:
    """A server that knows these samples (OpenMetrics text with times), stopped at the end."""
    samples = folder / "samples.txt"
    samples.write_text(openmetrics)
    subprocess.run(
        [system_program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(samples), str(folder / "data")],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (folder / "prometheus.yml").write_text("global: {}\n")
    (port,) = free_ports(1)
    command = [
        system_program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log.txt").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/-/ready", folder / "log.txt")
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _wait(url: str, log: Path) -> None:
    end = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            assert time.monotonic() < end, f"Prometheus does not start: {log.read_text()[-2000:]}"
            time.sleep(0.1)

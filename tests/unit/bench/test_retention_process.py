from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.retention.probe import Probe
from bench.retention.process import ROOT, FailedError, call, code_digest


def test_call__what_it_said_and_took() -> None:
    ended = call("json.tool", "--help")
    assert "usage" in ended.out
    assert 0 < ended.cpu_s <= 2 * ended.wall_s + 1


def test_call__a_failure_is_named(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match=r"python -m json.tool .*missing.json ended with [12]"):
        call("json.tool", tmp_path / "missing.json")


def test_call__sigterm_ends_the_child_too(tmp_path: Path) -> None:
    marker = tmp_path / "child.py"
    marker.write_text(
        "import signal, sys, time, pathlib\n"
        "def end(number, frame):\n"
        "    pathlib.Path('ended').touch(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "pathlib.Path('started').touch(); time.sleep(60)\n"
    )
    parent = (
        "from bench.retention import process\n"
        f"process.ROOT = {str(tmp_path)!r}\n"
        "try:\n"
        "    with process.ends_with_its_children(): process.call('child')\n"
        "except KeyboardInterrupt: raise SystemExit(130)\n"
    )
    running = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT)
    for _ in range(600):
        if (tmp_path / "started").exists():
            break
        time.sleep(0.1)
    running.terminate()
    assert running.wait(60) == 130
    assert (tmp_path / "ended").exists()


def test_code_digest__names_the_sources() -> None:
    assert len(code_digest()) == 64 and code_digest() == code_digest()


def test_probe__before_and_after_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter((2.0, 4.0, 8.0))
    monkeypatch.setattr("bench.retention.probe.measure", lambda _pixels: next(taken))
    probe = Probe()
    with probe.beside() as first:
        assert first.value_s is None
    with probe.beside() as second:
        pass
    assert [first.value_s, second.value_s] == [3.0, 6.0]  # the one in between counts for both

"""The program itself, as a process of its own: signals, exit codes, what is on standard output, progress over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.lines import IMAGE_PASSES, TestLine

RESUMABLE = 75


def start(line: TestLine, *words: str) -> subprocess.Popen[str]:
    line.write()
    command = [sys.executable, "-m", "treering_trainer", "run", str(line.file), "--workdir", str(line.work), *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, object]]:
    assert process.stdout is not None
    for row in process.stdout:
        yield json.loads(row)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_during_training__stops_cleanly_and_the_next_run_ends_like_an_unbroken_one(
    grown: TestLine, second_weights: str, number: signal.Signals
) -> None:
    process = start(grown, "--json")
    seen = list(stop_in_training(process, number))
    _, told = process.communicate(timeout=60)
    assert process.returncode == RESUMABLE, told
    assert seen[-1] | {"time": ""} == {
        "event": "Error", "reason": "Interrupted", "exitCode": RESUMABLE, "where": "train", "time": "",
        "found": f"stopped by {number.name}", "mend": "Run again: the round goes on from here.",
    }  # fmt: skip
    assert f"stopped by {number.name}" in told
    assert "Traceback" not in told
    assert grown.lineage.round == 1
    assert grown.run().code == 0
    assert grown.lineage.rounds[-1].attempt == 2
    assert grown.weights(2) == second_weights


def stop_in_training(process: subprocess.Popen[str], number: signal.Signals) -> Iterator[dict[str, object]]:
    for event in events(process):
        if event["event"] == "StageStarted" and event["stage"] == "train":
            process.send_signal(number)
        yield event


def test_an_interrupt_in_the_second_epoch__goes_on_from_the_first(grown: TestLine, second_weights: str) -> None:
    from treering_api import ResumableError
    from treering_trainer import api
    from treering_trainer.progress import Event, StageProgress

    sent: list[Event] = []

    def observer(event: Event) -> None:
        if isinstance(event, StageProgress) and event.stage == "train" and event.done > IMAGE_PASSES and not sent:
            sent.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(ResumableError, match="stopped by SIGINT"):
        api.run(grown.resource, workdir=grown.work, observer=observer)
    answer = grown.run()
    assert answer.code == 0
    record = json.loads((grown.store / "rounds/0002/attempt-2/record.json").read_text())
    assert record["train"]["attempts"] == 2
    assert record["train"]["image_passes"] == 2 * IMAGE_PASSES  # the first epoch was not shown again
    assert grown.weights(2) == second_weights


def test_json__standard_output_is_json_lines_and_nothing_else(grown: TestLine) -> None:
    process = start(grown, "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    kinds = [json.loads(row)["event"] for row in out.splitlines()]
    assert kinds[0] == "RoundStarted"
    assert kinds[-2:] == ["RoundFinished", "LineWaiting"]
    assert kinds.count("StageFinished") == 9
    assert err == ""


def test_progress_and_metrics_over_http_while_a_round_runs(grown: TestLine) -> None:
    grown.spec["training"]["epochs"] = 400
    process = start(grown, "--json", "--listen", "127.0.0.1:0")
    address, told = "", []
    for event in events(process):
        told.append(event)
        match = re.search(r"(http://\S+)/progress", str(event.get("text", "")))
        address = match[1] if match else address
        if [one["event"] for one in told].count("EpochFinished") == 2:
            break  # that the first one was printed does not say that the metrics knew of it
    assert address.startswith("http://127.0.0.1:")
    progress = json.loads(read(f"{address}/progress"))
    metrics = read(f"{address}/metrics")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == RESUMABLE
    assert (progress["line"], progress["round"], progress["stage"]) == ("oak", 2, "train")
    assert 0 < progress["percent"] < 100
    assert (progress["strategy"], progress["strategy_reason"]) == ("incremental", "spec.strategy is incremental")
    assert 'treering_round_epochs{line="oak"} 400.0' in metrics
    assert re.search(r'treering_round_stage_info\{line="oak",.*stage="train".*\} 1\.0', metrics)
    with pytest.raises(OSError):
        read(f"{address}/progress")


def read(url: str) -> str:
    end_s = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except ConnectionResetError:
            if time.monotonic() > end_s:
                raise


def test_listen__an_address_that_is_none(line: TestLine) -> None:
    error = line.refused("run", "--listen", "9464")
    assert (error["exitCode"], error["where"]) == (2, "--listen")
    assert "'9464' is no HOST:PORT" in error["found"]


def test_bars__on_a_terminal(grown: TestLine, tmp_path: Path) -> None:
    import pty

    parent, child = pty.openpty()
    grown.write()
    command = [sys.executable, "-m", "treering_trainer", "run", str(grown.file), "--workdir", str(grown.work)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "30", "LANG": "C.UTF-8"}
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment)
    os.close(child)
    shown = b"".join(iter(lambda: read_some(parent), b"")).decode()
    os.close(parent)
    assert process.wait(60) == 0, shown
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    for stage in ("fetch", "train", "publish"):
        assert re.search(rf"✔ {stage}\s", plain), plain
    table = [row for row in plain.splitlines() if row.startswith(("round  increment", "2      w2"))]
    assert len(table) == 2
    assert all(len(row) <= 80 for row in table)


def read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""

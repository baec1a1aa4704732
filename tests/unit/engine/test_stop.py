"""Signals become a request, once; a second Ctrl-C is obeyed at once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from treering_api import ResumableError
from treering_api.exit_codes import ExitCode
from treering_trainer.engine.stop import StopRequest, stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "preemption"])
def test_stop_on_signals__a_request_and_the_old_handlers_afterwards(number: signal.Signals) -> None:
    before, stop = signal.getsignal(number), StopRequest()
    with stop_on_signals(stop):
        stop.check("train")
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(ResumableError, match=f"train: stopped by {number.name}") as caught:
            stop.check("train")
    assert caught.value.exit_code == ExitCode.RESUMABLE
    assert signal.getsignal(number) == before


def test_stop_on_signals__a_second_ctrl_c_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_on_signals(StopRequest()):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_stop_on_signals__in_another_thread_changes_nothing() -> None:
    seen: list[object] = []

    def run() -> None:
        with stop_on_signals(StopRequest()):
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_request__the_first_reason_stays() -> None:
    stop = StopRequest()
    stop.request("SIGTERM")
    stop.request("SIGINT")
    assert stop.reason == "SIGTERM"

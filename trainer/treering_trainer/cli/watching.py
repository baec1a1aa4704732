"""What the verbs that train share: who hears of a round, and the signals that stop it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from treering_api import BadSpecError
from treering_trainer.cli.drawing import drawn

if TYPE_CHECKING:
    from treering_trainer.engine.stop import StopRequest
    from treering_trainer.progress import Observers


@contextmanager
def watched(as_json: bool, listen: str | None) -> Iterator[tuple[Observers, StopRequest]]:
    """Who is told of a round while it runs, and the request that a signal sets.

    Args:
        as_json: JSON lines on standard output instead of bars or log lines on standard error.
        listen: HOST:PORT of the progress server; None: there is none.
    """
    from treering_trainer.engine.stop import StopRequest, stop_on_signals
    from treering_trainer.progress import JsonLines, Message, Observers, ProgressServer, ProgressState

    stop, observers = StopRequest(), Observers()
    with ExitStack() as stack:
        observers.add(JsonLines(sys.stdout) if as_json else stack.enter_context(drawn()))
        if listen is not None:
            state = ProgressState()
            observers.add(state)
            host, port = _address(listen)
            server = stack.enter_context(ProgressServer(state, host, port))
            observers(Message("info", f"progress and metrics on {server.url}/progress and {server.url}/metrics"))
        stack.enter_context(stop_on_signals(stop))
        yield observers, stop


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise BadSpecError("--listen", f"{listen!r} is no HOST:PORT", "Give something like 127.0.0.1:9464.")
    return host.strip("[]"), int(port)

"""Starting this node's ranks with torch's elastic agent, and hearing from them until they end.

The agent does what torchrun does: it gives every process its rank and its GPU, finds the other nodes' agents, and ends
all of its processes when one of them dies. It runs beside the main thread, which goes on listening to signals, passes
on what the ranks say, and looks whether the other nodes live.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil  # type: ignore[import-untyped]  # has no types of its own
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from treering_api import ExitCode, ResumableError, TreeringError
from treering_trainer.engine.channel import Channel, Failure
from treering_trainer.engine.meeting import Meeting
from treering_trainer.engine.stop import StopRequest
from treering_trainer.progress import Event

AGENTS_TIMEOUT_S = 600
"""The nodes have met when their agents start; this is for what can happen in between."""
EXPLAIN_S = 6.0
"""So long is waited for another node's word on why ranks here failed; longer than its pulse and its lingering."""
_CHECK_S = 1.0
_SAME_TIME_S = 10  # the agent kills what does not end within 30 s


@dataclass(frozen=True)
class Launch:
    """One start of a node's ranks.

    Args:
        command: what follows Python on every rank's command line; one of its words belongs to this launch alone.
        gpu: every rank sees one GPU only.
        hear: gets the ranks' events.
    """

    command: Sequence[str]
    gpu: bool
    channel: Channel
    meeting: Meeting
    stop: StopRequest
    hear: Callable[[Event], None]
    failures: list[Failure] = field(default_factory=list)


class RankError(RuntimeError):
    """A fault of Treering in a rank; its traceback is the message."""


def run_ranks(launch: Launch) -> None:
    """Start this node's ranks and return when all have ended well.

    Raises:
        TreeringError: what the first rank that failed said, here or on another node.
        RankError: it was no user's error.
    """
    agent = _Agent(launch)
    with _quiet():
        agent.start()
        try:
            _listen_until_ended(launch, agent)
        except BaseException:
            agent.kill()
            raise
        finally:
            agent.join()
    if agent.error is not None:
        raise _explain(launch, agent.error) from agent.error


class _Agent(threading.Thread):
    """Beside the main thread, for torch's agent would take its signals."""

    def __init__(self, launch: Launch) -> None:
        super().__init__(name="ranks-agent", daemon=True)
        self.launch = launch
        self.error: Exception | None = None

    def run(self) -> None:
        """Start the ranks and wait for them."""
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # for the ranks: torch warns of what is meant
        try:
            elastic_launch(_config(self.launch), sys.executable)(*self.launch.command)
        except Exception as error:  # told by the main thread
            self.error = error

    def kill(self) -> None:
        """End this launch's ranks at once, until the agent has noticed; one may be starting just now."""
        while self.is_alive():
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    if set(self.launch.command) <= set(child.cmdline()):
                        child.kill()
            self.join(0.2)


def _config(launch: Launch) -> LaunchConfig:
    crew, meeting = launch.meeting.crew, launch.meeting
    host = crew.host if crew.node else "127.0.0.1"  # a pod's own name may not be known yet
    return LaunchConfig(
        min_nodes=crew.nodes,
        max_nodes=crew.nodes,
        nproc_per_node=crew.processes,
        run_id=meeting.training,
        rdzv_backend="static",
        rdzv_endpoint=f"[{host}]:{meeting.port}" if ":" in host else f"{host}:{meeting.port}",
        rdzv_configs={"rank": crew.node, "timeout": AGENTS_TIMEOUT_S},
        max_restarts=0,  # what a restart costs is the whole group; the next attempt starts it anew
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        virtual_local_rank=launch.gpu,
    )


def _listen_until_ended(launch: Launch, agent: _Agent) -> None:
    check_s, asked = time.monotonic(), False
    while True:
        alive = agent.is_alive()  # before the queue is emptied: what was said before the end is heard
        while (message := launch.channel.next_message(0.1)) is not None:
            if isinstance(message, Failure):
                launch.failures.append(message)
            else:
                launch.hear(message)
        if not alive:
            return
        if launch.stop.requested and not asked:
            launch.channel.ask_to_stop(launch.stop.reason)
            asked = True
        if time.monotonic() - check_s > _CHECK_S and not launch.failures:
            launch.meeting.check()
            check_s = time.monotonic()


def _explain(launch: Launch, error: Exception) -> Exception:
    """Why the ranks failed: a user's error first, then a death from outside, then what another node says."""
    for failure in launch.failures:
        if not failure.trace:
            return failure.error()
    try:
        launch.stop.check("train")  # which a rank that was only beginning could not say itself
    except TreeringError as stopped:
        return stopped
    killed = _first_killed(launch, error)
    if killed is not None:
        return killed
    said = _other_nodes_error(launch)
    if said is not None:
        return said
    faults = [failure for failure in launch.failures if failure.exit_code is not ExitCode.RESUMABLE]
    if launch.failures and not faults:
        return launch.failures[0].error()  # a rank is gone without a word, and so is whoever could say why
    return RankError("\n".join(failure.trace for failure in faults) or str(error))


def _other_nodes_error(launch: Launch) -> TreeringError | None:
    """What another node says of the training's end; it may need a moment."""
    end_s = time.monotonic() + (EXPLAIN_S if launch.meeting.crew.nodes > 1 else 0)
    while time.monotonic() < end_s:
        try:
            launch.meeting.check()
        except TreeringError as error:
            return error
        time.sleep(_CHECK_S / 4)
    return None


def _first_killed(launch: Launch, error: Exception) -> ResumableError | None:
    """The rank that was killed from outside; the agent itself ends the others, with SIGTERM first."""
    if not isinstance(error, ChildFailedError):
        return None
    first = min(death.timestamp for death in error.failures.values())
    told = {failure.rank for failure in launch.failures}
    for rank, death in sorted(error.failures.items()):
        outside = death.exitcode < 0 and death.exitcode != -signal.SIGTERM and death.timestamp - first < _SAME_TIME_S
        if outside and rank not in told:
            return _killed(rank, death.signal_name())
    return None


def _killed(rank: int, signal_name: str) -> ResumableError:
    return ResumableError(
        "train",
        f"rank {rank} was killed by {signal_name}",
        "Run again: the round goes on at its last full epoch. If it is killed again, look for too little memory"
        " (spec.compute.resources, spec.compute.sharedMemory).",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the agent's own log off the terminal; what matters in it is told as an error."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.elastic")]
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)

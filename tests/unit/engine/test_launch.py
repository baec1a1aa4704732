"""Small programs as ranks, started by torch's elastic agent: how they end is how the launch ends."""

from __future__ import annotations

import os
import threading
import time

import pytest

from treering_api import BadSpecError, ResumableError, TreeringError
from treering_trainer.engine.channel import Channel
from treering_trainer.engine.crew import Crew
from treering_trainer.engine.launch import Launch, RankError, run_ranks
from treering_trainer.engine.meeting import host_meeting
from treering_trainer.engine.stop import StopRequest
from treering_trainer.progress import Event, Message

BEGIN = """
import os, signal, sys, time
from treering_api import BadSpecError, ExitCode
from treering_trainer.engine.channel import Failure, Link
from treering_trainer.engine.stop import StopRequest
from treering_trainer.progress import Message
stop, rank = StopRequest(), int(os.environ["RANK"])
link = Link(sys.argv[1], stop)
"""


def launch(program: str, *, stop: StopRequest | None = None) -> list[Event]:
    """Run a program as both ranks of a node; gives what they said."""
    heard: list[Event] = []
    with host_meeting(Crew(processes=2)) as meeting, Channel() as channel:
        meeting.open_training(b"", lambda: None)
        command = ("-c", BEGIN + program, channel.address)
        run_ranks(Launch(command, False, channel, meeting, stop or StopRequest(), heard.append))
    return heard


def test_launch__both_speak_and_end_well() -> None:
    heard = launch("link.say(Message('info', f'{rank} of ' + os.environ['WORLD_SIZE']))")
    assert sorted(event.text for event in heard if isinstance(event, Message)) == ["0 of 2", "1 of 2"]


def test_launch__a_stop_reaches_both_with_its_reason() -> None:
    stop = StopRequest()
    program = "while not stop.requested: time.sleep(.01)\nlink.say(Message('info', stop.reason))"
    threading.Timer(0.5, stop.request, ["spec.deadline"]).start()
    heard = launch(program, stop=stop)
    assert [event.text for event in heard if isinstance(event, Message)] == ["spec.deadline"] * 2


PEER_LOST = """
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the agent's, when the other has ended
    time.sleep(1)
    link.say(Failure(rank, ExitCode.RESUMABLE, "rank 0", "another rank is gone", "Run again", "trace"))
    sys.exit(75)
"""
KILLED = "if rank: os.kill(os.getpid(), signal.SIGKILL)"
FAULT = "if rank: link.say(Failure(1, ExitCode.INTERNAL, 'rank 1', 'found', '', 'Traceback of it')); sys.exit(1)"
SAID = "if rank: link.say(Failure.of(1, BadSpecError('spec.training', 'diverged', 'Mend it'))); sys.exit(2)"
ENDS = {
    "killed": (KILLED + PEER_LOST, ResumableError, "rank 1 was killed by SIGKILL"),
    "killed-while-the-other-begins": (KILLED + "\ntime.sleep(60)", ResumableError, "rank 1 was killed by SIGKILL"),
    "users-error": (SAID + PEER_LOST, BadSpecError, "spec.training: diverged"),
    "our-fault": (FAULT + PEER_LOST, RankError, "Traceback of it"),
    "our-fault-while-the-other-begins": (FAULT + "\ntime.sleep(60)", RankError, "Traceback of it"),
    "without-a-word": ("if rank: time.sleep(2); sys.exit(9)" + PEER_LOST, ResumableError, "another rank is gone"),
}


@pytest.mark.parametrize(("program", "kind", "says"), ENDS.values(), ids=ENDS.keys())
def test_launch__the_first_cause_is_what_is_raised(
    program: str, kind: type[TreeringError] | type[RankError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        launch(program)


def test_launch__ends_its_ranks_when_it_must_end_itself() -> None:
    start_s = time.monotonic()
    with host_meeting(Crew(processes=2)) as meeting, Channel() as channel:
        meeting.open_training(b"", lambda: None)
        program = BEGIN + "link.say(Message('info', str(os.getpid())))\ntime.sleep(600)"
        pids: list[int] = []

        def hear(event: Event) -> None:
            assert isinstance(event, Message)
            pids.append(int(event.text))
            if len(pids) == 2:
                raise KeyboardInterrupt

        command = ("-c", program, channel.address)
        with pytest.raises(KeyboardInterrupt):
            run_ranks(Launch(command, False, channel, meeting, StopRequest(), hear))
    assert time.monotonic() - start_s < 60
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

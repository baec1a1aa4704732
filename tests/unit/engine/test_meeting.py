"""Nodes that meet over the loopback; each node is a thread with an end of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.plugins.programs import free_port
from treering_api import BadDataError, ResumableError
from treering_trainer.engine import meeting as module
from treering_trainer.engine.crew import Crew
from treering_trainer.engine.meeting import LostError, Meeting, host_meeting, join_meeting

Ends = tuple[Meeting, Meeting]


def never() -> None:
    """Nothing ends the waiting."""


@contextmanager
def two_nodes() -> Iterator[Ends]:
    crew = Crew(nodes=2, host="localhost", port=free_port())
    with host_meeting(crew) as first, join_meeting(replace(crew, node=1), never) as second:
        yield first, second


def open_both(ends: Ends, parcel: bytes = b"work") -> bytes | None:
    first, second = ends
    opening = threading.Thread(target=first.open_training, args=(parcel, never))
    opening.start()
    got = second.next_training(never)
    opening.join()
    return got


def test_meeting__the_parcel_arrives_however_large() -> None:
    parcel = os.urandom(9 * 1024 * 1024)  # torch's store takes 8 MiB at once, and this can't be packed
    with two_nodes() as ends:
        assert open_both(ends, parcel) == parcel
        assert ends[0].training == ends[1].training
        for end in ends:
            end.check()


def test_meeting__the_other_node_may_come_first() -> None:
    crew = Crew(nodes=2, host="localhost", port=free_port())
    came: list[str] = []

    def come() -> None:
        with join_meeting(replace(crew, node=1), never) as meeting:
            came.append(meeting.name)

    joining = threading.Thread(target=come)
    joining.start()
    time.sleep(0.3)
    with host_meeting(crew):
        joining.join(20)
    assert len(came) == 1


def test_meeting__who_comes_when_training_has_ended_has_nothing_to_do() -> None:
    with two_nodes() as (first, second):
        first.end_training()
        assert second.next_training(never) is None


def test_meeting__a_failure_is_the_same_error_on_the_other_node() -> None:
    with two_nodes() as ends:
        open_both(ends)
        ends[1].tell_failure(BadDataError("labels/a.txt", "no numbers", "Mend it"))
        with pytest.raises(BadDataError) as caught:
            ends[0].check()
        assert caught.value.args == ("node 1: labels/a.txt", "no numbers", "Mend it")


def test_meeting__another_pod_in_a_nodes_place_ends_the_training_and_waits_for_the_next() -> None:
    with two_nodes() as ends:
        open_both(ends)
        with join_meeting(ends[1].crew, never) as newcomer:
            with pytest.raises(LostError, match="another pod has come"):
                ends[0].check()
            waited: list[None] = []

            def enough() -> None:
                waited.append(None)
                if len(waited) == 3:
                    raise TimeoutError

            with pytest.raises(TimeoutError):
                newcomer.next_training(enough)


def test_meeting__a_node_that_falls_silent_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_S", 0.5)
    monkeypatch.setattr(module, "PULSE_S", 0.1)
    with two_nodes() as ends:
        open_both(ends)
        end_s = time.monotonic() + 1.0
        while time.monotonic() < end_s:  # it lives, and is heard
            ends[0].check()
            time.sleep(0.05)
        ends[1].close()
        with pytest.raises(LostError, match="said nothing"):
            while time.monotonic() < end_s + 20:
                ends[0].check()


def test_meeting__a_node_that_does_not_come_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMING_TIMEOUT_S", 0.3)
    crew = Crew(nodes=3, host="localhost", port=free_port())
    with host_meeting(crew) as first, pytest.raises(ResumableError, match="did not come") as caught:
        first.open_training(b"", never)
    assert caught.value.where == "node 1, 2"
    with pytest.raises(ResumableError) as caught:
        join_meeting(replace(crew, node=1, host="no-such-host.invalid"), never)
    assert caught.value.where == "node 0"


def test_meeting__a_port_in_use_is_no_traceback() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(ResumableError, match="can't be listened on"):
            host_meeting(Crew(nodes=2, port=taken.getsockname()[1]))

from __future__ import annotations

import io
import logging
import threading

import pytest

from treering_trainer.progress import Event, JsonLines, Message, Observers


def test_observers__all_see_every_event_in_order() -> None:
    first: list[Event] = []
    second: list[Event] = []
    observers = Observers(first.append)
    observers(Message("info", "one"))
    observers.add(second.append)
    observers(Message("info", "two"))
    assert [event.text for event in first if isinstance(event, Message)] == ["one", "two"]
    assert second == [Message("info", "two")]


def test_observers__a_failure_reaches_neither_the_round_nor_the_others(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("no paper in the printer")

    observers = Observers(broken, seen.append)
    with caplog.at_level(logging.WARNING):
        for text in ("one", "two", "three"):
            observers(Message("info", text))
    assert len(seen) == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "broken" in caplog.text
    assert "no paper in the printer" in caplog.text


def test_observers__a_closed_stream_does_not_fail_the_round(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    observers = Observers(JsonLines(stream))
    stream.close()
    observers(Message("info", "into the void"))
    assert "JsonLines" in caplog.text


def test_observers__a_stop_of_the_process_goes_through() -> None:
    def stop(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Observers(stop)(Message("info", "one"))


def test_observers__events_of_many_threads_come_one_at_a_time() -> None:
    inside, worst = 0, 0
    lock = threading.Lock()

    def slow(event: Event) -> None:
        nonlocal inside, worst
        with lock:
            inside += 1
            worst = max(worst, inside)
        threading.Event().wait(0.002)
        with lock:
            inside -= 1

    observers = Observers(slow)
    threads = [threading.Thread(target=observers, args=(Message("info", str(n)),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1


def test_observers__an_observer_may_speak_itself() -> None:
    seen: list[Event] = []
    observers = Observers()

    def echo(event: Event) -> None:
        if event == Message("info", "call"):
            observers(Message("info", "echo"))

    observers.add(echo)
    observers.add(seen.append)
    observers(Message("info", "call"))
    assert sorted(event.text for event in seen if isinstance(event, Message)) == ["call", "echo"]

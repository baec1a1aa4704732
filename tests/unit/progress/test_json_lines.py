from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator

import pytest

from treering_trainer.progress import Event, JsonLines, Measured, Message, StageStarted


def test_json_lines__every_event_is_one_object(
    whole_round: Iterator[Event], capsys: pytest.CaptureFixture[str]
) -> None:
    events = list(whole_round)
    write = JsonLines()
    for event in events:
        write(event)
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["event"] for item in objects] == [type(event).__name__ for event in events]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item["time"]) for item in objects)
    assert objects[1] == {"event": "StageStarted", "time": objects[1]["time"], "stage": "fetch", "index": 1, "total": 9}


def test_json_lines__a_reader_of_the_pipe_sees_each_at_once() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)  # a line that isn't there yet fails the test instead of hanging it
    with os.fdopen(writing, "w", buffering=8192) as stream, os.fdopen(reading, "rb", buffering=0) as reader:
        write = JsonLines(stream, now=lambda: 0.0)
        for index in (1, 2):
            write(StageStarted("fetch", index, 9))
            expected = {"event": "StageStarted", "time": "1970-01-01T00:00:00Z", "stage": "fetch"}
            assert json.loads(reader.read(4096) or b"null") == expected | {"index": index, "total": 9}


def test_json_lines__odd_values_stay_valid_json(capsys: pytest.CaptureFixture[str]) -> None:
    write = JsonLines(now=lambda: 0.0)
    write(Message("info", 'two\nlines, "quotes", \x1b[31m and ü'))
    write(Measured("treering_round_gpu_seconds_total", math.nan))
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["text"] == 'two\nlines, "quotes", \x1b[31m and ü'
    assert json.loads(second)["value"] is None

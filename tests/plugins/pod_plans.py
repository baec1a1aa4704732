"""Plans as the operator makes them, from the mirror alone, and pods that are started with them in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from tests.plugins.lines import TestLine
from treering_api import Lineage, Mirror, RoundPlan, RoundResult, next_round
from treering_trainer.cli.app import run_app
from treering_trainer.pod import Standing
from treering_trainer.progress import Event, Message
from treering_trainer.run import Setting, run_plan


def lineage_of(line: TestLine) -> Lineage:
    """The line's lineage; an empty one for a line that never ran."""
    return line.lineage if (line.store / "lineage.json").exists() else Lineage(line="oak")


def planned(line: TestLine, **changes: object) -> RoundPlan:
    """The plan that an operator would make of the line as it stands: without class names, counts of images, rounds."""
    spec = line.resource.spec
    mirror = Mirror.of(lineage_of(line))
    waiting = spec.increments[mirror.settled :]
    plan = next_round(spec, "oak", mirror.lineage("oak", spec.increments, waiting[:1]))
    assert isinstance(plan, RoundPlan), plan
    return plan.model_copy(update=changes)


def call(line: TestLine, verb: str, plan: BaseModel, *words: str | Path) -> tuple[int, str]:
    """Run a pod's verb in this process; gives its exit code and its termination message."""
    path, result = line.root / "plan.json", line.root / "result.json"
    result.unlink(missing_ok=True)
    path.write_text(plan.model_dump_json(by_alias=True))
    place = ["--workdir", str(line.work)] if verb == "round" else []
    code = run_app([verb, str(path), "--result", str(result), *place, *map(str, words)])
    message = result.read_text()
    assert json.loads(message)["exitCode"] == code
    assert len(message.encode()) <= 4096
    return code, message


def round_of(line: TestLine, plan: RoundPlan) -> RoundResult:
    return RoundResult.from_message(call(line, "round", plan)[1])


@dataclass
class Pod:
    """One pod of a round, with an empty machine of its own unless it is given a folder."""

    line: TestLine
    folder: Path
    safe_interval_s: float = 300.0

    def __post_init__(self) -> None:
        self.told: list[str] = []

    def run(self, plan: RoundPlan, on_event: Callable[[Event, Setting], None] | None = None) -> None:
        """Run the round in this process."""

        def observer(event: Event) -> None:
            if isinstance(event, Message):
                self.told.append(event.text)
            if on_event is not None:
                on_event(event, setting)

        setting = Setting(self.folder, observer=observer, safe_interval_s=self.safe_interval_s)
        run_plan(plan, setting, Standing())

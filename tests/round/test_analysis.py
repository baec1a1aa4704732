"""What a round measures, keeps and chooses, end to end on a tiny line."""

from __future__ import annotations

import json

import pytest

from tests.plugins.lines import TestLine, draw_delivery
from tests.round.conftest import Deliveries
from treering_trainer.analysis.history import Statistics


def kept(line: TestLine, number: int) -> Statistics:
    return Statistics.model_validate_json((line.folder(number) / "statistics.json").read_bytes())


def test_statistics__each_round_keeps_all_increments_in_its_own_models_space(grown: TestLine) -> None:
    first = kept(grown, 1)
    assert [portrait.name for portrait in first.portraits] == ["w1"]
    assert first.portraits[0].classes["ring"].boxes > 0
    assert len(first.images.sources) == first.portraits[0].images
    assert grown.run().code == 0
    second = kept(grown, 2)
    assert [portrait.name for portrait in second.portraits] == ["w1", "w2"]
    assert set(second.boxes.labels) >= {"leaf"}
    assert second.images.width == first.images.width


def test_statistics__without_a_memory_numbers_are_kept_and_pictures_are_not(
    line: TestLine, deliveries: Deliveries
) -> None:
    draw_delivery(line.root / "w1", ("ring", "bark"), 14, seed=1)
    draw_delivery(line.root / "w2", ("ring", "bark"), 14, seed=5)
    line.spec["increments"] = [{"name": name, "uri": (line.root / name).as_uri()} for name in ("w1", "w2")]
    line.spec["policies"] = {"replay": {"enabled": False}}
    assert line.run().code == 0
    assert json.loads((line.folder(2) / "memory.json").read_text())["items"] == []
    found = line.record(2).analyse.analysis
    assert found is not None and found.drift is not None
    assert found.drift.old_images == 14
    assert found.looks["brightness"].old is not None
    old = [point for point in found.map if not point.is_new]
    assert old and all(not point.path for point in old)
    assert [portrait.name for portrait in kept(line, 2).portraits] == ["w1", "w2"]


def test_auto__its_choice_and_the_numbers_stand_in_record_lineage_and_report(grown: TestLine) -> None:
    grown.spec["strategy"] = "auto"
    assert grown.run().code == 0
    record = grown.record(2).analyse
    assert record.decision is not None
    assert record.decision.measures["newClasses"] == 1
    assert record.decision.answer("strategy") == record.strategy
    assert record.policies is not None and record.policies.replay is not None
    summary = grown.lineage.rounds[-1]
    assert summary.measured is not None
    assert summary.measured.would_change == tuple(text[:200] for text in record.decision.would_change[:3])
    assert 'id="incoming"' in (grown.folder(2) / "report.html").read_text()


def test_retrain__the_round_that_is_due_learns_everything(grown: TestLine, deliveries: Deliveries) -> None:
    grown.spec["increments"].append({"name": "w3", "uri": deliveries.uri("w3")})
    grown.spec["retrain"] = {"everyRounds": 1}
    assert grown.run().code == 0
    assert [item.strategy for item in grown.lineage.rounds] == ["full", "incremental", "full"]
    assert "spec.retrain.everyRounds is 1" in grown.record(3).analyse.reason
    assert {portrait.name for portrait in kept(grown, 3).portraits} == {"w1", "w2", "w3"}


@pytest.mark.parametrize("strategy", ["incremental", "auto"])
def test_plan__says_what_is_still_to_be_measured(grown: TestLine, strategy: str) -> None:
    grown.spec["strategy"] = strategy
    answer = grown.call("plan")
    assert answer.code == 0
    assert ("decided when the delivery was measured: " in answer.out) == (strategy == "auto")

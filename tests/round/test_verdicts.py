"""What the gate's word does to a line: keep, hold, retrainFull, rollback; each round end to end."""

from __future__ import annotations

import json

import pytest

from tests.plugins.lines import TestLine
from tests.round.conftest import Deliveries
from treering_trainer import api

REJECTED = 5
UNREACHABLE = {"classFloor": {"leaf": 0.99}}


def gate(line: TestLine, **rules: object) -> None:
    line.spec["evaluation"]["gate"] = {"maxForgetting": 1.0, **rules}


def test_keep__passes_over_the_increment_and_goes_on(grown: TestLine, deliveries: Deliveries) -> None:
    gate(grown, **UNREACHABLE, onReject="keep")
    before = grown.lineage.current
    answer = grown.run()
    assert answer.code == REJECTED
    assert "round 2: Rejected: leaf: mAP50" in answer.out
    assert "its floor is 0.990" in answer.out
    assert (grown.lineage.current, grown.lineage.skipped) == (before, ("w2",))
    folder = grown.store / "rounds" / "0002" / "attempt-1"
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == {
        "manifest.json", "record.json", "report.html",
    }  # fmt: skip
    grown.spec["increments"].append({"name": "w3", "uri": deliveries.uri("w3")})
    gate(grown)
    assert grown.run().code == 0
    assert grown.lineage.learned == ("w1", "w3")
    assert grown.lineage.rounds[-1].parent == 1


def test_hold__waits_for_a_person_and_goes_on_after_an_edit(grown: TestLine) -> None:
    gate(grown, **UNREACHABLE, onReject="hold")
    assert grown.run().code == REJECTED
    held = grown.run()
    assert held.code == REJECTED
    assert "Round 2 was rejected and onReject is hold" in held.out
    assert grown.lineage.round == 2
    assert "Round 2 was rejected" in grown.call("status", "--json").data["held"]
    gate(grown, onReject="hold")
    assert grown.run().code == 0
    assert grown.lineage.rounds[-1].reason == "spec.strategy is incremental"
    assert grown.lineage.held is None
    assert grown.lineage.learned == ("w1", "w2")


def test_retrain_full__tries_once_on_everything_then_holds(grown: TestLine) -> None:
    gate(grown, **UNREACHABLE, onReject="retrainFull")
    assert grown.run().code == REJECTED
    second, third = grown.lineage.rounds[1:]
    assert (second.strategy, second.verdict) == ("incremental", "rejected")
    assert (third.strategy, third.verdict) == ("full", "rejected")
    assert third.images == 6
    assert "onReject: retrainFull" in third.reason
    assert grown.lineage.held is not None
    assert "full retraining was rejected, too" in grown.lineage.held.reason


def test_retrain_full__that_is_published_is_a_success(grown: TestLine, monkeypatch: pytest.MonkeyPatch) -> None:
    from treering_trainer.stages import gate as module

    judge, verdicts = module.judge, iter((False, True))

    def judged(*arguments: object) -> object:
        _, checks, sentence = judge(*arguments)  # type: ignore[arg-type]
        return next(verdicts), checks, sentence

    monkeypatch.setattr(module, "judge", judged)
    gate(grown, onReject="retrainFull")
    answer = grown.run()
    assert answer.code == 0, answer.out
    assert grown.lineage.learned == ("w1", "w2")
    assert grown.lineage.rounds[-1].strategy == "full"


def test_min_gain__of_new_classes(grown: TestLine) -> None:
    gate(grown, minGain=0.99)
    answer = grown.run()
    assert answer.code == REJECTED
    assert "the new classes reach" in answer.out
    assert "at least 99.0 are asked for" in answer.out


def test_a_floor_of_a_class_still_to_come_waits(grown: TestLine) -> None:
    gate(grown, classFloor={"root": 0.99})
    assert grown.run().code == 0


def test_rollback__by_command(grown: TestLine) -> None:
    assert grown.run().code == 0
    answer = grown.call("models rollback", "1", "--json")
    assert answer.data == {"current": 1, "learned": ["w1"]}
    assert grown.call("status", "--json").data["waiting"] == ["w2"]
    assert grown.run().code == 0
    assert [summary.round for summary in grown.lineage.rounds] == [1, 2, 3]
    assert grown.lineage.rounds[-1].parent == 1
    grown.spec["historyLimit"] = 2
    assert [summary["round"] for summary in grown.call("status", "--json").data["rounds"]] == [2, 3]
    assert [summary["round"] for summary in grown.call("history", "--json").data] == [1, 2, 3]
    assert [model["current"] for model in grown.call("models list", "--json").data] == [False, False, True]


def test_looking__tells_a_person_what_is_next_and_where_the_line_stands(grown: TestLine) -> None:
    plan = " ".join(grown.call("plan").out.split())
    assert "round 2 of the line oak: increment 'w2' is new since round 1" in plan
    assert "starts from the model of round 1" in plan
    status = " ".join(grown.call("status").out.split())
    assert "learned w1 waiting w2 next round 2: increment 'w2' is new since round 1" in status
    checked = grown.call("validate", "--data")
    assert checked.code == 0, checked.err
    assert "leaf 6" in checked.out
    assert "and its data are valid" in checked.out
    assert grown.lineage.round == 1
    assert not (grown.work / "rounds").exists()


def test_rollback__by_spec_stays_there_until_it_is_removed(grown: TestLine) -> None:
    assert grown.run().code == 0
    grown.spec["rollbackTo"] = 1
    assert "back to round 1" in grown.call("plan").out
    answer = grown.run()
    assert answer.code == 0
    assert "rolled back to round 1; remove spec.rollbackTo to go on learning" in answer.out
    assert grown.lineage.current is not None
    assert grown.lineage.current.round == 1
    assert grown.run().code == 0
    assert grown.lineage.round == 2
    error = grown.refused("models rollback", "2")
    assert error["where"] == "spec.rollbackTo"


def test_rollback__to_a_round_without_a_model(grown: TestLine) -> None:
    error = grown.refused("models rollback", "7")
    assert error["exitCode"] == 2
    assert error["found"] == "round 7 published no model"
    assert "1" in error["mend"]


def test_suspended__nothing_runs(grown: TestLine) -> None:
    grown.spec["suspend"] = True
    answer = grown.run()
    assert answer.code == 0
    assert "suspended by spec.suspend" in answer.out
    assert grown.lineage.round == 1


# The entry point of a pod --------------------------------------------------------------------------------------------


def round_of(line: TestLine, plan: str) -> tuple[int, dict[str, object]]:
    from treering_trainer.cli.app import run_app

    path, result = line.root / "plan.json", line.root / "result.json"
    path.write_text(plan)
    code = run_app(["round", str(path), "--result", str(result), "--workdir", str(line.work)])
    return code, json.loads(result.read_text())


def test_round__runs_one_plan_and_leaves_its_result(grown: TestLine) -> None:
    plan = grown.call("plan", "--json").out
    code, result = round_of(grown, plan)
    assert code == 0
    assert (result["exitCode"], result["round"], result["attempt"], result["verdict"]) == (0, 2, 1, "published")
    assert result["classes"] == ["ring", "bark", "leaf"]
    again = round_of(grown, plan)
    assert again == (code, result)  # a pod that died before it could say so
    assert grown.lineage.round == 2


def test_round__on_a_store_that_is_not_there_yet(line: TestLine) -> None:
    code, result = round_of(line, line.call("plan", "--json").out)
    assert (code, result["verdict"]) == (0, "published")


def test_round__rejected(grown: TestLine) -> None:
    gate(grown, **UNREACHABLE)
    code, result = round_of(grown, grown.call("plan", "--json").out)
    assert (code, result["exitCode"], result["verdict"]) == (REJECTED, REJECTED, "rejected")
    assert "its floor is 0.990" in str(result["message"])


def test_round__of_an_outdated_plan_is_refused(grown: TestLine, deliveries: Deliveries) -> None:
    plan = grown.call("plan", "--json").out
    grown.spec["increments"][1] = {"name": "w3", "uri": deliveries.uri("w3")}
    assert api.run(grown.resource, workdir=grown.root / "other").rounds[0].increments == ("w3",)
    code, result = round_of(grown, plan)
    assert code == 6
    assert "the plan is for round 2, but the line's last round is 2" in str(result["message"])


def test_round__bad_data_is_told_in_the_result(grown: TestLine) -> None:
    grown.spec["increments"][1]["uri"] = (grown.root / "nothing").as_uri()
    (grown.root / "nothing").mkdir()
    code, result = round_of(grown, grown.call("plan", "--json").out)
    assert (code, result["exitCode"], result["stage"]) == (3, 3, "fetch")
    assert result["where"] == "spec.increments[1].uri"


def test_round__no_plan_at_all(grown: TestLine) -> None:
    code, result = round_of(grown, '{"waiting": "UpToDate"}')
    assert (code, result["exitCode"]) == (2, 2)

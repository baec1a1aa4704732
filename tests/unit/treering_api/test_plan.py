from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from treering_api.errors import BadSpecError
from treering_api.lineage import Lineage, ModelRef, RoundSummary, advance, roll_back
from treering_api.plan import STAGES, Rollback, RoundPlan, Waiting, next_round, outstanding
from treering_api.spec import Increment, Spec

GOLDEN = Path(__file__).parents[2] / "golden" / "treering_api" / "first-round-plan.json"
LINE = "cards"


def planned(spec: Spec, lineage: Lineage, **more: Any) -> RoundPlan:
    step = next_round(spec, LINE, lineage, **more)
    assert isinstance(step, RoundPlan), step
    return step


def waiting(spec: Spec, lineage: Lineage, **more: Any) -> Waiting:
    step = next_round(spec, LINE, lineage, **more)
    assert isinstance(step, Waiting), step
    return step


def finish(lineage: Lineage, plan: RoundPlan, verdict: str, strategy: str = "incremental") -> Lineage:
    model = ModelRef(round=plan.round, attempt=1, uri=f"s3://lines/cards/{plan.round}", digest="ab", classes=("ace",))
    summary = RoundSummary.model_validate(
        {
            "round": plan.round, "attempt": 1, "parent": plan.parent, "reason": "", "strategy": strategy,
            "increments": [increment.name for increment in plan.increments], "verdict": verdict,
            "sentence": "ace lost 9 points", "started": "2026-11-23T00:00:00Z", "finished": "2026-11-23T01:00:00Z",
            "uri": model.uri, "model": model if verdict == "published" else None,
        }
    )  # fmt: skip
    return advance(lineage, plan, summary, {increment.name: 100 for increment in plan.increments})


def grown(spec: Spec, *verdicts: str) -> Lineage:
    lineage = Lineage(line=LINE)
    for verdict in verdicts:
        lineage = finish(lineage, planned(spec, lineage), verdict)
    return lineage


def with_increments(spec: Spec, *increments: Increment) -> Spec:
    return spec.model_copy(update={"increments": increments})


def with_gate(spec: Spec, on_reject: str) -> Spec:
    gate = spec.evaluation.gate.model_copy(update={"on_reject": on_reject})
    return spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"gate": gate})})


def test_next_round__first_round_starts_from_the_base(short_spec: Spec) -> None:
    plan = planned(short_spec, Lineage(line=LINE))
    assert (plan.round, plan.base, plan.known_classes, plan.parent) == (1, "s3://models/yolov8n.pt", (), 0)
    assert [increment.name for increment in plan.increments] == ["2026-w47"]
    assert plan.stages == STAGES
    assert "first round" in plan.reason


def test_next_round__first_plan_is_golden(short_spec: Spec) -> None:
    plan = planned(short_spec, Lineage(line=LINE))
    golden = json.loads(GOLDEN.read_text())
    assert json.loads(plan.model_dump_json()) == golden["plan"]
    assert plan.digest() == golden["digest"]


def test_next_round__a_plan_survives_json(short_spec: Spec) -> None:
    plan = planned(short_spec, grown(short_spec, "published"))
    again = RoundPlan.model_validate_json(plan.model_dump_json())
    assert (again, again.digest()) == (plan, plan.digest())


def test_next_round__second_round_starts_from_the_published_model(short_spec: Spec) -> None:
    plan = planned(short_spec, grown(short_spec, "published"))
    assert isinstance(plan.base, ModelRef)
    assert (plan.round, plan.base.round, plan.parent, plan.known_classes) == (2, 1, 1, ("ace",))
    assert [increment.name for increment in plan.history] == ["2026-w47"]
    assert [increment.name for increment in plan.increments] == ["2026-w48"]


def test_next_round__nothing_outstanding(short_spec: Spec) -> None:
    lineage = grown(short_spec, "published", "published")
    assert waiting(short_spec, lineage) == Waiting("up to date: 2 increments learned", "UpToDate")
    assert lineage.train_images == {"2026-w47": 100, "2026-w48": 100}


def test_next_round__suspended(short_spec: Spec) -> None:
    step = waiting(short_spec.model_copy(update={"suspend": True}), Lineage(line=LINE))
    assert step.code == "Suspended"


def test_next_round__nothing_delivered_yet(short_spec: Spec) -> None:
    assert waiting(with_increments(short_spec), Lineage(line=LINE)).code == "NothingDelivered"


def test_next_round__discovered_deliveries_come_after_the_listed_ones(short_spec: Spec) -> None:
    found = (Increment(name="found", uri="s3://deliveries/found"),)
    lineage = grown(short_spec, "published", "published")
    plan = planned(short_spec, lineage, discovered=found)
    assert plan.increments == found
    learned = finish(lineage, plan, "published")
    appended = (*short_spec.increments, Increment(name="w49", uri="s3://deliveries/w49"))
    assert [item.name for item in outstanding(with_increments(short_spec, *appended), learned, found)] == ["w49"]


def test_next_round__rejected_under_keep_is_passed_over(short_spec: Spec) -> None:
    lineage = grown(short_spec, "published", "rejected")
    assert (lineage.learned, lineage.skipped, lineage.round) == (("2026-w47",), ("2026-w48",), 2)
    assert waiting(short_spec, lineage).reason == "up to date: 1 increment learned, 1 passed over"


def test_next_round__retrain_full_forces_a_full_round_once(short_spec: Spec) -> None:
    spec = with_gate(short_spec, "retrainFull")
    lineage = grown(spec, "published", "rejected")
    plan = planned(spec, lineage)
    assert (plan.strategy, plan.round, plan.increments[0].name) == ("full", 3, "2026-w48")
    assert "retrainFull" in plan.reason
    again = finish(lineage, plan, "rejected", strategy="full")
    assert "the full retraining was rejected, too" in waiting(spec, again).reason
    assert finish(lineage, plan, "published", strategy="full").learned == ("2026-w47", "2026-w48")


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        pytest.param({}, "Held", id="nothing-changed"),
        pytest.param({"retries": 9}, "Held", id="change-that-learning-does-not-see"),
        pytest.param({"strategy": "full"}, None, id="changed-strategy"),
    ],
)
def test_next_round__held_until_the_spec_changes(short_spec: Spec, edit: dict[str, Any], code: str | None) -> None:
    spec = with_gate(short_spec, "hold")
    lineage = grown(spec, "published", "rejected")
    step = next_round(spec.model_copy(update=edit), LINE, lineage)
    assert (step.code if isinstance(step, Waiting) else None) == code


def test_next_round__held_until_the_retry_annotation_differs(short_spec: Spec) -> None:
    spec = with_gate(short_spec, "hold")
    lineage = grown(spec, "published", "rejected")
    plan = planned(spec, lineage, retry="2026-11-24")
    assert "the hold of round 2 was lifted" in plan.reason
    held_again = finish(lineage, plan, "rejected")
    assert waiting(spec, held_again, retry="2026-11-24").code == "Held"


def test_next_round__hold_is_over_when_its_increment_is_gone(short_spec: Spec) -> None:
    spec = with_gate(short_spec, "hold")
    lineage = grown(spec, "published", "rejected")
    assert waiting(with_increments(spec, spec.increments[0]), lineage).code == "UpToDate"


def test_next_round__redelivered_increment_lifts_the_hold(short_spec: Spec) -> None:
    spec = with_gate(short_spec, "hold")
    lineage = grown(spec, "published", "rejected")
    mended = Increment(name="2026-w48", uri="s3://deliveries/cards/w48-mended")
    assert planned(with_increments(spec, spec.increments[0], mended), lineage).increments == (mended,)


W47 = Increment(name="2026-w47", uri="s3://deliveries/cards/w47")
W48 = Increment(name="2026-w48", uri="s3://deliveries/cards/w48")
NEW = Increment(name="new", uri="s3://deliveries/cards/new")


@pytest.mark.parametrize(
    ("increments", "where", "found", "mend"),
    [
        pytest.param(
            (W48,),
            "spec.increments",
            "'2026-w47' was learned in round 1, but is gone",
            "Put it back at place 1",
            id="removed",
        ),
        pytest.param(
            (W48, W47),
            "spec.increments[0]",
            "found '2026-w48' where '2026-w47' was learned",
            "Put '2026-w47' back",
            id="reordered",
        ),
        pytest.param(
            (W47, NEW, W48), "spec.increments[1]", "found 'new' where '2026-w48'", "appended at the end", id="inserted"
        ),
        pytest.param(
            (W47, W48.model_copy(update={"uri": "s3://x-y/z"})),
            "spec.increments[1].uri",
            "was trained from s3://deliveries/cards/w48",
            "a new name",
            id="moved",
        ),
        pytest.param(
            (W47.model_copy(update={"classes": {"a": "b"}}), W48),
            "spec.increments[0].classes",
            "renames {}",
            "as they were",
            id="renamed",
        ),
    ],
)
def test_next_round__what_was_dealt_with_is_immutable(
    short_spec: Spec, increments: tuple[Increment, ...], where: str, found: str, mend: str
) -> None:
    lineage = grown(short_spec, "published", "rejected")
    with pytest.raises(BadSpecError) as caught:
        next_round(with_increments(short_spec, *increments), LINE, lineage)
    assert (caught.value.where, found in caught.value.found, mend in caught.value.mend) == (where, True, True)


def test_outstanding__a_slash_at_the_end_is_no_change(short_spec: Spec) -> None:
    lineage = grown(short_spec, "published")
    slashed = W47.model_copy(update={"uri": W47.uri + "/"})
    assert outstanding(with_increments(short_spec, slashed, NEW), lineage) == (NEW,)


def test_next_round__rollback_pins_the_line(short_spec: Spec) -> None:
    lineage = grown(short_spec, "published", "published")
    spec = short_spec.model_copy(update={"rollback_to": 1})
    assert next_round(spec, LINE, lineage) == Rollback(1, "spec.rollbackTo asks for round 1")
    back = roll_back(lineage, 1)
    assert back.current is not None
    assert (back.current.round, back.learned, back.round) == (1, ("2026-w47",), 2)
    assert waiting(spec, back).code == "RolledBack"
    assert planned(short_spec, back).round == 3


def test_roll_back__follows_parents_not_numbers(short_spec: Spec) -> None:
    back = roll_back(grown(short_spec, "published", "published"), 1)
    branched = with_increments(short_spec, W47, NEW)
    lineage = finish(back, planned(branched, back), "published")
    assert (lineage.round, lineage.learned) == (3, ("2026-w47", "new"))
    assert roll_back(lineage, 3).learned == ("2026-w47", "new")


def test_roll_back__can_be_undone(short_spec: Spec) -> None:
    lineage = grown(short_spec, "published", "published")
    forward = roll_back(roll_back(lineage, 1), 2)
    assert forward == lineage
    assert outstanding(short_spec, forward) == ()


def test_roll_back__can_be_undone_past_a_skipped_one(short_spec: Spec) -> None:
    spec = with_increments(short_spec, W47, W48, NEW)
    lineage = grown(spec, "published", "rejected", "published")
    assert roll_back(lineage, 1).skipped == ()
    forward = roll_back(roll_back(lineage, 1), 3)
    assert (forward.learned, forward.skipped) == (("2026-w47", "new"), ("2026-w48",))
    assert forward == Lineage.model_validate_json(lineage.model_dump_json())


def test_roll_back__what_was_skipped_on_another_branch_stays_there(short_spec: Spec) -> None:
    back = roll_back(grown(short_spec, "published", "rejected"), 1)
    branched = finish(back, planned(short_spec, back), "published")
    assert roll_back(roll_back(branched, 1), 3) == branched
    assert (branched.learned, branched.skipped) == (("2026-w47", "2026-w48"), ())


def test_roll_back__of_a_lineage_that_kept_less(short_spec: Spec) -> None:
    data = grown(short_spec, "published", "published").model_dump(mode="json", by_alias=True)
    for summary in data["rounds"]:
        del summary["settled"], summary["settledAfter"]
    old = Lineage.model_validate(data)
    assert roll_back(old, 2).learned == ("2026-w47", "2026-w48")
    assert roll_back(old, 1).learned == ("2026-w47",)


@pytest.mark.parametrize("to", [2, 7], ids=["rejected", "never-ran"])
def test_roll_back__round_without_a_model(short_spec: Spec, to: int) -> None:
    with pytest.raises(BadSpecError, match="Published rounds are: 1") as caught:
        roll_back(grown(short_spec, "published", "rejected"), to)
    assert caught.value.where == "spec.rollbackTo"


def test_digest__sees_every_part(short_spec: Spec) -> None:
    plan = planned(short_spec, Lineage(line=LINE))
    other = planned(short_spec.model_copy(update={"retries": 9}), Lineage(line=LINE))
    assert plan.digest() != other.digest()
    assert plan.learning_digest() == other.learning_digest()

from __future__ import annotations

from typing import Any, Literal

import pytest

from treering_api import (
    BadSpecError,
    Lineage,
    MeasuredDelivery,
    ModelRef,
    RoundPlan,
    RoundSummary,
    Spec,
    next_round,
    parse,
)

SPEC = """
apiVersion: treering.dev/v1alpha1
kind: IncrementalTrain
metadata: {{name: oak}}
spec:
  model: {{base: yolov8n.pt}}
  store: {{uri: s3://lines/oak}}
  increments: [{{name: w9, uri: s3://deliveries/w9}}]
  strategy: {strategy}
  retrain: {retrain}
"""


def spec(retrain: str, strategy: str = "auto") -> Spec:
    return parse(SPEC.format(retrain=retrain, strategy=strategy), "oak.yaml").spec


def grown(*rounds: tuple[Literal["full", "incremental"], float | None], **changes: Any) -> Lineage:
    """A line of published rounds, each on top of the one before, with the AUC that its delivery had."""
    summaries = []
    for number, (strategy, auc) in enumerate(rounds, start=1):
        model = ModelRef(round=number, attempt=1, uri="s3://m", digest="ab", classes=("a",))
        summaries.append(
            RoundSummary(
                round=number, attempt=1, parent=number - 1, increments=(f"w{number}",), strategy=strategy, reason="",
                verdict="published", started="", finished="", uri="", model=model,
                measured=None if auc is None else MeasuredDelivery(drift=auc),
            )
        )  # fmt: skip
    return Lineage(line="oak", round=len(rounds), current=summaries[-1].model, rounds=tuple(summaries), **changes)


def planned(spec: Spec, lineage: Lineage) -> RoundPlan:
    step = next_round(spec, "oak", lineage)
    assert isinstance(step, RoundPlan)
    return step


def test_every_rounds__counts_since_the_last_full_training() -> None:
    wanted = spec("{everyRounds: 2}")
    one = planned(wanted, grown(("full", None), ("incremental", 0.6)))
    assert (one.strategy, one.scheduled) == ("auto", False)
    two = planned(wanted, grown(("full", None), ("incremental", 0.6), ("incremental", 0.6)))
    assert (two.strategy, two.scheduled) == ("full", True)
    assert "2 rounds since the last full training (spec.retrain.everyRounds is 2)" in two.reason
    again = planned(wanted, grown(("full", None), ("incremental", 0.6), ("incremental", 0.6), ("full", 0.6)))
    assert again.strategy == "auto"


def test_drift_sum__adds_up_what_deliveries_brought() -> None:
    wanted = spec("{driftSum: 1.0}", "incremental")
    lineage = grown(("full", 0.9), ("incremental", 0.75), ("incremental", None), ("incremental", 0.7))
    assert lineage.drift_sum == pytest.approx(0.9)
    assert planned(wanted, lineage).strategy == "incremental"
    more = grown(("full", 0.9), ("incremental", 0.75), ("incremental", 0.4), ("incremental", 0.8))
    assert more.drift_sum == pytest.approx(1.1)
    due = planned(wanted, more)
    assert (due.strategy, due.scheduled) == ("full", True)
    assert "drift added up to 1.10" in due.reason


def test_since_full__of_a_line_that_went_back_are_those_of_its_model() -> None:
    lineage = grown(("full", None), ("incremental", 0.9), ("incremental", 0.9))
    back = lineage.model_copy(update={"current": lineage.rounds[1].model})
    assert [item.round for item in back.since_full] == [2]


def test_retrain__not_on_a_line_without_a_model_and_not_beside_what_is_forced() -> None:
    wanted = spec("{everyRounds: 1}")
    assert planned(wanted, Lineage(line="oak")).scheduled is False
    forced = grown(("full", None), ("incremental", 0.6), retrain_full=("w9",))
    assert (planned(wanted, forced).strategy, planned(wanted, forced).scheduled) == ("full", False)


@pytest.mark.parametrize(
    ("retrain", "field"),
    [("{}", "spec.retrain"), ("{everyRounds: 0}", "everyRounds"), ("{driftSum: 0}", "driftSum")],
    ids=["nothing", "rounds", "drift"],
)
def test_retrain__is_refused_in_words(retrain: str, field: str) -> None:
    with pytest.raises(BadSpecError) as refused:
        spec(retrain)
    assert field in str(refused.value)

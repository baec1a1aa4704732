from __future__ import annotations

import pytest

from tests.unit.operator.resources.cases import SETTINGS, line
from treering_api import Increment, Lineage, RoundPlan, next_round, read
from treering_operator.resources.children import children


@pytest.mark.parametrize("listed", [True, False])
def test_work_annotations__say_whether_a_round_learns_discovered_deliveries(listed: bool) -> None:
    increments = [{"name": "w47", "uri": "s3://deliveries/w47"}]
    more = {"increments": increments} if listed else {"increments": [], "discover": {"uri": "s3://deliveries"}}
    resource = line(more)
    spec = read(resource, "case").spec
    due = () if listed else (Increment(name="w47", uri="s3://deliveries/w47"),)
    plan = next_round(spec, "cards", Lineage(line="cards"), discovered=due)
    assert isinstance(plan, RoundPlan)
    annotations = children(resource, "cards-r1-00000000", plan, SETTINGS).job["metadata"]["annotations"]
    assert annotations.get("treering.dev/discovered") == (None if listed else "true")
    assert annotations["treering.dev/store"] == spec.store.uri

from __future__ import annotations

import pytest

from treering_api import BadSpecError
from treering_trainer.engine.crew import Crew, crew_of

PLACE = {"TREERING_NODES": "2", "TREERING_NODE_RANK": "1", "TREERING_RENDEZVOUS": "oak-r1-0.oak-r1:29500"}


def test_crew__a_pod_of_two_and_a_machine_alone() -> None:
    crew = crew_of(4, PLACE)
    assert crew == Crew(processes=4, nodes=2, node=1, host="oak-r1-0.oak-r1", port=29500)
    assert crew.count == 8
    assert crew_of(4, {}) == crew_of(4, PLACE | {"TREERING_NODES": "1"}) == Crew(processes=4)
    assert crew_of(1, PLACE | {"TREERING_RENDEZVOUS": "[fd00::1]:29500"}).host == "fd00::1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("TREERING_NODES", "two", id="nodes-in-letters"),
        pytest.param("TREERING_NODES", "0", id="no-nodes"),
        pytest.param("TREERING_NODE_RANK", "2", id="node-beyond-the-last"),
        pytest.param("TREERING_NODE_RANK", "", id="no-node"),
        pytest.param("TREERING_RENDEZVOUS", "", id="no-rendezvous"),
        pytest.param("TREERING_RENDEZVOUS", "oak-r1-0", id="no-port"),
        pytest.param("TREERING_RENDEZVOUS", "oak-r1-0:99999", id="port-too-high"),
    ],
)
def test_crew__a_variable_that_makes_no_sense_is_named(name: str, text: str) -> None:
    with pytest.raises(BadSpecError) as caught:
        crew_of(1, PLACE | {name: text})
    assert caught.value.where == name
    assert repr(text) in caught.value.found


@pytest.mark.parametrize(("batch", "mend"), [(16, ""), (12, "such as 8 or 16"), (4, "such as 8;")])
def test_crew__a_batch_is_shared_out_evenly_or_refused(batch: int, mend: str) -> None:
    crew = crew_of(4, PLACE)
    if not mend:
        crew.refuse_uneven(batch)
        return
    with pytest.raises(BadSpecError, match=f"a batch of {batch} images") as caught:
        crew.refuse_uneven(batch)
    assert caught.value.where == "spec.training.batch"
    assert mend in caught.value.mend

"""Order and conflicts, as small invented policies declare them."""

from __future__ import annotations

from itertools import permutations

import pytest

from treering_api import BadSpecError
from treering_trainer.policies.interface import Policy, Situation
from treering_trainer.policies.registry import order


def policy(name: str, after: tuple[str, ...] = (), conflicts: dict[str, str] | None = None) -> Policy:
    kind = type(name, (Policy,), {"name": name, "after": after, "conflicts": conflicts or {}})
    made: Policy = kind(Situation("incremental", 0, ()))
    return made


def names(policies: tuple[Policy, ...]) -> list[str]:
    return [item.name for item in policies]


def test_order__as_they_come_where_nothing_is_declared() -> None:
    assert names(order([policy(name) for name in "dbca"])) == ["d", "b", "c", "a"]


def test_order__no_one_moves_who_need_not() -> None:
    assert names(order([policy("a", after=("c",)), policy("b"), policy("c")])) == ["b", "c", "a"]


def test_order__a_policy_that_is_not_active_is_not_waited_for() -> None:
    assert names(order([policy("a", after=("absent",)), policy("b")])) == ["a", "b"]


@pytest.mark.parametrize("given", list(permutations("abcd")), ids="".join)
def test_order__always_what_is_declared(given: tuple[str, ...]) -> None:
    after = {"a": ("b", "d"), "b": ("c",), "c": (), "d": ("c",)}
    placed = names(order([policy(name, after[name]) for name in given]))
    assert all(placed.index(other) < placed.index(name) for name in placed for other in after[name])


def test_order__policies_that_wait_for_each_other_are_our_fault() -> None:
    with pytest.raises(AssertionError, match=r"wait for each other: \['a', 'b'\]"):
        order([policy("a", after=("b",)), policy("b", after=("a",))])


def test_order__a_conflict_names_both_and_why() -> None:
    with pytest.raises(BadSpecError) as caught:
        order([policy("ewc"), policy("freeze", conflicts={"ewc": "there is nothing left to protect"})])
    assert str(caught.value) == (
        "spec.policies.freeze: it can't act together with spec.policies.ewc: there is nothing left to protect. "
        "Disable one of the two with `enabled: false`."
    )


def test_order__a_conflict_with_someone_absent_is_none() -> None:
    assert names(order([policy("freeze", conflicts={"ewc": "why"})])) == ["freeze"]

"""Every policy there is, in one explicit list; which of them act in a round, and in which order.

A new policy: a module with a `Policy`, a block in `treering_api`, one line here and one row in the tests' settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from treering_api import BadSpecError, Policies
from treering_trainer.policies.freeze import FreezePolicy
from treering_trainer.policies.interface import Policy, Situation
from treering_trainer.policies.pseudo_labels import PseudoLabelsPolicy
from treering_trainer.policies.replay import ReplayPolicy

POLICIES: tuple[tuple[str, Callable[[Any, Situation], Policy]], ...] = (
    ("freeze", FreezePolicy),
    ("replay", ReplayPolicy),
    ("pseudo_labels", PseudoLabelsPolicy),
)
"""Field of `spec.policies` and the policy that reads it."""


def active_policies(settings: Policies, situation: Situation) -> tuple[Policy, ...]:
    """The policies of a round, in the order they act.

    Raises:
        BadSpecError: two active policies declare that they can't act together.
    """
    blocks = [(getattr(settings.resolve(), field), build) for field, build in POLICIES]
    return order([build(block, situation) for block, build in blocks if block is not None and block.enabled])


def order(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """`policies` sorted by what each declares; stable where nothing is declared."""
    refuse_conflicts(policies)
    by_name = {policy.name: policy for policy in policies}
    graph = {policy.name: [name for name in policy.after if name in by_name] for policy in policies}
    try:
        return tuple(by_name[name] for name in TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise AssertionError(f"policies wait for each other: {error.args[1]}") from error


def refuse_conflicts(policies: Sequence[Policy]) -> None:
    """Raise a `BadSpecError` that names both policies where one declares a conflict with another."""
    names = {policy.name for policy in policies}
    for policy in policies:
        for other, why in policy.conflicts.items():
            if other in names:
                raise BadSpecError(
                    f"spec.policies.{policy.name}",
                    f"it can't act together with spec.policies.{other}: {why}",
                    "Disable one of the two with `enabled: false`.",
                )

"""Every policy there is, in one explicit list; which of them act in a round, and in which order.

A new policy: a module with a `Policy`, a block in `treering_api`, one line here and one row in the tests' settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from treering_api import BadSpecError, Policies
from treering_trainer.policies.batch_norm import BatchNormPolicy
from treering_trainer.policies.class_balance import ClassBalancePolicy
from treering_trainer.policies.distill import DistillPolicy
from treering_trainer.policies.ewc import EwcPolicy
from treering_trainer.policies.freeze import FreezePolicy
from treering_trainer.policies.interface import Policy, Situation
from treering_trainer.policies.inversion import InversionPolicy
from treering_trainer.policies.linear_probe import LinearProbePolicy
from treering_trainer.policies.pseudo_labels import PseudoLabelsPolicy
from treering_trainer.policies.replay import ReplayPolicy
from treering_trainer.policies.unfreeze import UnfreezePolicy
from treering_trainer.policies.weight_merge import WeightMergePolicy

POLICIES: tuple[tuple[str, Callable[[Any, Situation], Policy]], ...] = (
    ("freeze", FreezePolicy),
    ("unfreeze", UnfreezePolicy),
    ("batch_norm", BatchNormPolicy),
    ("linear_probe", LinearProbePolicy),
    ("replay", ReplayPolicy),
    ("pseudo_labels", PseudoLabelsPolicy),
    ("inversion", InversionPolicy),
    ("distill", DistillPolicy),
    ("ewc", EwcPolicy),
    ("class_balance", ClassBalancePolicy),
    ("weight_merge", WeightMergePolicy),
)
"""Field of `spec.policies` and the policy that reads it."""


def active_policies(settings: Policies, situation: Situation) -> tuple[Policy, ...]:
    """The policies of a round, in the order they act.

    Raises:
        BadSpecError: two active policies declare that they can't act together.
    """
    resolved = settings.resolve()
    blocks = [(getattr(resolved, field), build) for field, build in POLICIES]
    return order([build(block, situation) for block, build in blocks if block is not None and block.enabled])


def actable(settings: Policies, chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Those of the chosen blocks, by field, that this release can act on and that meet no conflict with what stands."""
    built = dict(POLICIES)
    standing = [name for name, _ in POLICIES if (block := getattr(settings, name)) is not None and block.enabled]
    kept: dict[str, Mapping[str, Any]] = {}
    for field, block in chosen.items():
        others = [built[name] for name in (*standing, *kept)]
        if field in built and not any(_clash(built[field], other) for other in others):
            kept[field] = block
    return kept


def _clash(left: Any, right: Any) -> bool:
    return right.name in left.conflicts or left.name in right.conflicts


def order(policies: Sequence[Policy]) -> tuple[Policy, ...]:
    """`policies` sorted by what each declares; stable where nothing is declared."""
    refuse_conflicts(policies)
    waiting, ordered = list(policies), list[Policy]()
    while waiting:
        names = {policy.name for policy in waiting}
        ready = next((policy for policy in waiting if not names.intersection(policy.after)), None)
        assert ready is not None, f"policies wait for each other: {sorted(names)}"
        waiting.remove(ready)
        ordered.append(ready)
    return tuple(ordered)


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

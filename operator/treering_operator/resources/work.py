"""One Job's whole input, frozen: the line it belongs to, its plan and the operator's settings.

Made by `children.children`, read by every builder here; a builder that needs more than this is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from treering_api import API_VERSION, KIND, BadSpecError, RollbackPlan, RoundPlan, Spec
from treering_operator.actions import Plan
from treering_operator.observed import Kind
from treering_operator.settings import Settings

MAX_PLAN_SIZE_BYTES = 1024 * 1024
"""What Kubernetes keeps in one ConfigMap."""


@dataclass(frozen=True)
class Work:
    """What a Job and everything around it is built from.

    Args:
        name: of the Job, and of what belongs to it.
        namespace: of the line, and so of everything here.
        line: name of the line.
        line_uid: its identity; it owns the Job.
        labels: of the line, as the user wrote them.
        kind: what the Job does.
        number: its round, the round it goes back to, or its look.
        digest: what must change before the same is tried again.
        increments: names of what a round learns.
        plan_json: the plan as the pod reads it.
        spec: as it was when the plan was made.
        settings: of the operator.
    """

    name: str
    namespace: str
    line: str
    line_uid: str
    labels: Mapping[str, str]
    kind: Kind
    number: int
    digest: str
    increments: tuple[str, ...]
    plan_json: str
    spec: Spec
    settings: Settings

    @classmethod
    def of(cls, resource: Mapping[str, Any], name: str, plan: Plan, settings: Settings) -> Self:
        """The input of one Job.

        Raises:
            BadSpecError: the plan is too big for a ConfigMap.
        """
        metadata = resource["metadata"]
        plan_json = plan.model_dump_json()
        _check_size(plan_json)
        kind, number = _kind(plan)
        return cls(
            name=name,
            namespace=metadata["namespace"],
            line=metadata["name"],
            line_uid=metadata["uid"],
            labels=metadata.get("labels") or {},
            kind=kind,
            number=number,
            digest=plan.work_digest(),
            increments=tuple(item.name for item in plan.increments) if isinstance(plan, RoundPlan) else (),
            plan_json=plan_json,
            spec=plan.spec,
            settings=settings,
        )

    @property
    def is_round(self) -> bool:
        """Whether it trains; everything else is a small pod that only reads and writes the store."""
        return self.kind == "round"

    @property
    def is_discovered(self) -> bool:
        """Whether a round learns deliveries that the spec does not list."""
        listed = {item.name for item in self.spec.increments}
        return any(name not in listed for name in self.increments)

    @property
    def nodes(self) -> int:
        """Pods that work together."""
        return self.spec.compute.nodes if self.is_round else 1

    @property
    def gpus(self) -> int:
        """GPUs of each pod; `auto` is none in a cluster."""
        gpus = self.spec.compute.gpus
        return gpus if self.is_round and gpus != "auto" else 0

    @property
    def queue(self) -> str:
        """Kueue's queue that admits the Job; empty: none. Only rounds wait for their turn, looks would starve."""
        return (self.spec.queue or "") if self.is_round else ""

    @property
    def subdomain(self) -> str:
        """The headless Service that nodes meet under: its name must begin with a letter, a line's need not."""
        return self.name if self.name[0].isalpha() else f"r{self.name}"

    def line_owner(self) -> dict[str, Any]:
        """Owner reference to the line."""
        return owner(API_VERSION, KIND, self.line, self.line_uid)

    def job_owner(self, job_uid: str) -> dict[str, Any]:
        """Owner reference to the Job."""
        return owner("batch/v1", "Job", self.name, job_uid)


def owner(api_version: str, kind: str, name: str, uid: str) -> dict[str, Any]:
    """A controller's owner reference. It does not block the owner's deletion: that needs a right on its finalizers."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _kind(plan: Plan) -> tuple[Kind, int]:
    if isinstance(plan, RoundPlan):
        return "round", plan.round
    return ("rollback", plan.to) if isinstance(plan, RollbackPlan) else ("discovery", plan.number)


def _check_size(plan_json: str) -> None:
    size_bytes = len(plan_json.encode())
    if size_bytes > MAX_PLAN_SIZE_BYTES:
        raise BadSpecError(
            "spec.increments",
            f"the plan has {size_bytes:,} bytes, a ConfigMap holds {MAX_PLAN_SIZE_BYTES:,}",
            "Shorten the URIs and renames (classes) of the increments, or start a new line from the published model",
        )

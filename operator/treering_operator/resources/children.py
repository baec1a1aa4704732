"""Everything that one Job needs around it, from one call: the front of this package.

`act` creates the Job, then what the Job owns, with the UID that the API server gave it. Same input, same objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from treering_operator.actions import Plan
from treering_operator.resources import job as jobs
from treering_operator.resources import network_policy as policies
from treering_operator.resources import plan_map as maps
from treering_operator.resources import service as services
from treering_operator.resources.work import Work
from treering_operator.settings import Settings


@dataclass(frozen=True)
class Children:
    """The objects of one Job.

    Args:
        work: what they are built from.
        job: the Job itself.
        network_policy: of all pods of the line; None where the settings want none.
    """

    work: Work
    job: dict[str, Any]
    network_policy: dict[str, Any] | None

    def plan_map(self, job_uid: str) -> dict[str, Any]:
        """The ConfigMap with the plan, owned by the Job."""
        return maps.plan_map(self.work, job_uid)

    def service(self, job_uid: str) -> dict[str, Any] | None:
        """The headless Service of several nodes, owned by the Job; None for one node."""
        return services.service(self.work, job_uid)


def children(resource: Mapping[str, Any], name: str, plan: Plan, settings: Settings) -> Children:
    """The objects of one Job.

    Args:
        resource: the line as the API server has it.
        name: of the Job.
        plan: what its pod is asked to do; its spec is a snapshot, the line's own is not looked at.
        settings: of the operator.

    Raises:
        BadSpecError: something that Kubernetes would refuse, by the field's path.
    """
    work = Work.of(resource, name, plan, settings)
    policy = policies.network_policy(work) if settings.network_policy else None
    return Children(work, jobs.job(work), policy)

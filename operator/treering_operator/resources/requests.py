"""What a pod asks of its node: CPU, memory, disk and GPUs; and what of that Kubernetes would refuse, in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from treering_api import BadSpecError, Compute
from treering_operator.resources.labels import is_qualified
from treering_operator.resources.work import Work

_SMALL = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
"""Of a pod that only reads and writes the store: it must find a place beside the trainings."""
_STANDARD = ("cpu", "memory", "ephemeral-storage")
_HUGE_PAGES = "hugepages-"
_FACTORS = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9),
    "T": Decimal(10**12), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip


def requests(work: Work) -> dict[str, Any]:
    """The container's `resources`.

    Raises:
        BadSpecError: a resource that Kubernetes would not take.
    """
    if not work.is_round:
        return {part: dict(amounts) for part, amounts in _SMALL.items()}
    compute = work.spec.compute
    _check(compute, work.gpus)
    requested, limits = dict(compute.resources.requests), dict(compute.resources.limits)
    for name, amount in requested.items():
        if _is_extended(name):  # Kubernetes wants both, and equal
            limits.setdefault(name, amount)
    if work.gpus:
        requested[compute.gpu_resource] = limits[compute.gpu_resource] = str(work.gpus)
    return {part: amounts for part, amounts in (("requests", requested), ("limits", limits)) if amounts}


def amount(quantity: str) -> Decimal:
    """The number that a quantity such as 500m or 16Gi stands for."""
    digits = quantity.rstrip("".join(_FACTORS))
    return Decimal(digits) * _FACTORS[quantity[len(digits) :]]


def _check(compute: Compute, gpus: int) -> None:
    if gpus and not (_is_extended(compute.gpu_resource) and is_qualified(compute.gpu_resource)):
        raise BadSpecError(
            "spec.compute.gpuResource",
            f"{compute.gpu_resource!r} is no resource of a device",
            "Give a name with its maker's domain, such as nvidia.com/gpu, nvidia.com/mig-1g.10gb, amd.com/gpu",
        )
    for part, amounts in (("requests", compute.resources.requests), ("limits", compute.resources.limits)):
        for name, quantity in amounts.items():
            _check_resource(f"spec.compute.resources.{part}.{name}", name, quantity, compute, gpus)
    _check_order(compute)


def _check_resource(where: str, name: str, quantity: str, compute: Compute, gpus: int) -> None:
    known = name in _STANDARD or name.startswith(_HUGE_PAGES) or _is_extended(name)
    if not known or not is_qualified(name):
        mend = f"Known are {', '.join(_STANDARD)}, and a device's resource with its maker's domain"
        raise BadSpecError(where, f"Kubernetes knows no resource {name!r}", mend)
    if gpus and name == compute.gpu_resource:
        raise BadSpecError(where, "GPUs are counted twice", f"Remove it: spec.compute.gpus asks for {gpus}")
    if _is_extended(name) and amount(quantity) % 1:
        raise BadSpecError(where, f"found {quantity!r}", "Devices are counted in whole numbers")


def _check_order(compute: Compute) -> None:
    limits = compute.resources.limits
    for name, quantity in compute.resources.requests.items():
        limit = limits.get(name)
        where = f"spec.compute.resources.requests.{name}"
        if limit is None:
            continue
        if amount(quantity) > amount(limit):
            raise BadSpecError(where, f"{quantity} is more than the limit, {limit}", "Request at most the limit")
        if _is_extended(name) and amount(quantity) != amount(limit):
            raise BadSpecError(where, f"{quantity} is not the limit, {limit}", "Devices are requested as limited")


def _is_extended(name: str) -> bool:
    """Whether a resource is a device's: it has a domain that is not Kubernetes' own."""
    domain, slash, _ = name.rpartition("/")
    return bool(slash) and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")

"""Where a pod may run: nodes, taints, neighbours, priority, runtime."""

from __future__ import annotations

from typing import Any

from treering_api import BadSpecError, Compute, Toleration
from treering_operator.resources.labels import is_qualified, is_value


def placement(compute: Compute) -> dict[str, Any]:
    """The fields of a pod's spec that say where it runs.

    Raises:
        BadSpecError: a selector or toleration that Kubernetes would not take.
    """
    _check_selector(compute)
    fields = {
        "nodeSelector": dict(compute.node_selector),
        "tolerations": [_toleration(item, place) for place, item in enumerate(compute.tolerations)],
        "affinity": dict(compute.affinity),
        "priorityClassName": compute.priority_class,
        "runtimeClassName": compute.runtime_class,
    }
    return {name: value for name, value in fields.items() if value}


def _check_selector(compute: Compute) -> None:
    for key, value in compute.node_selector.items():
        where = f"spec.compute.nodeSelector.{key}"
        if not is_qualified(key):
            raise BadSpecError(where, f"{key!r} is no label's key", "Give a key such as example.com/gpu-type")
        if not is_value(value):
            mend = "Values have at most 63 letters, digits, dots, hyphens, underscores; a letter or digit at both ends"
            raise BadSpecError(where, f"{value!r} is no label's value", mend)


def _toleration(item: Toleration, place: int) -> dict[str, Any]:
    where = f"spec.compute.tolerations[{place}]"
    if item.key is not None and not is_qualified(item.key):
        raise BadSpecError(f"{where}.key", f"{item.key!r} is no taint's key", "Give a key such as nvidia.com/gpu")
    if item.key is None and item.operator != "Exists":
        raise BadSpecError(f"{where}.operator", "Equal without a key", "Give the taint's key, or operator: Exists")
    if item.operator == "Exists" and item.value:
        raise BadSpecError(f"{where}.value", "Exists has no value", "Remove the value, or write operator: Equal")
    if item.value is not None and not is_value(item.value):
        raise BadSpecError(f"{where}.value", f"{item.value!r} is no taint's value", "Give the value that the taint has")
    if item.toleration_seconds is not None and item.effect != "NoExecute":
        raise BadSpecError(f"{where}.tolerationSeconds", "counts for NoExecute only", "Remove it, or set that effect")
    return item.model_dump(mode="json", by_alias=True, exclude_none=True)

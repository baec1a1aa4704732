"""Labels and annotations of children: ours, by which they are found again, and the user's, which are handed on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from treering_operator.resources.names import (
    DIGEST_ANNOTATION,
    DISCOVERED_ANNOTATION,
    GPUS_ANNOTATION,
    INCREMENTS_ANNOTATION,
    KIND_LABEL,
    LINE_LABEL,
    LISTED_INCREMENTS,
    NUMBER_LABEL,
    STORE_ANNOTATION,
)
from treering_operator.resources.work import Work

# Handed on, they would make a tool count the child as its own (and prune it), or the Job controller refuse it.
_KEPT_BACK = (
    "app.kubernetes.io",
    "applyset.kubernetes.io",
    "argocd.argoproj.io",
    "batch.kubernetes.io",
    "helm.sh",
    "kueue.x-k8s.io",
    "treering.dev",
)
_KEPT_BACK_SUFFIX = ".toolkit.fluxcd.io"
_KEPT_BACK_NAMES = ("controller-uid", "job-name")
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(_PART)
_VALUE = re.compile(rf"({_PART})?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def app_labels() -> dict[str, str]:
    """What every child carries, by Kubernetes' recommendation."""
    return {
        "app.kubernetes.io/name": "treering",
        "app.kubernetes.io/component": "trainer",
        "app.kubernetes.io/managed-by": "treering-operator",
        "app.kubernetes.io/part-of": "treering",
    }


def line_labels(work: Work) -> dict[str, str]:
    """Labels of what belongs to the line as a whole."""
    return handed_on(work.labels) | app_labels() | {LINE_LABEL: work.line}


def work_labels(work: Work) -> dict[str, str]:
    """Labels of one Job, its pods and what else belongs to it."""
    return line_labels(work) | {KIND_LABEL: work.kind, NUMBER_LABEL: str(work.number)}


def work_annotations(work: Work) -> dict[str, str]:
    """Annotations of one Job: what it is about, as the decisions read it back."""
    shown = ",".join(work.increments[:LISTED_INCREMENTS])
    told = {
        DIGEST_ANNOTATION: work.digest,
        GPUS_ANNOTATION: str(work.gpus),
        STORE_ANNOTATION: work.spec.store.uri,
    }
    told |= {DISCOVERED_ANNOTATION: "true"} if work.is_discovered else {}
    return told | ({INCREMENTS_ANNOTATION: shown} if shown else {})


def handed_on(labels: Mapping[str, str]) -> dict[str, str]:
    """The user's labels (team, cost centre) without those that tools and Kubernetes itself put there."""
    return {key: value for key, value in labels.items() if not _is_kept_back(key)}


def is_qualified(key: str) -> bool:
    """Whether a text is a label key or resource name: a name of at most 63 characters, with or without a domain."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
        return False
    return _NAME.fullmatch(name) is not None


def is_value(value: str) -> bool:
    """Whether a text is a label's value."""
    return _VALUE.fullmatch(value) is not None


def _is_kept_back(key: str) -> bool:
    prefix, _, _ = key.rpartition("/")
    return prefix in _KEPT_BACK or prefix.endswith(_KEPT_BACK_SUFFIX) or key in _KEPT_BACK_NAMES

"""What the API can say but this release can't do yet: refused in words, never ignored."""

from __future__ import annotations

from treering_api.errors import BadSpecError
from treering_api.spec import Spec


def refuse_unsupported(spec: Spec) -> None:
    """Refuse what would be ignored.

    Raises:
        BadSpecError: the spec asks for merged donors or for several nodes.
    """
    if spec.model.donors:
        raise BadSpecError(
            "spec.model.donors",
            f"{len(spec.model.donors)} donor(s) given, but this release can't merge models yet",
            "Remove donors; merging comes with a later release",
        )
    if spec.compute.nodes > 1:
        raise BadSpecError(
            "spec.compute.nodes",
            f"{spec.compute.nodes} nodes asked for, but this release trains a round in one pod",
            "Set nodes to 1 and use several GPUs in one pod; multi-node training comes with a later release",
        )


def notices(spec: Spec) -> tuple[str, ...]:
    """Sentences about what a run on one machine does not act upon; empty where all of the spec counts."""
    sentences = []
    if spec.discover is not None:
        sentences.append(
            "spec.discover is not acted upon here: only a cluster's operator looks for deliveries. "
            "List them under spec.increments."
        )
    if spec.queue is not None:
        sentences.append("spec.queue is not acted upon here: queues belong to a cluster.")
    return tuple(sentences)

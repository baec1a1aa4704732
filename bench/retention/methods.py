"""The methods: who learns a course, and how. A table of data: what stands here is all that tells one from another.

Bare methods are ultralytics' own trainer with the settings that do best on the project's data (AdamW, one step per
batch of 16, no raised bias rate; ultralytics' defaults do worse, see `bench/README.md`). The others are Treering's
command line with a spec. All but `joint` start from the same first-round model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic.alias_generators import to_camel

from treering_api.policies import BLOCKS, Policies

BATCH = 16
JOINT_EPOCHS = 20
TUNING_EPOCHS = 14


@dataclass(frozen=True)
class Method:
    """One way to learn a course.

    Args:
        kind: joint: bare ultralytics, everything so far from the base weights; tuned: bare ultralytics, each delivery
            alone on the model before; line: Treering.
        policies: `spec.policies` of a line.
        strategy: `spec.strategy` of a line.
        epochs: of bare ones, or of a line's rounds after the first; None: Treering's default.
        rate: learning rate, as `epochs`.
        batch: images per step of a line's rounds after the first; None: Treering's default.
        head_only: everything below the head is frozen (bare ones; a line says it in its policies).
    """

    name: str
    kind: Literal["joint", "tuned", "line"]
    what: str
    policies: Mapping[str, Any] = field(default_factory=dict)
    strategy: Literal["auto", "incremental"] = "incremental"
    epochs: int | None = None
    rate: float | None = None
    batch: int | None = None
    head_only: bool = False

    def training(self) -> dict[str, Any]:
        """What a line's spec says of training after the first round."""
        found = {"epochs": self.epochs, "batch": self.batch, "learningRate": self.rate}
        return {key: value for key, value in found.items() if value is not None}


PLAIN: Mapping[str, Any] = {
    "preset": "none",
    "replay": {"ratio": 0.0, "maxImages": 20, "selection": "classBalanced"},
    "pseudoLabels": {"confidence": 0.4, "mirror": False, "directions": "new"},
}
"""The recipe that stood at the beginning: 20 remembered images, the old model's labels at .4 from one view."""
_SETTINGS: Mapping[str, Mapping[str, Any]] = {"freeze": {"backbone": True}}
ALONE: Mapping[str, Mapping[str, Any]] = {
    name: _SETTINGS.get(name, {}) for name in map(to_camel, BLOCKS) if name not in PLAIN
}
"""Blocks that are measured one by one on top of the plain recipe: every policy there is, mostly with its defaults."""

_FIXED = (
    Method("joint", "joint", "all images so far with all labels, from the base weights: the upper bound",
           epochs=JOINT_EPOCHS, rate=1e-3),
    Method("naive", "tuned", "fine-tuning on the new delivery alone", epochs=TUNING_EPOCHS, rate=1e-3),
    Method("head-only", "tuned", "the same, everything below the head frozen",
           epochs=TUNING_EPOCHS, rate=1e-3, head_only=True),
    Method("advice", "tuned", "what ultralytics' guide advises: a tenth of the rate, half the epochs, backbone and "
           "neck frozen", epochs=TUNING_EPOCHS // 2, rate=1e-4, head_only=True),
    Method("lwf", "line", "learning without forgetting: the published model teaches the old classes, no memory",
           {"preset": "none", "distill": {"background": "teacher"}}),
    Method("yolo-lwf-ocdm", "line", "the same with a memory of 5 percent by OCDM, half of every batch",
           {"preset": "none", "distill": {"background": "teacher"},
            "replay": {"ratio": 0.05, "minImages": 0, "selection": "ocdm", "batchShare": 0.5}}),
    Method("default", "line", "Treering as it comes, learning incrementally"),
    Method("auto", "line", "Treering as it comes, which chooses how to learn", strategy="auto"),
    Method("no-memory", "line", "Treering's defaults without a memory", {"replay": {"enabled": False}}),
    Method("plain", "line", "the plain recipe: 20 remembered images, pseudo-labels at .4, rate 2e-3, 14 epochs",
           PLAIN, epochs=TUNING_EPOCHS, rate=2e-3, batch=BATCH),
)  # fmt: skip
_ABLATIONS = tuple(
    Method(f"plain+{block}", "line", f"the plain recipe with {block}", {**PLAIN, block: dict(settings)},
           epochs=TUNING_EPOCHS, rate=2e-3, batch=BATCH)
    for block, settings in ALONE.items()
)  # fmt: skip
_DEFAULTS = Policies().resolve().active()
_ADDED = tuple(
    Method(f"default+{block}", "line", f"Treering as it comes with {block}", {block: dict(settings)})
    for block, settings in ALONE.items()
    if block not in _DEFAULTS
)
_TAKEN = tuple(
    Method(f"default-{block}", "line", f"Treering as it comes without {block}", {block: {"enabled": False}})
    for block in _DEFAULTS
    if block != "replay"  # which is `no-memory`
)
METHODS: dict[str, Method] = {method.name: method for method in (*_FIXED, *_ABLATIONS, *_ADDED, *_TAKEN)}
"""Every method by name, in the order of the tables."""
FIRST = "first"
"""Name of the rows of the first-round model that all methods but joint start from."""


def line_spec(
    method: Method,
    *,
    base: str,
    store: Mapping[str, Any],
    increments: Mapping[str, str],
    holdouts: Mapping[str, str],
    image_size: int,
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """The resource of a line; URIs by name.

    Args:
        training: `spec.training` of the round that is next.
    """
    spec = {
        "model": {"base": base, "imageSize": image_size},
        "store": dict(store),
        "increments": [{"name": name, "uri": uri} for name, uri in increments.items()],
        "evaluation": {
            "holdouts": [{"name": name, "uri": uri} for name, uri in holdouts.items()],
            "gate": {"maxForgetting": 1.0},  # measured, not judged
        },
        "verification": {"maxQuarantined": 1.0, "missingLabels": "background"},
        "strategy": method.strategy,
        "policies": {**method.policies},
        "training": dict(training),
    }
    return {
        "apiVersion": "treering.dev/v1alpha1",
        "kind": "IncrementalTrain",
        "metadata": {"name": "retention"},
        "spec": spec,
    }

"""How a round learns: what the spec says, or what auto's table makes of the measures; with the policies in effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from treering_api import Policies, RoundSummary, resolve_training, seconds
from treering_api.strategy import DONORS_ALONE, Decision, decide, known_measures
from treering_trainer.dataset import DataSet, box_counts
from treering_trainer.measures import Analysis
from treering_trainer.policies.registry import actable
from treering_trainer.policies.replay import memory_size, shown_memory
from treering_trainer.report.wording import counted
from treering_trainer.stages.donor_names import short_names
from treering_trainer.stages.donors import donors
from treering_trainer.stages.fetch import MEMORY, line_memory
from treering_trainer.stages.start import starts_from_scratch
from treering_trainer.stages.workbench import Workbench

_GIB = 2**30
_ONE_OLD_MODEL = {"ewc": "ewc", "weightMerge": "weight_merge"}
"""Policies, and their fields, that hold weights near those of a single old model with the classes of all."""


@dataclass(frozen=True)
class StrategyChoice:
    """The strategy, why, and the policies that act; `decision` is auto's, None where the spec or the line chose."""

    strategy: Literal["incremental", "full"]
    reason: str
    policies: Policies
    decision: Decision | None = None


def choose(
    bench: Workbench, increments: Sequence[DataSet], new_classes: Sequence[str], analysis: Analysis
) -> StrategyChoice:
    """The round's strategy and policies."""
    plan = bench.plan
    settings = plan.spec.policies
    if bench.merges:
        return StrategyChoice("incremental", _merge_reason(bench), _for_merging(settings.resolve()))
    if plan.spec.model.donors and plan.strategy == "full":
        return StrategyChoice("incremental", f"{plan.reason}, but {DONORS_ALONE}"[:1024], settings.resolve())
    if plan.strategy != "auto" and not isinstance(plan.base, str):
        forced = plan.spec.strategy != plan.strategy
        reason = plan.reason if forced else f"spec.strategy is {plan.strategy}"
        return StrategyChoice(plan.strategy, reason, settings.resolve())
    if not bench.learns:
        reason = "spec.policies.batchNorm.alone: nothing is trained, the statistics alone adapt"
        return StrategyChoice("incremental", reason, settings.resolve())
    decision = decide(measures(bench, increments, new_classes, analysis))
    strategy: Literal["incremental", "full"] = "full" if decision.answer("strategy") == "full" else "incremental"
    if isinstance(plan.base, str):
        return StrategyChoice(strategy, decision.reason("strategy"), settings.resolve())
    chosen = actable(settings.resolve(), decision.policies)
    decision = decision.model_copy(update={"policies": {name: dict(block) for name, block in chosen.items()}})
    new_images = sum(len(dataset.train) for dataset in increments)
    brings = f"{new_images} new images" + (f" with new classes {', '.join(new_classes)}" if new_classes else "")
    old = sum(bench.lineage.train_images.values())
    reason = f"{brings} beside {old} old ones: {decision.reason('strategy')}"[:1024]
    return StrategyChoice(strategy, reason, settings.with_chosen(chosen).resolve(), decision)


def _merge_reason(bench: Workbench) -> str:
    found = donors(bench)
    names = short_names([one.uri for one in found])
    taken = "; ".join(f"{names[one.uri]} ({counted(len(one.classes), 'class', 'classes')})" for one in found)
    left = [name for name in bench.plan.spec.policies.active() if name in _ONE_OLD_MODEL]  # what a person asked for
    without = f"; {', '.join(left)} can't act, for want of one old model with all classes" if left else ""
    return f"models are merged: {taken}{without}"[:1024]


def _for_merging(settings: Policies) -> Policies:
    """Without policies that need the weights of one old model with the classes of all."""
    return settings.model_copy(update=dict.fromkeys(_ONE_OLD_MODEL.values()))


def measures(
    bench: Workbench, increments: Sequence[DataSet], new_classes: Sequence[str], analysis: Analysis
) -> dict[str, float | None]:
    """What auto's table asks for, by the names of `treering_api.strategy.MEASURES`; None: not known."""
    lineage, new = bench.lineage, sum(len(dataset.train) for dataset in increments)
    old = sum(lineage.train_images.values())
    replay = bench.plan.spec.policies.resolve().replay
    memory = memory_size(replay, old) if replay is not None and replay.enabled else 0
    shown = round(shown_memory(replay, memory, new, new_classes=bool(new_classes))) if replay is not None else 0
    boxes = _boxes(increments)
    known = sum(count for name, count in boxes.items() if name not in new_classes)
    return {
        **known_measures(lineage, len(bench.plan.spec.model.donors)),
        "cost": _passes(bench, "full", old + new) / _passes(bench, "incremental", new + shown, new_classes),
        "deadlineShare": _deadline_share(bench, old + new),
        "newImages": float(new),
        "newShare": new / old if old else None,
        "newClasses": float(len(new_classes)),
        "classOverlap": known / sum(boxes.values()) if boxes else None,
        "driftAuc": analysis.drift.auc if analysis.drift else None,
        "memoryImages": float(len(line_memory(bench, MEMORY).items)),
        "imbalance": max(boxes.values()) / min(boxes.values()) if len(boxes) > 1 else None,
        "gpuMemoryGib": _gpu_memory_gib(bench.device),
    }


def _passes(
    bench: Workbench, strategy: Literal["incremental", "full"], images: int, new_classes: Sequence[str] = ()
) -> int:
    """Images shown in a round of so many."""
    images = max(images, 1)
    settings = resolve_training(
        bench.plan.spec.training,
        strategy=strategy,
        new_classes=len(new_classes),
        from_scratch=starts_from_scratch(bench, strategy),
        images=images,
        processes=bench.crew.count,
    )
    return settings.epochs * images


def _boxes(increments: Sequence[DataSet]) -> dict[str, int]:
    """Boxes of every class that has one."""
    counts: dict[str, int] = {}
    for dataset in increments:
        for name, count in box_counts(dataset.train, dataset.names).items():
            counts[name] = counts.get(name, 0) + count
    return {name: count for name, count in counts.items() if count}


def _deadline_share(bench: Workbench, images: int) -> float | None:
    """Time of a full retraining over the deadline, by the pace of the last published round; None without either."""
    last = next((item for item in reversed(bench.lineage.rounds) if item.model is not None and item.images), None)
    if bench.plan.spec.deadline is None or last is None:
        return None
    return _took_s(last) / last.images * images / seconds(bench.plan.spec.deadline)


def _took_s(summary: RoundSummary) -> float:
    return (datetime.fromisoformat(summary.finished) - datetime.fromisoformat(summary.started)).total_seconds()


def _gpu_memory_gib(device: str) -> float | None:
    if device == "cpu":
        return None
    import torch

    return float(torch.cuda.get_device_properties(device).total_memory) / _GIB

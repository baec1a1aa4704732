"""The account of a round: its records in one, with what it takes to repeat it."""

from __future__ import annotations

import platform
from importlib.metadata import version

from treering_trainer.line import now
from treering_trainer.records import (
    AnalyseRecord,
    EvaluateRecord,
    FetchRecord,
    GateRecord,
    PrepareRecord,
    RoundRecord,
    TrainRecord,
    VerifyRecord,
)
from treering_trainer.stages.cases import counted_cases
from treering_trainer.stages.donors import donor_stamps
from treering_trainer.stages.export_formats import kept_formats
from treering_trainer.stages.fetch import base_path
from treering_trainer.stages.prepare import effective_policies, training_path
from treering_trainer.stages.shelf import load_training
from treering_trainer.stages.train import settle, used_precision
from treering_trainer.stages.weights import teacher_stamps
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import sha256_of
from treering_trainer.version import VERSION

LIBRARIES = ("ultralytics", "torch", "torchvision", "numpy", "pillow")


def round_record(bench: Workbench) -> RoundRecord:
    """All that is known of the round before it is published."""
    return RoundRecord(
        line=bench.plan.line,
        round=bench.plan.round,
        attempt=bench.attempt,
        increments=tuple(increment.name for increment in bench.plan.increments),
        started=bench.started,
        finished=now(),
        treering_version=VERSION,
        fetch=bench.record(FetchRecord),
        verify=bench.record(VerifyRecord),
        analyse=bench.record(AnalyseRecord),
        prepare=bench.record(PrepareRecord),
        train=bench.record(TrainRecord),
        evaluate=bench.record(EvaluateRecord),
        gate=bench.record(GateRecord),
        formats=kept_formats(bench),
        cases=counted_cases(bench),
        versions=versions(),
        settings=settings(bench),
    )


def versions() -> dict[str, str]:
    """What did the work."""
    return {"treering": VERSION, "python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def settings(bench: Workbench) -> dict[str, str]:
    """What it takes to repeat the round: what "auto" became, the weights it started from, the policies in full."""
    train, plan = bench.record(TrainRecord), bench.plan
    used = settle(bench, load_training(training_path(bench)))
    policies = effective_policies(bench)
    return {
        "seed": str(used.seed),
        "epochs": str(used.epochs),
        "batch": str(used.batch),
        "learning rate": f"{used.learning_rate:g}",
        "optimizer": used.optimizer,
        "optimizer state": train.optimizer_state,
        "precision": used_precision(bench),
        "device": train.device,
        "image size": str(plan.spec.model.image_size),
        **_start(bench),
        **{f"{name} digest": digest for name, digest in teacher_stamps(bench).items()},
        **{f"policy {name}": getattr(policies, _field(name)).model_dump_json() for name in policies.active()},
        **{f"override {name}": str(value) for name, value in used.overrides.items()},
        "plan": plan.digest(),
    }


def _start(bench: Workbench) -> dict[str, str]:
    base = bench.plan.base
    if bench.merges:
        merged = bench.record(PrepareRecord).merge
        trunk = {"trunk": merged.trunk} if merged is not None else {}
        return {"base": bench.plan.spec.model.base, **trunk, **donor_stamps(bench)}
    if bench.record(AnalyseRecord).strategy == "incremental" and not isinstance(base, str):
        return {"base": base.uri, "base digest": base.digest}
    path = base_path(bench)
    digest = {"base digest": sha256_of(path)} if path.is_file() else {}
    return {"base": bench.plan.spec.model.base, **digest}


def _field(block: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in block)

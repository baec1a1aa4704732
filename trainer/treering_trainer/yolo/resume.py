"""What of a training in ultralytics' loop goes into a checkpoint, and how it comes back: bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from treering_trainer.engine.moments import parameter_names

if TYPE_CHECKING:
    from treering_trainer.yolo.loop import TreeringTrainer


def state_of(trainer: TreeringTrainer) -> dict[str, Any]:
    """Tensors and plain values, at the end of an epoch."""
    return {
        "epoch": trainer.epoch,
        "model": trainer.network.state_dict(),
        "ema": trainer.averaged.state_dict(),
        "ema_updates": trainer.ema.updates,
        "optimizer": trainer.optimizer.state_dict(),
        "parameters": parameter_names(trainer.network, trainer.optimizer),
        "scaler": trainer.scaler.state_dict(),
        "stopper": {"best_fitness": trainer.stopper.best_fitness, "best_epoch": trainer.stopper.best_epoch},
        "tally": trainer.tally.state_dict(),
        "policies": {policy.name: policy.state_dict() for policy in trainer.recipe.policies},
    }


def restore(trainer: TreeringTrainer, state: Mapping[str, Any]) -> None:
    """Bring a trainer that is set up for its first epoch to where `state` was taken."""
    trainer.network.load_state_dict(state["model"])
    trainer.averaged.load_state_dict(state["ema"])
    trainer.ema.updates = state["ema_updates"]
    for saved, group in zip(state["optimizer"]["param_groups"], trainer.optimizer.param_groups, strict=True):
        saved["fused"] = group.get("fused")  # the present device, not the one before, has the kernel or not
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.scaler.load_state_dict(state["scaler"])
    trainer.stopper.__dict__.update(state["stopper"])
    for policy in trainer.recipe.policies:
        policy.load_state_dict(state["policies"].get(policy.name, {}))
    trainer.start_epoch = state["epoch"] + 1
    for _ in range(trainer.start_epoch):
        _age(trainer.network.criterion)
    trainer.scheduler.last_epoch = trainer.start_epoch - 1


def _age(criterion: Any) -> None:
    # Heads with two branches shift the weight between them once an epoch
    if hasattr(criterion, "update"):
        criterion.update()

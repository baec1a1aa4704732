"""freeze: some layers keep the weights they have.

What helps: fewer trainable weights, a third less time per image and less forgetting in the backbone. What it costs: new
classes are learned more slowly (cards, first 10 layers: new classes .654 instead of .757 mAP50).
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from treering_api import BadSpecError, Freeze
from treering_trainer.policies.interface import Policy, Situation


def layers_to_freeze(model: nn.Module, settings: Freeze) -> tuple[str, ...]:
    """The layers that `settings` names, as indices or dotted names below the model's list of layers.

    Raises:
        BadSpecError: nothing would be left to learn, or a name matches no layer.
    """
    layers, chosen = layers_of(model), dict[str, None]()
    if settings.backbone:
        chosen.update(dict.fromkeys(str(index) for index in range(backbone_length(model))))
    if settings.layers:
        _check_count(settings.layers, len(layers))
        chosen.update(dict.fromkeys(str(index) for index in range(settings.layers)))
    for name in settings.names:
        _check_name(name, layers)
        chosen[name] = None
    _check_rest(tuple(chosen), layers)
    return tuple(chosen)


def layers_of(model: nn.Module) -> nn.Sequential:
    """The model's layers, as its architecture lists them."""
    layers = model.model
    assert isinstance(layers, nn.Sequential)
    return layers


def backbone_length(model: nn.Module) -> int:
    """Number of leading layers that the model's architecture counts as the backbone."""
    architecture = model.yaml
    assert isinstance(architecture, dict)
    return len(architecture["backbone"])


def hold_statistics(modules: Iterable[nn.Module], *, held: bool) -> None:
    """Switch BatchNorm layers among `modules` to evaluation (statistics held) or to training (statistics adapt)."""
    for module in modules:
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train(not held)


class FreezePolicy(Policy):
    """Freezes layers for a whole round, with their BatchNorm statistics unless told otherwise."""

    name = "freeze"

    def __init__(self, settings: Freeze, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings
        self._layers: tuple[str, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether this round freezes anything."""
        return self.situation.incremental or self.settings.rounds == "all"

    def frozen(self, model: nn.Module) -> tuple[str, ...]:
        """The layers of `spec.policies.freeze`."""
        self._layers = layers_to_freeze(model, self.settings) if self.acts else ()
        return self._layers

    def train_mode(self, model: nn.Module) -> None:
        """Hold or free the BatchNorm statistics, as `batchNorm` says."""
        if not self.acts:
            return
        if self.settings.batch_norm == "all":
            hold_statistics(model.modules(), held=True)
            return
        for name in self._layers:
            frozen = layers_of(model).get_submodule(name)
            hold_statistics(frozen.modules(), held=self.settings.batch_norm == "frozenLayers")


def _check_count(count: int, available: int) -> None:
    if count >= available:
        raise BadSpecError(
            "spec.policies.freeze.layers",
            f"{count} layers are to be frozen and the model has {available}, the last of which is the head",
            f"Give at most {available - 1}.",
        )


def _check_name(name: str, layers: nn.Sequential) -> None:
    if not any(parameter.startswith(f"{name}.") for parameter, _ in layers.named_parameters()):
        raise BadSpecError(
            "spec.policies.freeze.names",
            f"no layer of the model with weights is called {name!r}",
            "Use a layer's index with an optional path below it, such as `4` or `22.cv2`.",
        )


def _check_rest(chosen: tuple[str, ...], layers: nn.Sequential) -> None:
    prefixes = tuple(f"{name}." for name in chosen)
    # ultralytics never trains the weights of a `dfl`
    free = [name for name, _ in layers.named_parameters() if not name.startswith(prefixes) and ".dfl." not in name]
    if not free:
        raise BadSpecError(
            "spec.policies.freeze", "every layer of the model would be frozen", "Leave at least a part of the head out."
        )

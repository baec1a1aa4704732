"""freeze: some layers keep the weights they have.

What helps: fewer trainable weights, a third less time per image and less forgetting in the backbone. What it costs: new
classes are learned more slowly (cards, first 10 layers: new classes .654 instead of .757 mAP50).
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from treering_api import BadSpecError, Freeze
from treering_trainer.policies.interface import Policy, Situation

BACKBONE_END = ("SPPF", "C2PSA", "SPPELAN")


def layers_to_freeze(layers: nn.Sequential, settings: Freeze) -> tuple[str, ...]:
    """The layers that `settings` names, as indices or dotted names below `layers`.

    Raises:
        BadSpecError: a number of layers that would leave no head, or a name that matches nothing.
    """
    chosen: dict[str, None] = {}
    if settings.backbone:
        chosen.update(dict.fromkeys(str(index) for index in range(backbone_length(layers))))
    if settings.layers:
        _check_count(settings.layers, len(layers))
        chosen.update(dict.fromkeys(str(index) for index in range(settings.layers)))
    parameters = [name for name, _ in layers.named_parameters()]
    for name in settings.names:
        _check_name(name, parameters)
        chosen[name] = None
    return tuple(chosen)


def backbone_length(layers: nn.Sequential) -> int:
    """Number of leading layers up to and with the last pooling or attention layer before the first upsampling."""
    kinds = [type(layer).__name__ for layer in layers]
    neck = kinds.index("Upsample") if "Upsample" in kinds else len(kinds) - 1
    ends = [index for index, kind in enumerate(kinds[:neck]) if kind in BACKBONE_END]
    return (ends[-1] if ends else neck - 1) + 1


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
        layers = model.model
        assert isinstance(layers, nn.Sequential)
        self._layers = layers_to_freeze(layers, self.settings) if self.acts else ()
        return self._layers

    def train_mode(self, model: nn.Module) -> None:
        """Hold or free the BatchNorm statistics, as `batchNorm` says."""
        if not self.acts:
            return
        if self.settings.batch_norm == "all":
            hold_statistics(model.modules(), held=True)
        if self.settings.batch_norm == "none":
            layers = model.model
            assert isinstance(layers, nn.Sequential)
            for name in self._layers:
                hold_statistics(layers.get_submodule(name).modules(), held=False)


def _check_count(count: int, available: int) -> None:
    if count >= available:
        raise BadSpecError(
            "spec.policies.freeze.layers",
            f"{count} layers are to be frozen and the model has {available}, the last of which is the head",
            f"Give at most {available - 1}.",
        )


def _check_name(name: str, parameters: list[str]) -> None:
    if not any(parameter.startswith(f"{name}.") or parameter == name for parameter in parameters):
        raise BadSpecError(
            "spec.policies.freeze.names",
            f"no layer of the model is called {name!r}",
            "Use a layer's index with an optional path below it, such as `4` or `22.cv2`.",
        )

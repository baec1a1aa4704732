"""weightMerge: after training, the point between the old and the new weights that serves best.

Weights of two trainings of one model can be averaged, and the way between them leads through models that forget less
than the one end and know more than the other (WiSE-FT, Wortsman et al. 2022; for detectors DuET: 24.8 → 75.0 with its
merge). How far to go is not guessed but measured: points on the line are tried, first for the whole network, then for
backbone, neck and head in turn. Means and variances of BatchNorm fit neither end's, so they are measured anew on the
way. Classes that the old model does not have keep their new weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from treering_api import WeightMerge
from treering_trainer.dataset import Sample
from treering_trainer.policies.interface import Account, Policy, Shown, Situation, Toolbox, draw

PARTS = ("backbone", "neck", "head")
Point = tuple[float, float, float]
"""How far from old (0) to new (1), for backbone, neck and head."""
ENDS: tuple[Point, Point] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
DECIMALS = 6
"""To which scores are compared: of points that differ by less, the one nearer to new is taken."""


def blend(old: torch.Tensor, new: torch.Tensor, share: float) -> torch.Tensor:
    """`share` of the way from old to new, 0..1, both ends exact; rows that old does not have stay new."""
    result = new.clone()
    if new.is_floating_point() and share < 1:
        shared = result[: len(old)] if new.dim() else result
        shared.copy_(old if share == 0 else torch.lerp(old.to(new), shared, share))
    return result


def search(score: Callable[[Point], float], points: int, *, by_part: bool) -> tuple[Point, float]:
    """The best of the points tried, of equal ones the nearest to new, and its score.

    Args:
        points: on each line, both ends included, at least 2.
        by_part: go on from the best point of the whole network along backbone, neck and head, once each.
    """
    shares = [place / (points - 1) for place in range(points)]
    known: dict[Point, float] = {}

    def best(candidates: Sequence[Point]) -> Point:
        for point in candidates:
            if point not in known:
                known[point] = score(point)
        return max(candidates, key=lambda point: (round(known[point], DECIMALS), sum(point)))

    found = best([(share, share, share) for share in shares])
    if by_part:
        for part in range(len(PARTS)):
            found = best([_moved(found, part, share) for share in shares])
    return found, known[found]


def _moved(point: Point, part: int, share: float) -> Point:
    backbone, neck, head = (share if place == part else value for place, value in enumerate(point))
    return backbone, neck, head


@dataclass(frozen=True)
class Measure:
    """Images that kinds of classes are measured on.

    Args:
        kinds: names that count together; an empty kind: all that the images show.
    """

    samples: tuple[Sample, ...]
    kinds: tuple[frozenset[str], ...]

    def of(self, model: nn.Module, toolbox: Toolbox) -> list[float]:
        """Mean mAP50 over the classes of each kind, 0..1, less kinds that no image shows."""
        found = toolbox.map50(model, self.samples) if self.samples else {}
        values = [[value for name, value in found.items() if not kind or name in kind] for kind in self.kinds]
        return [sum(kind) / len(kind) for kind in values if kind]


class WeightMergePolicy(Policy):
    """Searches, merges, and says how far it went back."""

    name = "weightMerge"
    works_after = True

    def __init__(self, settings: WeightMerge, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings
        self.passes = 0
        self._chosen: dict[str, float] = {}
        self._remarks: tuple[str, ...] = ()

    def finish(self, model: nn.Module, shown: Shown) -> None:
        """Go to a point between the published model and this one: the best that was tried, or the given one."""
        teacher, toolbox = self.situation.teacher, self.situation.toolbox
        if not self.situation.incremental or teacher is None or not shown.trained or not self._acts:
            return
        assert toolbox is not None
        measures = self._measures(shown) if self.settings.share is None else ()
        line = _Line(model, teacher.network, toolbox.parts(model))
        statistics = shown.some(self.settings.images, self.situation.seed)

        def go(point: Point) -> None:
            line.go(point)
            if self.settings.recalibrate and point not in ENDS:  # whose own statistics are right
                toolbox.measure_statistics(model, statistics, held=line.held)
                self.passes += len(statistics)

        def score(point: Point) -> float:
            go(point)
            self.passes += sum(len(measure.samples) for measure in measures)
            found = [value for measure in measures for value in measure.of(model, toolbox)]
            return sum(found) / len(found) if found else 0.0

        if self.settings.share is not None:
            go((self.settings.share, self.settings.share, self.settings.share))
            self._chosen = dict.fromkeys(PARTS, self.settings.share)
            return
        point, best = search(score, self.settings.points, by_part=self.settings.by == "part")
        go(point)
        self._chosen = {**dict(zip(PARTS, point, strict=True)), "score": best}

    @property
    def _acts(self) -> bool:
        brings = set(self.situation.names) - set(self.situation.old_names)
        return self.settings.rounds == "all" or not brings

    def account(self) -> Account:
        """How far from old to new each part is, and its score: mean mAP50, old and new classes half each."""
        return Account(forward_passes=self.passes, chosen=self._chosen, remarks=self._remarks)

    def _measures(self, shown: Shown) -> tuple[Measure, ...]:
        most, seed = self.settings.images, self.situation.seed
        old = frozenset(self.situation.old_names)
        new = frozenset(self.situation.names) - old
        remembered = draw(self.situation.memory_samples, most, seed)
        if self.settings.measure == "val":
            if shown.val:
                val = draw(shown.val, 2 * most, seed)
                return (Measure(val, (old, new) if new else (frozenset(),)),)
            remark = "weightMerge: there is no val set to measure on; it was measured on new and remembered images."
            self._remarks = (remark,)
        if not remembered:
            self._remarks += ("weightMerge: there is no memory; old classes were not measured.",)
        return Measure(remembered, (old,)), Measure(draw(shown.new, most, seed), (new,))


class _Line:
    """The line between two models; `go` moves `model` along it.

    Attributes:
        held: names of BatchNorm layers whose statistics training left alone, as freeze and batchNorm may have asked.
    """

    def __init__(self, model: nn.Module, old: nn.Module, parts: Mapping[str, Sequence[str]]) -> None:
        self.model = model
        before, after = old.state_dict(), model.state_dict()
        self.old = {name: tensor.detach().clone() for name, tensor in before.items() if name in after}
        self.new = {name: tensor.detach().clone() for name, tensor in after.items() if name in before}
        self.part = {
            name: place
            for place, part in enumerate(PARTS)
            for index in parts[part]
            for name in self.new
            if name.startswith(f"model.{index}.")
        }
        self.held = {
            name.removesuffix(".running_mean")
            for name, tensor in self.new.items()
            if name.endswith(".running_mean") and torch.equal(tensor, self.old[name].to(tensor))
        }

    def go(self, point: Point) -> None:
        with torch.no_grad():
            state = self.model.state_dict()
            for name, place in self.part.items():
                state[name].copy_(blend(self.old[name].to(self.new[name].device), self.new[name], point[place]))

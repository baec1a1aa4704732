"""When distillation acts, and on what: the loss terms of every batch, the classes that labels are silent about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from treering_api import Distill
from treering_trainer.dataset import ignoring
from treering_trainer.policies.boxes import corners, distance_iou, labelled_objects, on_objects
from treering_trainer.policies.distill.teachers import (
    Notes,
    Teacher,
    choose_teachers,
    refuse_other_grids,
    weights_digest,
)
from treering_trainer.policies.distill.terms import box_distance, class_distance, weighted_mean
from treering_trainer.policies.interface import Account, Dense, Policy, Shown, Situation, Toolbox, TrainingData

PROJECTORS = "distill_projectors"
"""Where the feature term's own weights hang while a model trains: averaged, shared and resumed like all others."""
MEBIBYTE = 1 << 20
Terms = dict[str, torch.Tensor]


class DistillPolicy(Policy):
    """Keeps a student near its teachers, on the classes that they teach."""

    name = "distill"
    adds_loss = True

    def __init__(self, settings: Distill, situation: Situation) -> None:
        super().__init__(situation)
        self.settings = settings
        self.teachers = choose_teachers(settings, situation)
        self._notes = Notes(settings.cache_mib * MEBIBYTE, features=settings.feature_weight > 0)
        self._model: nn.Module | None = None

    def fingerprint(self) -> str:
        """The teachers' weights: another file may lie under a URI."""
        return weights_digest(self.teachers)

    def compose(self, data: TrainingData) -> TrainingData:
        """With `background: teacher`, what no label of an image speaks of is unknown there, not background."""
        taught = {name for teacher in self.teachers for name in teacher.columns}
        if self.settings.background == "labels" or not taught:
            return data
        silent = [[name for name in data.names if name in taught - known] for known in data.new_classes_known]
        new = [ignoring(sample, map(data.names.index, names)) for sample, names in zip(data.new, silent, strict=True)]
        return replace(data, new=tuple(new))

    def build(self, model: nn.Module) -> None:
        """Check that teachers and student look at the same places; hang the feature term's weights into the model."""
        self._model = model
        for teacher in self.teachers:
            refuse_other_grids(teacher, self._toolbox.strides(model), self._toolbox)
        if self.teachers and self.settings.feature_weight:
            seed = self.situation.seed
            networks = [teacher.detector.network for teacher in self.teachers]
            maps = [self._toolbox.projectors(model, network, seed=seed) for network in networks]
            model.add_module(PROJECTORS, nn.ModuleList(maps))

    def finish(self, model: nn.Module, shown: Shown) -> None:
        """Take the feature term's weights off: they are no part of a detector."""
        del shown
        if hasattr(model, PROJECTORS):
            delattr(model, PROJECTORS)

    def account(self) -> Account:
        """Images that the teachers looked at."""
        return Account(forward_passes=self._notes.looks)

    def state_dict(self) -> dict[str, Any]:
        """How many those were so far."""
        return {"looks": self._notes.looks}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        self._notes.looks = int(state.get("looks", 0))

    def losses(self, batch: Mapping[str, Any], predictions: Any) -> Terms:
        """`distill_class`, `distill_box`, `distill_feature`: those with a weight, summed over the teachers."""
        if not self.teachers:
            return {}
        assert self._model is not None, "build comes first"
        student, total = self._toolbox.dense(self._model, predictions), dict[str, torch.Tensor]()
        for place, teacher in enumerate(self.teachers):
            said = self._notes.look(teacher, batch, self._toolbox)
            # Where one head has a branch more, only what both have is compared: the first is always the dense one
            terms = [self._compare(one, other, teacher, batch) for one, other in zip(student, said, strict=False)]
            for name in terms[0]:
                total[name] = total.get(name, 0.0) + torch.stack([term[name] for term in terms]).mean()
            if self.settings.feature_weight:
                distance = self._feature_distance(place, student[0], said[0]) / len(self.teachers)
                total["distill_feature"] = total.get("distill_feature", 0.0) + self.settings.feature_weight * distance
        return total

    @property
    def _toolbox(self) -> Toolbox:
        assert self.situation.toolbox is not None, "there is no distilling where only data is looked at"
        return self.situation.toolbox

    def _compare(self, student: Dense, said: Dense, teacher: Teacher, batch: Mapping[str, Any]) -> Terms:
        """The terms of one branch."""
        settings, (height, width) = self.settings, batch["img"].shape[2:]
        picked, wanted = student.scores[:, teacher.student_columns].float(), said.scores.float()
        boxes = corners(student, width, height), corners(said, width, height)
        shares, (sure, best) = wanted.new_tensor(teacher.shares), wanted.sigmoid().max(dim=1)
        certain = sure * ~on_objects(boxes[1], *self._objects(batch, unknown_to=teacher))
        terms = {}
        if settings.weight:
            weights = self._class_weights(certain, picked.detach(), (boxes[0].detach(), boxes[1]), batch)
            distance = class_distance(picked, wanted, shares)
            terms["distill_class"] = settings.weight * weighted_mean(distance, weights)
        if settings.box_weight:
            distance = box_distance(student, said, boxes, settings.temperature) * shares[best]
            terms["distill_box"] = settings.box_weight * weighted_mean(distance, certain)
        return terms

    def _class_weights(
        self,
        certain: torch.Tensor,
        picked: torch.Tensor,
        boxes: tuple[torch.Tensor, torch.Tensor],
        batch: Mapping[str, Any],
    ) -> torch.Tensor:
        """(images, anchors): how sure somebody is there, times how well both boxes agree."""
        agreed = ((distance_iou(*boxes) + 1) / 2).clamp(min=0)
        if self.settings.background == "labels":
            return certain * agreed
        # No label says that the student is wrong where it alone sees something
        unlabelled = ~on_objects(boxes[0], *self._objects(batch))
        return torch.maximum(certain, picked.sigmoid().amax(dim=1) * unlabelled) * agreed

    def _objects(
        self, batch: Mapping[str, Any], unknown_to: Teacher | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Labelled objects, as the images they are in and their corners in pixels; perhaps only those of some classes.

        Args:
            unknown_to: only objects of classes that this teacher does not know. It calls them by the name of the most
                similar one it does, which their labels know better.
        """
        (images, objects), kinds = labelled_objects(batch), batch["cls"].view(-1).long()
        known = () if unknown_to is None else unknown_to.detector.names
        wanted = kinds.new_tensor([name not in known for name in self.situation.names], dtype=torch.bool)[kinds]
        return images[wanted], objects[wanted]

    def _feature_distance(self, place: int, student: Dense, said: Dense) -> torch.Tensor:
        """ultralytics' feature loss, of every image by itself, for the mean not to depend on the batch."""
        projectors = getattr(self._model, PROJECTORS)[place]
        sure = said.scores.float().sigmoid().amax(dim=1, keepdim=True)
        parts = sure.split([level.shape[2] * level.shape[3] for level in said.features], dim=2)
        distances = []
        for projector, own, taught, scores in zip(projectors, student.features, said.features, parts, strict=True):
            projected = projector(own).float()
            for image in range(projected.shape[0]):
                rows = slice(image, image + 1)
                distances.append(self._toolbox.feature_loss(projected[rows], taught[rows].float(), scores[rows]))
        return torch.stack(distances).sum() / sure.shape[0]

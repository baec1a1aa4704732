"""The fused detector as one network: a picture in, boxes of all classes out, so that it runs wherever a network runs.

Its output is the one of ultralytics' models that bring their suppression along, (images, 300, 6): ultralytics'
predictor and validator, ours, and the ONNX runtime take it as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from treering_trainer.yolo.fusion.boxes import fade, gather, strongest, yield_to_rivals
from treering_trainer.yolo.fusion.description import FusedDescription, Member
from treering_trainer.yolo.parts import class_names
from treering_trainer.yolo.types import DetectionModel
from treering_trainer.yolo.yolov5 import AnchorModel

Network = DetectionModel | AnchorModel
"""What can be a member."""
MOST_BOXES = 300
"""Of a member and of all together, as ultralytics' own limit."""
FAINTEST = 1e-3
"""Confidence below which nothing counts; ultralytics validates down to here."""
OWN_OVERLAP = 0.7
"""IoU from which two boxes of one member are of one object, as ultralytics suppresses by default."""
ALMOST = 1e-6


@dataclass(frozen=True)
class Loops:
    """The two functions that go from box to box; compiled ones take their place in a graph."""

    fade: Callable[..., Any] = fade
    gather: Callable[..., Any] = gather


class Selected(nn.Module):
    """A member's boxes of the classes that are taken from it, its own suppression done."""

    columns: Tensor
    targets: Tensor
    slopes: Tensor
    offsets: Tensor

    def __init__(self, network: Network, member: Member, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.network = network
        names = class_names(network)
        taken = [name for name in names if name in member.classes]
        straightened = [member.straightened.get(name) for name in taken]
        self.register_buffer("columns", torch.tensor([names.index(name) for name in taken]))
        self.register_buffer("targets", torch.tensor([classes.index(member.classes[name]) for name in taken]))
        self.register_buffer("slopes", torch.tensor([found.slope if found else 1.0 for found in straightened]))
        self.register_buffer("offsets", torch.tensor([found.offset if found else 0.0 for found in straightened]))
        self.plain = not any(straightened)

    def forward(self, images: Tensor) -> Tensor:
        """(images, 4 + taken classes, anchors): x, y, width, height in pixels, straightened confidences."""
        output = self.network(images)
        first = output[0] if isinstance(output, tuple | list) else output
        scores = first[:, 4:][:, self.columns]
        if not self.plain:
            sure = scores.clamp(ALMOST, 1 - ALMOST)
            logits = torch.log(sure) - torch.log1p(-sure)
            scores = torch.sigmoid(self.slopes[:, None] * logits + self.offsets[:, None])
        return torch.cat([first[:, :4], scores], dim=1)

    def choose(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One picture's boxes (n, 4) x1, y1, x2, y2, confidences and fused classes, by falling confidence.

        Args:
            rows: (4 + taken classes, anchors).
        """
        scores = rows[4:]
        anchors = rows.shape[1]
        best, places = scores.reshape(-1).topk(min(MOST_BOXES, len(self.columns) * anchors))
        sure = best > FAINTEST
        best, places = best[sure], places[sure]
        centres = rows[:4].t()[places % anchors]
        half = centres[:, 2:] / 2
        boxes = torch.cat([centres[:, :2] - half, centres[:, :2] + half], dim=1)
        classes = self.targets[torch.div(places, anchors, rounding_mode="floor")]
        kept = strongest(boxes, best, classes, OWN_OVERLAP)
        return boxes[kept], best[kept], classes[kept]


class FusedNetwork(nn.Module):
    """All members, and the fusion of what they see.

    Args:
        networks: the members', in the description's order; in evaluation mode.
    """

    weights: Tensor
    knows: Tensor
    votes: Tensor
    thresholds: Tensor
    stride: Tensor

    def __init__(self, networks: Sequence[Network], description: FusedDescription) -> None:
        super().__init__()
        names, members = description.classes, description.members
        self.description = description
        self.loops = Loops()
        self.names = dict(enumerate(names))
        self.end2end = True
        self.task = "detect"
        self.members = nn.ModuleList(
            Selected(network, member, names) for network, member in zip(networks, members, strict=True)
        )
        weights = torch.tensor([member.weight for member in members])
        knows = torch.tensor([[name in member.classes.values() for name in names] for member in members])
        self.register_buffer("weights", weights)
        self.register_buffer("knows", knows)
        self.register_buffer("votes", (weights[:, None] * knows).sum(dim=0))
        self.register_buffer("thresholds", torch.tensor([description.thresholds.get(name, 0.0) for name in names]))
        self.register_buffer("stride", torch.stack([network.stride.max() for network in networks]).max()[None])
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(images, 300, 6): x1, y1, x2, y2 in pixels of the input, confidence, class; rows of confidence 0 are empty.

        Args:
            images: (n, 3, height, width), 0..1, sides multiples of the stride.
        """
        seen = [member(images) for member in self.members]
        return torch.stack([self._fuse([rows[place] for rows in seen]) for place in range(images.shape[0])])

    def _fuse(self, seen: Sequence[Tensor]) -> Tensor:
        chosen = [cast("Selected", member).choose(rows) for member, rows in zip(self.members, seen, strict=True)]
        boxes, scores, classes = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        members = torch.cat([torch.full_like(found[2], place) for place, found in enumerate(chosen)])
        boxes, scores, classes, members = self._unite(boxes, scores, classes, members)
        if self.description.rival_overlap is not None:
            scores = self._compete(boxes, scores, classes, members, self.description.rival_overlap)
        scores = torch.where(scores >= self.thresholds[classes], scores, torch.zeros_like(scores))
        rows = torch.cat([boxes, scores[:, None], classes[:, None].to(boxes.dtype)], dim=1)
        rows = torch.cat([rows, rows.new_zeros((MOST_BOXES, 6))])
        return rows[rows[:, 4].topk(MOST_BOXES).indices]

    def _compete(self, boxes: Tensor, scores: Tensor, classes: Tensor, members: Tensor, overlap: float) -> Tensor:
        """Scores after competition; one empty box more is shown, since of none at all there is no maximum."""
        boxes = torch.cat([boxes, boxes.new_zeros((1, 4))])
        scores, classes, members = (torch.cat([each, each.new_zeros(1)]) for each in (scores, classes, members))
        return yield_to_rivals(boxes, scores, classes, members, self.knows, overlap)[:-1]

    def _unite(
        self, boxes: Tensor, scores: Tensor, classes: Tensor, members: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        how = self.description
        if how.method == "nms":
            kept = strongest(boxes, scores * self.weights[members], classes, how.overlap)
            return boxes[kept], scores[kept], classes[kept], members[kept]
        if how.method == "softNms":
            return boxes, self.loops.fade(boxes, scores, classes, how.sigma), classes, members
        order = (scores * self.weights[members]).argsort(descending=True)
        boxes, scores, classes, members = boxes[order], scores[order], classes[order], members[order]
        means, scores, weights, firsts = self.loops.gather(boxes, scores, classes, members, self.weights, how.overlap)
        classes, members = classes[firsts], members[firsts]
        return means, scores * weights / self.votes[classes], classes, members

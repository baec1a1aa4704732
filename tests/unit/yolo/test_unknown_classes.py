"""What a batch's labels do not speak of: the class loss is silent there, but not at an object."""

from __future__ import annotations

from typing import Any

import torch
from ultralytics.cfg import get_cfg

from tests.plugins.tiny_training import seeing_model
from treering_trainer.yolo.losses import PolicyLoss, heeded
from treering_trainer.yolo.toolbox import YoloToolbox


def test_class_loss__of_an_unknown_class_is_felt_at_labelled_objects_only() -> None:
    toolbox = YoloToolbox(64, "cpu")
    model: Any = seeing_model()
    model.args = get_cfg()
    loss = PolicyLoss(model.init_criterion(), (), model.train(), toolbox)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    predictions = model(images)
    predictions["scores"].retain_grad()
    rows = [(0, 2, 0.3, 0.3, 0.4, 0.4), (0, 3, 0.5, 0.5, 1.0, 1.0), (0, 4, 0.5, 0.5, 1.0, 1.0)]  # c; a and b unknown
    table = torch.tensor(rows)
    batch = {"img": images, "batch_idx": table[:, 0], "cls": table[:, 1:2], "bboxes": table[:, 2:]}
    loss(predictions, batch)[0].backward()
    felt = predictions["scores"].grad != 0
    assert bool(felt[1].all())
    assert bool(felt[0, 2].all())
    assert bool((felt[0, 0] == felt[0, 1]).all())
    anchors = toolbox.dense(model, predictions)[0].anchors
    at_object = ((anchors - torch.tensor([0.3, 0.3])).abs() <= 0.2).all(dim=1)
    assert 0 < int(felt[0, 0].sum()) <= int(at_object.sum())
    assert bool(at_object[felt[0, 0]].all())


def test_heeded__boxes_of_many_classes_and_images_do_not_mix() -> None:
    model, toolbox = seeing_model(), YoloToolbox(64, "cpu")
    with torch.no_grad():
        (dense,) = toolbox.dense(model, model(torch.zeros(2, 3, 64, 64)))
    everywhere, left = [0.5, 0.5, 1.0, 1.0], [0.25, 0.5, 0.5, 1.0]
    ignored = torch.tensor([[0, 0, *everywhere], [0, 1, *left], [1, 2, *left], [0, 2, *left]])
    counts = heeded(dense, ignored)
    on_left = dense.anchors[:, 0] <= 0.5
    assert not counts[0, :, 0].any()
    assert torch.equal(counts[0, :, 1], ~on_left)
    assert torch.equal(counts[0, :, 2], ~on_left)
    assert bool(counts[1, :, :2].all())
    assert torch.equal(counts[1, :, 2], ~on_left)

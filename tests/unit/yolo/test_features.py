"""ultralytics' feature distillation, taken apart."""

from __future__ import annotations

import torch
from torch import nn

from tests.plugins.tiny_training import WIDE, differing, tensors_of, tiny_model
from treering_trainer.yolo.features import feature_loss, make_projectors


def test_make_projectors__map_each_level_and_leave_both_models_and_chance_alone() -> None:
    student, teacher = tiny_model(), tiny_model(architecture=WIDE)
    before, state = tensors_of(student), torch.random.get_rng_state()
    projectors = make_projectors(student, teacher, seed=3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert differing(before, tensors_of(student)) == []
    assert not any(module._forward_hooks for model in (student, teacher) for module in model.modules())
    assert not student.training
    levels = [level for level in projectors if isinstance(level, nn.Sequential)]
    widths = [[layer.in_channels for layer in level if isinstance(layer, nn.Conv2d)] for level in levels]
    with torch.no_grad():
        own, other = (model(torch.zeros(1, 3, 64, 64))[1]["feats"] for model in (student, teacher))
        for projector, one, two in zip(projectors, own, other, strict=True):
            assert projector(one).shape == two.shape
    assert widths == [[one.shape[1], two.shape[1]] for one, two in zip(own, other, strict=True)]
    again = make_projectors(student, teacher, seed=3)
    assert differing(tensors_of(projectors), tensors_of(again)) == []


def test_feature_loss__is_the_squared_distance_where_something_is_seen() -> None:
    projected, taught, scores = (
        torch.zeros(1, 2, 1, 2),
        torch.tensor([[[[1.0, 5.0]], [[1.0, 5.0]]]]),
        torch.zeros(1, 1, 2),
    )
    scores[..., 0] = 0.7
    assert torch.isclose(feature_loss(projected, taught, scores), torch.tensor(6.0))

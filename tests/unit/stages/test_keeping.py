"""What lies beside the model for the next round."""

from __future__ import annotations

from pathlib import Path

import torch

from treering_trainer.engine.moments import OptimizerState
from treering_trainer.stages.keeping import read_optimizer, save_optimizer


def test_optimizer__comes_back_as_it_was(tmp_path: Path) -> None:
    moments = {
        "model.0.conv.weight": {
            "step": torch.tensor(7.0),
            "exp_avg": torch.randn(2, 3),
            "exp_avg_sq": torch.rand(2, 3),
        },
        "model.1.bias": {"momentum_buffer": torch.randn(4)},
    }
    save_optimizer(tmp_path, OptimizerState("AdamW", moments))
    back = read_optimizer(tmp_path)
    assert back is not None and back.kind == "AdamW" and back.moments.keys() == moments.keys()
    assert all(torch.equal(back.moments[name][key], moments[name][key]) for name in moments for key in moments[name])


def test_optimizer__none_leaves_no_file(tmp_path: Path) -> None:
    save_optimizer(tmp_path, OptimizerState("SGD", {"a": {"momentum_buffer": torch.zeros(1)}}))
    save_optimizer(tmp_path, None)
    assert list(tmp_path.iterdir()) == [] and read_optimizer(tmp_path) is None

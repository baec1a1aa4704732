"""Original YOLOv5 models: opened, asked by their formula, refused where they are others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.plugins.upstream import lively_yolov5, save_whole_yolov5, save_yolov5
from treering_api import BadSpecError
from treering_trainer.yolo.detector import on_processor
from treering_trainer.yolo.donor import open_donor
from treering_trainer.yolo.yolov5 import AnchorHead, load_yolov5
from treering_trainer.yolo.yolov5 import save_yolov5 as save_description


@pytest.mark.parametrize("levels", [3, 4])
def test_open_donor__answers_as_it_was_saved(levels: int, tmp_path: Path) -> None:
    model = lively_yolov5(("a", "b", "c"), levels=levels)
    save_whole_yolov5(model, tmp_path / "x.pt")
    donor = open_donor(tmp_path / "x.pt", shown_as="x.pt", field="FILE")
    assert (donor.names, donor.growable, donor.image_size) == (("a", "b", "c"), None, 640)
    assert "YOLOv5n" in donor.label and len(donor.sha256) == 64
    save_description(lively_yolov5(("a", "b", "c"), levels=levels), tmp_path / "kept")
    pictures = torch.rand(2, 3, 128, 192, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = model.half().float()(pictures), donor.network(pictures)
        kept = load_yolov5(tmp_path / "kept")(pictures)
    assert torch.equal(expected, found) and kept.shape == found.shape
    assert found.shape == (2, 7, sum(3 * (128 >> 3 + level) * (192 >> 3 + level) for level in range(levels)))
    rows = on_processor(donor.network, 128).suppressed(pictures, 0.2, 0.7)
    assert len(rows[0]) and set(rows[0][:, 5].tolist()) <= {0.0, 1.0, 2.0}


def test_head__by_hand() -> None:
    """One cell of the second level: row 1, column 2, anchor 1."""
    head = AnchorHead(2, (4, 4, 4), 3)
    head.anchors[1, 1] = torch.tensor([1.5, 2.0])
    raw = torch.tensor([0.3, -0.2, 0.1, 0.4, 0.9, -0.5, 0.7])
    with torch.no_grad():
        for convolution in head.m:
            assert isinstance(convolution, torch.nn.Conv2d) and convolution.bias is not None
            convolution.weight.zero_()
            convolution.bias.copy_(raw.repeat(3))
        found = head([torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 2, 2)])[0]
    s = [1 / (1 + 2.718281828459045**-value) for value in raw.tolist()]
    expected = [
        (2 * s[0] - 0.5 + 2) * 16,
        (2 * s[1] - 0.5 + 1) * 16,
        (2 * s[2]) ** 2 * 1.5 * 16,
        (2 * s[3]) ** 2 * 2.0 * 16,
        s[4] * s[5],
        s[4] * s[6],
    ]
    place = 3 * 8 * 8 + 1 * 4 * 4 + 1 * 4 + 2
    assert found[:, place].tolist() == pytest.approx(expected, rel=1e-5)


def test_open_donor__refuses_other_models_with_anchors(tmp_path: Path) -> None:
    save_yolov5(tmp_path / "x.pt", ("a",))
    with pytest.raises(BadSpecError) as raised:
        open_donor(tmp_path / "x.pt", shown_as="x.pt", field="spec.model.donors[0].uri")
    assert raised.value.where == "spec.model.donors[0].uri" and "no YOLOv5 of v6.0 to v7" in raised.value.found
    with pytest.raises(BadSpecError, match="does not exist"):
        open_donor(tmp_path / "none.pt", shown_as="none.pt", field="FILE")

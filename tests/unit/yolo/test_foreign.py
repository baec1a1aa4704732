"""Files from outside: good ones are taken as they are, all others refused in words, and none of them runs."""

from __future__ import annotations

import io
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from ultralytics.nn.tasks import DetectionModel as UltralyticsModel
from ultralytics.nn.tasks import SegmentationModel

from tests.plugins.tiny_training import ARCHITECTURE, TWO_BRANCHES, WIDE, differing, tensors_of, tiny_model
from tests.plugins.upstream import save_yolov5
from treering_api import BadSpecError
from treering_trainer.yolo.foreign import from_scratch, load_foreign
from treering_trainer.yolo.head import grow_head
from treering_trainer.yolo.parts import class_names
from treering_trainer.yolo.weights import save_ultralytics

NAME = "s3://models/base.pt"
COMPLETE = "Give the file complete and unchanged, as it was saved."
OTHER_FILE = "Give a checkpoint of ultralytics, YOLOv5 or YOLOv9 (.pt), or a .safetensors file."


class Payload:
    """What an attacker would put into a checkpoint."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def refused(path: Path) -> str:
    with pytest.raises(BadSpecError) as caught:
        load_foreign(path, shown_as=NAME)
    return str(caught.value)


@pytest.mark.parametrize("architecture", [ARCHITECTURE, WIDE, TWO_BRANCHES], ids=["plain", "wide", "two-branches"])
def test_load_foreign__takes_architecture_names_and_tensors(architecture: dict[str, Any], tmp_path: Path) -> None:
    model = grow_head(tiny_model(("a",), architecture=architecture), tuple(map(str, range(70))), seed=1)
    save_ultralytics(model, tmp_path / "base.pt", image_size=64)
    loaded = load_foreign(tmp_path / "base.pt", shown_as=NAME)
    assert differing(tensors_of(model), tensors_of(loaded)) == []
    assert class_names(loaded) == tuple(map(str, range(70)))


def test_load_foreign__half_precision_becomes_full(tmp_path: Path) -> None:
    torch.save({"ema": tiny_model(("a",)).half(), "model": None}, tmp_path / "base.pt")
    loaded = load_foreign(tmp_path / "base.pt", shown_as=NAME)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32, torch.int64}


def text(path: Path) -> None:
    path.write_text("this is no checkpoint\n")


def empty(path: Path) -> None:
    path.touch()


def picture(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path, format="PNG")


def truncated(path: Path) -> None:
    save_ultralytics(tiny_model(("a",)), path, image_size=64)
    path.write_bytes(path.read_bytes()[:-2000])


def other_dictionary(path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, path)


def tensor(path: Path) -> None:
    torch.save(torch.zeros(3), path)


@pytest.mark.parametrize("make", [text, empty, picture, truncated], ids=lambda make: make.__name__)
def test_load_foreign__no_checkpoint(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "base.pt")
    message = refused(tmp_path / "base.pt")
    assert message.startswith(f"spec.model.base: {NAME} is no checkpoint that can be read (")
    assert message.endswith(f"). {COMPLETE if make is truncated else OTHER_FILE}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("make", "found"),
    [(other_dictionary, "tensors of an architecture that is not known"), (tensor, "no model (model: a tensor)")],
    ids=["dictionary", "tensor"],
)
def test_load_foreign__no_model_in_it(make: Callable[[Path], None], found: str, tmp_path: Path) -> None:
    make(tmp_path / "base.pt")
    assert refused(tmp_path / "base.pt").startswith(f"spec.model.base: {NAME} holds {found}. ")


@pytest.mark.parametrize("place", ["beside", "inside"])
def test_load_foreign__foreign_code_does_not_run(place: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    model: Any = tiny_model(("a",))
    if place == "inside":
        model.note = Payload(marker)
    torch.save({"model": model, "extra": Payload(marker) if place == "beside" else None}, tmp_path / "base.pt")
    assert refused(tmp_path / "base.pt") == (
        f"spec.model.base: {NAME} holds posix.system, which is not part of a plain model; loading it would run its "
        "code. Don't load it anywhere; ask for a checkpoint from someone you trust."
    )
    assert not marker.exists()


def test_load_foreign__a_bare_pickle_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    (tmp_path / "base.pt").write_bytes(pickle.dumps(Payload(marker), protocol=2))
    assert refused(tmp_path / "base.pt").startswith("spec.model.base: ")
    assert not marker.exists()


def test_load_foreign__an_activation_is_no_code(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    model: Any = tiny_model(("a",))
    model.yaml["activation"] = f"__import__('os').system('touch {marker}')"
    torch.save({"model": model}, tmp_path / "base.pt")
    message = refused(tmp_path / "base.pt")
    assert "unsupported activation" in message and "\n" not in message
    assert not marker.exists()


def test_load_foreign__a_segmentation_model(tmp_path: Path) -> None:
    layers = {**ARCHITECTURE, "head": [*ARCHITECTURE["head"][:-1], [[9, 6], 1, "Segment", ["nc", 4, 8]]]}
    model: Any = SegmentationModel(layers, nc=2, verbose=False)
    model.task = "segment"
    torch.save({"model": model}, tmp_path / "base.pt")
    assert refused(tmp_path / "base.pt") == (
        f"spec.model.base: {NAME} holds a segment model. Treering grows YOLO detection models of ultralytics "
        "(v8, v9, v10, 11, 12, 26): give such a checkpoint."
    )


def test_load_foreign__an_original_yolov5(tmp_path: Path) -> None:
    save_yolov5(tmp_path / "base.pt", ("a", "b"))
    assert refused(tmp_path / "base.pt") == (
        f"spec.model.base: {NAME} was saved by the original YOLOv5, v7 or v9 code (it holds a models.yolo.Model). Of "
        "these only YOLOv9 detection models can be grown; give a checkpoint of the ultralytics package, such as "
        "yolov5nu.pt in place of yolov5n.pt. YOLOv5 can be merged in: list it in spec.model.donors."
    )


def test_load_foreign__a_fused_model(tmp_path: Path) -> None:
    torch.save({"model": tiny_model(("a",)).fuse(verbose=False)}, tmp_path / "base.pt")
    message = refused(tmp_path / "base.pt")
    assert message.startswith(f"spec.model.base: the weights in {NAME} do not fit the architecture it names (")
    assert message.endswith("Give a checkpoint as its training saved it, neither fused nor pruned.")
    assert "\n" not in message


def test_load_foreign__one_channel(tmp_path: Path) -> None:
    torch.save({"model": UltralyticsModel({**ARCHITECTURE}, ch=1, nc=1, verbose=False)}, tmp_path / "base.pt")
    assert "do not fit the architecture" in refused(tmp_path / "base.pt")


def test_from_scratch__follows_the_seed() -> None:
    one, again, other = (
        tensors_of(from_scratch("yolo11n.yaml", ("a", "b"), shown_as="yolo11n.yaml", seed=seed)) for seed in (1, 1, 2)
    )
    assert differing(one, again) == []
    assert differing(one, other) != []


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("yolov99n.yaml", None, "has no architecture 'shown'"),
        (
            "a.yaml",
            "nc: 1\nbackbone: [[-1, 1, Conv, [8, 3, 2]]]\nhead: [[-1, 1, Conv, [8]]]\n",
            "its last layer is Conv",
        ),
        ("b.yaml", "nc: 1\nbackbone: [[-1, 1, Convolve, [8]]]\nhead: []\n", "KeyError: 'Convolve'"),
        ("c.yaml", "just words\n", "shown can't be built as a detection model"),
        ("d.yaml", "nc: 1\nbackbone: [[-1, 1, check_requirements, [evil]]]\nhead: []\n", "not a permitted model layer"),
        ("yolov8n-seg.yaml", None, "its last layer is Segment"),
    ],
    ids=["unknown", "no-detection", "unknown-layer", "no-mapping", "a-function-as-layer", "segmentation"],
)
def test_from_scratch__refused(file: str, content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / file).write_text(content)
        file = str(tmp_path / file)
    with pytest.raises(BadSpecError) as caught:
        from_scratch(file, ("a",), shown_as="shown", seed=0)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_safe_loading__also_where_ultralytics_was_imported_first(tmp_path: Path) -> None:
    """A notebook's own ultralytics must not decide how we load."""
    import subprocess

    marker = tmp_path / "ran"
    buffer = io.BytesIO()
    torch.save({"model": Payload(marker)}, buffer)
    (tmp_path / "base.pt").write_bytes(buffer.getvalue())
    program = (
        "import ultralytics.nn.tasks\n"
        "from pathlib import Path\n"
        "from treering_api import BadSpecError\n"
        "from treering_trainer.yolo.foreign import load_foreign\n"
        "assert ultralytics.nn.tasks._SafeLoad.restricted()\n"
        "try:\n"
        f"    load_foreign(Path({str(tmp_path / 'base.pt')!r}), shown_as='x')\n"
        "except BadSpecError:\n"
        "    raise SystemExit(7)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "ULTRALYTICS_SAFE_LOAD"}
    result = subprocess.run([sys.executable, "-c", program], env=environment, timeout=120, check=False)
    assert result.returncode == 7
    assert not marker.exists()

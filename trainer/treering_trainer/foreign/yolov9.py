"""Which tensors of an original YOLOv9 model go where in ultralytics' model: names and shapes only.

The original trains most models with a second, auxiliary branch (`train_dual.py`); deployed, it has no effect. The
mapping is that of the tables in `docs/models.md`; `yolo.conversion` proves it anew for every file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

GROUPS = 4
"""The original box branch is grouped; ultralytics' is dense, with zeros off the diagonal."""
AUXILIARY_HEAD = ("cv2", "cv3", "dfl")
MAIN_HEAD = {"cv4": "cv2", "cv5": "cv3", "dfl2": "dfl"}
PLAIN_HEAD = {"cv2": "cv2", "cv3": "cv3", "dfl": "dfl"}


@dataclass(frozen=True)
class Layout:
    """Where the layers of one size stand.

    Args:
        size: t, s, m, c or e.
        dual: whether there is an auxiliary branch.
        head: index of the head; so is `target_head`, in ultralytics' model.
        kept: stretches of kept layers: first, one past the last, and what to take off for ultralytics' index.
    """

    size: str
    dual: bool
    head: int
    target_head: int
    kept: tuple[tuple[int, int, int], ...]

    def target(self, name: str) -> str | None:
        """The name in ultralytics' model of the tensor `name`; None where it serves training only."""
        layer, _, rest = name.removeprefix("model.").partition(".")
        if not layer.isdigit():
            return None
        if int(layer) == self.head:
            branch, _, inner = rest.partition(".")
            renamed = (MAIN_HEAD if self.dual else PLAIN_HEAD).get(branch)
            return None if renamed is None else f"model.{self.target_head}.{renamed}.{inner}"
        for first, end, less in self.kept:
            if first <= int(layer) < end:
                return f"model.{int(layer) - less}.{rest}"
        return None


LAYOUTS = (
    *(Layout(size, True, 29, 22, ((0, 22, 0),)) for size in ("t", "s")),
    *(Layout(size, True, 38, 22, ((1, 23, 1),)) for size in ("m", "c")),
    Layout("e", True, 49, 42, ((0, 29, 0), (36, 49, 7))),
    *(Layout(size, False, 22, 22, ((0, 22, 0),)) for size in ("t", "s", "m", "c")),
    Layout("e", False, 42, 42, ((0, 42, 0),)),
)
FIRST_WIDTHS = {"t": 16, "s": 32, "m": 32, "c": 64, "e": 64}


def layout_of(shapes: Mapping[str, tuple[int, ...]]) -> Layout | None:
    """The layout of an original YOLOv9 detection model, told by its tensors; None where it is none."""
    layers = {int(name.split(".")[1]) for name in shapes if name.startswith("model.") and name.split(".")[1].isdigit()}
    if not layers or not _grouped(shapes, max(layers)):
        return None
    head = max(layers)
    dual = any(name.startswith(f"model.{head}.cv4.") for name in shapes)
    for layout in LAYOUTS:
        if (layout.head, layout.dual) == (head, dual) and _is_size(layout, shapes):
            return layout
    return None


def class_count(layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Classes of the main branch."""
    return shapes[f"model.{layout.head}.{'cv5' if layout.dual else 'cv3'}.0.2.weight"][0]


def head_widths(layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Hidden channels of the class branches, the auxiliary one first; the last is the main one's."""
    branches = ("cv3", "cv5") if layout.dual else ("cv3",)
    return tuple(shapes[f"model.{layout.head}.{branch}.0.2.weight"][1] for branch in branches)


def _grouped(shapes: Mapping[str, tuple[int, ...]], head: int) -> bool:
    """Whether the last layer is a head of the original: three levels with grouped box branches."""
    branch = "cv4" if f"model.{head}.cv4.0.0.conv.weight" in shapes else "cv2"
    classes = "cv5" if branch == "cv4" else "cv3"
    names = [f"model.{head}.{branch}.0.{part}.weight" for part in ("0.conv", "1.conv", "2")]
    last = [f"model.{head}.{each}.0.2.weight" for each in {"cv3", classes}]
    if any(len(shapes.get(name, ())) != 4 for name in (*names, *last)):
        return False
    return all(shapes[after][1] * GROUPS == shapes[before][0] for before, after in pairwise(names))


def _is_size(layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    first = layout.kept[0][0] if layout.size != "e" else 1
    width = shapes.get(f"model.{first}.conv.weight", (0,))[0]
    third = f"model.{first + 2}.cv2.conv.weight"  # ELAN1, which only t and s have
    return width == FIRST_WIDTHS[layout.size] and (third in shapes) == (layout.size in ("t", "s"))

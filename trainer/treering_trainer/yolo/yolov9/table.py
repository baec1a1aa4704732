"""Layer tables of the original models: ultralytics' table of the size, with the auxiliary branch put where it stands.

`main` of a dual model is the same stack of layers as ultralytics' model; only their places differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ultralytics.nn.tasks import yaml_model_load

from treering_trainer.foreign.yolov9 import Layout


@dataclass(frozen=True)
class Row:
    """One layer.

    Args:
        sources: layers that it reads; -1 is the one before it.
        kind: the block's name in ultralytics, or Silence.
        args: as in ultralytics' YAML.
    """

    sources: tuple[int, ...]
    kind: str
    args: tuple[Any, ...]


PAIR = ("nn.Upsample", (None, 2, "nearest"))


def deploy_rows(size: str) -> list[Row]:
    """ultralytics' layers of a size, without the head."""
    described = yaml_model_load(f"yolov9{size}.yaml")
    rows = [*described["backbone"], *described["head"][:-1]]
    return [
        Row((source,) if isinstance(source, int) else tuple(source), kind, tuple(map(_value, args)))
        for source, _, kind, args in rows
    ]


def _value(argument: Any) -> Any:
    return None if argument == "None" else argument  # YAML takes None for a text


def original_rows(layout: Layout) -> tuple[list[Row], tuple[int, ...]]:
    """The original's layers without the head, and the layers that the head reads: auxiliary ones first, if any."""
    main = deploy_rows(layout.size)
    if not layout.dual:
        return main, (35, 38, 41) if layout.size == "e" else (15, 18, 21)
    if layout.size in ("t", "s"):
        return [*main, *_pyramid(main, 8, 6, 4, 9)], (28, 25, 22, 15, 18, 21)
    if layout.size == "e":
        auxiliary = _pyramid(main, 9, 7, 5, 29)
        after = [_moved(row, first=29, by=7) for row in main[29:]]
        after[0] = replace(after[0], sources=(28,))
        return [*main[:29], *auxiliary, *after], (35, 32, 29, 42, 45, 48)
    moved = [_moved(row, first=0, by=1) for row in main]
    return [Row((-1,), "Silence", ()), *moved, *_reversible(main)], (31, 34, 37, 16, 19, 22)


def _pyramid(main: list[Row], deep: int, middle: int, shallow: int, first: int) -> list[Row]:
    """The auxiliary branch of t, s and e: a second way up, from the layers `deep`, `middle` and `shallow`."""
    up = Row((-1,), *PAIR)
    return [
        replace(main[first], sources=(deep,)),
        up,
        Row((-1, middle), "Concat", (1,)),
        main[first + 3],
        up,
        Row((-1, shallow), "Concat", (1,)),
        main[first + 6],
    ]


def _reversible(main: list[Row]) -> list[Row]:
    """The auxiliary branch of m and c: the backbone once more, fed with what the first one saw at layers 5, 7 and 9."""
    widths = [main[layer].args[0] for layer in (3, 5, 7)]
    linear = [Row((source,), "CBLinear", (widths[: place + 1],)) for place, source in enumerate((5, 7, 9))]
    again = [replace(main[0], sources=(0,)), *main[1:3]]
    for level, sources in enumerate(((23, 24, 25), (24, 25), (25,))):
        again.append(main[3 + 2 * level])
        again.append(Row((*sources, -1), "CBFuse", ([level] * len(sources),)))
        again.append(main[4 + 2 * level])
    return [*linear, *again]


def _moved(row: Row, *, first: int, by: int) -> Row:
    return replace(row, sources=tuple(source + by if source >= first else source for source in row.sources))

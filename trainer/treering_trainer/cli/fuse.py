"""`treering fuse`: several detectors as one artefact, without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from treering_api import BadSpecError
from treering_trainer.cli.options import AsJson
from treering_trainer.cli.tables import make_table, print_json, print_text, score, table_console

if TYPE_CHECKING:
    from treering_trainer.yolo.fusion.fuse import Fusion, Source
    from treering_trainer.yolo.fusion.measuring import Row

METHODS = ("wbf", "softNms", "nms")
KINDS = {"member": "alone", "fused": "all, in Python", "graph": "all, as ONNX", "beside": "beside"}


Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Model files, or folders of published rounds; 2 to 8.", show_default=False),
]
Out = Annotated[Path, typer.Option(help="The folder to write; none is written over.", show_default=False)]
Take = Annotated[
    list[str] | None,
    typer.Option(metavar="N:CLASS,...", help="Of the Nth model only these classes.", show_default=False),
]
Rename = Annotated[
    list[str] | None,
    typer.Option(metavar="N:OLD=NEW", help="What the Nth model calls OLD is called NEW.", show_default=False),
]
Weight = Annotated[
    list[str] | None,
    typer.Option(metavar="N=W", help="Weight of the Nth model's word; 1 by default.", show_default=False),
]
Method = Annotated[
    str, typer.Option(help="How boxes of a class become one: wbf (weighted mean), softNms, nms (the surest).")
]
Overlap = Annotated[float, typer.Option(help="IoU from which boxes of a class are of one object.", min=0.01, max=0.99)]
Sigma = Annotated[float, typer.Option(help="Of softNms: how gently it fades.", min=0.01, max=10)]
Rivals = Annotated[
    str,
    typer.Option(metavar="IOU|off", help="IoU from which boxes of classes of different models compete, or off."),
]
Calibration = Annotated[
    list[Path] | None,
    typer.Option(
        help="Labelled pictures in YOLO layout on which confidences are made comparable. They speak of the classes "
        "that they name; may be given several times.",
        exists=True,
        file_okay=False,
    ),
]
DataFolders = Annotated[
    list[Path] | None,
    typer.Option(help="The same to measure mAP on; other pictures.", exists=True, file_okay=False),
]
Threshold = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CLASS=T|best",
        help="Least confidence of a class; best: found on --calibration.",
        show_default=False,
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(help="Side of the network's input, pixels. Default: the trainings' largest.", min=64, max=2048),
]
Beside = Annotated[
    Path | None, typer.Option(help="A further model to measure beside, such as the merged one.", show_default=False)
]


def fuse(
    files: Files,
    out: Out,
    take: Take = None,
    rename: Rename = None,
    weight: Weight = None,
    method: Method = "wbf",
    overlap: Overlap = 0.55,
    sigma: Sigma = 0.5,
    rivals: Rivals = "0.55",
    calibration: Calibration = None,
    data: DataFolders = None,
    threshold: Threshold = None,
    image_size: ImageSize = None,
    beside: Beside = None,
    as_json: AsJson = False,
) -> int:
    """Make one detector of several: all look at the picture, their boxes are fused.

    Written are a folder for Python and, in it, a single ONNX graph.
    """
    from treering_trainer import api
    from treering_trainer.yolo.fusion.fuse import Wanted

    def tell(text: str) -> None:
        Console(stderr=True, highlight=False).print(text)

    wanted = Wanted(
        method=_method(method),
        overlap=overlap,
        sigma=sigma,
        rival_overlap=_rivals(rivals),
        image_size=image_size,
        calibration=tuple(calibration or ()),
        data=tuple(data or ()),
        thresholds=_thresholds(threshold or []),
        beside=beside,
    )
    done = api.fuse_models(_sources(files, take or [], rename or [], weight or []), out, wanted, tell=tell)
    if as_json:
        print_json({"out": str(out), **_data(done)})
    else:
        _print(done, out)
    return 0


def _sources(files: list[Path], take: list[str], rename: list[str], weight: list[str]) -> list[Source]:
    from treering_trainer.yolo.fusion.fuse import Source

    taken: dict[int, tuple[str, ...]] = {}
    renamed: dict[int, dict[str, str]] = {}
    weights: dict[int, float] = {}
    for text in take:
        place, names = _numbered("--take", text, ":", len(files), "1:person,bus")
        taken[place] = (*taken.get(place, ()), *(name.strip() for name in names.split(",")))
    for text in rename:
        place, names = _numbered("--rename", text, ":", len(files), "2:person=pedestrian")
        old, equals, new = names.partition("=")
        if not equals or not new.strip():
            raise BadSpecError("--rename", repr(text), "Write it like 2:person=pedestrian.")
        renamed.setdefault(place, {})[old.strip()] = new.strip()
    for text in weight:
        place, value = _numbered("--weight", text, "=", len(files), "2=0.5")
        weights[place] = _number("--weight", value, 100.0, "2=0.5")
    return [
        Source(path, taken.get(place, ()), renamed.get(place, {}), weights.get(place, 1.0))
        for place, path in enumerate(files, 1)
    ]


def _numbered(option: str, text: str, sign: str, count: int, example: str) -> tuple[int, str]:
    place, found, rest = text.partition(sign)
    if not found or not place.strip().isdigit() or not 1 <= int(place) <= count:
        raise BadSpecError(
            option, repr(text), f"Write it like {example}; the number is the model's place, 1 to {count}."
        )
    return int(place), rest.strip()


def _number(option: str, text: str, most: float, example: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= most:
        raise BadSpecError(option, repr(text), f"Write it like {example}: a number above 0, at most {most:g}.")
    return value


def _method(text: str) -> Literal["wbf", "softNms", "nms"]:
    for known in METHODS:
        if text == known:
            return known  # type: ignore[return-value]
    raise BadSpecError("--method", repr(text), f"Give one of {', '.join(METHODS)}.")


def _rivals(text: str) -> float | None:
    return None if text == "off" else _number("--rivals", text, 0.99, "0.55, or off")


def _thresholds(texts: list[str]) -> dict[str, float] | Literal["best"]:
    if texts == ["best"]:
        return "best"
    found = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not equals:
            raise BadSpecError("--threshold", repr(text), "Write it like person=0.4, or give best alone.")
        found[name] = _number("--threshold", value, 1.0, "person=0.4")
    return found


def _print(done: Fusion, out: Path) -> None:
    description = done.description
    table = make_table("", "what", right=("classes", "bytes", "ms per image", "p95", "mAP50", "mAP50-95"))
    for row in done.rows:
        times = (f"{row.latency_ms:.1f}", f"{row.latency_p95_ms:.1f}")
        numbers = (str(row.classes), f"{row.size_bytes:,}", *times, score(row.map50), score(row.map50_95))
        table.add_row(escape(row.name), KINDS[row.kind], *numbers)
    table_console().print(table)
    print_text(f"classes: {', '.join(description.classes)}")
    print_text(
        f"the ONNX graph answers as Python does: within {done.difference:.1e} (pixels, confidences) on "
        f"{done.proven_on} images of {description.image_size} px"
    )
    if description.thresholds:
        print_text("thresholds: " + ", ".join(f"{name} {value:.2f}" for name, value in description.thresholds.items()))
    for remark in done.remarks:
        print_text(f"note: {remark}")
    print_text(f"written to {out}; load it with treering_trainer.api.load_fused({str(out)!r}), or as ONNX with")
    print_text(f"ultralytics.YOLO({str(out / 'model.onnx')!r}, task='detect')")


def _data(done: Fusion) -> dict[str, object]:
    return {
        "description": done.description.model_dump(mode="json"),
        "rows": [_row_data(row) for row in done.rows],
        "difference": done.difference,
        "provenOn": done.proven_on,
        "remarks": done.remarks,
    }


def _row_data(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "kind": row.kind,
        "classes": row.classes,
        "sizeBytes": row.size_bytes,
        "latencyMs": row.latency_ms,
        "latencyP95Ms": row.latency_p95_ms,
        "map50": row.map50,
        "map5095": row.map50_95,
    }

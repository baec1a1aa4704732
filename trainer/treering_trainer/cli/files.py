"""`treering inspect` and `treering convert`: model files from anywhere, read without running anything in them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from treering_trainer.cli.options import AsJson
from treering_trainer.cli.tables import (
    NOTHING,
    make_table,
    print_fields,
    print_json,
    print_text,
    score,
    table_console,
)
from treering_trainer.foreign.recognition import NEEDED, TRAINING

if TYPE_CHECKING:
    from treering_trainer.api import InspectedModel
    from treering_trainer.foreign.model_file import Part
    from treering_trainer.yolo.conversion import Conversion

SHOWN_CLASSES = 20
ModelFilePath = Annotated[Path, typer.Argument(metavar="FILE", help="A .pt or .safetensors file.", show_default=False)]


def inspect(file: ModelFilePath, as_json: AsJson = False) -> int:
    """Show what a model file is, and what in it serves training only.

    It is read in a process of its own, without network; nothing in it is run.
    """
    from treering_trainer import api

    found = api.inspect_model(file)
    if as_json:
        print_json(_inspected_data(found))
    else:
        _print_inspected(found)
    return 0


def convert(
    file: ModelFilePath,
    out: Annotated[Path, typer.Option(help="The .pt file to write; none is written over.", show_default=False)],
    images: Annotated[
        Path | None, typer.Option(help="Folder of pictures to compare outputs on, too.", exists=True, file_okay=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder in YOLO layout to measure mAP on, before and after.", exists=True, file_okay=False),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the network's input, pixels. Default: the training's.", min=64, max=2048)
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Make a deployable model of a model file, and prove that it answers as before.

    An original YOLOv9 loses its auxiliary branch; optimizer, second copies, arguments and paths go.
    """
    from treering_trainer import api

    def tell(text: str) -> None:
        Console(stderr=True, highlight=False).print(text)

    done = api.convert_model(file, out, images=images, data=data, image_size=image_size, tell=tell)
    if as_json:
        print_json({"out": str(out), **_conversion_data(done)})
    else:
        _print_conversion(done, out)
    return 0


def _print_inspected(found: InspectedModel) -> None:
    file, kind = found.file, found.kind
    more = f" and {len(kind.classes) - SHOWN_CLASSES} more" if len(kind.classes) > SHOWN_CLASSES else ""
    print_fields(
        {
            "file": f"{file.path} ({file.size_bytes:,} bytes, {file.container})",
            "model": kind.label,
            "saved as": f"{file.saved_as}, weights from {file.taken_from!r}",
            "classes": f"{len(kind.classes)}: {', '.join(kind.classes[:SHOWN_CLASSES])}{more}" if kind.classes else "",
            "parameters": _parameters(found),
            "private": "; ".join(file.private[:5]) + (f" and {len(file.private) - 5} more" if file.private[5:] else ""),
            "read in": f"a process of its own, confined by {', '.join(file.borders)}",
        }
    )
    table = make_table("part", "what", right=("bytes",), last="for")
    for part in found.parts:
        table.add_row(escape(part.name), part.kind, f"{part.size_bytes:,}", _use(part))
    table_console().print(table)


def _use(part: Part) -> str:
    if part.kind in NEEDED:
        return "the model"
    return "[yellow]training only[/]" if part.kind in TRAINING else "[dim]nothing that deploys[/]"


def _parameters(found: InspectedModel) -> str:
    kind = found.kind
    if not kind.auxiliary_parameters:
        return f"{kind.parameters:,}"
    rest = kind.parameters - kind.auxiliary_parameters
    return f"{kind.parameters:,}, of them {kind.auxiliary_parameters:,} in the auxiliary branch; {rest:,} deploy"


def _inspected_data(found: InspectedModel) -> dict[str, object]:
    file, kind = found.file, found.kind
    return {
        "file": str(file.path),
        "sizeBytes": file.size_bytes,
        "container": file.container,
        "family": kind.family,
        "model": kind.label,
        "size": kind.size,
        "savedAs": file.saved_as,
        "takenFrom": file.taken_from,
        "classes": kind.classes,
        "parameters": kind.parameters,
        "auxiliaryParameters": kind.auxiliary_parameters,
        "private": file.private,
        "borders": file.borders,
        "parts": [
            {
                "name": part.name,
                "kind": part.kind,
                "sizeBytes": part.size_bytes,
                "trainingOnly": part.kind in TRAINING,
            }
            for part in found.parts
        ],
    }


def _print_conversion(done: Conversion, out: Path) -> None:
    proof = done.proof
    print_text(done.outcome)
    table = make_table("", right=("bytes", "parameters", "ms per image", "mAP50", "mAP50-95"))
    for name, side in (("before", done.before), ("after", done.after)):
        numbers = (f"{side.size_bytes:,}", f"{side.parameters:,}", f"{side.latency_ms:.1f}")
        table.add_row(name, *numbers, score(side.map50), score(side.map50_95))
    table_console().print(table)
    seen = f"{proof.random_images} random images" + (f" and {proof.given_images} given" if proof.given_images else "")
    print_text(
        f"proven on {seen} of {done.image_size} px: class scores equal bit for bit, boxes within "
        f"{proof.box_difference_px:.1e} px"
    )
    dropped = ", ".join(f"{part.name} {part.size_bytes:,}" for part in done.dropped) or NOTHING
    print_text(f"left out (bytes): {dropped}")
    print_text(f"written to {out}; the original is as it was")


def _conversion_data(done: Conversion) -> dict[str, object]:
    def side(name: str) -> dict[str, object]:
        values = asdict(getattr(done, name))
        keys = ("sizeBytes", "parameters", "latencyMs", "map50", "map5095")
        return dict(zip(keys, values.values(), strict=True))

    return {
        "outcome": done.outcome,
        "family": done.source.family,
        "size": done.source.size,
        "classes": done.source.classes,
        "imageSize": done.image_size,
        "before": side("before"),
        "after": side("after"),
        "proof": {
            "randomImages": done.proof.random_images,
            "givenImages": done.proof.given_images,
            "scoreDifference": done.proof.score_difference,
            "boxDifferencePx": done.proof.box_difference_px,
        },
        "dropped": [{"name": part.name, "kind": part.kind, "sizeBytes": part.size_bytes} for part in done.dropped],
    }

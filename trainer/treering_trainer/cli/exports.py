"""`treering export`: further formats of a model, each measured beside the model itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from treering_api import EXPORT_FORMATS, Parity
from treering_trainer.cli.files import ModelFilePath
from treering_trainer.cli.options import AsJson
from treering_trainer.cli.tables import NOTHING, make_table, print_json, print_text, score, table_console
from treering_trainer.records import ExportedFormat

DEFAULTS = Parity()


def export(
    file: ModelFilePath,
    out: Annotated[Path, typer.Option(help="The folder to write; none is written over.", show_default=False)],
    formats: Annotated[
        list[str],
        typer.Option("--format", help=f"One of {', '.join(EXPORT_FORMATS)}; several times for several."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder in YOLO layout to measure every format on.", exists=True, file_okay=False),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pictures for 8-bit formats; others than those of --data.", exists=True, file_okay=False
        ),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the network's input, pixels. Default: the training's.", min=64, max=2048)
    ] = None,
    max_map50_drop: Annotated[
        float, typer.Option(help="mAP50 that a format may lose; else it is left out.", min=0, max=1)
    ] = DEFAULTS.max_map50_drop,
    max_box_drift: Annotated[
        float, typer.Option(help="Pixels that 95 of 100 boxes may move; else it is left out.", min=0, max=1000)
    ] = DEFAULTS.max_box_drift,
    as_json: AsJson = False,
) -> int:
    """Make further formats of a model file or a published round, and hold each to the model itself.

    One that fails, or that answers too differently, is left out and named; the others are written all the same.
    """
    from treering_trainer import api

    def tell(text: str) -> None:
        Console(stderr=True, highlight=False).print(text)

    parity = Parity(max_map50_drop=max_map50_drop, max_box_drift=max_box_drift)
    done = api.export_model(
        file, out, formats, data=data, calibration=calibration, image_size=image_size, parity=parity, tell=tell
    )
    if as_json:
        print_json(
            {"out": str(out), "imageSize": done.image_size, "measured": done.measured, "formats": _data(done.formats)}
        )
        return 0
    _print(done.formats)
    seen = f"measured on {done.measured} images" if done.measured else "no --data: mAP and boxes were not compared"
    print_text(f"{seen}; latency is of one picture of {done.image_size} px, warm, without suppression")
    print_text(f"written to {out}")
    return 0


def _print(formats: tuple[ExportedFormat, ...]) -> None:
    columns = ("bytes", "mAP50", "mAP50-95", "lost, points", "moved, px", "ms", "p95", "model, ms")
    table = make_table("format", "device", right=columns, last="verdict")
    for made in formats:
        verdict = "[green]published[/]" if made.passed else f"[red]left out[/]: {escape(made.reason)}"
        table.add_row(
            made.name,
            made.device,
            f"{made.size_bytes:,}" if made.size_bytes else NOTHING,
            score(made.map50),
            score(made.map50_95),
            _number(None if made.map50_drop is None else 100 * made.map50_drop),
            *map(_number, (made.box_drift_px, made.latency_ms, made.latency_p95_ms, made.reference_ms)),
            verdict,
        )
    table_console().print(table)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _data(formats: tuple[ExportedFormat, ...]) -> list[dict[str, object]]:
    return [
        {
            "name": made.name,
            "files": [f"exports/{file}" for file in made.files],
            "sizeBytes": made.size_bytes,
            "device": made.device,
            "map50": made.map50,
            "map5095": made.map50_95,
            "map50Drop": made.map50_drop,
            "boxDriftPx": made.box_drift_px,
            "latencyMs": made.latency_ms,
            "latencyP95Ms": made.latency_p95_ms,
            "referenceMs": made.reference_ms,
            "passed": made.passed,
            "reason": made.reason,
        }
        for made in formats
    ]

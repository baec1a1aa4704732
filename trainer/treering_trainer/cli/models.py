"""`treering models`: list, fetch and roll back what a line published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from treering_trainer.cli.tables import print_json, print_text, table_console

app = typer.Typer(help="The models that a line published.", no_args_is_help=True, rich_markup_mode=None)

Spec = Annotated[Path, typer.Argument(help="The line's YAML file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("list")
def list_models(spec: Spec, as_json: Json = False) -> int:
    """List every published model."""
    from treering_trainer import api

    found = api.models(spec)
    if as_json:
        print_json([{**model.model_dump(mode="json", by_alias=True), "current": current} for model, current in found])
        return 0
    if not found:
        print_text("no model was published yet")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "round", "mAP50", "classes", "uri"):
        table.add_column(title)
    for model, current in found:
        score = "–" if model.map50 is None else f"{model.map50:.3f}"
        table.add_row("*" if current else "", str(model.round), score, escape(", ".join(model.classes)), model.uri)
    table_console().print(table)
    return 0


@app.command()
def fetch(
    spec: Spec,
    folder: Annotated[Path, typer.Argument(help="Where the files go.", show_default=False)],
    round_number: Annotated[int | None, typer.Option("--round", help="Round that published it. Default: current.")] = None,
) -> int:
    """Fetch a model's files, each checked against its manifest."""
    from treering_trainer import api

    model = api.fetch_model(spec, folder, round_number=round_number, on_file=lambda name: print_text(str(folder / name)))
    print_text(f"round {model.round}: load it with ultralytics.YOLO({str(folder / 'model.pt')!r})")
    return 0


@app.command()
def rollback(spec: Spec, round_number: Annotated[int, typer.Argument(help="Round whose model is to be current.")]) -> int:
    """Make the model of an earlier round the line's again."""
    from treering_trainer import api

    lineage = api.roll_back_to(spec, round_number)
    learned = ", ".join(lineage.learned) or "nothing"
    print_text(f"round {round_number} is the line's model again; it has learned {learned}")
    print_text(f"Increments after it are outstanding again: the next run learns them, unless spec.rollbackTo is {round_number}.")
    return 0

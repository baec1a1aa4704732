"""`treering models`: list, fetch and roll back what a line published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treering_trainer.cli.options import AsJson, CertificateAuthority, SpecFile
from treering_trainer.cli.tables import print_json, print_models, print_text

app = typer.Typer(
    help="List, fetch or roll back the models that a line published.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_models(spec: SpecFile, certificate_authority: CertificateAuthority = None, as_json: AsJson = False) -> int:
    """List every published model."""
    from treering_trainer import api

    found = api.models(spec, certificate_authority=certificate_authority)
    if as_json:
        print_json([{**model.model_dump(mode="json", by_alias=True), "current": current} for model, current in found])
    elif found:
        print_models(found)
    else:
        print_text("no model was published yet")
    return 0


@app.command()
def fetch(
    spec: SpecFile,
    folder: Annotated[Path, typer.Argument(help="Where the files go.", show_default=False)],
    round_number: Annotated[
        int | None, typer.Option("--round", help="Round that published it. Default: the current model.", metavar="N")
    ] = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Fetch a model's files, each checked against its manifest."""
    from treering_trainer import api

    files: list[str] = []

    def tell(name: str) -> None:
        files.append(str(folder / name))
        if not as_json:
            print_text(files[-1])

    model = api.fetch_model(
        spec, folder, round_number=round_number, on_file=tell, certificate_authority=certificate_authority
    )
    if as_json:
        print_json({**model.model_dump(mode="json", by_alias=True), "files": files})
    else:
        print_text(f"the model of round {model.round}; load it with ultralytics.YOLO({str(folder / 'model.pt')!r})")
    return 0


@app.command()
def rollback(
    spec: SpecFile,
    round_number: Annotated[
        int, typer.Argument(help="Round whose model is to be current.", metavar="ROUND", show_default=False)
    ],
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Make the model of an earlier round the line's again."""
    from treering_trainer import api

    lineage = api.roll_back_to(spec, round_number, certificate_authority=certificate_authority)
    if as_json:
        print_json({"current": round_number, "learned": lineage.learned})
        return 0
    print_text(f"round {round_number} is the line's model again; it has learned {', '.join(lineage.learned)}")
    print_text(
        "What came after it is outstanding again: the next run learns it, unless the spec says"
        f" rollbackTo: {round_number}"
    )
    return 0

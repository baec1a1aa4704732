"""`treering cases`: the pictures that a round collected for people to look at and to label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treering_trainer.cli.options import AsJson, CertificateAuthority, SpecFile
from treering_trainer.cli.tables import make_table, print_json, print_text, table_console


def cases(
    spec: SpecFile,
    out: Annotated[Path, typer.Option(help="The folder to write; none is written over.", show_default=False)],
    round_number: Annotated[
        int | None,
        typer.Option("--round", help="Round that collected them. Default: the last one.", metavar="N"),
    ] = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Fetch the pictures that a round reads worst, and the unlabelled ones that are most worth a label."""
    from treering_trainer import api

    found = api.fetch_cases(spec, out, round_number=round_number, certificate_authority=certificate_authority)
    counts = found.counts()
    if as_json:
        print_json({"out": str(out), "round": found.round, "counts": counts, "withPictures": found.with_pictures})
        return 0
    table = make_table("kind", right=("pictures",))
    for kind, count in counts.items():
        table.add_row(kind, str(count))
    table_console().print(table)
    print_text(f"round {found.round}: written to {out}; {out / 'cases.html'} shows them")
    if not found.with_pictures:
        print_text("This line keeps no pictures: there are names, reasons and boxes alone.")
    elif (out / "increment").is_dir():
        print_text(
            f"Next: correct the proposals in {out / 'increment'} (CVAT: upload increment.cvat.xml; Label Studio:"
        )
        print_text(
            "import increment.label-studio.json with label-studio.xml), then deliver that folder as an increment."
        )
    return 0

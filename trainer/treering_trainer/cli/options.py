"""Arguments and options that several verbs share; each means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SpecFile = Annotated[Path, typer.Argument(metavar="LINE.yaml", help="The line's YAML file.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
Workdir = Annotated[
    Path | None,
    typer.Option(help="Work folder; a stopped run goes on from it. Default: a folder of the line in the user's cache."),
]
CertificateAuthority = Annotated[
    Path | None, typer.Option(help="PEM file with the certificate authority of the store.", metavar="FILE")
]
Listen = Annotated[
    str | None,
    typer.Option(
        help="Serve /progress (JSON), /metrics (Prometheus) and /healthz there; port 0 takes a free one.",
        metavar="HOST:PORT",
    ),
]

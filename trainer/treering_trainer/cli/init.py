"""`treering init`: a commented spec from a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treering_api import BadSpecError, parse
from treering_trainer.cli.options import AsJson
from treering_trainer.cli.tables import print_json, print_text

TEMPLATE = """\
apiVersion: treering.dev/v1alpha1
kind: IncrementalTrain
metadata:
  name: "{name}"  # the line: one model that grows
spec:
  model:
    # s3://.../x.pt or file:///.../x.pt, an ultralytics name, or an architecture such as yolov8n.yaml
    base: "{base}"
    imageSize: {image_size}  # pixels, a multiple of 32
  store:
    # where models, memory and history go; s3://bucket/prefix works the same
    uri: "{store}"
    # credentialsSecret: {name}-store  # on a cluster; on one machine AWS_ACCESS_KEY_ID and the like
  increments:  # append-only: each is learned once, in order
    # {found}
    - name: "{increment}"
      uri: "{data}"
    # - {{name: next-delivery, uri: ...}}  # append the next one and run again
{holdouts}
  policies:  # how to remember; these are the defaults
    replay: {{ratio: 0.1}}  # keep a tenth of what was learned and show it again
    pseudoLabels: {{}}  # old and new model label what people did not
    # freeze: {{layers: 10}}  # a third faster, but slower at new classes
  # strategy: auto  # or incremental, or full: retrain on everything
  # training: {{epochs: 14, batch: 16, patience: auto}}
"""

NO_HOLDOUT = """\
  # evaluation:  # without a hold-out, about a tenth of each delivery is held back to compare models on
  #   holdouts: [{name: golden, uri: ...}]"""
HOLDOUT = """\
  evaluation:  # never trained on; every model is compared on it
    holdouts:
      - name: "{name}"
        uri: "{uri}"\
"""


def init(
    folder: Annotated[
        Path, typer.Argument(help="A delivery: YOLO layout, or another accepted format.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The YAML file to write.")] = Path("line.yaml"),
    name: Annotated[str | None, typer.Option(help="Name of the line. Default: the folder's name.")] = None,
    store: Annotated[
        str | None, typer.Option(help="URI of the line's store. Default: a folder beside the data.")
    ] = None,
    base: Annotated[str, typer.Option(help="Weights to start from.")] = "yolov8n.pt",
    holdout: Annotated[Path | None, typer.Option(help="A hold-out, in an accepted format.")] = None,
    image_size: Annotated[int, typer.Option(help="Side of the network input, pixels.")] = 640,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    as_json: AsJson = False,
) -> int:
    """Write a commented spec from a data folder."""
    if out.exists() and not force:
        raise BadSpecError(str(out), "the file exists", "Give another --out, or --force to overwrite it.")
    found = describe_delivery(folder)
    line = name or as_name(folder.resolve().name)
    text = TEMPLATE.format(
        name=line,
        base=base,
        image_size=image_size,
        store=store or (folder.resolve().parent / f"{line}-line").as_uri(),
        increment=as_name(folder.resolve().name),
        data=folder.resolve().as_uri(),
        found=found,
        holdouts=NO_HOLDOUT if holdout is None else _holdouts(holdout),
    )
    parse(text, str(out))
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadSpecError(str(out), f"it can't be written: {error.strerror}", "Give another --out.") from error
    if as_json:
        print_json({"spec": str(out), "line": line, "found": found})
        return 0
    print_text(f"{out}: the line {line} with {found}")
    print_text(f"Next: treering validate --data {out}")
    print_text(f"Then: treering run {out}")
    return 0


def describe_delivery(folder: Path) -> str:
    """How many images and which classes a folder in an accepted format holds.

    Raises:
        BadSpecError: it is no such folder.
        BadDataError: its format or its class names can't be read.
    """
    from treering_trainer.dataset import ACCEPTED, delivered

    if not folder.is_dir():
        raise BadSpecError(
            str(folder), "there is no such folder", "Give a folder with images/, labels/ and names.json."
        )
    images, names = delivered(folder)
    if not images:
        mend = f"Lay it out as images/train/*.jpg, labels/train/*.txt. {ACCEPTED}."
        raise BadSpecError(str(folder), "no images under images/", mend)
    return f"{images} images, classes {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"


def as_name(text: str) -> str:
    """A folder's name as the name of a line or an increment."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower())
    return name.strip("-")[:63].strip("-") or "line"


def _holdouts(folder: Path) -> str:
    describe_delivery(folder)
    return HOLDOUT.format(name=as_name(folder.resolve().name), uri=folder.resolve().as_uri())

"""`treering init`: a commented spec from a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from treering_api import BadSpecError, parse
from treering_trainer.cli.tables import print_text
from treering_trainer.dataset import read_names, wanted_keys

TEMPLATE = """\
apiVersion: treering.dev/v1alpha1
kind: IncrementalTrain
metadata:
  name: {name}                 # the line: one model that grows
spec:
  model:
    base: {base}    # weights (s3://, file://), an ultralytics name, or an architecture such as yolov8n.yaml
    imageSize: {image_size}            # pixels, a multiple of 32
  store:
    uri: {store}    # where models, memory and history go; s3://bucket/prefix works the same
    # credentialsSecret: {name}-store   # on a cluster; here the usual AWS_* variables count
  increments:                  # append-only: each is learned once, in order
    - name: {increment}
      uri: {data}    # {found}
    # - {{name: next-delivery, uri: ...}}   # append the next one and run again
{holdouts}
  policies:                    # how to remember; these are the defaults
    replay: {{ratio: 0.1}}       # keep a tenth of what was learned and show it again
    pseudoLabels: {{}}           # old and new model label what people did not
    # freeze: {{layers: 10}}     # a third faster, but slower at new classes
  # strategy: auto             # or incremental, or full (retrain on everything)
  # training: {{epochs: 14, batch: 16, patience: 0}}
"""

NO_HOLDOUT = """\
  # evaluation:                # without a hold-out, a tenth of each delivery is held back to compare models on
  #   holdouts: [{name: golden, uri: ...}]"""


def init(
    folder: Annotated[Path, typer.Argument(help="A delivery in YOLO layout.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The YAML file to write.")] = Path("line.yaml"),
    name: Annotated[str | None, typer.Option(help="Name of the line. Default: the folder's name.")] = None,
    store: Annotated[str | None, typer.Option(help="URI of the line's store. Default: a folder beside the data.")] = None,
    base: Annotated[str, typer.Option(help="Weights to start from.")] = "yolov8n.pt",
    holdout: Annotated[Path | None, typer.Option(help="A hold-out in YOLO layout.")] = None,
    image_size: Annotated[int, typer.Option(help="Side of the network input, pixels.")] = 640,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> int:
    """Write a commented spec from a data folder."""
    if out.exists() and not force:
        raise BadSpecError(str(out), "the file exists", "Give another --out, or --force to overwrite it.")
    found = _describe(folder)
    line = name or _as_name(folder.resolve().name)
    text = TEMPLATE.format(
        name=line,
        base=base,
        image_size=image_size,
        store=store or (folder.resolve().parent / f"{line}-line").as_uri(),
        increment=_as_name(folder.resolve().name),
        data=folder.resolve().as_uri(),
        found=found,
        holdouts=NO_HOLDOUT if holdout is None else _holdouts(holdout),
    )
    parse(text, str(out))
    out.write_text(text)
    print_text(f"{out}: the line {line} with {found}")
    print_text(f"Next: treering validate --data {out}, then treering run {out}")
    return 0


def _describe(folder: Path) -> str:
    if not folder.is_dir():
        raise BadSpecError(str(folder), "there is no such folder", "Give a folder with images/, labels/ and names.json.")
    keys = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    images = [key for key in wanted_keys(keys) if key.startswith("images/")]
    if not images:
        raise BadSpecError(str(folder), "no images under images/", "Lay it out as images/train/*.jpg, labels/train/*.txt.")
    names = read_names(folder, folder.name)
    return f"{len(images)} images, classes {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"


def _holdouts(folder: Path) -> str:
    _describe(folder)
    uri = folder.resolve().as_uri()
    return f"  evaluation:                  # never trained on; every model is compared on it\n    holdouts: [{{name: {_as_name(folder.resolve().name)}, uri: {uri}}}]"


def _as_name(text: str) -> str:
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower()).strip("-")
    return name[:63] or "line"

"""The command line: everything but data, weights and file has a default."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from bench.retention import scenarios
from bench.retention.methods import JOINT_EPOCHS, METHODS
from bench.retention.scenarios import Groups

DEFAULT_METHODS = "joint,naive,plain,default"


@dataclass(frozen=True)
class Options:
    """What is to be measured.

    Args:
        groups: classes by delivery, None for the scenario's own split.
        rates: learning rates that every method is run at; None in it is the method's own.
        epochs: of all rounds after the first and of fine-tuning; None: each method's own.
        first_epochs: of the first round; None: Treering's default.
        joint_everywhere: joint training after every delivery, not after the last alone.
    """

    data: Path
    weights: Path
    scenarios: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path
    groups: Groups | None
    rates: tuple[float | None, ...]
    image_size: int
    epochs: int | None
    first_epochs: int | None
    joint_epochs: int
    joint_everywhere: bool
    cache: Path
    s3: bool
    keep: bool


def parse(arguments: list[str] | None = None) -> Options | Path:
    """What was asked for; with --table alone, the file that is to be printed."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.table:
        if not given.table.is_file():
            parser.error(f"--table: there is no file {given.table}")
        return Path(given.table)
    for name in ("data", "weights", "out"):
        if getattr(given, name) is None:
            parser.error(f"--{name} is needed")
    if not given.weights.is_file():
        parser.error(f"--weights: there is no file {given.weights}")
    return Options(
        data=given.data,
        weights=given.weights.resolve(),
        scenarios=_chosen(parser, "--scenario", given.scenario, tuple(scenarios.SCENARIOS), scenarios.LONG_NAMES),
        methods=_chosen(parser, "--method", given.method, tuple(METHODS)),
        seeds=tuple(range(given.first_seed, given.first_seed + given.seeds)),
        out=given.out,
        groups=_groups(given.classes),
        rates=_rates(parser, given.rates),
        image_size=given.image_size,
        epochs=given.epochs,
        first_epochs=given.first_epochs,
        joint_epochs=given.joint_epochs,
        joint_everywhere=given.joint_steps == "all",
        cache=given.cache.expanduser().resolve(),
        s3=given.s3,
        keep=given.keep,
    )


def _parser() -> argparse.ArgumentParser:
    methods = "\n".join(f"  {method.name:<22}{method.what}" for method in METHODS.values())
    long = "\n".join(f"  {short:<9}is also {name}" for name, short in scenarios.LONG_NAMES.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench.retention",
        description="What a detector keeps and gains over deliveries, by method, in one table.\n"
        "A call that was cut off goes on where it was; other scenarios, methods and seeds can be added to a file.",
        epilog=f"{scenarios.__doc__}\n{long}\n\nmethods:\n{methods}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, help="folder in YOLO layout: images/, labels/ with train and val, names.json")
    add("--weights", type=Path, help="base weights, an ultralytics .pt, or a model .yaml to start from scratch")
    add("--scenario", default="voc", metavar="S,...", help="scenarios, or all; default: voc")
    add("--method", default=DEFAULT_METHODS, metavar="M,...", help=f"methods, or all; default: {DEFAULT_METHODS}")
    add("--seeds", type=int, default=1, metavar="N", help="how many seeds; default: 1")
    add("--out", type=Path, metavar="FILE.json", help="where the numbers go; plots go beside it")
    add(
        "--table",
        type=Path,
        metavar="FILE.json",
        help="print the tables of such a file as Markdown, and do nothing else",
    )
    add("--classes", metavar="a,b/c,d", help="classes by delivery; steps takes them if there are more than two groups")
    add("--rates", metavar="R,...", help="learning rates for every method, joint too; the best of each is reported")
    add("--first-seed", type=int, default=0, metavar="N", help="the first seed; default: 0")
    add("--image-size", type=int, default=320, metavar="PX", help="pixels, a multiple of 32; default: 320")
    add("--epochs", type=int, metavar="N", help="of every round after the first; default: each method's own")
    add("--first-epochs", type=int, metavar="N", help="of the first round; default: Treering's")
    add("--joint-epochs", type=int, default=JOINT_EPOCHS, metavar="N", help=f"default: {JOINT_EPOCHS}")
    add("--joint-steps", choices=("last", "all"), default="last", help="after which deliveries joint is trained")
    add(
        "--cache",
        type=Path,
        default=_cache(),
        help="first rounds and bare trainings, kept for other calls; %(default)s",
    )
    add("--s3", action="store_true", help="lines live on a real S3 server on this machine instead of in a folder")
    add("--keep", action="store_true", help="keep the lines' folders in the cache, with stores and reports")
    return parser


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "treering" / "bench"


def _chosen(
    parser: argparse.ArgumentParser, flag: str, text: str, known: tuple[str, ...], other: dict[str, str] | None = None
) -> tuple[str, ...]:
    if text == "all":
        return known
    words = [(other or {}).get(word.strip(), word.strip()) for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            parser.error(f"{flag}: {word!r} is none of {', '.join(known)}")
    if not words:
        parser.error(f"{flag}: give some of {', '.join(known)}")
    return tuple(dict.fromkeys(words))


def _groups(text: str | None) -> Groups | None:
    if not text:
        return None
    return tuple(tuple(name.strip() for name in group.split(",") if name.strip()) for group in text.split("/"))


def _rates(parser: argparse.ArgumentParser, text: str | None) -> tuple[float | None, ...]:
    if not text:
        return (None,)
    try:
        return tuple(dict.fromkeys(float(word) for word in text.split(",")))
    except ValueError:
        parser.error(f"--rates: {text!r} is no list of numbers such as 1e-3,2e-3")

"""`python -m bench.retention`: parse, measure, print and draw."""

from __future__ import annotations

import fcntl
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.retention.book import Book
from bench.retention.measure import Lesson, say
from bench.retention.options import Options, parse
from bench.retention.plots import draw
from bench.retention.probe import Probe
from bench.retention.process import ends_with_its_children
from bench.retention.scenarios import ImpossibleError, make_course
from bench.retention.source import Source, file_digest, read_source
from bench.retention.summary import summarise
from bench.retention.table import markdown, show


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for and not there yet; gives the exit code."""
    options = parse(arguments)
    if isinstance(options, Path):
        print(markdown(summarise(Book.read(options).rows)))
        return 0
    try:
        with own_cache(options.cache), ends_with_its_children():
            return 1 if measure(options) else 0
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        return 130


def measure(options: Options) -> int:
    """Every scenario with every seed; the tables and plots in the end. Gives how many methods failed."""
    source = read_source(options.data)
    if source.dropped:
        say(f"{source.dropped} train images stand in val too and were left out")
    refuse_groups(options, source)
    book = Book.open(options.out, header(options, source), command())
    probe, failed = Probe(), 0
    for scenario in options.scenarios:
        for seed in options.seeds:
            failed += learn(scenario, seed, options, source, book, probe)
    book.write()
    found = summarise(book.rows)
    show(found)
    for path in draw(book.rows, found, options.out):
        say(str(path))
    return failed


def learn(scenario: str, seed: int, options: Options, source: Source, book: Book, probe: Probe) -> int:
    """One scenario with one seed; one that this data set can't give is passed over where others were asked for."""
    folder = options.cache / "courses" / f"made-{source.digest[:12]}-{scenario}-{seed}"
    try:
        course = make_course(scenario, source, seed, options.groups, folder)
    except ImpossibleError as error:
        if len(options.scenarios) == 1:
            raise SystemExit(str(error)) from error
        say(f"passed over {error}")
        return 0
    failed = Lesson(options, course, file_digest(options.weights), book, probe, say).run()
    shutil.rmtree(folder, ignore_errors=True)
    return failed


@contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Keep other calls out of the cache while this one works: each deletes what it made there when it is through."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SystemExit(
                f"--cache: another call works in {folder}; wait for it, or give this one a folder of its own"
            ) from error
        yield


def refuse_groups(options: Options, source: Source) -> None:
    """Refuse classes that the data set does not have, or that come twice."""
    named = [name for group in options.groups or () for name in group]
    strange = sorted(set(named) - set(source.names))
    if (
        strange
        or len(named) != len(set(named))
        or (options.groups and (len(options.groups) < 2 or () in options.groups))
    ):
        raise SystemExit(f"--classes: give each of {', '.join(source.names)} once at most, in two groups at least")


def header(options: Options, source: Source) -> dict[str, Any]:
    """What all rows of a file have in common; rows of another comparison are refused."""
    return {
        "data": source.name,
        "dataDigest": source.digest,
        "trainImages": len(source.train),
        "valImages": len(source.val),
        "names": source.names,
        "weights": options.weights.name,
        "weightsDigest": file_digest(options.weights),
        "imageSize": options.image_size,
        "classes": options.groups,
        "epochs": {"first": options.first_epochs, "later": options.epochs, "joint": options.joint_epochs},
        "machine": {"system": platform.machine(), "python": platform.python_version()},
    }


def command() -> str:
    """The command line, without folders that are nobody's business."""
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return " ".join(["python -m bench.retention", *words])


if __name__ == "__main__":
    sys.exit(main())

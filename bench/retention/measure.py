"""Measuring: for each scenario and seed a course, for each method its models, for each model a row."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.retention.bare import CHECKPOINT, Job
from bench.retention.book import Book, Cost, Row
from bench.retention.course import Course, only, write
from bench.retention.lines import Place, Round, grow, in_folder, on_s3
from bench.retention.methods import BATCH, FIRST, METHODS, Method, line_spec
from bench.retention.options import Options
from bench.retention.probe import Probe
from bench.retention.process import FailedError, code_digest
from bench.retention.source import content_digest, file_digest, text_digest
from bench.retention.trainings import has_ended, train_bare
from treering_api import Training, resolve_training
from treering_trainer.dataset import Sample

Say = Callable[[str], None]


@dataclass(frozen=True)
class Lesson:
    """One course with everything that is measured on it."""

    options: Options
    course: Course
    weights_digest: str
    book: Book
    probe: Probe
    say: Say

    def run(self) -> int:
        """Measure whatever is not in the book yet; a method that fails is told and passed over. Gives how many did."""
        failed = 0
        for name in self.options.methods:
            method = METHODS[name]
            for rate in self.options.rates:
                try:
                    if not self._complete(method, rate):
                        self._learn(method, rate)
                except FailedError as error:
                    self.say(f"{name} failed and is passed over: {error}")
                    failed += 1
        shutil.rmtree(self.folder, ignore_errors=True)
        return failed

    @cached_property
    def folder(self) -> Path:
        """Deliveries and hold-outs of this course; made again whenever they are needed."""
        return self.options.cache / "courses" / self.course.digest[:16]

    @cached_property
    def holdouts(self) -> dict[str, Path]:
        """Folders of the hold-outs by name."""
        return self.course.write_holdouts(self.folder)

    @cached_property
    def first(self) -> Round:
        """The first-round model that all methods but joint start from: Treering's default first round, trained once."""
        place = self._first_place
        cached = (place / "round-1.json").exists()
        if not cached:
            self._tell("first round", 1)
        with in_folder(place, self.options.weights) as home:
            resource = self._resource(METHODS["default"], home, 1, None)
            first = grow(place, resource, 1, seed_from=self._first_checkpoint)
        for part in ("work", "store"):
            shutil.rmtree(place / part, ignore_errors=True)
        if not self.book.has(self.course.scenario, FIRST, self.course.seed, None, 1):
            self._enter(FIRST, None, 1, first.scores, first.cost, first.strategy, first.device, cached=cached)
        return first

    def _learn(self, method: Method, rate: float | None) -> None:
        if method.kind == "joint":
            self._learn_jointly(method, rate)
        elif method.kind == "tuned":
            self._tune(method, rate)
        else:
            self._grow_line(method, rate)

    def _learn_jointly(self, method: Method, rate: float | None) -> None:
        for step in self._measured_steps(method):
            self._tell(method.name, step)
            samples, seen = self.course.together(step), self.course.seen(step)
            train = write(self.folder / f"joint-{step}", samples, self.course.names, seen, link=False)
            learned = self._content(samples, seen)
            self._train_bare(method, rate, step, str(self.options.weights), self.weights_digest, train, learned)
            shutil.rmtree(train, ignore_errors=True)

    def _tune(self, method: Method, rate: float | None) -> None:
        start = str(self.first.model / "model.pt")
        start_digest = file_digest(self._first_checkpoint)
        for step in self._measured_steps(method):
            self._tell(method.name, step)
            delivery, seen = self.course.steps[step - 1], self.course.seen(step)
            train = write(
                self.folder / f"tuned-{step}", delivery.samples, self.course.names, delivery.classes,
                listed=seen, link=False,
            )  # fmt: skip
            learned = self._content(delivery.samples, delivery.classes)
            start_digest = self._train_bare(method, rate, step, start, start_digest, train, learned)
            start = str(self._bare_folder(start_digest) / CHECKPOINT)

    def _train_bare(
        self, method: Method, rate: float | None, step: int, start: str, start_digest: str, train: Path, learned: str
    ) -> str:
        """Train, or take the numbers of an equal training from the cache, whatever its scenario; gives its digest."""
        epochs = self.options.joint_epochs if method.kind == "joint" else self.options.epochs or method.epochs
        assert epochs is not None and method.rate is not None
        settings: dict[str, Any] = {
            "epochs": epochs, "rate": rate or method.rate, "image_size": self.options.image_size, "batch": BATCH,
            "seed": self.course.seed, "head_only": method.head_only,
        }  # fmt: skip
        seen = self.course.seen(step)
        digest = text_digest(start_digest, learned, seen, self._measured_on, sorted(settings.items()))
        held = {name: str(path) for name, path in self.holdouts.items()}
        folder = self._bare_folder(digest)
        job = Job(start, str(train), list(seen), held, str(folder), **settings)
        cached = has_ended(folder)
        done = train_bare(job, self.probe, keep_weights=method.kind != "joint")
        self._enter(method.name, rate, step, done.scores, done.cost, "", done.device, cached=cached)
        return digest

    def _grow_line(self, method: Method, rate: float | None) -> None:
        assert self.first.model
        parts = (self.course.digest, self.weights_digest, asdict(method), rate, self._settings, code_digest())
        folder = self.options.cache / "lines" / f"{method.name}-{text_digest(*parts)[:12]}"
        if self.options.s3:
            shutil.rmtree(folder, ignore_errors=True)  # the server has forgotten the line
        folder.mkdir(parents=True, exist_ok=True)
        with (on_s3 if self.options.s3 else in_folder)(folder, self.options.weights) as home:
            grow(folder, self._resource(method, home, 1, None), 1, seed_from=self._first_checkpoint)
            for step in range(2, len(self.course.steps) + 1):
                self._tell(method.name, step)
                resource = self._resource(method, home, step, rate)
                with self.probe.beside() as speed:
                    done = grow(folder, resource, step)
                if self.book.has(self.course.scenario, method.name, self.course.seed, rate, step):
                    continue  # by a call that was cut off later
                done = replace(done, cost=replace(done.cost, probe_s=speed.value_s))
                self._enter(method.name, rate, step, done.scores, done.cost, done.strategy, done.device)
        if not self.options.keep:
            shutil.rmtree(folder, ignore_errors=True)

    def _resource(self, method: Method, home: Place, count: int, rate: float | None) -> dict[str, Any]:
        """The line's spec for its round `count`; the first round is the same for all but for what is remembered."""
        training: dict[str, Any] = {"seed": self.course.seed}
        if count == 1:
            training |= {"epochs": self.options.first_epochs} if self.options.first_epochs else {}
        else:
            training |= method.training()
            training |= {"learningRate": rate} if rate is not None else {}
            training |= {"epochs": self.options.epochs} if self.options.epochs else {}
        steps = range(count)
        return line_spec(
            method,
            base=home.base,
            store=home.store,
            increments={self.course.steps[at].name: home.send(self.course.write_step(self.folder, at)) for at in steps},
            holdouts={name: home.send(path) for name, path in self.holdouts.items()},
            image_size=self.options.image_size,
            training=training,
        )

    def _enter(
        self, method: str, rate: float | None, step: int, scores: Mapping[str, Any], cost: Cost, strategy: str,
        device: str, *, cached: bool = False,
    ) -> None:  # fmt: skip
        at = self.course.steps[step - 1]
        self.book.add(Row(
            scenario=self.course.scenario, method=method, seed=self.course.seed, rate=rate, step=step,
            steps=len(self.course.steps), scores={cell: tuple(scores[cell]) for cell in scores}, old=at.old, new=at.new,
            known=at.known, cost=cost, joint_passes=self.options.joint_epochs * len(self.course.together(step)),
            strategy=strategy, device=device, cached=cached, code="" if cached else code_digest()[:12],
        ))  # fmt: skip

    def _measured_steps(self, method: Method) -> Iterator[int]:
        last = len(self.course.steps)
        first = last if method.kind == "joint" and not self.options.joint_everywhere else 2
        yield from range(first, last + 1)

    def _complete(self, method: Method, rate: float | None) -> bool:
        names = (self.course.scenario, method.name, self.course.seed, rate)
        return all(self.book.has(*names, step) for step in self._measured_steps(method))

    def _bare_folder(self, digest: str) -> Path:
        return self.options.cache / "bare" / digest[:16]

    @cached_property
    def _first_place(self) -> Path:
        step = self.course.steps[0]
        defaults = resolve_training(
            Training(), strategy="full", new_classes=1, from_scratch=False, images=len(step.samples)
        )
        learned = self._content(step.samples, step.classes)
        parts = (self.weights_digest, learned, self._measured_on, defaults, self.course.seed,
                 self.options.image_size, self.options.first_epochs)  # fmt: skip
        return self.options.cache / "first" / text_digest(*parts)[:16]

    @cached_property
    def _measured_on(self) -> str:
        return text_digest(
            *((item.name, content_digest(self.course.names, item.samples)) for item in self.course.holdouts)
        )

    def _content(self, samples: Sequence[Sample], classes: Sequence[str]) -> str:
        names = self.course.names
        return text_digest(tuple(classes), content_digest(names, [only(item, names, classes) for item in samples]))

    @property
    def _first_checkpoint(self) -> Path:
        return self._first_place / "checkpoint.pt"

    @property
    def _settings(self) -> tuple[Any, ...]:
        given = self.options
        return given.image_size, given.epochs, given.first_epochs, self.course.seed

    def _tell(self, what: str, step: int) -> None:
        place = f"{self.course.scenario}, seed {self.course.seed}: {what}"
        self.say(f"{place}, delivery {step} of {len(self.course.steps)}")


def say(text: str) -> None:
    """One line of progress, for people."""
    print(text, file=sys.stderr, flush=True)

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import pytest

from treering_api import resolve
from treering_api.resolve import resolve_training
from treering_api.spec import Policies, Replay, Training

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("strategy", "new_classes", "from_scratch", "epochs", "learning_rate"),
    [
        pytest.param("full", 3, True, 100, 1e-3, id="from-scratch"),
        pytest.param("full", 3, False, 20, 1e-3, id="full"),
        pytest.param("incremental", 3, False, 6, 2e-3, id="new-classes"),
        pytest.param("incremental", 0, False, 8, 3e-4, id="more-of-the-same"),
    ],
)
def test_resolve_training__defaults(
    strategy: str, new_classes: int, from_scratch: bool, epochs: int, learning_rate: float
) -> None:
    resolved = resolve_training(
        Training(), strategy=strategy, new_classes=new_classes, from_scratch=from_scratch, images=1000  # type: ignore[arg-type]
    )  # fmt: skip
    assert (resolved.epochs, resolved.learning_rate, resolved.optimizer) == (epochs, learning_rate, "AdamW")
    assert "auto" not in dataclasses.asdict(resolved).values()


@pytest.mark.parametrize(
    ("training", "learning_rate"),
    [
        pytest.param(Training(batch=64), 2e-3, id="root-of-the-batch"),
        pytest.param(Training(batch=4), 5e-4, id="smaller-batch"),
        pytest.param(Training(optimizer="SGD"), 1e-2, id="another-optimizer"),
        pytest.param(Training(optimizer="SGD", batch=64), 4e-2, id="linear-in-the-batch"),
        pytest.param(Training(batch=64, learning_rate=0.005), 0.005, id="given-is-not-scaled"),
    ],
)
def test_resolve_training__learning_rate(training: Training, learning_rate: float) -> None:
    resolved = resolve_training(training, strategy="full", new_classes=1, from_scratch=False, images=1000)
    assert resolved.learning_rate == pytest.approx(learning_rate)


@pytest.mark.parametrize(
    ("strategy", "new_classes", "processes", "batch", "learning_rate"),
    [
        pytest.param("full", 2, 1, 16, 1e-3, id="full"),
        pytest.param("incremental", 0, 1, 8, 3e-4, id="more-of-the-same"),
        pytest.param("incremental", 2, 1, 8, 2e-3, id="new-classes"),
        pytest.param("incremental", 2, 8, 8, 2e-3, id="one-each"),
        pytest.param("incremental", 2, 5, 10, 2.236e-3, id="a-multiple-of-the-processes"),
        pytest.param("incremental", 2, 32, 32, 4e-3, id="more-processes-than-images"),
    ],
)
def test_resolve_training__batch_by_kind_of_round_and_processes(
    strategy: Literal["incremental", "full"], new_classes: int, processes: int, batch: int, learning_rate: float
) -> None:
    resolved = resolve_training(
        Training(), strategy=strategy, new_classes=new_classes, from_scratch=False, images=1000, processes=processes
    )
    assert resolved.batch == batch
    assert resolved.learning_rate == pytest.approx(learning_rate, rel=1e-3)


def test_resolve_training__warm_up_is_never_longer_than_the_training() -> None:
    resolved = resolve_training(Training(epochs=1), strategy="full", new_classes=1, from_scratch=False, images=1000)
    assert (resolved.epochs, resolved.warmup_epochs) == (1, 1.0)


@pytest.mark.parametrize(
    ("patience", "strategy", "epochs", "val_images", "expected"),
    [
        pytest.param("auto", "incremental", 20, 20, 5 + 3, id="a-quarter-and-the-warm-up"),
        pytest.param("auto", "incremental", 8, 500, 3 + 3, id="at-least-three"),
        pytest.param("auto", "incremental", 2, 500, 3 + 2, id="warm-up-to-the-end"),
        pytest.param("auto", "incremental", 20, 19, 0, id="val-sets-too-small"),
        pytest.param("auto", "full", 20, 500, 0, id="never-in-a-full-round"),
        pytest.param(7, "full", 20, 0, 7, id="given"),
        pytest.param(0, "incremental", 20, 500, 0, id="switched-off"),
    ],
)
def test_resolve_training__patience(
    patience: int | str, strategy: str, epochs: int, val_images: int, expected: int
) -> None:
    training = Training.model_validate({"patience": patience, "epochs": epochs})
    resolved = resolve_training(
        training, strategy=strategy, new_classes=1, from_scratch=False, images=1000, val_images=val_images  # type: ignore[arg-type]
    )  # fmt: skip
    assert resolved.patience == expected


def test_resolve_training__defaults_of_a_kind_of_round_and_the_user_s_word(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = dataclasses.replace(resolve._FULL, cosine=True, overrides={"mosaic": 0.5, "close_mosaic": 3})
    monkeypatch.setattr(resolve, "_FULL", defaults)
    by_kind = resolve_training(Training(), strategy="full", new_classes=1, from_scratch=False, images=1000)
    assert (by_kind.cosine, by_kind.overrides) == (True, {"mosaic": 0.5, "close_mosaic": 3})
    own = Training(cosine=False, overrides={"mosaic": 1.0, "mixup": 0.1})
    said = resolve_training(own, strategy="full", new_classes=1, from_scratch=False, images=1000)
    assert (said.cosine, said.overrides) == (False, {"mosaic": 1.0, "close_mosaic": 3, "mixup": 0.1})


@pytest.mark.parametrize(("new_classes", "remembers", "rate"), [(2, True, 2e-3), (2, False, 1e-3), (0, False, 3e-4)])
def test_resolve_training__without_memory_new_classes_come_gently(
    new_classes: int, remembers: bool, rate: float
) -> None:
    resolved = resolve_training(
        Training(),
        strategy="incremental",
        new_classes=new_classes,
        from_scratch=False,
        images=100,
        remembers=remembers,
    )
    assert resolved.learning_rate == rate


@pytest.mark.parametrize(("gpu", "precision"), [(True, "fp16"), (False, "fp32")])
def test_resolve_training__precision_follows_the_device(gpu: bool, precision: str) -> None:
    resolved = resolve_training(Training(), strategy="full", new_classes=1, from_scratch=False, images=1000, gpu=gpu)
    assert resolved.precision == precision


def test_resolve_policies__preset_fills_and_explicit_wins() -> None:
    resolved = Policies(replay=Replay(ratio=0.5, enabled=False)).resolve()
    assert resolved.replay == Replay(ratio=0.5, enabled=False)
    assert resolved.active() == ("linearProbe", "pseudoLabels", "inversion", "weightMerge")


def test_resolve_policies__preset_none_adds_nothing() -> None:
    assert Policies(preset="none").resolve().active() == ()


@pytest.mark.parametrize(
    ("images", "batch", "new_classes", "epochs"),
    [
        pytest.param(10_000, 16, 1, 6, id="many-images"),
        pytest.param(320, 16, 1, 6, id="enough"),
        pytest.param(110, 16, 1, 17, id="few-images-more-epochs"),
        pytest.param(110, 32, 1, 20, id="a-larger-batch-has-fewer-steps"),
        pytest.param(110, "auto", 1, 9, id="a-smaller-one-more"),
        pytest.param(110, "auto", 3, 16, id="each-class-takes-steps"),
        pytest.param(320, "auto", 3, 6, id="unless-there-are-enough"),
        pytest.param(1, 16, 1, 20, id="never-too-many"),
    ],
)
def test_resolve_training__epochs_by_steps(images: int, batch: int | str, new_classes: int, epochs: int) -> None:
    resolved = resolve_training(
        Training.model_validate({"batch": batch}),
        strategy="incremental",
        new_classes=new_classes,
        from_scratch=False,
        images=images,
    )
    assert resolved.epochs == epochs


def in_the_architecture(kind: resolve._Defaults) -> tuple[str, ...]:
    """A kind of round as a column of the table in docs/architecture.md."""
    mantissa, exponent = f"{kind.learning_rate:e}".split("e")
    return (
        str(kind.epochs),
        str(kind.steps) if kind.steps else "-",
        str(kind.steps_a_class) if kind.steps_a_class else "-",
        str(kind.most_epochs) if kind.most_epochs < resolve._Defaults.most_epochs else "-",
        str(kind.batch),
        f"{float(mantissa):g}e{int(exponent)}",
        "cosine" if kind.cosine else "line",
        {None: "never", 0.25: "a quarter of the epochs, at least 3, and the warm-up's"}[kind.patient_share],
        "no mosaic" if kind.overrides == {"mosaic": 0.0} else "its own",
    )


def test_resolve_training__the_architecture_page_says_the_same() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.split('### What "auto" means by kind of round')[1].split("|\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[2:6]] for line in table.splitlines() if line.startswith("| ")]
    header, cells = rows[0], rows[1:]
    kinds = (resolve._FROM_SCRATCH, resolve._FULL, resolve._NEW_CLASSES, resolve._MORE_OF_THE_SAME)
    assert header == ["from scratch", "full", "incremental, new classes", "incremental, no new classes"]
    assert list(zip(*cells, strict=True)) == [in_the_architecture(kind) for kind in kinds]

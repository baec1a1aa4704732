"""Treering's command line with a first round that is taken from a file instead of being trained again.

    python -m bench.retention.seeded CHECKPOINT run LINE.yaml ...

All methods of a scenario and seed start from the very same model. Where CHECKPOINT is there, the training of the round
is found ended, as after a kill in the last moment: verification, memory, what policies keep, evaluation and publication
are done anew, by the line's own spec. Where it is not there, the round is trained, and CHECKPOINT written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch

from treering_trainer.cli.app import run_app
from treering_trainer.engine.checkpoint import fingerprint_of, save_checkpoint
from treering_trainer.engine.recipe import Recipe
from treering_trainer.stages import train as stage
from treering_trainer.store import write_atomic
from treering_trainer.yolo.loop import CHECKPOINT
from treering_trainer.yolo.training import Trained
from treering_trainer.yolo.types import DetectionModel

Validate = Callable[[DetectionModel], float]


def main() -> int:
    """Run the command line with the train stage of this process seeded."""
    checkpoint, *words = sys.argv[1:]
    vars(stage)["run_recipe"] = seeded(Path(checkpoint), vars(stage)["run_recipe"])
    return run_app(words)


def seeded(
    checkpoint: Path, train: Callable[[Recipe, DetectionModel, Validate | None], Trained]
) -> Callable[[Recipe, DetectionModel, Validate | None], Trained]:
    """`train`, but what `checkpoint` holds is taken for its end; without that file, it is written."""

    def run(recipe: Recipe, model: DetectionModel, validate: Validate | None) -> Trained:
        place = recipe.folder / CHECKPOINT
        if checkpoint.exists():
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
            del state["format"], state["fingerprint"]  # those of the training that wrote it
            save_checkpoint(place, state, fingerprint=fingerprint_of(recipe, model.state_dict().values()))
            return train(recipe, model, validate)
        trained = train(recipe, model, validate)
        write_atomic(checkpoint, place.read_bytes())
        return trained

    return run


if __name__ == "__main__":
    sys.exit(main())

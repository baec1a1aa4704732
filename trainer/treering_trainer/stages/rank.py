"""One rank's process: `python -m treering_trainer.stages.rank WORK`, started by torch's agent in `engine.launch`.

It ends with the exit code of whatever stopped it, and has told its parent before.
"""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import torch

from treering_api import ExitCode, TreeringError
from treering_trainer.engine.channel import Failure, Link
from treering_trainer.engine.ranks import Rank, join_ranks, says_peer_lost
from treering_trainer.engine.stop import StopRequest, stop_on_signals
from treering_trainer.records import AnalyseRecord
from treering_trainer.stages.start import start_model
from treering_trainer.stages.train import make_recipe, validation
from treering_trainer.stages.work import Work
from treering_trainer.stages.workbench import Workbench
from treering_trainer.yolo.training import train_as_rank


def main(path: Path) -> ExitCode:
    """Take part in the training that is described in `path`."""
    work, stop = Work.read(path), StopRequest()
    link, number = Link(work.address, stop), int(os.environ["RANK"])
    torch.set_num_threads(work.threads)
    bench = work.bench(link.say if number == 0 else _keep_quiet, stop)
    try:
        with stop_on_signals(stop), join_ranks(gpu=work.device != "cpu") as rank:
            _train(bench, rank)
    except TreeringError as error:
        link.say(Failure.of(number, error))
        return error.exit_code
    except Exception as error:
        lost, text = says_peer_lost(error), f"{type(error).__name__}: {error}".splitlines()[0]
        code = ExitCode.RESUMABLE if lost else ExitCode.INTERNAL
        found = f"another rank is gone ({text[:160]})" if lost else text
        link.say(Failure(number, code, f"rank {number}", found, code.advice, traceback.format_exc()))
        return code
    return ExitCode.SUCCESS


def _train(bench: Workbench, rank: Rank) -> None:
    recipe = make_recipe(bench)
    model = start_model(bench, bench.record(AnalyseRecord).strategy, recipe.names)
    if rank.first:
        train_as_rank(recipe, model, validation(bench, recipe), rank)
    else:
        train_as_rank(replace(recipe, folder=recipe.folder / f"rank{rank.number}"), model, None, rank)


def _keep_quiet(_event: object) -> None:
    """The first rank speaks for all."""


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stderr.flush()
    os._exit(code)  # torch would wait for ranks that are gone

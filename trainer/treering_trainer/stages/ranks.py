"""Training in several processes: what the train stage does where there is more than one GPU, or more than one node.

Everything else of a round happens once, in the process that started it. This one starts this node's ranks, shows what
they tell, and leaves a checkpoint that says "ended", which the train stage reads like any other. Other nodes: `nodes`.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch

from treering_api import Spec
from treering_trainer.engine.channel import Channel
from treering_trainer.engine.crew import Crew, crew_of
from treering_trainer.engine.launch import Launch, run_ranks
from treering_trainer.engine.meeting import Meeting, host_meeting
from treering_trainer.progress import Message
from treering_trainer.records import AnalyseRecord
from treering_trainer.stages.prepare import training_path
from treering_trainer.stages.verify import verified_path
from treering_trainer.stages.work import Work
from treering_trainer.stages.workbench import Workbench


def choose_crew(spec: Spec, environment: Mapping[str, str]) -> Crew:
    """Who trains together: a process for each GPU of `spec.compute.gpus`, on as many nodes as the environment says.

    Raises:
        BadSpecError: the batch that the spec asks for can't be shared out evenly.
    """
    gpus = spec.compute.gpus
    crew = crew_of(1 if gpus == "auto" else max(gpus, 1), environment)
    if spec.training.batch != "auto":
        crew.refuse_uneven(spec.training.batch)
    return crew


def train_in_ranks(bench: Workbench) -> None:
    """Node 0: train with all nodes' ranks; the result is the checkpoint in the work folder.

    Raises:
        TreeringError: what stopped the first rank or node that stopped.
        RankError: a fault of Treering in a rank.
    """
    with _meeting_of(bench) as meeting:
        parcel = b""
        if bench.crew.nodes > 1:
            bench.observer(Message("info", f"training begins when all {bench.crew.nodes} nodes are there"))
            parcel = _pack(bench)
        meeting.open_training(parcel, lambda: bench.stop.check("train"))
        run_here(bench, meeting)


def run_here(bench: Workbench, meeting: Meeting) -> None:
    """Start this node's ranks and wait for them."""
    if bench.device != "cpu":
        gc.collect()
        torch.cuda.empty_cache()  # what prepare left there is the ranks' now
    with Channel() as channel:
        path = channel.folder / "work.json"
        Work.of(bench, channel.address).write(path)
        command = ("-m", "treering_trainer.stages.rank", str(path))
        run_ranks(Launch(command, bench.device != "cpu", channel, meeting, bench.stop, bench.observer))


def _meeting_of(bench: Workbench) -> AbstractContextManager[Meeting]:
    return host_meeting(bench.crew) if bench.meeting is None else nullcontext(bench.meeting)


def _pack(bench: Workbench) -> bytes:
    """What other nodes can't make themselves: pseudo-labels come from one model on one machine, the strategy too."""
    analysis = bench.record(AnalyseRecord).model_dump_json()
    training, datasets = training_path(bench).read_text(), verified_path(bench.folder).read_text()
    parts = {"attempt": bench.attempt, "analysis": analysis, "training": training, "datasets": datasets}
    return json.dumps(parts).encode()

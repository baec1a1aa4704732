"""The folder of a fused detector: `fused.json`, each member's weights, and all of it as `model.onnx`."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from pydantic import ValidationError

from treering_api import BadSpecError
from treering_trainer.yolo.donor import keep_network, kept_network
from treering_trainer.yolo.fusion.boxes import fade, gather
from treering_trainer.yolo.fusion.description import FusedDescription
from treering_trainer.yolo.fusion.network import MOST_BOXES, FusedNetwork, Loops, Network

DESCRIPTION = "fused.json"
GRAPH = "model.onnx"
OPSET = 17
"""Of the ONNX standard (2022): it has every operator needed here, and all runtimes since then read it."""


def build_network(networks: Sequence[Network], description: FusedDescription) -> FusedNetwork:
    """The fused network of its members' models, which are made to give out all anchors."""
    for network in networks:
        if network.end2end:
            network.end2end = False  # its other branch, which sees every anchor, is what can be fused
    return FusedNetwork(networks, description)


def save_fused(networks: Sequence[Network], description: FusedDescription, folder: Path) -> FusedNetwork:
    """Write the artefact, and give what was written as a network."""
    folder.mkdir(parents=True)
    for each, member in zip(networks, description.members, strict=True):
        keep_network(each, folder / member.folder, image_size=description.image_size)
    (folder / DESCRIPTION).write_text(description.model_dump_json(indent=2) + "\n")
    network = load_network(folder)
    export_graph(network, folder / GRAPH)
    return network


def load_network(folder: Path) -> FusedNetwork:
    """Read what `save_fused` wrote.

    Raises:
        BadSpecError: the folder holds no fused detector, or a damaged one.
    """
    try:
        description = FusedDescription.model_validate_json((folder / DESCRIPTION).read_bytes())
        networks = [kept_network(folder / member.folder) for member in description.members]
    except FileNotFoundError as error:
        raise BadSpecError(
            str(folder), f"{error.filename} does not exist", "Give a folder that `treering fuse` wrote."
        ) from error
    except (ValidationError, RuntimeError, ValueError) as error:
        found = f"it is damaged ({str(error).splitlines()[0]})"
        raise BadSpecError(str(folder), found, "Make it anew with `treering fuse`.") from error
    return build_network(networks, description)


def export_graph(network: FusedNetwork, path: Path) -> None:
    """Write the network as one ONNX graph for one picture: `images` (1, 3, size, size) → `output0` (1, 300, 6).

    ultralytics' `YOLO(path)` loads it: its metadata are ultralytics'.
    """
    size = network.description.image_size
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # of the tracer: shapes are constant here, and loops are compiled
        traced = copy.copy(network)
        traced.loops = Loops(torch.jit.script(fade), torch.jit.script(gather))
        torch.onnx.export(
            traced,
            (torch.zeros(1, 3, size, size),),
            path,
            dynamo=False,  # the newer exporter has no loops over boxes
            opset_version=OPSET,
            input_names=["images"],
            output_names=["output0"],
        )
    graph = onnx.load(path)
    told = {
        "description": f"Treering: {len(network.members)} detectors fused by {network.description.method}",
        "stride": max(int(network.stride.max()), 32),
        "task": "detect",
        "batch": 1,
        "channels": 3,
        "imgsz": [size, size],
        "names": network.names,
        "end2end": True,
        "args": {"batch": 1, "nms": True},
        "treering": network.description.model_dump_json(),
    }
    for key, value in told.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, str(value)
    for dimension, length in zip(graph.graph.output[0].type.tensor_type.shape.dim, (1, MOST_BOXES, 6), strict=True):
        dimension.dim_value = length  # the tracer leaves it open, which ultralytics takes for inputs of any size
    onnx.checker.check_model(graph)
    onnx.save(graph, path)

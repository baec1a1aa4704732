"""Who trains a round together: so many nodes, so many processes on each; read from the pod's environment.

Made by `run` before anything else, so that a spec that can't be shared out is refused at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from treering_api import BadSpecError

NODES = "TREERING_NODES"
NODE_RANK = "TREERING_NODE_RANK"
RENDEZVOUS = "TREERING_RENDEZVOUS"
_MOST_NODES = 64


@dataclass(frozen=True)
class Crew:
    """The processes of one training, seen from one node.

    Args:
        processes: on each node, one for each of its GPUs; one where it trains on processors.
        nodes: machines or pods.
        node: number of this one; node 0 runs all of the round, the others only train.
        host: of node 0, as the others reach it.
        port: where node 0 listens; 0 takes any free one, which only a node alone can.
    """

    processes: int = 1
    nodes: int = 1
    node: int = 0
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def count(self) -> int:
        """Processes in all."""
        return self.processes * self.nodes

    def refuse_uneven(self, batch: int) -> None:
        """Raise a `BadSpecError` where a batch can't be shared out evenly."""
        if batch % self.count:
            low, high = batch // self.count * self.count, (batch // self.count + 1) * self.count
            fitting = f"{low} or {high}" if low else str(high)
            raise BadSpecError(
                "spec.training.batch",
                f"a batch of {batch} images can't be shared out evenly to {self.count} processes"
                f" ({self.nodes} nodes with {self.processes} each)",
                f"Give a multiple of {self.count}, such as {fitting}; batch counts the images of all GPUs together",
            )


ALONE = Crew()


def crew_of(processes: int, environment: Mapping[str, str]) -> Crew:
    """The crew that a pod's environment speaks of.

    Raises:
        BadSpecError: a variable makes no sense; the operator sets all three or none.
    """
    nodes = _number(environment, NODES, 1, least=1, most=_MOST_NODES)
    if nodes == 1:
        return Crew(processes)
    node = _number(environment, NODE_RANK, None, least=0, most=nodes - 1)
    host, port = _address(environment)
    return Crew(processes, nodes, node, host, port)


def _number(environment: Mapping[str, str], name: str, default: int | None, *, least: int, most: int) -> int:
    text = environment.get(name, "").strip()
    if not text and default is not None:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise BadSpecError(name, f"found {text!r}", f"Give a whole number from {least} to {most}")
    return int(text)


def _address(environment: Mapping[str, str]) -> tuple[str, int]:
    text = environment.get(RENDEZVOUS, "").strip()
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise BadSpecError(RENDEZVOUS, f"found {text!r}", "Give HOST:PORT of node 0, such as oak-r1-0.oak-r1:29500")
    return host.strip("[]"), int(port)

"""What a side of the comparison must be able to do, so that every phase is the same code for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.operator.client import Client
from bench.operator.cluster import Cluster
from bench.operator.observer import Child
from tests.plugins.programs import Program


@dataclass(frozen=True)
class Controllers:
    """The running controllers of a side; the first is the one that is compared."""

    programs: tuple[Program, ...]

    @property
    def main(self) -> Program:
        """The controller that is compared."""
        return self.programs[0]


class Side(Protocol):
    """A controller with its resource."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    @property
    def users(self) -> tuple[str, ...]:
        """Names its controllers have at the API server; the first is the one that is compared."""

    @property
    def children(self) -> tuple[Child, ...]:
        """What answers its events."""

    @property
    def versions(self) -> Mapping[str, str]:
        """What is measured."""

    def definitions(self) -> list[Path]:
        """Files with its CRDs."""

    async def install(self, client: Client) -> None:
        """Whatever else must be there first."""

    async def start(self, cluster: Cluster, client: Client) -> Controllers:
        """Start the controllers; they may still be waking up."""

    def restart_main(self, cluster: Cluster) -> Program:
        """Start the compared controller again, after it was killed."""

    async def add(self, client: Client, number: int) -> str:
        """Make line `number`; gives the key of the child that answers."""

    async def change(self, client: Client, number: int) -> str:
        """One further event for line `number`; gives the key of the child that answers."""

    async def at_rest(self, client: Client) -> int:
        """How many lines (and what came of events) are done."""


def names(number: int) -> str:
    """Name of a line."""
    return f"line-{number:05d}"

"""What a rank's process is told when it starts: the round, where its work folder is, and where its parent listens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from treering_api import Lineage, RoundPlan
from treering_trainer.engine.stop import StopRequest
from treering_trainer.line import Line, connect
from treering_trainer.progress import Event
from treering_trainer.stages.workbench import Workbench
from treering_trainer.store import open_store


@dataclass(frozen=True)
class Work:
    """A workbench on its way to another process.

    Args:
        address: of the parent's end of the channel.
        threads: processors of one rank.
    """

    plan: str
    attempt: int
    started: str
    shared: Path
    certificate_authority: Path | None
    device: str
    threads: int
    address: str

    @classmethod
    def of(cls, bench: Workbench, address: str) -> Work:
        """What a workbench's ranks need to know."""
        return cls(
            plan=bench.plan.model_dump_json(),
            attempt=bench.attempt,
            started=bench.started,
            shared=bench.shared.absolute(),
            certificate_authority=bench.connection.certificate_authority,
            device=bench.device,
            threads=max(bench.threads // bench.crew.processes, 1),
            address=address,
        )

    @classmethod
    def read(cls, path: Path) -> Work:
        """What `write` wrote."""
        return TypeAdapter(cls).validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_bytes(TypeAdapter(dict[str, object]).dump_json(asdict(self)))

    def bench(self, observer: Callable[[Event], None], stop: StopRequest) -> Workbench:
        """The workbench again; what only node 0's parent knows of the line is empty."""
        plan = RoundPlan.model_validate_json(self.plan)
        connection = connect(plan.spec, self.certificate_authority)
        return Workbench(
            plan=plan,
            line=Line(plan.line, open_store(plan.spec.store.uri, connection)),
            lineage=Lineage(line=plan.line),
            etag=None,
            attempt=self.attempt,
            started=self.started,
            shared=self.shared,
            connection=connection,
            device=self.device,
            threads=self.threads,
            observer=observer,
            stop=stop,
        )

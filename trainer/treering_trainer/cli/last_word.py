"""A pod's last word: its result, left whatever happens, with the exit code, the error and how the line stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from treering_api import BadSpecError, ExitCode, LookResult, RoundResult, TreeringError

if TYPE_CHECKING:
    from treering_trainer.pod import Standing

R = TypeVar("R", RoundResult, LookResult)
P = TypeVar("P", bound=BaseModel)


class LastWord(Generic[R]):
    """What would be left if the pod ended now; made better as more is known.

    Args:
        path: where it is left; None: nowhere.
    """

    def __init__(self, path: Path | None, outcome: R) -> None:
        from treering_trainer.pod import Standing  # not for `treering --help`

        self.outcome: R = outcome
        self.standing: Standing = Standing()
        self._path = path

    def add(self, **fields: Any) -> None:
        """Say more."""
        self.outcome = self.outcome.model_copy(update=fields)

    @contextmanager
    def left(self) -> Iterator[None]:
        """Leave it when the work inside ends, well or not.

        Raises:
            BadSpecError: it can't be left there; said before hours of work.
        """
        if self._path is not None:
            _refuse_unwritable(self._path)
        try:
            yield
        except BaseException as error:
            self.add(**_explained(error))
            raise
        finally:
            self.add(mirror=self.standing.mirror)
            if not self.outcome.class_count:
                self.add(classes=self.standing.classes, class_count=len(self.standing.classes))
            if self._path is not None:
                _leave(self.outcome.to_message(), self._path)


def load_plan(kind: type[P], path: Path) -> P:
    """Read a plan.

    Raises:
        BadSpecError: there is none, or it is not one of this version.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadSpecError(
            str(path), f"the plan can't be read: {error.strerror}", "Give the path of a plan."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadSpecError(str(path), f"no plan of this version: {place}: {first['msg']}", "Make it anew.") from error


def _explained(error: BaseException) -> dict[str, Any]:
    if isinstance(error, TreeringError):
        return {"exit_code": error.exit_code, "where": error.where, "message": f"{error.found}. {error.mend}"}
    if isinstance(error, KeyboardInterrupt):
        return {"exit_code": ExitCode.RESUMABLE, "message": ExitCode.RESUMABLE.advice}
    return {"message": f"{type(error).__name__}: {error}. {ExitCode.INTERNAL.advice}"}


def _refuse_unwritable(path: Path) -> None:
    try:
        path.open("a").close()  # appending leaves what is there
    except OSError as error:
        found = f"{path} can't be written: {error.strerror}"
        raise BadSpecError("--result", found, "Give a file in a folder that is there and may be written to.") from error


def _leave(text: str, path: Path) -> None:
    """Never raises: the work's own error must be the one that is seen."""
    try:
        path.write_text(text)
    except OSError as error:
        typer.echo(f"The result can't be written to {path}: {error.strerror}", err=True)

"""The program `treering`: its verbs, and what a person sees when something is wrong.

A user's mistake is one message without a traceback and the exit code of its kind; `--debug` shows the traceback.
Modules that verbs need are imported by the verbs, so that `--help` and `--version` are quick.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from treering_api import ExitCode, TreeringError
from treering_trainer.cli import cases, exports, files, fuse, init, look, models, pods, rounds
from treering_trainer.cli.tables import print_json
from treering_trainer.version import VERSION

USAGE_ERRORS = typer.BadParameter.__bases__
"""What is raised for a wrong command line; typer brings its own click or uses the installed one."""

app = typer.Typer(
    name="treering",
    help="Incremental YOLO training: one detector that grows, delivery by delivery, without forgetting.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(rounds.run)
app.command("validate")(look.validate)
app.command("plan")(look.plan)
app.command("status")(look.status)
app.command("history")(look.history)
app.add_typer(models.app, name="models")
app.command("inspect")(files.inspect)
app.command("convert")(files.convert)
app.command("cases")(cases.cases)
app.command("export")(exports.export)
app.command("fuse")(fuse.fuse)
app.command("init")(init.init)
app.command("round")(pods.run_round)
app.command("rollback")(pods.roll_back)
app.command("discover")(pods.discover)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"treering {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every verb."""
    del debug, version  # --debug is read before typer runs, --version by its callback


def run_app(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    try:
        return _exit_code(
            app(args=[word for word in given if word != "--debug"], prog_name="treering", standalone_mode=False)
        )
    except TreeringError as error:
        if debug:
            traceback.print_exc()
        if "--json" in given:
            print_error_data(error)
        print_error(error)
        return int(error.exit_code)
    except typer.Exit as leave:
        return leave.exit_code
    except (typer.Abort, KeyboardInterrupt):
        Console(stderr=True).print("Stopped at once. Run again: what was finished is kept.")
        return int(ExitCode.RESUMABLE)
    except Exception as error:
        return _internal(error, debug)


def print_error_data(error: TreeringError) -> None:
    """One error as one JSON object on standard output, for whoever reads `--json`."""
    code = error.exit_code
    fields = {"where": error.where, "found": error.found, "mend": error.mend}
    print_json({"event": "Error", "reason": code.reason, "exitCode": int(code), **fields})


def print_error(error: TreeringError) -> None:
    """One error for a person, on standard error."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)
    console.print(f"[bold red]{error.exit_code.reason}[/] {escape(error.where)}")
    console.print(f"  {escape(error.found.rstrip())}")
    console.print(f"  [bold]→[/] {escape(error.mend)}")


def _exit_code(result: object) -> int:
    return result if isinstance(result, int) else 0


def _internal(error: Exception, debug: bool) -> int:
    show = getattr(error, "show", None)
    if isinstance(error, USAGE_ERRORS) and show is not None:
        show()
        return int(ExitCode.BAD_SPEC)
    if debug:
        traceback.print_exc()
    code = ExitCode.INTERNAL
    message = f"{type(error).__name__}: {error}"
    Console(stderr=True, soft_wrap=True).print(f"[bold red]{code.reason}[/] {escape(message)}\n  {code.advice}")
    return int(code)

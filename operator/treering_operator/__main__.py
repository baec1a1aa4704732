"""`treering-operator`: the command line, from flags to settings. Errors are told in words, never as a traceback.

Exit codes: 0 stopped when told to, 1 could not start or go on, 2 bad flags.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn

from treering_api import TreeringError
from treering_operator.logs import set_up
from treering_operator.server import address
from treering_operator.service import run
from treering_operator.settings import Settings

_DEFAULTS = {field.name: field.default for field in fields(Settings)}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the operator; ends the process."""
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    log_format, verbose = given.pop("log_format"), given.pop("verbose")
    set_up(log_format, verbose=verbose)
    given["identity"] = given["identity"] or f"{platform.node()}-{os.getpid()}"
    settings = Settings(**given)
    try:
        address(settings.listen)
    except TreeringError as error:
        parser.error(str(error))
    try:
        asyncio.run(run(settings))
    except TreeringError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="treering-operator",
        description="Watches IncrementalTrain resources and runs their rounds as Jobs.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    _add_scope(parser)
    _add_pace(parser)
    _add_pods(parser)
    parser.add_argument("--log-format", choices=("text", "json"), default="text", help="how the log is written")
    parser.add_argument("--verbose", action="store_true", help="log every detail")
    return parser


def _add_scope(parser: argparse.ArgumentParser) -> None:
    _add(parser, "namespaces", _names, "NAME,NAME", "namespaces whose lines are kept; empty: all")
    _add(parser, "kubeconfig", str, "FILE", "how to reach the cluster; empty: the pod's service account")
    _add(parser, "leader_election", action=argparse.BooleanOptionalAction, help_="whether replicas elect who acts")
    _add(parser, "lease_namespace", str, "NAME", "where the Lease lies that says which replica acts")
    _add(parser, "lease_name", str, "NAME", "name of that Lease")
    _add(parser, "identity", str, "NAME", "this replica in the Lease; empty: host and process")
    _add(parser, "listen", str, "HOST:PORT", "address of /metrics, /healthz and /readyz")


def _add_pace(parser: argparse.ArgumentParser) -> None:
    _add(parser, "workers", _number(int, 1, 64), "N", "lines that are reconciled at the same time, 1 to 64")
    _add(parser, "resync_s", _number(float, 1, 86_400), "SECONDS", "every line is looked at again after this time")
    _add(parser, "progress_interval_s", _number(float, 0.1, 3600), "SECONDS", "between two questions to a running pod")
    _add(parser, "progress_port", _number(int, 1, 65_535), "PORT", "where a pod says how far it is")
    _add(parser, "heartbeat_s", _number(float, 1, 600), "SECONDS", "longest silence of a healthy watch")


def _add_pods(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trainer-image", required=True, metavar="IMAGE", help="image of pods whose spec names none")
    policies = ("Always", "IfNotPresent", "Never")
    _add(parser, "image_pull_policy", str, help_="of the trainer's pods", choices=policies)
    on_off = argparse.BooleanOptionalAction
    _add(parser, "network_policy", action=on_off, help_="whether each line gets a NetworkPolicy")
    peers_help = "labels of namespaces that may read a pod's progress; empty: any"
    _add(parser, "network_peers", _labels, "KEY=VALUE,...", peers_help)
    _add(parser, "store_ports", _ports, "PORT,PORT", "ports that pods may reach outside, besides the store's own")


def _add(
    parser: argparse.ArgumentParser,
    field: str,
    type_: Any = None,
    metavar: str | None = None,
    help_: str = "",
    **more: Any,
) -> None:
    more |= {"type": type_} if type_ else {}
    more |= {"metavar": metavar} if metavar else {}
    flag = "--" + field.removesuffix("_s").replace("_", "-")
    parser.add_argument(flag, dest=field, default=_DEFAULTS[field], help=help_ or None, **more)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _number(kind: type[int] | type[float], least: float, most: float) -> Any:
    def number(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"found {text!r}; {least:g} to {most:g} is allowed")
        return value

    return number


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    pairs = [name.partition("=") for name in _names(text)]
    if not all(equals and key for key, equals, _ in pairs):
        raise argparse.ArgumentTypeError(f"found {text!r}; write KEY=VALUE, several with commas between them")
    return tuple((key, value) for key, _, value in pairs)


def _ports(text: str) -> tuple[int, ...]:
    names = _names(text)
    if not all(name.isdecimal() and 0 < int(name) < 65536 for name in names):
        raise argparse.ArgumentTypeError(f"found {text!r}; write port numbers, several with commas between them")
    return tuple(int(name) for name in names)


if __name__ == "__main__":
    main()

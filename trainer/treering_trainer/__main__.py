"""`python -m treering_trainer` and the command `treering` are the same program."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    from treering_trainer.cli.app import run_app

    sys.exit(run_app())


if __name__ == "__main__":
    main()

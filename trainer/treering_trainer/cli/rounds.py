"""`treering run`: the verb that trains on this machine.

What it needs to train is imported when it runs, so that `treering --help` is quick.
"""

from __future__ import annotations

from treering_api import ExitCode
from treering_trainer.cli.options import AsJson, CertificateAuthority, Listen, SpecFile, Workdir
from treering_trainer.cli.tables import print_json, print_rounds, print_text
from treering_trainer.cli.watching import watched


def run(
    spec: SpecFile,
    workdir: Workdir = None,
    listen: Listen = None,
    certificate_authority: CertificateAuthority = None,
    as_json: AsJson = False,
) -> int:
    """Learn every outstanding increment, here and now.

    Ctrl-C stops cleanly after the running batch; the next run goes on at the last full epoch.
    """
    from treering_trainer.api import validate

    resource = validate(spec)  # a mistake in it should not have to wait for torch
    with watched(as_json, listen) as (observers, stop):
        from treering_trainer.run import Setting, run_line

        done = run_line(resource, Setting(workdir, certificate_authority, observers, stop))
    if as_json:
        print_json({"event": "LineWaiting", "reason": done.waiting.reason, "code": done.waiting.code})
    else:
        if done.rounds:
            print_rounds(done.rounds)
        print_text(f"{resource.metadata.name}: {done.waiting.reason}")
    return int(ExitCode.REJECTED if done.rejected else ExitCode.SUCCESS)

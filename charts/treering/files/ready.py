"""What `helm test` runs: the operator is ready, its metrics are there, and the API server serves the lines' kind.

Uses the standard library alone, asks again until TIMEOUT_SECONDS have passed, and ends with 0 or with the reason.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

ACCOUNT = Path(os.environ.get("ACCOUNT_DIR", "/var/run/secrets/kubernetes.io/serviceaccount"))
Check = Callable[[], str]


def main() -> int:
    """Try every check until it holds or the time is over."""
    end = time.monotonic() + float(os.environ["TIMEOUT_SECONDS"])
    for name, check in CHECKS:
        found = check()
        while found and time.monotonic() < end:
            time.sleep(1)
            found = check()
        sys.stdout.write(f"{name}: {found or 'yes'}\n")
        if found:
            return 1
    return 0


def operator_is_ready() -> str:
    """Empty, or what is wrong: /readyz through the Service."""
    return answer(f"http://{service(os.environ['OPERATOR_SERVICE'])}/readyz")[1]


def operator_has_metrics() -> str:
    """Empty, or what is wrong: /metrics names the build."""
    text, wrong = answer(f"http://{service(os.environ['OPERATOR_SERVICE'])}/metrics")
    return wrong or ("" if "treering_operator_build_info" in text else "/metrics lacks treering_operator_build_info")


def lines_are_served() -> str:
    """Empty, or what is wrong: the API server knows incrementaltrains and their status."""
    url = f"https://{service('kubernetes')}/apis/treering.dev/v1alpha1"
    text, wrong = answer(url, token=(ACCOUNT / "token").read_text())
    if wrong:
        return wrong
    names = {resource["name"] for resource in json.loads(text)["resources"]}
    missing = {"incrementaltrains", "incrementaltrains/status"} - names
    return f"not served: {', '.join(sorted(missing))}" if missing else ""


def service(name: str) -> str:
    """HOST:PORT of a Service, from the variables that the kubelet sets: no cluster DNS is needed."""
    prefix = name.upper().replace("-", "_") + "_SERVICE"
    host = os.environ[f"{prefix}_HOST"]
    return f"[{host}]:{os.environ[f'{prefix}_PORT']}" if ":" in host else f"{host}:{os.environ[f'{prefix}_PORT']}"


def answer(url: str, token: str = "") -> tuple[str, str]:
    """The body of a GET and an empty text, or an empty body and what went wrong."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    certificates = ACCOUNT / "ca.crt"
    context = ssl.create_default_context(cafile=str(certificates)) if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as reply:
            return reply.read().decode(), ""
    except urllib.error.HTTPError as error:
        return "", f"{url} answers {error.code}: {error.read(200).decode(errors='replace').strip()}"
    except OSError as error:
        return "", f"{url}: {error}"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("the operator is ready", operator_is_ready),
    ("the operator's metrics are there", operator_has_metrics),
    ("the API server serves incrementaltrains.treering.dev", lines_are_served),
)

if __name__ == "__main__":
    raise SystemExit(main())

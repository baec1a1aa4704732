import json
from pathlib import Path

from bench.operator import audit


def event(user: str, verb: str, uri: str = "/", **target: str) -> str:
    body = {"user": {"username": user}, "verb": verb, "requestURI": uri}
    return json.dumps(body | ({"objectRef": target} if target else {}))


def test_count__by_user_verb_and_resource() -> None:
    calls = audit.count(
        [
            event("me", "create", resource="jobs"),
            event("me", "create", resource="jobs"),
            event("me", "patch", resource="lines", subresource="status"),
            event("you", "create", resource="jobs"),
            event("me", "get", "/version?timeout=1"),
        ]
    )
    assert audit.of(calls, "me") == {"create jobs": 2, "patch lines/status": 1, "get /version": 1}
    assert audit.of(calls, "nobody") == {}


def test_read__goes_on_where_it_ended(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    whole, rest = event("me", "create", resource="jobs") + "\n", event("me", "get", resource="pods") + "\n"
    log.write_text(whole + rest[:20])
    calls, offset = audit.read(log)
    assert audit.of(calls, "me") == {"create jobs": 1}
    log.write_text(whole + rest)
    assert audit.of(audit.read(log, offset)[0], "me") == {"get pods": 1}


def test_policy__logs_nobody_else() -> None:
    *rules, last = audit.policy(["b", "a"])["rules"]
    assert rules == [{"level": "Metadata", "users": ["a", "b"]}]
    assert last == {"level": "None"}

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treering_api.errors import BadSpecError
from treering_api.exit_codes import ExitCode
from treering_api.lineage import Hold, Lineage, ModelRef, Settled
from treering_api.looking import Delivery, LookPlan, LookResult
from treering_api.message import MAX_SIZE_BYTES
from treering_api.mirror import Mirror, list_digest
from treering_api.plan import RoundPlan, Waiting, next_round
from treering_api.result import RoundResult
from treering_api.spec import Compute, Discover, Increment, Spec

LINE = "cards"
MODEL = ModelRef(round=3, attempt=2, uri="s3://lines/cards/rounds/3", digest="ab", classes=("ace",), map50=0.8)
TEXTS = st.text(max_size=1024)


def increment(name: str) -> Increment:
    return Increment(name=name, uri=f"s3://deliveries/{name}")


def lineage(*outcomes: str, discovered: int = 0, held: Hold | None = None) -> Lineage:
    own = [Settled.model_validate({"increment": increment(f"i{place}"), "round": 1, "outcome": outcome})
           for place, outcome in enumerate(outcomes)]  # fmt: skip
    found = [Settled(increment=increment(f"d{place}"), round=2, outcome="learned", discovered=True)
             for place in range(discovered)]  # fmt: skip
    return Lineage(line=LINE, round=3, current=MODEL, settled=(*own, *found), held=held)


def test_of__counts_and_places() -> None:
    mirror = Mirror.of(lineage("learned", "skipped", "learned", discovered=2))
    assert (mirror.round, mirror.settled, mirror.discovered, mirror.skipped) == (3, 3, 2, "2")
    assert [mirror.was_skipped(place) for place in range(3)] == [False, True, False]
    assert mirror.model is not None and mirror.model.digest == "ab"
    assert mirror.last is not None and (mirror.last.name, mirror.last.uri) == ("i2", "s3://deliveries/i2")


def test_of__nothing_yet() -> None:
    assert Mirror.of(Lineage(line=LINE)).model_copy(update={"settled_digest": ""}) == Mirror()


def test_lineage__there_and_back_for_planning(short_spec: Spec) -> None:
    spec = short_spec.model_copy(update={"increments": tuple(increment(f"i{place}") for place in range(3))})
    real = lineage("learned", "skipped")
    seen = Mirror.of(real).lineage(LINE, spec.increments, ())
    (wanted, planned) = (next_round(spec, LINE, line) for line in (real, seen))
    assert isinstance(wanted, RoundPlan) and isinstance(planned, RoundPlan)
    assert planned.work_digest() == wanted.work_digest()
    assert (seen.learned, seen.skipped) == (real.learned, real.skipped)


def test_lineage__fewer_increments_than_settled() -> None:
    with pytest.raises(BadSpecError, match="2 increments are settled, but only 1") as caught:
        Mirror.of(lineage("learned", "learned")).lineage(LINE, (increment("i0"),), ())
    assert caught.value.where == "spec.increments"


def test_lineage__a_hold_holds_though_its_names_are_cut(short_spec: Spec) -> None:
    found = tuple(increment(f"d{place}") for place in range(40))
    plan = next_round(short_spec.model_copy(update={"increments": ()}), LINE, Lineage(line=LINE), discovered=found)
    assert isinstance(plan, RoundPlan)
    names = tuple(item.name for item in found)
    hold = Hold(reason="worse " * 150, increments=names, spec_digest=plan.learning_digest())
    mirror = Mirror.of(Lineage(line=LINE, round=1, held=hold))
    assert mirror.held is not None and len(mirror.held.reason) <= 200 and len(mirror.held.increments) == 10
    step = next_round(plan.spec, LINE, mirror.lineage(LINE, (), found), discovered=found)
    assert isinstance(step, Waiting) and step.code == "Held"
    assert isinstance(next_round(plan.spec, LINE, mirror.lineage(LINE, (), found), discovered=found[:39]), RoundPlan)


def test_begins__slash_order_and_an_older_trainer() -> None:
    pairs = [("a", "s3://x-y/a"), ("b", "s3://x-y/b")]
    mirror = Mirror(settled=2, settled_digest=list_digest(pairs))
    assert mirror.begins([("a", "s3://x-y/a/"), ("b", "s3://x-y/b")])
    assert not mirror.begins(pairs[::-1])
    assert Mirror(settled=2).begins(pairs[::-1])


@given(reason=TEXTS, names=st.integers(0, 1000), retry=TEXTS, message=TEXTS, where=TEXTS)
def test_to_message__fits_whatever_the_mirror_holds(
    reason: str, names: int, retry: str, message: str, where: str
) -> None:
    hold = Hold(
        reason=reason, increments=tuple(f"{place:060d}" for place in range(names)), spec_digest="a" * 64, retry=retry
    )
    mirror = Mirror.of(lineage(*["skipped"] * 1000, held=hold))
    known = {"exit_code": ExitCode.REJECTED, "line": LINE, "message": message, "where": where, "mirror": mirror}
    round_text = RoundResult.model_validate({**known, "round": 1, "attempt": 1}).to_message()
    look_text = LookResult.model_validate({**known, "number": 1}).to_message()
    assert max(len(round_text.encode()), len(look_text.encode())) <= MAX_SIZE_BYTES
    assert RoundResult.from_message(round_text).mirror is not None or len(retry.encode()) > 1000


def test_to_message__escaped_and_wide_texts_fit() -> None:
    hold = Hold(reason="\x00" * 1024, increments=(), spec_digest="a" * 64, retry="\x00" * 1024)
    result = RoundResult(exit_code=ExitCode.REJECTED, line=LINE, round=1, attempt=1, message="€" * 9000,
                         mirror=Mirror(round=1, held=hold))  # fmt: skip
    assert len(result.to_message().encode()) <= MAX_SIZE_BYTES


def test_look_result__deliveries_that_do_not_fit_are_counted() -> None:
    seen = tuple(Delivery(name=f"{place:050d}", images=place, digest="ab") for place in range(300))
    text = LookResult(exit_code=ExitCode.SUCCESS, line=LINE, number=2, deliveries=seen, more=5).to_message()
    again = LookResult.from_message(text)
    assert len(text.encode()) <= MAX_SIZE_BYTES
    assert again.more + len(again.deliveries) == 305
    assert again.deliveries == seen[: len(again.deliveries)]


def test_look_result__classes_go_before_deliveries() -> None:
    seen = tuple(Delivery(name=f"{place:050d}", images=place, digest="ab") for place in range(20))
    names = tuple(f"class number {place}" for place in range(1000))
    result = LookResult(
        exit_code=ExitCode.SUCCESS, line=LINE, number=2, deliveries=seen, classes=names, class_count=1000
    )
    again = LookResult.from_message(result.to_message())
    assert (again.deliveries, again.class_count) == (seen, 1000)
    assert again.classes == names[: len(again.classes)]
    assert 0 < len(again.classes) < 1000


@pytest.mark.parametrize("model", [RoundResult, LookResult])
def test_from_message__fields_of_a_newer_trainer(model: type[RoundResult] | type[LookResult]) -> None:
    newer = '{"exitCode":0,"line":"cards","round":1,"number":1,"attempt":1,"carbon":{"grams":7},"mirror":{"odd":1}}'
    result = model.from_message(newer)
    assert (result.line, result.mirror) == ("cards", Mirror())


def test_look_plan__digest_is_about_folder_store_and_pod(short_spec: Spec) -> None:
    def digest(**more: object) -> str:
        discover = Discover(uri="s3://drop/cards")
        spec = short_spec.model_copy(update={"discover": discover, **more})
        return LookPlan(line=LINE, number=1, spec=spec).work_digest()

    assert digest() == digest(retries=9, discover=Discover(uri="s3://drop/cards", interval="1h"))
    assert digest() != digest(discover=Discover(uri="s3://drop/other"))
    assert digest() != digest(compute=Compute(priority_class="low"))


def test_round_plan__work_digest_is_about_this_round(short_spec: Spec) -> None:
    def digest(retry: str | None = None, **more: object) -> str:
        plan = next_round(short_spec.model_copy(update=more), LINE, Lineage(line=LINE), retry=retry)
        assert isinstance(plan, RoundPlan)
        return plan.work_digest()

    appended = (*short_spec.increments, increment("later"))
    assert digest() == digest(increments=appended, history_limit=3, ttl="1h")
    assert len({digest(), digest(retry="now"), digest(retries=9), digest(strategy="full")}) == 4

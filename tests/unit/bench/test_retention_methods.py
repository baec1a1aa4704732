from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from bench.retention.lines import read_cost, read_scores
from bench.retention.methods import ALONE, METHODS, PLAIN, line_spec
from bench.retention.options import Options, parse
from bench.retention.scenarios import SCENARIOS
from treering_api import Replay
from treering_api.load import read
from treering_api.policies import BLOCKS, Policies

LINES = [name for name, method in METHODS.items() if method.kind == "line"]


def resource(name: str) -> dict[str, Any]:
    method = METHODS[name]
    return line_spec(
        method, base="file:///w.pt", store={"uri": "file:///store"}, increments={"step-1": "file:///d/1"},
        holdouts={"val": "file:///d/val"}, image_size=320, training={"seed": 1, **method.training()},
    )  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_line_spec__is_a_valid_resource(name: str) -> None:
    selection = METHODS[name].policies.get("replay", {}).get("selection", "random")
    if selection not in get_args(Replay.model_fields["selection"].annotation):
        pytest.skip(f"this Treering does not know replay.selection {selection}")
    found = read(resource(name), name).spec
    assert found.evaluation.gate.max_forgetting == 1.0
    assert found.strategy == METHODS[name].strategy


def test_line_spec__default_says_nothing_of_policies_or_training() -> None:
    spec = resource("default")["spec"]
    assert spec["policies"] == {} and spec["training"] == {"seed": 1}


def test_methods__each_policy_alone_on_top_of_plain() -> None:
    for block in ALONE:
        policies = METHODS[f"plain+{block}"].policies
        assert {name: value for name, value in policies.items() if name != block} == dict(PLAIN)
        active = read(resource(f"plain+{block}"), block).spec.policies.resolve().active()
        assert set(active) == {"replay", "pseudoLabels", block}
    snake = {"".join("_" + c.lower() if c.isupper() else c for c in block) for block in ALONE}
    assert snake | {"replay", "pseudo_labels"} == set(BLOCKS)


def test_methods__each_policy_added_to_the_defaults_or_taken_from_them() -> None:
    usual = set(Policies().resolve().active())
    for name in (name for name in METHODS if name.startswith(("default+", "default-"))):
        block = name[len("default+") :]
        changed = read(resource(name), block).spec.policies.resolve().active()
        assert set(changed) ^ usual == {block}
        assert (block in changed) == ("+" in name)


def record(**changes: Any) -> dict[str, Any]:
    score = {"map50": 0.5, "map50_95": 0.25}
    return {
        "started": "2026-11-25T10:00:00Z", "finished": "2026-11-25T10:05:00Z", "attempt": 1,
        "analyse": {"strategy": "incremental"},
        "prepare": {"policies": ["replay", "pseudoLabels"], "new_images": 100, "memory_images": 20},
        "train": {"image_passes": 1680, "duration_s": 250.0, "attempts": 1, **changes.pop("train", {})},
        "evaluate": {"before": [{"images": 60}], "after": [
            {"images": 60, "name": "val", "kind": "holdout", "classes": {"ace": score}},
            {"images": 9, "name": "step-1", "kind": "val", "classes": {"ace": score}}]},
        **changes,
    }  # fmt: skip


def test_read_cost__from_the_record() -> None:
    cost = read_cost(record(), {})
    assert (cost.image_passes, cost.seconds, cost.train_s, cost.evaluated) == (1680, 300.0, 250.0, 129)
    assert cost.forward_passes == 2 * (100 + 20)  # both views of new images and of the memory
    assert cost.passes == pytest.approx(1680 + 80)


@pytest.mark.parametrize(
    ("changes", "policies", "count"),
    [
        ({}, {"pseudoLabels": {"mirror": False, "directions": "new"}}, 100),
        ({}, {"pseudoLabels": {"directions": "memory"}}, 40),
        ({}, {"replay": {"selection": "kmeans"}}, 240 + 120),
        ({"prepare": {"policies": ["distill"], "new_images": 100, "memory_images": 0}}, {}, 1680),
        ({"train": {"forward_passes": 7}}, {}, 247),
        ({"analyse": {"strategy": "full"}}, {}, 0),
    ],
    ids=["one-view", "memory-alone", "embedded", "teacher", "told", "full"],
)
def test_read_cost__forward_passes(changes: dict[str, Any], policies: dict[str, Any], count: int) -> None:
    assert read_cost(record(**changes), policies).forward_passes == count


@pytest.mark.parametrize("changes", [{"attempt": 2}, {"train": {"attempts": 2}}], ids=["round", "training"])
def test_read_cost__a_round_that_was_cut_off_has_no_seconds(changes: dict[str, Any]) -> None:
    cost = read_cost(record(**changes), {})
    assert (cost.seconds, cost.train_s, cost.attempts) == (None, None, 2)


def test_read_scores__hold_outs_alone() -> None:
    assert read_scores(record()) == {"val/ace": (0.5, 0.25)}


@pytest.fixture
def needed(tmp_path: Path) -> list[str]:
    (tmp_path / "w.pt").touch()
    return ["--data", str(tmp_path), "--weights", str(tmp_path / "w.pt"), "--out", str(tmp_path / "f.json")]


def test_options__everything_else_has_a_default(needed: list[str]) -> None:
    options = parse(needed)
    assert isinstance(options, Options)
    assert options.scenarios == ("voc",) and options.rates == (None,) and options.seeds == (0,)


def test_options__long_names_lists_and_all(needed: list[str]) -> None:
    some = parse([*needed, "--scenario", "five-steps,voc", "--rates", "1e-3,2e-3", "--seeds", "2", "--first-seed", "3"])
    everything = parse([*needed, "--scenario", "all", "--method", "all"])
    assert isinstance(some, Options) and isinstance(everything, Options)
    assert some.scenarios == ("steps", "voc") and some.rates == (1e-3, 2e-3) and some.seeds == (3, 4)
    assert everything.scenarios == tuple(SCENARIOS) and everything.methods == tuple(METHODS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scenario", "vox"], "'vox' is none of same, strict"),
        (["--method", "plain+magic"], "is none of joint"),
        (["--rates", "high"], "no list of numbers"),
        (["--weights", "missing.pt"], "there is no file missing.pt"),
    ],
    ids=["scenario", "method", "rates", "weights"],
)
def test_options__a_mistake_is_named(
    needed: list[str], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([*needed, *words])
    assert said in " ".join(capsys.readouterr().err.split())

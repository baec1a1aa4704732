from __future__ import annotations

import pytest

from treering_api.errors import BadSpecError
from treering_api.load import parse, read
from treering_api.resource import IncrementalTrain

POLICIES = "  policies:"


def refused(text: str) -> BadSpecError:
    with pytest.raises(BadSpecError) as caught:
        parse(text, "cards.yaml")
    return caught.value


def test_parse__short_spec_needs_nothing_else(short_text: str) -> None:
    line = parse(short_text, "cards.yaml")
    assert line.metadata.name == "cards"
    assert [increment.name for increment in line.spec.increments] == ["2026-w47", "2026-w48"]
    assert line.spec.policies.resolve().active() == (
        "freeze",
        "linearProbe",
        "replay",
        "pseudoLabels",
        "inversion",
        "weightMerge",
    )
    assert (line.spec.strategy, line.spec.retries, line.spec.training.epochs) == ("auto", 3, "auto")


def test_parse__json_is_yaml() -> None:
    spec = '{"model": {"base": "a.pt"}, "store": {"uri": "file:///a"}, "discover": {"uri": "file:///b"}}'
    identity = '"apiVersion": "treering.dev/v1alpha1", "kind": "IncrementalTrain", "metadata": {"name": "a"}'
    data = f'{{{identity}, "spec": {spec}}}'
    assert parse(data, "a.json").spec.store.uri == "file:///a"


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        pytest.param("", "cards.yaml", "the file is empty", id="empty"),
        pytest.param("- a\n", "cards.yaml", "no mapping at the top", id="list"),
        pytest.param(
            "kind: IncrementalTrain\n---\nkind: IncrementalTrain\n", "cards.yaml", "several documents", id="documents"
        ),
        pytest.param("a: [1,\n", "cards.yaml:2", "not YAML", id="broken"),
        pytest.param("a: !!python/object:os.system x\n", "cards.yaml:1", "not YAML", id="foreign-tag"),
        pytest.param("kind: Job\n", "cards.yaml", "kind is 'Job'", id="wrong-kind"),
        pytest.param("apiVersion: treering.dev/v1alpha1\n", "cards.yaml", "no kind is given", id="no-kind"),
        pytest.param(
            "kind: IncrementalTrain\napiVersion: treering.dev/v9\n",
            "cards.yaml",
            "apiVersion is 'treering.dev/v9'",
            id="wrong-version",
        ),
        pytest.param(
            "kind: IncrementalTrain\napiVersion: treering.dev/v1alpha1\n",
            "metadata",
            "the field is missing",
            id="nothing-else",
        ),
    ],
)
def test_parse__not_a_line(text: str, where: str, found: str) -> None:
    error = refused(text)
    assert error.where == where
    assert found in error.found


def test_parse__nothing_to_learn_from(short_text: str) -> None:
    lines = [line for line in short_text.splitlines() if "2026-w4" not in line and "increments" not in line]
    error = refused("\n".join(lines))
    assert (error.where, "nothing to learn from" in error.found) == ("spec.increments", True)


def test_parse__discover_alone_is_enough(short_text: str) -> None:
    lines = [line for line in short_text.splitlines() if "2026-w4" not in line and "increments" not in line]
    line = parse("\n".join([*lines, "  discover: {uri: s3://deliveries/cards}"]), "cards.yaml")
    assert line.spec.increments == ()


def test_parse__too_many_holdouts(short_text: str) -> None:
    many = ", ".join(f"{{name: h{number}, uri: s3://deliveries/h{number}}}" for number in range(17))
    error = refused(short_text.replace("{name: golden, uri: s3://deliveries/cards/golden}", many))
    assert (error.where, "found 17 items" in error.found) == ("spec.evaluation.holdouts", True)
    assert "at most 16" in error.mend


def test_parse__several_errors_are_counted(short_text: str) -> None:
    error = refused(short_text.replace("ratio: 0.1", "ratio: 3").replace("imageSize: 320", "imageSize: 330"))
    assert "1 more after it" in error.found


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("2.5E-4", 2.5e-4), (".5", 0.5), ("1", 1.0)])
def test_parse__numbers_as_people_write_them(short_text: str, text: str, value: float) -> None:
    line = parse(short_text.replace(POLICIES, f"  training: {{learningRate: {text}}}\n{POLICIES}"), "cards.yaml")
    assert line.spec.training.learning_rate == value


def test_parse__a_date_as_a_name_stays_a_text(short_text: str) -> None:
    line = parse(short_text.replace("2026-w47", "2026-11-23"), "cards.yaml")
    assert line.spec.increments[0].name == "2026-11-23"


def test_read__object_of_an_api_server(short_text: str) -> None:
    data = parse(short_text, "cards.yaml").model_dump(mode="json", exclude_unset=True)
    data["metadata"] |= {"uid": "1-2", "generation": 4, "managedFields": [{}], "creationTimestamp": None}
    line = read(data, "cards")
    assert isinstance(line, IncrementalTrain)
    assert (line.metadata.uid, line.metadata.generation) == ("1-2", 4)


def test_read__status_of_a_newer_release_is_let_through(short_text: str) -> None:
    data = parse(short_text, "cards.yaml").model_dump(mode="json", exclude_unset=True)
    assert read(data | {"status": {"round": 3, "newField": 1}}, "cards").status is not None


def test_read__spec_contradicts_status(short_text: str) -> None:
    data = parse(short_text, "cards.yaml").model_dump(mode="json", exclude_unset=True)
    data["status"] = {"settled": [{"name": "2026-w48", "uri": "s3://deliveries/cards/w48"}]}
    with pytest.raises(BadSpecError, match="removed, reordered or got another URI") as caught:
        read(data, "cards")
    assert caught.value.where == "spec.increments"

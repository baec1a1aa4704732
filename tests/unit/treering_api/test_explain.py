from __future__ import annotations

from treering_api.explain import explain, known_fields


def test_explain__says_type_range_and_meaning() -> None:
    words = explain("spec.policies.freeze.layers")
    assert "a whole number, 1 to 200" in words
    assert "first N layers" in words


def test_explain__unknown_path_is_empty() -> None:
    assert explain("spec.nothing.here") == ""


def test_known_fields__of_a_list_item() -> None:
    assert known_fields("spec.increments[3]") == ["name", "uri", "classes"]

"""The catalogue keeps Prometheus' naming rules, so that nobody has to rename a metric after dashboards use it."""

from __future__ import annotations

import re

import pytest

from treering_api.metrics import CATALOGUE, LABELS, Metric
from treering_api.plan import STAGES

BASE_UNITS = {"seconds", "bytes", "ratio"}
SCALED_OR_FOREIGN_UNITS = (
    "milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "ms", "secs", "mins", "hrs",
    "kilobytes", "megabytes", "gigabytes", "kb", "mb", "gb", "mib", "gib", "bits", "percent", "percentage",
)  # fmt: skip
UNBOUNDED = {"round", "attempt", "increment", "image", "uri", "digest", "pod", "job", "uid", "file", "class", "epoch"}

each_metric = pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)


def test_catalogue__names_are_unique() -> None:
    names = [metric.name for metric in CATALOGUE]
    assert sorted(set(names)) == sorted(names)


def test_catalogue__has_both_sources() -> None:
    assert {metric.source for metric in CATALOGUE} == {"trainer", "operator"}


@each_metric
def test_name__is_snake_case_with_prefix(metric: Metric) -> None:
    assert re.fullmatch(r"treering(_[a-z][a-z0-9]*)+", metric.name)


@each_metric
def test_name__says_the_kind_in_its_suffix_only(metric: Metric) -> None:
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_created"))
    assert not {"gauge", "counter", "histogram", "summary"} & set(metric.name.split("_"))


@each_metric
def test_name__ends_with_its_base_unit(metric: Metric) -> None:
    bare = metric.name.removesuffix("_total")
    assert not set(bare.split("_")) & set(SCALED_OR_FOREIGN_UNITS)
    if metric.unit:
        assert bare.endswith(f"_{metric.unit}")
    else:
        assert not set(bare.split("_")) & BASE_UNITS


@each_metric
def test_timestamp__is_in_seconds(metric: Metric) -> None:
    assert ("timestamp" in metric.name) == metric.name.endswith("_timestamp_seconds")


@each_metric
def test_labels__are_known_and_bounded(metric: Metric) -> None:
    assert len(set(metric.labels)) == len(metric.labels)
    assert set(metric.labels) <= set(LABELS)
    assert not set(metric.labels) & UNBOUNDED


def test_labels__each_is_used() -> None:
    assert {label for metric in CATALOGUE for label in metric.labels} == set(LABELS)


@each_metric
def test_info__says_something_in_its_labels(metric: Metric) -> None:
    assert metric.kind != "info" or metric.labels


@each_metric
def test_help__is_one_sentence(metric: Metric) -> None:
    assert re.fullmatch(r"[A-Zm1][^\n]{9,118}\.", metric.help)


@each_metric
def test_source__shows_in_name_and_labels(metric: Metric) -> None:
    is_trainer = metric.source == "trainer"
    assert metric.name.startswith("treering_round_") == is_trainer
    assert is_trainer == (metric.labels[:1] == ("line",))
    assert metric.name.startswith("treering_line_") == (metric.labels[:2] == ("namespace", "line"))


def test_label_stage__is_as_bounded_as_it_says() -> None:
    assert len(STAGES) == 9

"""What the tests of the API share: the short spec of the README, and random valid data after the schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis.strategies import SearchStrategy

from tests.plugins.random_specs import spec_values
from treering_api.load import parse
from treering_api.spec import Spec

SHORT = """\
apiVersion: treering.dev/v1alpha1
kind: IncrementalTrain
metadata: {name: cards}
spec:
  model: {base: s3://models/yolov8n.pt, imageSize: 320}
  store: {uri: s3://lines/cards, credentialsSecret: s3-cards}
  increments:
    - {name: 2026-w47, uri: s3://deliveries/cards/w47}
    - {name: 2026-w48, uri: s3://deliveries/cards/w48}   # appended a week later
  evaluation: {holdouts: [{name: golden, uri: s3://deliveries/cards/golden}]}
  policies: {freeze: {layers: 10}, replay: {ratio: 0.1}}
"""


@pytest.fixture
def short_text() -> str:
    return SHORT


@pytest.fixture
def short_spec() -> Spec:
    return parse(SHORT, "short.yaml").spec


@pytest.fixture(scope="session")
def spec_data() -> SearchStrategy[dict[str, Any]]:
    """Plain data of specs that keep every bound of a single field; cross-field rules may be broken."""
    return spec_values()

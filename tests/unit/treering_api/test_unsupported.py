from __future__ import annotations

import pytest

from treering_api.errors import BadSpecError
from treering_api.spec import Compute, Discover, Donor, Model, Spec
from treering_api.unsupported import notices, refuse_unsupported


def test_refuse_unsupported__short_spec_passes(short_spec: Spec) -> None:
    refuse_unsupported(short_spec)
    assert notices(short_spec) == ()


def test_refuse_unsupported__donors(short_spec: Spec) -> None:
    model = Model(base="yolov8n.pt", donors=(Donor(uri="s3://models/b.pt"),))
    with pytest.raises(BadSpecError, match="can't merge") as caught:
        refuse_unsupported(short_spec.model_copy(update={"model": model}))
    assert caught.value.where == "spec.model.donors"


def test_refuse_unsupported__nodes(short_spec: Spec) -> None:
    with pytest.raises(BadSpecError, match="one pod") as caught:
        refuse_unsupported(short_spec.model_copy(update={"compute": Compute(nodes=2, gpus=1)}))
    assert caught.value.where == "spec.compute.nodes"


def test_notices__discover_and_queue(short_spec: Spec) -> None:
    spec = short_spec.model_copy(update={"discover": Discover(uri="s3://abc/d"), "queue": "team-a"})
    assert [sentence.split()[0] for sentence in notices(spec)] == ["spec.discover", "spec.queue"]

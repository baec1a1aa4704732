from __future__ import annotations

import pytest
from pydantic import ValidationError

from treering_api.fields import seconds
from treering_api.spec import Increment, Model, Spec, StoreSpec


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("15m", 900), ("6h", 21_600), ("7d", 604_800), ("1h30m", 5_400), ("0s", 0)],
)
def test_seconds__units(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "7", "7 d", "1.5h", "30m1h", "-1s", "7w"])
def test_seconds__no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        seconds(text)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/a b/c", "s3://my.bucket_1/x/", "file:///data/x"])
def test_uri__accepted(uri: str) -> None:
    assert Increment(name="a", uri=uri).uri == uri


@pytest.mark.parametrize(
    "uri", ["", "s3://", "s3:/a", "S3://bucket/x", "file://data", "/data", "s3://b/x\n", "s3://abc/x?y"]
)
def test_uri__refused(uri: str) -> None:
    with pytest.raises(ValidationError):
        Increment(name="a", uri=uri)


@pytest.mark.parametrize(
    ("base", "official", "from_scratch"),
    [("s3://models/a/b.pt", False, False), ("yolov8n.pt", True, False), ("yolov8n.yaml", False, True)],
)
def test_model__kinds_of_base(base: str, official: bool, from_scratch: bool) -> None:
    model = Model(base=base)
    assert (model.official, model.from_scratch) == (official, from_scratch)


@pytest.mark.parametrize("base", ["yolov8n", "./yolov8n.pt", "s3://models/x.onnx", "https://x/y.pt", "../x.yaml"])
def test_model__base_refused(base: str) -> None:
    with pytest.raises(ValidationError):
        Model(base=base)


def test_blocks__are_frozen() -> None:
    store = StoreSpec(uri="s3://bucket/a")
    with pytest.raises(ValidationError, match="frozen"):
        store.uri = "s3://bucket/b"


def test_blocks__python_names_in_code_camel_case_in_yaml(short_spec: Spec) -> None:
    dumped = short_spec.model_dump(mode="json", exclude_unset=True)
    assert dumped["model"] == {"base": "s3://models/yolov8n.pt", "imageSize": 320}
    assert Spec.model_validate(dumped) == short_spec

from __future__ import annotations

import pytest

from treering_api.errors import BadSpecError
from treering_api.load import parse

POLICIES = "  policies:"


def refused(text: str) -> BadSpecError:
    with pytest.raises(BadSpecError) as caught:
        parse(text, "cards.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "where", "found", "mend"),
    [
        pytest.param(
            "ratio: 0.1",
            "ratoi: 0.1",
            "spec.policies.replay.ratoi",
            "unknown field",
            "Did you mean ratio?",
            id="unknown-field",
        ),
        pytest.param(
            "imageSize",
            "image_size",
            "spec.model.image_size",
            "unknown field",
            "Did you mean imageSize?",
            id="snake-case-field",
        ),
        pytest.param("spec:", "sepc:", "sepc", "unknown field", "Did you mean spec?", id="unknown-block"),
        pytest.param("ratio: 0.1", "ratio: 3", "spec.policies.replay.ratio", "found 3", "0 to 1", id="out-of-range"),
        pytest.param(
            "ratio: 0.1", "ratio: .nan", "spec.policies.replay.ratio", "found nan", "0 to 1", id="not-a-number"
        ),
        pytest.param(
            "ratio: 0.1",
            "ratio: '0.1'",
            "spec.policies.replay.ratio",
            "which is a text; write it without quotes",
            "a number",
            id="number-as-text",
        ),
        pytest.param(
            "w48, uri",
            "w48, name: x, uri",
            "spec.increments[1].name",
            "stands there twice (cards.yaml, lines 9 and 9)",
            "Keep one",
            id="duplicate-key",
        ),
        pytest.param(
            "uri: s3://lines/cards",
            "uri: lines/cards",
            "spec.store.uri",
            "found 'lines/cards'",
            "s3://bucket/prefix or file:///",
            id="uri-without-scheme",
        ),
        pytest.param(
            "uri: s3://lines/cards",
            "uri: https://a/b",
            "spec.store.uri",
            "found 'https://a/b'",
            "s3://bucket/prefix",
            id="uri-of-another-scheme",
        ),
        pytest.param(
            "s3://models/yolov8n.pt",
            "weights/best.pt",
            "spec.model.base",
            "found 'weights/best.pt'",
            "file:///absolute/weights.pt",
            id="relative-base",
        ),
        pytest.param(
            "2026-w48, ",
            "2026-w47, ",
            "spec.increments",
            "name '2026-w47' stands there 2 times",
            "a name of its own",
            id="two-increments-one-name",
        ),
        pytest.param(
            "name: 2026-w48",
            "name: 202648",
            "spec.increments[1].name",
            "found 202648, which is a number; texts",
            "Names have lower-case",
            id="number-as-name",
        ),
        pytest.param(
            "imageSize: 320", "imageSize: 330", "spec.model.imageSize", "found 330", "a multiple of 32", id="image-size"
        ),
        pytest.param(
            "imageSize: 320",
            "imageSize: [320]",
            "spec.model.imageSize",
            "found [320]",
            "a whole number",
            id="wrong-type",
        ),
        pytest.param(
            "layers: 10", "layers:", "spec.policies.freeze.layers", "no value is given", "remove the line", id="null"
        ),
        pytest.param(
            "layers: 10",
            "enabled: true",
            "spec.policies.freeze",
            "freeze names nothing",
            "layers (such as 10)",
            id="freeze-without-anything",
        ),
        pytest.param(
            "ratio: 0.1",
            "ratio: 0",
            "spec.policies.replay.ratio",
            "ratio 0 without maxImages or maxBytes",
            "maxImages",
            id="replay-without-memory",
        ),
        pytest.param(
            "cards/golden",
            "cards/w47",
            "spec.evaluation.holdouts",
            "has the URI of an increment",
            "a folder of its own",
            id="holdout-is-increment",
        ),
        pytest.param(
            "metadata: {name: cards}",
            "metadata: {name: Cards_1}",
            "metadata.name",
            "found 'Cards_1'",
            "lower-case letters",
            id="line-name",
        ),
    ],
)
def test_parse__bad_edit_of_the_short_spec(
    short_text: str, old: str, new: str, where: str, found: str, mend: str
) -> None:
    assert old in short_text
    error = refused(short_text.replace(old, new, 1))
    assert error.where == where
    assert found in error.found
    assert mend in error.mend


@pytest.mark.parametrize(
    ("block", "where", "found", "mend"),
    [
        pytest.param(
            "discover: {uri: s3://abc/x, maxWait: 7 days}",
            "spec.discover.maxWait",
            "found '7 days'",
            "90s, 15m, 6h, 7d",
            id="duration",
        ),
        pytest.param(
            "training: {epochs: many}",
            "spec.training.epochs",
            "found 'many'",
            "a whole number or auto, 1 to 10000",
            id="neither-number-nor-auto",
        ),
        pytest.param("training: {epochs: 0}", "spec.training.epochs", "found 0", "1 to 10000", id="no-epochs"),
        pytest.param(
            "training: {overrides: {lr0: 0.1}}",
            "spec.training.overrides.lr0",
            "lr0 is set by Treering",
            "Use spec.training.learningRate",
            id="reserved-override",
        ),
        pytest.param(
            "training: {overrides: {resume: true}}",
            "spec.training.overrides.resume",
            "resume is set by Treering",
            "Remove it",
            id="reserved-override-without-field",
        ),
        pytest.param(
            "training: {overrides: {mosiac: 0.5}}",
            "spec.training.overrides.mosiac",
            "ultralytics has no such argument",
            "Did you mean mosaic?",
            id="misspelt-override",
        ),
        pytest.param(
            "training: {overrides: {warmup_epoch: 1}}",
            "spec.training.overrides.warmup_epoch",
            "ultralytics has no such argument",
            "Use spec.training.warmupEpochs instead",
            id="misspelt-reserved-override",
        ),
        pytest.param(
            "training: {overrides: {nbs: 64}}",
            "spec.training.overrides.nbs",
            "nbs of ultralytics does nothing",
            "What may stand here: momentum, weight_decay",
            id="idle-override",
        ),
        pytest.param(
            "training: {overrides: {quantum: 1}}",
            "spec.training.overrides.quantum",
            "ultralytics has no such argument",
            "What may stand here: momentum, weight_decay",
            id="unknown-override",
        ),
        pytest.param(
            "training: {overrides: {mosaic: [1]}}",
            "spec.training.overrides.mosaic",
            "found [1]",
            "a number",
            id="override-of-wrong-type",
        ),
        pytest.param(
            "compute: {volumes: [{name: a, mountPath: /a}]}",
            "spec.compute.volumes[0]",
            "exactly one source",
            "claim, secret, configMap",
            id="volume-without-source",
        ),
        pytest.param(
            "compute: {cacheVolume: {claim: a, sizeLimit: 1Gi}}",
            "spec.compute.cacheVolume.sizeLimit",
            "a claim is given",
            "not both",
            id="cache-claim-and-limit",
        ),
        pytest.param(
            "compute: {env: [{name: A, value: a, secret: b}]}",
            "spec.compute.env[0]",
            "exactly one source",
            "one of value",
            id="variable-with-two-sources",
        ),
        pytest.param(
            "export: {formats: [coreml]}",
            "spec.export.formats[0]",
            "found 'coreml'",
            "one of onnx, onnx-fp16, onnx-int8, torchscript",
            id="unknown-format",
        ),
        pytest.param("suspend: 'yes'", "spec.suspend", "found 'yes'", "true or false", id="text-as-boolean"),
    ],
)
def test_parse__bad_block(short_text: str, block: str, where: str, found: str, mend: str) -> None:
    error = refused(short_text.replace(POLICIES, f"  {block}\n{POLICIES}", 1))
    assert (error.where, found in error.found, mend in error.mend) == (where, True, True), str(error)
    assert "cards.yaml, line 11" in error.found

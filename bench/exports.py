"""Formats of one model side by side: size, latency beside the model, mAP, parity.

    python -m bench.exports --data DIR --weights FILE --out FILE.json

The data is a folder in YOLO layout: val is measured on, train is calibrated on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from treering_api import EXPORT_FORMATS
from treering_trainer import api
from treering_trainer.records import ExportedFormat
from treering_trainer.yolo.exporting.formats import FORMATS

HEAD = "| format | size | of float32 ONNX | ms | times the model | mAP50 | lost, points | moved, px | verdict |"


def main() -> None:
    """Measure what can be made on this machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--format", dest="formats", action="append", choices=EXPORT_FORMATS)
    given = parser.parse_args()
    makeable = [name for name in EXPORT_FORMATS if not FORMATS[name].gpu and not FORMATS[name].missing()]
    with tempfile.TemporaryDirectory(prefix="treering-bench-") as folder:
        done = api.export_model(
            given.weights,
            Path(folder) / "exports",
            given.formats or makeable,
            data=given.data,
            calibration=given.data / "images" / "train",
            tell=print,
        )
    rows = [made.model_dump(mode="json") for made in done.formats]
    given.out.write_text(json.dumps({"images": done.measured, "imageSize": done.image_size, "formats": rows}, indent=1))
    print(table(done.formats))


def table(formats: tuple[ExportedFormat, ...]) -> str:
    """Markdown; what could not be measured is a dash."""
    whole = next((made.size_bytes for made in formats if made.name == "onnx"), 0)
    rows = [HEAD, "|---" + "|---:" * 7 + "|---|"]
    for made in formats:
        speed = made.latency_ms / made.reference_ms if made.latency_ms and made.reference_ms else None
        share = made.size_bytes / whole if whole and made.size_bytes else None
        lost = None if made.map50_drop is None else 100 * made.map50_drop
        numbers = (made.latency_ms, speed, made.map50, lost, made.box_drift_px)
        cells = [
            made.name,
            f"{made.size_bytes / 1e6:.1f} MB" if made.size_bytes else "-",
            "-" if share is None else f"{share:.2f}",
            *(
                "-" if number is None else f"{number:.{digits}f}"
                for number, digits in zip(numbers, (1, 2, 3, 2, 2), strict=True)
            ),
            "published" if made.passed else made.reason,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()

"""The original YOLOv9 with its auxiliary branch: rebuilt of ultralytics' blocks, to prove what a conversion gives."""

from treering_trainer.yolo.yolov9.mapping import deploy_tensors
from treering_trainer.yolo.yolov9.model import OriginalModel, build_original
from treering_trainer.yolo.yolov9.table import Row, deploy_rows, original_rows

__all__ = ["OriginalModel", "Row", "build_original", "deploy_rows", "deploy_tensors", "original_rows"]

"""ultralytics' types that the facade hands out; everyone else treats them as opaque."""

from ultralytics.nn.tasks import DetectionModel

__all__ = ["DetectionModel"]

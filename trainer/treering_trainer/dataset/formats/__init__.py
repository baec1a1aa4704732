"""Deliveries as other tools write them: COCO, Pascal VOC, CVAT, Label Studio, Roboflow and Darknet trees.

Read in place: nothing is written, the originals stay as they are. The converters of supervision and of ultralytics were
weighed: they write copies, drop in silence what they do not know, and follow whatever path a file names; what a line is
taught has to be accounted for. XML is parsed by defusedxml.
"""

from treering_trainer.dataset.formats.foreign import ForeignLayout, foreign_keys, is_foreign, read_layout

__all__ = ["ForeignLayout", "foreign_keys", "is_foreign", "read_layout"]

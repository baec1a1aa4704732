"""Data sets in any accepted format: found, checked, compared, united by class name, written.

The way of a delivery: `wanted_keys` says what to pull, `read_dataset` checks every file of it, `cross_check` sets it
beside the others, `enforce` stops what can't be learned from, `unite` and `remap` bring the classes together.
"""

from treering_trainer.dataset.compare import cross_check
from treering_trainer.dataset.formats import ACCEPTED, Recognition, delivered, has_labels, is_picture, wanted_keys
from treering_trainer.dataset.labels import Fault, Labels, Limits, parse_labels
from treering_trainer.dataset.layout import NAMES_FILES, list_pictures
from treering_trainer.dataset.names import normalised, read_names, remap, renamed, unite
from treering_trainer.dataset.overlap import SAME_OBJECT, apart, intersection_over_union, matches
from treering_trainer.dataset.read import read_dataset
from treering_trainer.dataset.samples import Boxes, Checked, DataSet, Kind, Sample, Split, ignoring, no_boxes
from treering_trainer.dataset.tally import box_counts
from treering_trainer.dataset.threshold import enforce
from treering_trainer.dataset.write import label_text, write_dataset

__all__ = [
    "ACCEPTED",
    "NAMES_FILES",
    "SAME_OBJECT",
    "Boxes",
    "Checked",
    "DataSet",
    "Fault",
    "Kind",
    "Labels",
    "Limits",
    "Recognition",
    "Sample",
    "Split",
    "apart",
    "box_counts",
    "cross_check",
    "delivered",
    "enforce",
    "has_labels",
    "ignoring",
    "intersection_over_union",
    "is_picture",
    "label_text",
    "list_pictures",
    "matches",
    "no_boxes",
    "normalised",
    "parse_labels",
    "read_dataset",
    "read_names",
    "remap",
    "renamed",
    "unite",
    "wanted_keys",
    "write_dataset",
]

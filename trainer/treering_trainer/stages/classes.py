"""Which classes a delivery speaks of, and which ones the grown model has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from treering_api import BadDataError
from treering_trainer.dataset import DataSet, Sample, unite


def class_union(known: Sequence[str], datasets: Sequence[DataSet]) -> tuple[str, ...]:
    """The classes of the grown model: the known ones in their places, then the increments' that have a box at last.

    A class that is only listed waits: it would be "known" without ever having been shown, and count as old when its
    first pictures come.

    Raises:
        BadDataError: there would be none.
    """
    increments = [dataset for dataset in datasets if dataset.kind == "increment"]
    shown = set(known).union(*(boxed_classes(dataset) for dataset in increments))
    union = tuple(name for name in unite(known, *increments) if name in shown)
    if not union:
        raise BadDataError(
            ", ".join(dataset.name for dataset in increments),
            "no picture has a box: a line's first delivery must show what is to be learned",
            "Label the pictures, or put a labelled delivery first",
        )
    return union


def boxed_classes(dataset: DataSet) -> frozenset[str]:
    """The classes that occur in a data set."""
    samples = (*dataset.train, *dataset.val)
    return frozenset(dataset.names[int(row[0])] for sample in samples for row in sample.boxes)


def labelled_classes(dataset: DataSet) -> frozenset[str]:
    """The classes that a delivery's labels speak of.

    A class of its list without a single box was not labelled rather than absent: deliveries often come with the whole
    line's class list. Only a delivery without any box at all is believed to show none of its classes.
    """
    return boxed_classes(dataset) or frozenset(dataset.names)


def measured_classes(datasets: Iterable[DataSet]) -> frozenset[str]:
    """The classes that occur in val pictures, hold-outs included."""

    def shown(names: tuple[str, ...], samples: tuple[Sample, ...]) -> set[str]:
        return {names[int(row[0])] for sample in samples for row in sample.boxes}

    return frozenset[str]().union(*(shown(dataset.names, dataset.val) for dataset in datasets))

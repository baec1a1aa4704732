"""Samples as ultralytics data sets: labels come from memory, so nothing is scanned and no pickled cache is read."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from ultralytics.cfg import get_cfg
from ultralytics.data.build import InfiniteDataLoader, _RepeatSampler, seed_worker
from ultralytics.data.dataset import YOLODataset
from ultralytics.utils import NUM_THREADS

from treering_trainer.dataset import Sample
from treering_trainer.engine.machine import free_memory_bytes
from treering_trainer.engine.order import EpochBatches, Place
from treering_trainer.engine.ranks import ALONE, Rank

CACHE_SHARE = 0.2  # of the free memory that decoded images may take


class SampleDataset(YOLODataset):
    """A `YOLODataset` over samples; file names are the samples' paths, labels their boxes."""

    ims: list[Any]  # ultralytics declares these three as lists of None
    im_hw0: list[Any]
    im_hw: list[Any]

    def __init__(self, samples: Sequence[Sample], names: Sequence[str], **settings: Any) -> None:
        self.samples = tuple(samples)
        data = {"names": dict(enumerate(names)), "nc": len(names), "channels": 3}
        super().__init__(img_path="", data=data, task="detect", **settings)

    def __getitem__(self, index: int | Place) -> dict[str, Any]:
        """The image at an index, augmented by whatever random numbers come, or at a place, augmented by its seed."""
        if isinstance(index, Place):
            with _seeded(index.seed):
                return super().__getitem__(index.image)
        return super().__getitem__(index)

    def get_img_files(self, img_path: str | list[str]) -> list[str]:
        """The samples' image files, in order."""
        del img_path
        return [str(sample.image) for sample in self.samples]

    def get_labels(self) -> list[dict[str, Any]]:
        """The samples' labels, in the form ultralytics keeps them."""
        return [_label(sample, len(self.data["names"])) for sample in self.samples]

    def cache_images(self) -> None:
        """Decode every image once, without ultralytics' bar on standard output."""
        with ThreadPool(NUM_THREADS) as pool:
            loaded = pool.map(self.load_image, range(self.ni))
        for index, (image, original, resized) in enumerate(loaded):
            self.ims[index], self.im_hw0[index], self.im_hw[index] = image, original, resized

    def prefill(self, order: Sequence[int]) -> None:
        """Start the mosaic's buffer from `order`, so that no epoch depends on what the one before left in it."""
        for index in self.buffer:
            self.ims[index] = None
        self.buffer = [index for index in order if self.ims[index] is None][: max(self.max_buffer_length - 1, 1)]


def training_set(
    samples: Sequence[Sample], names: Sequence[str], hyp: Any, *, batch: int, stride: int, rank: Rank = ALONE
) -> SampleDataset:
    """An augmenting data set; decoded images stay in memory where they fit easily.

    Where they do not, a mosaic's partners are images that the same process loaded shortly before, as in ultralytics:
    then what an image is shown with depends on the number of processes. All ranks do the one or the other.
    """
    cached = rank.all(_fits_in_memory(rank.count * len(samples), hyp.imgsz))  # as if all were on one machine
    return SampleDataset(
        samples,
        names,
        imgsz=hyp.imgsz,
        augment=True,
        hyp=hyp,
        batch_size=batch,
        stride=stride,
        pad=0.0,
        cache="ram" if cached else None,
    )


def training_loader(dataset: SampleDataset, batches: EpochBatches, *, workers: int, pin: bool) -> InfiniteDataLoader:
    """A loader whose batches are those of `batches`."""
    loader = InfiniteDataLoader(
        dataset=dataset,
        batch_size=min(batches.mix.batch, len(dataset)),
        num_workers=workers,
        pin_memory=pin,
        collate_fn=dataset.collate_fn,
        worker_init_fn=seed_worker,
        generator=torch.Generator(),
    )
    # Handed to the constructor it would leave `batch_size` None, which ultralytics computes with
    object.__setattr__(loader, "batch_sampler", _RepeatSampler(batches))
    return loader


def reading_loader(
    samples: Sequence[Sample],
    names: Sequence[str],
    *,
    image_size: int,
    batch: int,
    stride: int,
    workers: int,
    rect: bool = True,
) -> DataLoader[dict[str, Any]]:
    """A loader without augmentation, for evaluation and detection.

    Args:
        samples: at least one.
        rect: in batches of images of like shape; else all in squares of the image size.
    """
    dataset = SampleDataset(
        samples,
        names,
        imgsz=image_size,
        augment=False,
        hyp=get_cfg(),
        batch_size=batch,
        stride=stride,
        rect=rect,
        pad=0.5,
    )
    return InfiniteDataLoader(
        dataset=dataset, batch_size=batch, shuffle=False, num_workers=workers, collate_fn=dataset.collate_fn
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random numbers of Python and numpy from `seed`; the caller's own streams go on as if nothing had happened."""
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _label(sample: Sample, classes: int) -> dict[str, Any]:
    ignored = np.array(sample.ignored, dtype=np.float32).reshape(-1, 5)
    ignored[:, 0] += classes  # see `yolo.losses`
    boxes = np.concatenate([np.asarray(sample.boxes, dtype=np.float32).reshape(-1, 5), ignored])
    return {
        "im_file": str(sample.image),
        "shape": (sample.height, sample.width),
        "cls": boxes[:, :1],
        "bboxes": boxes[:, 1:],
        "segments": [],
        "keypoints": None,
        "normalized": True,
        "bbox_format": "xywh",
    }


def _fits_in_memory(images: int, image_size: int) -> bool:
    return images * image_size * image_size * 3 < CACHE_SHARE * free_memory_bytes()

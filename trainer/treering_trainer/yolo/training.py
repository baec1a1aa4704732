"""Running a recipe: ultralytics' own loop with our model, order of images, policies, checkpoints and stop.

What is ultralytics' stays ultralytics': loss, augmentation, optimizer, schedule, averaging, mixed precision, early
stopping. What is ours hangs on the methods that it offers for overriding.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import unwrap_model

from treering_trainer.engine.checkpoint import load_checkpoint, remove_checkpoint, save_checkpoint
from treering_trainer.engine.order import EpochBatches, Mix, derive_seed
from treering_trainer.engine.recipe import Recipe
from treering_trainer.records import EpochRecord
from treering_trainer.yolo.losses import PolicyLoss
from treering_trainer.yolo.samples import SampleDataset, reading_loader, training_loader, training_set

Validate = Callable[[DetectionModel], float]


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Args:
        model: the averaged weights of the best epoch (of the last one without validation), float32, eval mode.
        image_passes: images shown, over all attempts.
        gpu_seconds: time on GPUs, over all attempts; 0 on a CPU.
    """

    model: DetectionModel
    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool
    image_passes: int
    attempts: int
    gpu_seconds: float
    peak_memory_bytes: int


def train(recipe: Recipe, model: DetectionModel, validate: Validate | None) -> Trained:
    """Train `model` by `recipe`; a training of the same recipe that was cut off goes on.

    Args:
        validate: mean mAP50-95 of a model on the val sets, 0..1; None trains all epochs and keeps the last.

    Raises:
        EnvironmentFailure: a stop was asked for; everything up to the last full epoch is kept.
    """
    trainer = TreeringTrainer(recipe, model, validate)
    trainer.train()
    if recipe.stop.requested:
        recipe.stop.check("train")
    return trainer.result()


def forget_checkpoint(recipe_folder: Any) -> None:
    """Remove the checkpoint of a training whose result is kept elsewhere."""
    remove_checkpoint(recipe_folder / "checkpoint.pt")


class TreeringTrainer(DetectionTrainer):
    """One training by one recipe."""

    def __init__(self, recipe: Recipe, model: DetectionModel, validate: Validate | None) -> None:
        self.recipe = recipe
        self.given_model = model
        self.validate_model = validate
        self.mix = Mix(len(recipe.new), len(recipe.memory), recipe.settings.batch, recipe.batch_share)
        self.order = EpochBatches(self.mix, recipe.settings.seed)
        self.records: list[EpochRecord] = []
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.best_epoch = 0
        self.passes = 0
        self.attempts = 1
        self.seconds = 0.0
        self.checkpoint = recipe.folder / "checkpoint.pt"
        self.fingerprint = fingerprint(recipe, model)
        super().__init__(overrides=arguments(recipe))
        self.add_callback("on_train_epoch_start", lambda _: self._start_epoch())
        self.add_callback("on_train_batch_end", lambda _: self._end_batch())
        self.add_callback("on_train_epoch_end", lambda _: self._end_epoch())

    def result(self) -> Trained:
        """The trained model and how it went."""
        model = unwrap_model(self.ema.ema)
        if self.best_weights is not None:
            model.load_state_dict(self.best_weights)
        model = model.float().eval()
        model.criterion = None
        for policy in self.recipe.policies:
            policy.finish(model)
        cuda = self.device.type == "cuda"
        return Trained(
            model=model,
            epochs=tuple(self.records),
            best_epoch=self.best_epoch or len(self.records),
            stopped_early=len(self.records) < self.recipe.settings.epochs,
            image_passes=self.passes,
            attempts=self.attempts,
            gpu_seconds=self.seconds if cuda else 0.0,
            peak_memory_bytes=torch.cuda.max_memory_allocated() if cuda else 0,
        )

    # What ultralytics asks for -------------------------------------------------------------------------------------

    def get_dataset(self) -> dict[str, Any]:
        """Names and counts; the images come from the recipe."""
        names = dict(enumerate(self.recipe.names))
        return {"names": names, "nc": len(names), "channels": 3, "train": "", "val": ""}

    def setup_model(self) -> None:
        """Our model, changed by the policies, with the layers they freeze."""
        self.model = self.given_model.float()
        for parameter in self.model.parameters():
            parameter.requires_grad = True  # a loaded checkpoint may come frozen
        for policy in self.recipe.policies:
            policy.build(self.model)
        frozen = [name for policy in self.recipe.policies for name in policy.frozen(self.model)]
        self.args.freeze = list(dict.fromkeys(frozen)) or None

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Training batches in our order; for ultralytics' own validator, which never runs, a token."""
        del dataset_path, rank
        samples = (*self.recipe.new, *self.recipe.memory)
        workers, stride = self.args.workers, max(int(unwrap_model(self.model).stride.max()), 32)
        if mode != "train":
            token = samples[:1]
            return reading_loader(token, self.recipe.names, image_size=64, batch=1, stride=stride, workers=0)
        dataset = training_set(samples, self.recipe.names, self.args, batch=batch_size, stride=stride)
        return training_loader(dataset, self.order, workers=workers, pin=self.device.type == "cuda")

    def _setup_train(self) -> None:
        super()._setup_train()
        losses = [policy for policy in self.recipe.policies if policy.adds_loss]
        if losses:
            model = unwrap_model(self.model)
            model.criterion = PolicyLoss(model.init_criterion(), losses)
        self._resume()

    def _model_train(self) -> None:
        super()._model_train()
        for policy in self.recipe.policies:
            policy.train_mode(unwrap_model(self.model))

    def validate(self) -> tuple[dict[str, float], float | None]:
        """Fitness of the averaged weights, where there is something to validate on; the best ones are kept."""
        if self.validate_model is None or self.recipe.stop.requested:
            return {}, None
        model = unwrap_model(self.ema.ema)
        fitness = self.validate_model(model)
        if self.best_fitness is None or fitness > self.best_fitness:
            self.best_fitness, self.best_epoch = fitness, self.epoch + 1
            self.best_weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return {}, fitness

    def save_model(self) -> bool:
        """Record the epoch and write the exact checkpoint."""
        if self.recipe.stop.requested:
            return False  # the epoch was cut short: what counts is the last full one
        self._record_epoch()
        save_checkpoint(self.checkpoint, self._state(), fingerprint=self.fingerprint)
        return True

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """Nothing: the record of the epoch says it all."""

    def final_eval(self) -> None:
        """Nothing: the evaluate stage compares old and new on the same sets."""

    # Our hooks -----------------------------------------------------------------------------------------------------

    def _start_epoch(self) -> None:
        model, epoch = unwrap_model(self.model), self.epoch
        seed_everything(derive_seed(self.recipe.settings.seed, epoch, "augment"))
        self.order.epoch = epoch
        dataset = self.train_loader.dataset
        assert isinstance(dataset, SampleDataset)
        dataset.prefill([index for batch in self.mix.batches(self.order.seed, epoch)[:8] for index in batch])
        self.train_loader.generator.manual_seed(derive_seed(self.order.seed, epoch, "workers"))
        self.train_loader.reset()  # workers forked anew: their random state is the epoch's, whatever came before
        self._epoch_start_s = time.monotonic()
        self._epoch_images = 0
        for policy in self.recipe.policies:
            policy.epoch_start(model, epoch)

    def _end_batch(self) -> None:
        images = len(self._last_batch)
        self.passes += images
        self._epoch_images += images
        self.recipe.listener.batch(self.passes, self.mix.passes * self.recipe.settings.epochs)
        if self.recipe.stop.requested:
            self.stop = True

    def _end_epoch(self) -> None:
        self.seconds += time.monotonic() - self._epoch_start_s
        for policy in self.recipe.policies:
            policy.epoch_end(unwrap_model(self.model), self.epoch)

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As ultralytics does; the images' names are kept for counting."""
        self._last_batch = batch["im_file"]
        return super().preprocess_batch(batch)

    def _record_epoch(self) -> None:
        elapsed_s = max(time.monotonic() - self._epoch_start_s, 1e-9)
        record = EpochRecord(
            epoch=self.epoch + 1,
            losses={name: float(value) for name, value in (self.tloss or {}).items()},
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            images_per_s=self._epoch_images / elapsed_s,
            fitness=self.fitness,
        )
        self.records.append(record)
        self.recipe.listener.epoch(record)

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "model": unwrap_model(self.model).state_dict(),
            "ema": self.ema.ema.state_dict(),
            "ema_updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": self.best_weights,
            "best_epoch": self.best_epoch,
            "best_fitness": self.best_fitness,
            "stopper": {"best_fitness": self.stopper.best_fitness, "best_epoch": self.stopper.best_epoch},
            "records": [record.model_dump() for record in self.records],
            "passes": self.passes,
            "attempts": self.attempts,
            "seconds": self.seconds,
            "policies": {policy.name: policy.state_dict() for policy in self.recipe.policies},
        }

    def _resume(self) -> None:
        state = load_checkpoint(self.checkpoint, fingerprint=self.fingerprint)
        if state is None:
            return
        unwrap_model(self.model).load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["ema"])
        self.ema.updates = state["ema_updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.best_weights, self.best_epoch, self.best_fitness = state["best"], state["best_epoch"], state["best_fitness"]
        self.stopper.__dict__.update(state["stopper"])
        self.records = [EpochRecord.model_validate(record) for record in state["records"]]
        self.passes, self.seconds = state["passes"], state["seconds"]
        self.attempts = state["attempts"] + 1
        for policy in self.recipe.policies:
            policy.load_state_dict(state["policies"].get(policy.name, {}))
        self.start_epoch = state["epoch"] + 1
        self.scheduler.last_epoch = self.start_epoch - 1


def arguments(recipe: Recipe) -> dict[str, Any]:
    """The recipe in ultralytics' words; the user's free overrides come first, what Treering sets wins."""
    settings, cuda = recipe.settings, recipe.device.startswith("cuda")
    return {
        **settings.overrides,
        "model": "yolov8n.yaml",  # never built: setup_model hands over the real one
        "task": "detect",
        "epochs": settings.epochs,
        "batch": settings.batch,
        "nbs": settings.batch,  # one step per batch: few images need many steps (cards: .863 against .629 mAP50)
        "imgsz": recipe.image_size,
        "optimizer": settings.optimizer,
        "lr0": settings.learning_rate,
        "lrf": settings.final_learning_rate_share,
        "warmup_epochs": settings.warmup_epochs,
        "warmup_bias_lr": 0.1 if settings.optimizer == "SGD" else 0.0,  # Adam's steps do not shrink with gradients
        "cos_lr": settings.cosine,
        "patience": settings.patience or settings.epochs + 1,
        "amp": settings.precision if cuda else False,
        "seed": settings.seed,
        "device": recipe.device.removeprefix("cuda:"),
        "workers": settings.workers,
        "save_dir": str(recipe.folder),
        "exist_ok": True,
        "plots": False,
        "verbose": False,
        "val": True,
        "save": True,
        "cls_pw": settings.overrides.get("cls_pw", 0.0),
    }


def fingerprint(recipe: Recipe, model: DetectionModel) -> str:
    """What a checkpoint must match to be resumed: settings, classes, images with labels, policies, start weights."""
    digest = hashlib.sha256(repr((recipe.names, recipe.settings, recipe.image_size, recipe.batch_share)).encode())
    for sample in (*recipe.new, *recipe.memory):
        digest.update(sample.sha256.encode())
        digest.update(sample.boxes.tobytes())
    for policy in recipe.policies:
        digest.update(f"{policy.name}{getattr(policy, 'settings', '')}".encode())
    for tensor in model.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch on all devices; workers forked later inherit from torch."""
    import random

    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)

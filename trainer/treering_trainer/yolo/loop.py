"""ultralytics' training loop with Treering's parts hung into it; made and run by `yolo.training`."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import unwrap_model

from treering_api import BadSpecError
from treering_trainer.engine.checkpoint import save_checkpoint
from treering_trainer.engine.moments import OptimizerState, give_moments, moments_of, parameter_names
from treering_trainer.engine.order import EpochBatches, Mix, derive_seed
from treering_trainer.engine.phases import Timetable, make_timetable
from treering_trainer.engine.ranks import ALONE, Rank
from treering_trainer.engine.recipe import Recipe
from treering_trainer.engine.tally import Tally
from treering_trainer.policies.interface import Shown
from treering_trainer.records import EpochRecord
from treering_trainer.yolo.arguments import arguments, is_steady
from treering_trainer.yolo.losses import PolicyLoss
from treering_trainer.yolo.parts import grid_size
from treering_trainer.yolo.phases import PhaseKeeper, WarmUp, refuse_idle
from treering_trainer.yolo.resume import restore, state_of
from treering_trainer.yolo.samples import SampleDataset, reading_loader, training_loader, training_set
from treering_trainer.yolo.shared import SummedLoss, share_gradients, share_statistics, share_targets
from treering_trainer.yolo.toolbox import YoloToolbox

CHECKPOINT = "checkpoint.pt"
BUFFERED_BATCHES = 8
"""Whose images a mosaic may take its partners from where images do not fit into memory, as in ultralytics."""


def prepare_model(recipe: Recipe, model: DetectionModel) -> None:
    """Bring a loaded model into the form that is trained: float32, nothing frozen, changed by the policies."""
    model.float()
    for parameter in model.parameters():
        parameter.requires_grad = True  # a loaded checkpoint may come frozen
    for policy in recipe.policies:
        policy.build(model)


def shown_in(recipe: Recipe) -> Shown:
    """What the training shows."""
    mix = _mix_of(recipe, ranks=1)
    return Shown(recipe.new, recipe.memory, recipe.val, showings=mix.showings, fitted=recipe.fitted)


def _mix_of(recipe: Recipe, ranks: int) -> Mix:
    sizes = (len(recipe.new), len(recipe.memory))
    return Mix(*sizes, recipe.settings.batch, recipe.batch_share, ranks, recipe.repeats)


class TreeringTrainer(DetectionTrainer):
    """One training by one recipe, alone or as one of several ranks; ultralytics itself always thinks it is alone."""

    model: Any  # ultralytics declares these as None, or as a path, and fills them in later
    ema: Any
    optimizer: Any
    scheduler: Any
    loss: Any
    tloss: Any
    fitness: Any
    lf: Any
    timetable: Timetable
    order: EpochBatches

    def __init__(
        self,
        recipe: Recipe,
        model: DetectionModel,
        validate: Callable[[DetectionModel], float] | None,
        *,
        fingerprint: str,
        resumed: Mapping[str, Any] | None,
        rank: Rank = ALONE,
    ) -> None:
        self.recipe = recipe
        self.rank = rank
        self.given_model = model
        self.validate_model = validate
        self.fingerprint = fingerprint
        self.resumed = resumed
        self.tally = Tally.of(resumed["tally"]) if resumed is not None else Tally()
        self.checkpoint = recipe.folder / CHECKPOINT
        super().__init__(overrides=arguments(recipe))
        self.add_callback("on_train_epoch_start", lambda _: self._start_epoch())
        self.add_callback("on_train_batch_end", lambda _: self._end_batch())
        self.add_callback("on_train_epoch_end", lambda _: self._end_epoch())

    @property
    def network(self) -> DetectionModel:
        """The model in training."""
        return cast("DetectionModel", unwrap_model(self.model))

    @property
    def averaged(self) -> DetectionModel:
        """The model with the moving average of the weights, float32."""
        return cast("DetectionModel", self.ema.ema)

    @property
    def moments(self) -> OptimizerState:
        """What the optimizer has gathered."""
        names = parameter_names(self.network, self.optimizer)
        return moments_of(self.optimizer.state_dict(), names, self.recipe.settings.optimizer)

    @property
    def _ultralytics(self) -> Any:
        return super()  # whose methods have no types

    def run(self) -> None:
        """Train until the last epoch, or until training stops."""
        self._ultralytics.train()

    # What ultralytics asks for -------------------------------------------------------------------------------------

    def get_dataset(self) -> dict[str, Any]:
        """Names and counts; the images come from the recipe."""
        names = dict(enumerate(self.recipe.names))
        return {"names": names, "nc": len(names), "channels": 3, "train": "", "val": ""}

    def setup_model(self) -> None:
        """Our model, changed by the policies, with the layers they freeze."""
        prepare_model(self.recipe, self.given_model)
        self.model = self.given_model
        shown = shown_in(self.recipe)
        if self.resumed is None and self.rank.first:  # the others get its weights with the first gradients
            self._warm_start(shown)
        if self.rank.count > 1:
            share_statistics(self.model, gpu=self.device.type == "cuda")
        frozen = [name for policy in self.recipe.policies for name in policy.frozen(self.model)]
        self.args.freeze = list(dict.fromkeys(frozen)) or None
        self._make_timetable()
        for policy in self.recipe.policies:
            policy.start(self.model, shown)

    def _make_timetable(self) -> None:
        asked = {policy.name: found for policy in self.recipe.policies if (found := policy.phases(self.model))}
        assert len(asked) <= 1, f"phases of one policy at most: {sorted(asked)}"
        self._phases_field = f"spec.policies.{next(iter(asked), '')}"
        mix = _mix_of(self.recipe, self.rank.count)
        assert mix.passes, "there is nothing to train on"
        phases = next(iter(asked.values()), ())
        self.timetable = make_timetable(phases, self.recipe.settings.epochs, mix, field=self._phases_field)
        # ultralytics asks once how many batches an epoch has; with fewer than there are it would leave steps out
        self.order = EpochBatches(self.timetable.longest, self.recipe.settings.seed, self.rank.number)

    def _warm_start(self, shown: Shown) -> None:
        network = self.given_model.to(self.device).eval()
        for policy in self.recipe.policies:
            policy.warm_start(network, shown)

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Training batches in our order; for ultralytics' own validator, which never runs, a token."""
        del dataset_path, rank
        samples = (*self.recipe.new, *self.recipe.memory)
        workers, stride = self.args.workers, grid_size(self.network)
        if mode != "train":
            token = samples[:1]
            return reading_loader(token, self.recipe.names, image_size=64, batch=1, stride=stride, workers=0)
        dataset = training_set(
            samples, self.recipe.names, self.args, batch=batch_size // self.rank.count, stride=stride, rank=self.rank
        )
        return training_loader(dataset, self.order, workers=workers, pin=self.device.type == "cuda")

    def _build_train_pipeline(self) -> None:
        if self.optimizer is not None:  # once more: a batch did not fit, and ultralytics tries a smaller one
            raise torch.OutOfMemoryError
        self._ultralytics._build_train_pipeline()

    def get_class_counts(self) -> Any:
        """Objects by class, for ultralytics' `cls_pw`; boxes that mean "ignore here" are none."""
        return self._ultralytics.get_class_counts()[: len(self.recipe.names)]

    def _setup_train(self) -> None:
        self._ultralytics._setup_train()
        criterion = self.network.init_criterion()
        shared = self.rank.count > 1
        if shared:
            share_targets(criterion)
        whole = PolicyLoss(criterion, self.recipe.policies, self.network, self._toolbox(), self.rank)
        self.model.criterion = SummedLoss(whole, self.rank) if shared else whole
        refuse_idle(self.network, self.timetable.phases, field=self._phases_field)
        self._keeper = PhaseKeeper(self.network, self.optimizer)
        if self.resumed is not None:
            restore(self, self.resumed)
        elif self.recipe.optimizer is not None:
            give_moments(self.recipe.optimizer, self.network, self.optimizer)
        if shared:
            self.model = share_gradients(self.model)

    def _toolbox(self) -> YoloToolbox:
        return YoloToolbox(self.recipe.image_size, self.recipe.device)

    def optimizer_step(self) -> None:
        """A step at the phase's pace."""
        if not self.timetable.plain:
            place = self.epoch + self._epoch_batches / self.order.mix.length
            self._keeper.set_pace(self.timetable.phase(self.epoch), place, self.lf, self._warm_up)
        self._ultralytics.optimizer_step()

    @property
    def _warm_up(self) -> WarmUp:
        epochs = min(self.args.warmup_epochs, max(self.epochs - 1, 0))  # as ultralytics does
        return WarmUp(epochs, self.args.warmup_bias_lr, self.args.warmup_momentum, self.args.momentum)

    def _model_train(self) -> None:
        self._ultralytics._model_train()
        self._keeper.hold(self.timetable.phase(self.epoch))
        for policy in self.recipe.policies:
            policy.train_mode(self.network)

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Images on the device, 0..1, and whether they look as they will in other epochs."""
        placed: dict[str, Any] = self._ultralytics.preprocess_batch(batch)
        closed = bool(self.args.close_mosaic) and self.epoch >= self.epochs - self.args.close_mosaic
        return {**placed, "steady": is_steady(self.args, mosaic_closed=closed)}

    def validate(self) -> tuple[dict[str, float], float | None]:
        """Fitness of the averaged weights, where there is something to validate on; the best ones are kept."""
        if self.validate_model is None or self._cut_short:
            return {}, None
        fitness = 0.0
        if self.rank.first:
            fitness = self.validate_model(copy.deepcopy(self.averaged))  # whatever is done to it, training goes on
            self.tally.consider(fitness, self.averaged.state_dict(), self.epoch + 1)
        return {}, self.rank.hand_round(fitness)

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Never: ultralytics would go on from a checkpoint of its own; see `_end_epoch`."""
        del epoch
        return False

    def save_model(self) -> bool:
        """Record the epoch and write the exact checkpoint."""
        if self._cut_short:
            return False  # what counts is the last full epoch
        self._record_epoch()
        if self.rank.first:
            save_checkpoint(self.checkpoint, state_of(self), fingerprint=self.fingerprint)
        return True

    def save_metrics(self, metrics: dict[str, float]) -> None:
        """Nothing: the record of the epoch says it all."""

    def final_eval(self) -> None:
        """Nothing: the evaluate stage compares old and new on the same sets."""

    # Our hooks -----------------------------------------------------------------------------------------------------

    def _start_epoch(self) -> None:
        epoch, seed = self.epoch, self.recipe.settings.seed
        seed_everything(derive_seed(seed, epoch, "augment"))
        self.order.epoch, self.order.mix = epoch, self.timetable.mix(epoch)
        self._keeper.enter(self.timetable.phase(epoch))
        dataset = self.train_loader.dataset
        assert isinstance(dataset, SampleDataset)
        batches = self.order.mix.batches(seed, epoch)
        self._sizes = [len(batch) for batch in batches]
        dataset.prefill([index for batch in batches[:BUFFERED_BATCHES] for index in self.order.share(batch)])
        self.train_loader.generator.manual_seed(derive_seed(seed, epoch, "workers"))
        self.train_loader.reset()  # workers forked anew: their random state is the epoch's, whatever came before
        self._epoch_start_s = time.monotonic()
        self._epoch_passes = self._epoch_batches = 0
        self._cut_short = False
        for policy in self.recipe.policies:
            policy.epoch_start(self.network, epoch)

    def _end_batch(self) -> None:
        self._epoch_passes += self._sizes[self._epoch_batches]
        self._epoch_batches += 1
        shown = self.tally.passes + self._epoch_passes
        self.recipe.listener.batch(shown, self.timetable.passes)
        if self.rank.any(self.recipe.stop.requested):
            self.stop = True
            self._cut_short = self._epoch_batches < self.order.mix.length

    def _end_epoch(self) -> None:
        self._train_s = time.monotonic() - self._epoch_start_s
        if self._cut_short:
            return
        if not _finite([self.loss, *self.network.state_dict().values(), *self.averaged.state_dict().values()]):
            raise self._diverged()
        for policy in self.recipe.policies:
            policy.epoch_end(self.network, self.epoch)

    def _record_epoch(self) -> None:
        losses = self.tloss or {}
        record = EpochRecord(
            epoch=self.epoch + 1,
            losses=dict(zip(losses, self.rank.sums([float(value) for value in losses.values()]), strict=True)),
            learning_rate=float(self.optimizer.param_groups[0]["lr"]),
            images_per_s=self._epoch_passes / max(self._train_s, 1e-9),
            fitness=self.fitness,
        )
        self.tally.records.append(record)
        self.tally.passes += self._epoch_passes
        self.tally.seconds += self.rank.count * (time.monotonic() - self._epoch_start_s)
        if self.device.type == "cuda":
            self.tally.peak_memory_bytes = max(self.tally.peak_memory_bytes, torch.cuda.max_memory_allocated())
        # Not `self.stop`, which also says that someone asked for a stop
        waited = 0 if self.fitness is None else self.epoch + 1 - self.stopper.best_epoch
        self.tally.finished = self.epoch + 1 >= self.epochs or waited >= self.stopper.patience
        self.recipe.listener.epoch(record)

    def _diverged(self) -> BadSpecError:
        settings = self.recipe.settings
        half = f", precision {settings.precision}" if self.amp else ""
        mend = "Give a smaller learningRate" + (", or precision bf16 or fp32." if half else ", or check the overrides.")
        return BadSpecError(
            "spec.training",
            f"training diverged: in epoch {self.epoch + 1} the loss or a weight is not a finite number any more"
            f" (learning rate {settings.learning_rate:g}{half})",
            mend,
        )


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch on all devices; workers forked later inherit from torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _finite(tensors: Iterable[torch.Tensor | None]) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor is not None)

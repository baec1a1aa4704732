"""A recipe in ultralytics' words, with the user's free overrides checked before anything starts."""

from __future__ import annotations

import difflib
from typing import Any

from ultralytics.cfg import get_cfg
from ultralytics.utils import DEFAULT_CFG_DICT

from treering_api import BadSpecError
from treering_trainer.engine.recipe import Recipe

FIELD = "spec.training.overrides"
FREE = (
    # optimizer
    *("momentum", "weight_decay", "warmup_momentum", "warmup_bias_lr"),
    # loss
    *("box", "cls", "cls_pw", "dfl"),
    # augmentation
    *("hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective", "flipud", "fliplr", "bgr"),
    *("mosaic", "close_mosaic", "mixup", "cutmix", "multi_scale"),
    # speed
    "channels_last",
)
"""Arguments of ultralytics that change a training by Treering and that no field of the spec sets."""


def arguments(recipe: Recipe) -> dict[str, Any]:
    """Everything that ultralytics' trainer is told.

    Raises:
        BadSpecError: an override that ultralytics does not know, can't take, or that would do nothing here.
    """
    settings, cuda = recipe.settings, recipe.device.startswith("cuda")
    check_overrides(settings.overrides)
    return {
        "warmup_bias_lr": 0.1 if settings.optimizer == "SGD" else 0.0,  # Adam's steps do not shrink with gradients
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
    }


def check_overrides(overrides: dict[str, bool | int | float | str]) -> None:
    """Raise a `BadSpecError` that names the first override that can't act."""
    for key, value in overrides.items():
        if key not in FREE:
            raise _not_free(key)
        try:
            get_cfg(overrides={key: value})
        except (TypeError, ValueError) as error:
            raise BadSpecError(
                f"{FIELD}.{key}", f"ultralytics does not take {value!r}", f"It says: {str(error).splitlines()[0]}"
            ) from error


def _not_free(key: str) -> BadSpecError:
    if key in DEFAULT_CFG_DICT:
        return BadSpecError(
            f"{FIELD}.{key}",
            "this argument of ultralytics is set by Treering itself or does nothing in its trainings",
            f"Leave it out. What may stand here: {', '.join(FREE)}.",
        )
    close = difflib.get_close_matches(key, FREE, n=1)
    mend = f"Did you mean {close[0]}?" if close else f"What may stand here: {', '.join(FREE)}."
    return BadSpecError(f"{FIELD}.{key}", "ultralytics has no such argument", mend)

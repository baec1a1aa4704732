"""A recipe in ultralytics' words, with the values of the user's overrides checked by ultralytics itself.

Which overrides may stand there at all is decided where the spec is read, in `treering_api.training`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ultralytics.cfg import get_cfg

from treering_api import BadSpecError
from treering_trainer.engine.recipe import Recipe

FIELD = "spec.training.overrides"
MIXING = ("mosaic", "mixup", "cutmix", "copy_paste")
"""Arguments that show several images as one; ultralytics sets them to 0 for the last `close_mosaic` epochs."""
VARYING = (
    *("degrees", "translate", "scale", "shear", "perspective", "hsv_h", "hsv_s", "hsv_v"),
    *("flipud", "fliplr", "bgr", "multi_scale"),
)
"""Arguments that show an image in another way each time, where they are not 0; albumentations, too, if installed."""


def arguments(recipe: Recipe) -> dict[str, Any]:
    """Everything that ultralytics' trainer is told.

    Raises:
        BadSpecError: an override's value that ultralytics can't take.
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


def is_steady(settings: Any, *, mosaic_closed: bool) -> bool:
    """Whether an image looks the same whenever it is shown.

    Args:
        settings: ultralytics' arguments.
        mosaic_closed: whether mixtures of images are over by now.
    """
    varying = VARYING if mosaic_closed else (*VARYING, *MIXING)
    return not any(getattr(settings, name) for name in varying) and find_spec("albumentations") is None


def check_overrides(overrides: dict[str, bool | int | float | str]) -> None:
    """Raise a `BadSpecError` that names the first override whose value ultralytics refuses."""
    for key, value in overrides.items():
        try:
            get_cfg(overrides={key: value})
        except (TypeError, ValueError) as error:
            raise BadSpecError(
                f"{FIELD}.{key}", f"ultralytics does not take {value!r}", f"It says: {str(error).splitlines()[0]}"
            ) from error

"""The one facade around ultralytics: nothing outside this package imports it.

Importing the package settles what ultralytics may do on its own: checkpoints and model YAMLs never run code, nothing is
installed or reported anywhere, and its settings live in a folder of ours instead of the user's.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from treering_trainer.engine.machine import available_processors

os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"  # foreign checkpoints: weights_only and an allow-list
os.environ["YOLO_AUTOINSTALL"] = "false"  # a checkpoint or a format must not install packages
os.environ.setdefault("YOLO_VERBOSE", "false")
os.environ.setdefault("YOLO_CONFIG_DIR", str(Path(tempfile.gettempdir()) / f"treering-ultralytics-{os.getuid()}"))
Path(os.environ["YOLO_CONFIG_DIR"]).mkdir(parents=True, exist_ok=True)
os.environ.setdefault("OMP_NUM_THREADS", str(available_processors()))  # ultralytics would say 1; see `threads`

_world = os.environ.pop("WORLD_SIZE", None)  # ultralytics would train as a rank in its own way; ours is `shared`

from ultralytics.nn import tasks  # noqa: E402  the environment above must stand first
from ultralytics.utils import LOGGER, SETTINGS, patches  # noqa: E402

if _world is not None:
    os.environ["WORLD_SIZE"] = _world
vars(tasks)["SAFE_LOAD"] = True  # a notebook may have imported ultralytics before the environment above stood
vars(patches)["_pil_plugins_registered"] = True  # else every file that Pillow can't read asks for a missing plug-in
LOGGER.setLevel("ERROR")  # progress and findings are told by Treering's own observers
if SETTINGS["sync"]:
    SETTINGS.update({"sync": False})  # no usage reports from a factory's network

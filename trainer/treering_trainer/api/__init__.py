"""The verbs of Treering for Python and notebooks; the command line calls the same functions.

    from treering_trainer import api as treering

    treering.run("cards.yaml")
    treering.history("cards.yaml")

A line is named by the path of its YAML file or given as an `IncrementalTrain`. Errors are `TreeringError`s. Importing
this is quick; only `run`, `inspect` and what opens models load torch.
"""

from treering_trainer.api.files import (
    InspectedModel,
    convert_model,
    export_model,
    fuse_models,
    inspect_model,
    load_fused,
)
from treering_trainer.api.lines import (
    LineSource,
    LineStatus,
    fetch_cases,
    fetch_model,
    history,
    inspect,
    load,
    models,
    plan,
    roll_back_to,
    run,
    status,
    validate,
)

__all__ = [
    "InspectedModel",
    "LineSource",
    "LineStatus",
    "convert_model",
    "export_model",
    "fetch_cases",
    "fetch_model",
    "fuse_models",
    "history",
    "inspect",
    "inspect_model",
    "load",
    "load_fused",
    "models",
    "plan",
    "roll_back_to",
    "run",
    "status",
    "validate",
]

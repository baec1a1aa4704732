"""Names of a line's children, and the labels and annotations they are found by: the same inputs, the same names.

Asked by `decide` and by the builders of objects. A name says which work a Job does, so that making it twice is making
it once: what is there already under that name, and is ours, is the Job that was wanted.
"""

from __future__ import annotations

import hashlib
import json

from treering_api import GROUP, Mirror, RollbackPlan, RoundPlan

LINE_LABEL = f"{GROUP}/line"
"""Name of the line that a Job, Pod, ConfigMap or Service belongs to."""
KIND_LABEL = f"{GROUP}/kind"
"""What a Job does: round, rollback or discovery."""
NUMBER_LABEL = f"{GROUP}/number"
"""Its round, the round it goes back to, or its look."""
DIGEST_ANNOTATION = f"{GROUP}/digest"
"""Work digest of its plan."""
INCREMENTS_ANNOTATION = f"{GROUP}/increments"
"""Names of what its round learns: a comma list, the first `LISTED_INCREMENTS`."""
GPUS_ANNOTATION = f"{GROUP}/gpus"
"""GPUs that each of its pods holds."""
DISCOVERED_ANNOTATION = f"{GROUP}/discovered"
"""`true` on a round that learns deliveries which a look found."""
STORE_ANNOTATION = f"{GROUP}/store"
"""The line's folder that its pods read and write."""
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
"""Kueue's label for the queue that admits a Job."""
LISTED_INCREMENTS = 50
_DIGITS = 8


def round_job(line: str, plan: RoundPlan) -> str:
    """Name of the Job that runs a round."""
    return f"{line}-r{plan.round}-{plan.work_digest()[:_DIGITS]}"


def rollback_job(line: str, plan: RollbackPlan, mirror: Mirror) -> str:
    """Name of the Job that makes an earlier model current; another one from each place in the line's history."""
    model = "" if mirror.model is None else mirror.model.digest
    seed = json.dumps([mirror.round, model, plan.work_digest()])
    return f"{line}-b{plan.to}-{hashlib.sha256(seed.encode()).hexdigest()[:_DIGITS]}"


def discovery_job(line: str, number: int) -> str:
    """Name of the Job that takes a look for deliveries."""
    return f"{line}-d{number}"


def is_discovery(line: str, job: str) -> bool:
    """Whether a Job's name is that of a look."""
    return job.removeprefix(f"{line}-d").isdigit() and job.startswith(f"{line}-d")

"""Data measured before it is trained on: one module per measure, functions of arrays, samples and a detector.

Called by `stages/analyse`. Nothing here knows of rounds, stores or ultralytics; random choices come from a seed.
"""

from __future__ import annotations

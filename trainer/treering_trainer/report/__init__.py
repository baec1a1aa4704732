"""The report: one HTML page per round and one per line, each complete in itself.

Called by `stages.export` and the command line; reads records, writes no file. See `pages` for what a page promises.
"""

from __future__ import annotations

from treering_trainer.report.cases import render_cases
from treering_trainer.report.history import page_name
from treering_trainer.report.pages import render_line, render_round

__all__ = ["page_name", "render_cases", "render_line", "render_round"]

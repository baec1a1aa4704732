"""The two pages of the report, each one self-contained HTML text.

Called through `treering_trainer.report`. Promises: nothing is loaded from outside the page, and the page's own policy
forbids it; names of classes, files and findings are escaped wherever they appear; the same record and lineage give the
same text; the page says everything without JavaScript, which only sorts tables and filters pictures.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from treering_api.lineage import RoundSummary
from treering_trainer.records import RoundRecord
from treering_trainer.report import (
    account,
    comparison,
    curves,
    drawing,
    history,
    incoming,
    pictures,
    verdict,
    wording,
)

_TO_LINE = "../../../"  # from a round's page to the folder of the line's page
_ROUNDS_SHOWN = 12
_FILTERS = (
    wording.amount,
    wording.counted,
    wording.duration,
    wording.listed,
    wording.moment,
    wording.points,
    wording.score,
    wording.short,
    wording.sigmas,
    wording.size,
    wording.trend,
)


def render_round(record: RoundRecord, *, lineage: Sequence[RoundSummary], with_pictures: bool = True) -> str:
    """The page of one round.

    Args:
        record: the whole round. Pictures are read from the paths it names; a missing file leaves its drawing out.
        lineage: the line's rounds in any order, with or without this one. The published ones are linked.
        with_pictures: without, no picture is looked at; what was missed in it is still named.

    Returns:
        The page, at most about a megabyte: 12 pictures of 320 px, 120 of 72 px and 50 findings per code. It expects to
        lie at `page_name(record.round, record.attempt)` under the line's page; only its links to other rounds depend
        on that.
    """
    judged = verdict.judge(record)
    worst = pictures.worst_pictures(record, with_pixels=with_pictures)
    rounds = history.complete(lineage, record)
    published = {summary.round for summary in rounds if summary.verdict == "published"}
    rows = history.round_rows(rounds, linked=published, folder=_TO_LINE, current=record.round)
    return render(
        "round.html",
        line_page=f"{_TO_LINE}report.html",
        title=f"{record.line}, round {record.round}",
        record=record,
        verdict=judged,
        groups=comparison.group_rows(record),
        classes=comparison.class_rows(record),
        sets=comparison.set_rows(record),
        boxes=account.box_rows(record),
        findings=account.finding_groups(record),
        stages=account.stage_times(record),
        charts=curves.training_charts(record),
        incoming=_incoming(record, with_pictures=with_pictures),
        pictures=worst,
        with_pictures=with_pictures,
        pictured={key for picture in worst for key in picture.keys},
        min_confidence=pictures.MIN_CONFIDENCE,
        truth_colour=drawing.TRUTH_COLOUR,
        prediction_colour=drawing.PREDICTION_COLOUR,
        rounds=rows[:_ROUNDS_SHOWN],
        rounds_left_out=len(rows[_ROUNDS_SHOWN:]),
        rings=history.rings([summary for summary in rounds if summary.round <= record.round]),
    )


def render_line(name: str, rounds: Sequence[RoundSummary], records: Sequence[RoundRecord]) -> str:
    """The page of a line.

    Args:
        name: of the line.
        rounds: every round so far, in any order; may be empty.
        records: of as many of them as are at hand. Rounds with a record are linked and appear in the table of classes.

    Returns:
        The page. It expects the rounds' pages at `page_name(round, attempt)`, relative to itself.
    """
    rows = history.round_rows(rounds, linked={record.round for record in records})
    return render(
        "line.html",
        title=f"{name}, a line of {wording.counted(len(rounds), 'round')}",
        name=name,
        rounds=rows,
        latest=next((row.summary for row in rows if row.published), None),
        heat=history.heat(records),
        charts=curves.line_charts(rounds),
        rings=history.rings(rounds),
    )


def _incoming(record: RoundRecord, *, with_pictures: bool) -> incoming.Incoming | None:
    """None in rounds of versions that measured nothing."""
    found = record.analyse.analysis
    return None if found is None else incoming.incoming(found, record.analyse.old_classes, with_pictures=with_pictures)


def render(template: str, **values: object) -> str:
    """One of the templates as a page."""
    environment = Environment(
        loader=PackageLoader("treering_trainer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__: function for function in _FILTERS}
    style, script = (_source(environment, name) for name in ("page.css", "page.js"))
    return environment.get_template(template).render(
        policy=_policy(script),
        style=Markup(style),
        script=Markup(script),
        **values,
    )


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _policy(script: str) -> str:
    """Nothing may load but pictures inside the page, and only our own script may run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )

"""Plans and estimates in a notebook: the decision, and where a step goes, as a little HTML.

It has no script and no style sheet, needs nothing installed, and takes its colour from what is
around it, so that it reads on light and dark grounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TypeAlias

from clusterwright.report import serving_text, text
from clusterwright.report.labelled import Labelled
from clusterwright.report.pictures.waterfall import LEAST_SHARE
from clusterwright.report.shown.summary import RANGES, for_payers, summary_of
from clusterwright.report.shown.words import figures_of, seen
from clusterwright.serving.plan import Part, ServingEstimate, ServingPlan
from clusterwright.training.estimate import Term, TrainingEstimate
from clusterwright.training.plan import TrainingPlan
from clusterwright.units import format_time

Shown: TypeAlias = TrainingPlan | TrainingEstimate | ServingPlan | ServingEstimate

CELL = "text-align:left;vertical-align:top;padding:.2em 1em .2em 0"
SOFT = "opacity:.75;font-size:.9em"
TRACK = "display:block;width:16em;height:.8em"
BAR = "display:block;height:.8em;background:currentColor;opacity:.55"


def notebook_html(shown: Shown) -> str:
    """Return a plan or an estimate as HTML: its figures, and where a step goes.

    Parameters
    ----------
    shown
        A plan or an estimate, for training or for serving.
    """
    title, summary, figures = _said(shown := seen(shown))
    best = shown.best if isinstance(shown, TrainingPlan | ServingPlan) else shown
    parts = best.waterfall if isinstance(best, TrainingEstimate) else _longest(best.parts)
    named = "Where the step goes" if isinstance(best, TrainingEstimate) else "A step of decoding"
    total = sum(part.time for part in parts)
    heading = f'<p style="margin:.3em 0"><b>{escape(title)}</b></p>' if title else ""
    heading += f'<p style="margin:.3em 0">{escape(summary)}</p>' if summary else ""
    return (
        f"<div>{heading}{_table(map(_figure, figures))}"
        f'<p style="margin:.8em 0 .3em"><b>{named}</b> '
        f'<span style="{SOFT}">{format_time(total)}</span></p>'
        f"{_table(_bars(parts, total))}</div>"
    )


def _said(shown: Shown) -> tuple[str, str, tuple[Labelled, ...]]:
    """What it is about and says in one sentence, where it knows, and its figures."""
    match shown:
        case TrainingPlan():
            asked, lines = text.question_lines(shown.question)[0], text.decision_lines(shown)
            return asked, f"{summary_of(shown)} {RANGES}", for_payers(figures_of(lines))
        case ServingPlan():
            asked = serving_text.question_lines(shown.question)[0]
            figures = for_payers(figures_of(serving_text.decision_lines(shown)))
            return asked, f"{summary_of(shown)} {RANGES}", figures
        case TrainingEstimate():
            return "", "", figures_of(text.headline_lines(shown))
        case ServingEstimate():
            return "", "", figures_of(serving_text.estimate_lines(shown))


def _longest(parts: Iterable[Part]) -> list[Part]:
    return sorted(parts, key=lambda part: -part.time)


def _table(rows: Iterable[str]) -> str:
    return f'<table style="border-collapse:collapse">{"".join(rows)}</table>'


def _figure(one: Labelled) -> str:
    notes = "<br>".join(escape(note) for note in (one.note, *one.more) if note)
    return (
        f'<tr><td style="{CELL};{SOFT};white-space:nowrap">{escape(one.label)}</td>'
        f'<td style="{CELL}"><b>{escape(one.figure)}</b> '
        f'<span style="{SOFT}">{notes}</span></td></tr>'
    )


def _bars(parts: Sequence[Term | Part], total: float) -> Iterator[str]:
    """One row for each part that can be seen, its bar from where the last one ended."""
    end = 0.0
    for part in parts:
        start, end = end, end + part.time
        share = part.time / total
        if abs(share) < LEAST_SHARE:
            continue
        left, width = min(start, end) / total, abs(share)
        meaning = part.meaning if isinstance(part, Term) else ""
        yield (
            f'<tr title="{escape(meaning)}"><td style="{CELL};{SOFT}">'
            f"{escape(part.name.replace('_', ' '))}</td>"
            f'<td style="{CELL};text-align:right">{format_time(part.time)}</td>'
            f'<td style="{CELL};text-align:right;{SOFT}">{share:.1%}</td>'
            f'<td style="{CELL}"><span style="{TRACK}"><span style="{BAR};'
            f'margin-left:{left:.1%};width:{width:.1%}"></span></span></td></tr>'
        )

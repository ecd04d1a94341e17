"""How soon a site has its page."""

from __future__ import annotations

from functools import partial

from benchmarks.registry import BenchSpec, cpu_time, register
from clusterwright.asking_site import ask_site
from clusterwright.report.site_text import site_text
from clusterwright.site.outlook import look_at_site


def page(target: str) -> str:
    """A site's page, with all that moves its answer."""
    return site_text(look_at_site(ask_site(target)))


def warmed(target: str) -> str:
    """Make a page once, so that everything lazy is loaded."""
    page(target)
    return target


SIZES = {
    "page": ("meta-24k", 1.0, "24,576 accelerators"),
    "million": ("1000000xgb300", 1.0, "a million accelerators"),
}
"""Name → target, goal for the CPU time [s], what it is."""

for _name, (_target, _goal, _what) in SIZES.items():
    register(
        BenchSpec(
            name=f"site.{_name}",
            build=partial(warmed, _target),
            run=lambda target: cpu_time(lambda: page(target))[0],
            unit="s",
            goal=_goal,
            better="lower",
            doc=f"CPU time of the page of {_what}: model, intervals and influences.",
        )
    )

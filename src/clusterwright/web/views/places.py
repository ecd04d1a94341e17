"""What is shown of long runs, of sites and of building them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from clusterwright.asking_build import ask_build
from clusterwright.buildout.plan import BuildPlan
from clusterwright.cli.answers import Answer
from clusterwright.engines.power_trace import Trace
from clusterwright.errors import ClusterwrightError
from clusterwright.facts import shipped
from clusterwright.fleet.records import RunOutlook
from clusterwright.report.pictures import buildout, goodput, money, ramping
from clusterwright.report.pictures import power as pictures
from clusterwright.report.shown.picture import Picture, drawn
from clusterwright.site.machine import Machine
from clusterwright.site.outlook import SiteOutlook
from clusterwright.site.trace import PowerReport
from clusterwright.web.view import Link, View, address, view_of

Said = Mapping[str, str]


def run(found: Answer, said: Said) -> View:
    """What failures leave of a run."""
    made = cast("RunOutlook", found.value)
    machine = {name: said.get(name) for name in ("target", "accelerator", "accelerators")}
    return view_of(
        found,
        pictures=[
            *drawn("How goodput may come out", goodput.spread(made)),
            *drawn("Where the rest of the time goes", goodput.lost_time(made)),
            *drawn("What fails", goodput.causes(made)),
            *drawn("Where checkpoints are kept", goodput.tiers(made)),
        ],
        links=[Link(text="Its site: power, money, carbon", href=address("/site", machine))],
    )


def site(found: Answer, said: Said) -> View:
    """What a building draws, costs and emits."""
    made = cast("SiteOutlook", found.value)
    return view_of(
        found,
        pictures=[
            *drawn("Money: bought for, and a year", money.costs(made)),
            *drawn("Energy of a year", money.energy(made)),
            *drawn("Carbon of a year", money.carbon(made)),
            *drawn("Year by year", money.years(made)),
        ],
        links=[*_failing(made.question.machine, said), *_building(made.question.machine)],
    )


def _failing(machine: Machine, said: Said) -> Iterator[Link]:
    """What failures leave of a long run on a site's machine, where one can run on all of it."""
    if machine.parts or machine.handheld:
        return
    cluster = machine.cluster
    asked: dict[str, object] = {
        "accelerator": cluster.accelerator.id,
        "accelerators": cluster.count,
    }
    if cluster.id in shipped().entries("clusters"):
        asked = {"target": cluster.id, "accelerators": cluster.count}
    if Path(said.get("target", "")).is_file():
        asked = {"target": said["target"]}
    yield Link(text="What failures leave of a long run on it", href=address("/fleet", asked))


def _building(machine: Machine) -> Iterator[Link]:
    """How long a site's machine takes to build, where a build of it can be asked for."""
    if machine.parts or machine.handheld:
        return
    cluster = machine.cluster
    known = cluster.id in shipped().entries("clusters")
    whole = known and shipped().cluster(cluster.id).count == cluster.count
    name = cluster.id if whole else f"{cluster.count}x{cluster.accelerator.id}"
    try:
        ask_build(name)
    except ClusterwrightError:
        return  # what nobody published of such a machine cannot be asked here either
    yield Link(text="How long it takes to build", href=address("/build", {"cluster": name}))


def power(found: Answer, said: Said) -> View:
    """What the grid sees of a plan."""
    report = cast("PowerReport", found.value)
    followed = cast("Trace", found.seen["trace"])
    return view_of(
        found,
        pictures=[
            *drawn("Power over time", pictures.trace(report, followed)),
            *drawn("Through one step", pictures.step(report)),
        ],
        links=[
            Link(text="The plan", href=address("/saved/plan", {"plan": said.get("plan")})),
            Link(text="Its site", href=address("/site", {"target": said.get("plan")})),
        ],
    )


def build(found: Answer, said: Said) -> View:
    """How long a cluster takes to build."""
    made = cast("BuildPlan", found.value)
    link = Link(text="Its site", href=address("/site", {"target": said.get("cluster")}))
    return view_of(
        found,
        pictures=[
            *drawn("Tasks, those of the longest path marked", buildout.tasks(made)),
            *drawn("Accelerators that are up", ramping.online(made)),
            *drawn("Power that is there", ramping.power(made)),
            *drawn("A run that grows with it", ramping.growing(made)),
            *(_enlarged(made.then) if made.then is not None else ()),
        ],
        links=[link],
    )


def _enlarged(made: BuildPlan) -> Iterator[Picture]:
    """The build that follows, counted from its own start."""
    more = f"The enlargement by {made.question.accelerators:,}"
    yield from drawn(f"{more}: tasks, from its own start", buildout.tasks(made))
    yield from drawn(f"{more}: accelerators that are up", ramping.online(made))

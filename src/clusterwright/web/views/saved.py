"""What is shown of saved plans and studies, and of launching a plan."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import cast

import msgspec

from clusterwright.cli.answers import Answer
from clusterwright.launch.api import SERVERS, TRAINERS, launch_plan
from clusterwright.launch.records import Launch
from clusterwright.report.pictures.sensitivity import shares, tornado
from clusterwright.report.shown import serving, training
from clusterwright.report.shown.picture import Picture, drawn
from clusterwright.report.sweep_text import called, places_table
from clusterwright.saved_plans import Plan
from clusterwright.sweep.study import Study
from clusterwright.sweep.summing import Moved, Summary
from clusterwright.training.plan import TrainingPlan
from clusterwright.web.folder import BROKEN, Listing, SavedPlan, SavedStudy, made_by
from clusterwright.web.view import Link, Table, Text, View, address, reports, view_of

Said = Mapping[str, str]
MOST_TEXT = 60_000
"""Letters of a file that is shown in a page; of longer ones there is the archive."""
AGAIN = 3
"""After this long a study that still runs is looked at again. [s]"""
SUMMED = 10_000
"""Rows for which it is a second later: summing up takes less than a tenth of the time."""


def listing(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """What lies in the folder."""
    here = cast("Listing", found.value)
    counts = [_counted(len(here.plans), "plan"), _counted(len(here.studies), "study", "studies")]
    about = ["plan train --save, plan serve --save and sweep put them here"]
    if here.more:
        about.append("there are more files than are shown: the newest are")
    tables = [_plans(here.plans)] if here.plans else []
    tables += [_studies(here.studies)] if here.studies else []
    return View(
        title=" and ".join(counts),
        about=tuple(about),
        figures=(),
        words="",
        tables=tuple(tables),
    )


def _plans(plans: tuple[SavedPlan, ...]) -> Table:
    return Table(
        title="Plans",
        head=("file", "model", "machine", "how", "takes", "made by", "saved"),
        rows=tuple(
            (
                *(one.path, one.model, one.machine, one.how),
                *map(_together, (one.takes, one.made_by, one.saved)),
            )
            for one in plans
        ),
        links=tuple(address("/saved/plan", {"plan": one.path}) for one in plans),
    )


def _together(words: str) -> str:
    """Words that stay on one line, or break at commas."""
    return words.replace(" ", "\u00a0").replace(",\u00a0", ", ")


def _studies(studies: tuple[SavedStudy, ...]) -> Table:
    return Table(
        title="Studies",
        head=("file", "question", "differs in", "answered", "made by", "saved"),
        rows=tuple(
            (
                one.path,
                one.question,
                one.differs,
                f"{one.done:,} of {one.rows:,}" + (", and runs" if one.running else ""),
                *map(_together, (one.made_by, one.saved)),
            )
            for one in studies
        ),
        links=tuple(address("/saved/study", {"study": one.path}) for one in studies),
    )


def plan(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """A plan as it was saved, and where it leads."""
    made, path = cast("Plan", found.value), str(found.seen["path"])
    pictures: Iterator[Picture] = (
        training.of_plan(made, None)
        if isinstance(made, TrainingPlan)
        else serving.of_plan(made, None)
    )
    view = view_of(found, pictures=pictures, links=_from_plan(path, made))
    return _with(view, about=_origin(made, path), command=f"clusterwright replay {_quoted(path)}")


def _origin(made: Plan, path: str) -> str:
    by = made_by(made.version, made.catalogue)
    if by == "this version":
        return f"saved in {path} by {by}"
    facts = f"catalogue {made.catalogue[:12]}"
    return f"saved in {path} by {by} ({facts}): replay tells what would differ today"


def _from_plan(path: str, made: Plan) -> Iterator[Link]:
    """What can be asked of a plan's file."""
    tool = tool_for(made)
    if tool:
        yield Link(text=f"Launch it on {tool}", href=address("/launch", {"plan": path, "to": tool}))
    yield from reports("/saved/plan", {"plan": path})
    if not isinstance(made, TrainingPlan):
        played = address("/estimate/serve", {"plan": path})
        yield Link(text="This deployment in depth", href=played)
        return
    yield Link(text="Its power over time", href=address("/simulate/power", {"plan": path}))
    run = {"target": path, "days": "" if made.question.workload.tokens else "30d"}
    yield Link(text="What failures leave of the run", href=address("/fleet", run))
    yield Link(text="Its site: power, money, carbon", href=address("/site", {"target": path}))


def tool_for(made: Plan) -> str:
    """A tool that a plan can be launched on: its own if that one can, "" if none can."""
    if isinstance(made, TrainingPlan):
        tools, own = TRAINERS, made.question.software.id
    else:
        tools, own = SERVERS, made.question.engine.id
    for tool in sorted(tools, key=lambda tool: not alike(tool, own)):
        with suppress(*BROKEN):  # a plan that was edited is still shown
            launch_plan(made, to=tool)
            return tool
    return ""


def alike(tool: str, software: str) -> bool:
    """Whether a tool of ``launch`` is what the catalogue calls so.

    >>> alike("megatron", "megatron-core"), alike("tensorrt-llm", "trtllm-pytorch-2025")
    (True, True)
    """
    return software.startswith(OTHERWISE.get(tool, tool))


OTHERWISE = {"tensorrt-llm": "trtllm", "megatron": "megatron-core", "llama.cpp": "llama-cpp"}
"""Tools whose software the catalogue calls otherwise."""


def study(found: Answer, said: Said) -> View:  # noqa: ARG001 - as all views are called
    """What came of a study."""
    made, asks = cast("Summary", found.value), cast("Study", found.seen["study"])
    path, running = str(found.seen["path"]), bool(found.seen["running"])
    stamp = cast("dict[str, str]", found.seen["stamp"])
    by = made_by(stamp.get("version", ""), stamp.get("catalogue", ""))
    about = [f"answers in {path}, by {by}"]
    if running:
        about.append(f"it still runs: {made.done:,} of {made.rows:,} questions are answered")
    elif made.done < made.rows:
        about.append(
            f"{made.rows - made.done:,} of {made.rows:,} questions are left: sweep goes on"
        )
    words = found.words()
    return View(
        title=words.partition("\n")[0],
        about=tuple(about),
        figures=(),
        words=words,
        pictures=tuple(_moved(made, asks)),
        tables=tuple(_grid(cast("Summary", found.seen["places"]), asks)),
        again=AGAIN + made.rows // SUMMED if running else 0,
    )


def _moved(made: Summary, asks: Study) -> Iterator[Picture]:
    """What moves the results: of the best place, or of the axes."""
    for place in made.best[:1]:
        where = ", ".join(map(str, place.case.values()))
        for one in place.moved:
            middle = place.results.get(one.result)
            yield from _of_moved(one, asks, f" with {where}" if where else "", middle)
    for one in made.moved:
        yield from _of_moved(one, asks, "", None)


def _of_moved(one: Moved, asks: Study, where: str, middle: float | None) -> Iterator[Picture]:
    name = called(one.result)
    if middle is not None or not asks.uncertain:
        spec = tornado(one, asks, middle=middle)
        yield from drawn(f"What moves the {name}{where}, each alone", spec)
    title = f"Shares of the variance of the {name}{where}"
    yield from drawn(title, shares(one), one.why_not)


def _grid(places: Summary, asks: Study) -> Iterator[Table]:
    """The places of the grid, the best first."""
    if not places.best:
        return
    head, rows, named = places_table(places, asks)
    bare = 0 if head[0] else 1  # a study without axes has one place, which nothing names
    order = "most" if places.most else "least"
    told = ", medians and 80 % intervals" if asks.uncertain else ""
    yield Table(
        title=f"The grid, {order} {called(places.by)} first{told}",
        head=("rank", *head[bare:]),
        rows=tuple(
            ("best" if at == 0 else str(at + 1), *row[bare:]) for at, row in enumerate(rows)
        ),
        marked=0,
        right=1 + named - bare,
    )


def launch(found: Answer, said: Said) -> View:
    """The files of a launch, to read and to take along."""
    made = cast("Launch", found.value)
    folder, path = str(found.seen["folder"]), str(found.seen["path"])
    count = sum(part.accelerators for part in made.parts)
    options = [f"--{name} {_quoted(value)}" for name, value in said.items() if name != "plan"]
    words = " ".join(["clusterwright launch", _quoted(path), _quoted(folder), *options])
    return View(
        title=f"{made.tool} on {made.on}, {count:,} accelerators",
        about=(f"{len(made.files)} files; nothing is written in the folder that is served",),
        figures=(),
        words=found.words(),
        texts=tuple(
            Text(title=file.path, text=file.text)
            for file in made.files
            if len(file.text) <= MOST_TEXT
        ),
        links=(
            Link(text="All files as a .zip", href=address("/launch.zip", said)),
            Link(text="The plan", href=address("/saved/plan", {"plan": path})),
        ),
        command=words,
    )


def _with(view: View, *, about: str, command: str) -> View:
    return msgspec.structs.replace(view, about=(*view.about, about), command=command)


def _quoted(word: str) -> str:
    return shlex.quote(word)


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"

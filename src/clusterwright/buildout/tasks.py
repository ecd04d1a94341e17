"""Steps of a build: read from the catalogue, chosen by path, put in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import msgspec

from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import CatalogueError, InputError, nearest_names
from clusterwright.facts import input_of
from clusterwright.records import Record
from clusterwright.uncertain import Input, known

TaskKind = Literal["once", "each", "racks", "power", "any"]
Path = Literal["greenfield", "retrofit", "colocation"]
Bridge = Literal["turbines", "batteries"]
PATHS: tuple[Path, ...] = get_args(Path)
BRIDGES: tuple[Bridge, ...] = get_args(Bridge)


class Task(Record, frozen=True, kw_only=True):
    """One step.

    ``kind``: *once*, it takes its duration; *each*, every rack takes it, all side by side; *racks*,
    a crew takes it for a rack; *power*, every further ``batch`` [W] of power takes it, the first
    is there at once; *any*, the earliest of what comes ``after``. ``first``: waits for the first of
    what comes before, not for all. ``ahead``: before ground is broken. ``labour``: more shifts
    shorten it. ``crew``: racks that one crew sets up in the whole build. ``done``: it was finished
    before the clock starts.
    """

    id: str
    name: str
    kind: TaskKind
    duration: Input
    after: tuple[str, ...] = ()
    ahead: bool = False
    labour: bool = False
    first: bool = False
    batch: float = 0.0
    crew: float = 1.0
    done: bool = False


def tasks_on(catalogue: Catalogue, path: Path, bridge: Sequence[Bridge]) -> tuple[Task, ...]:
    """Tasks of a path, those before which something comes behind it.

    Raises
    ------
    CatalogueError
        A task that follows none that is known, or itself.
    """
    entries = catalogue.entries("tasks")
    for entry in entries.values():
        _check(entry, entries)
    kept = {
        name: _task(entry)
        for name, entry in entries.items()
        if path in entry.data.get("paths", PATHS) and entry.data.get("bridge") in (None, *bridge)
    }
    tasks = [
        msgspec.structs.replace(task, after=tuple(one for one in task.after if one in kept))
        for task in kept.values()
    ]
    return in_order(tasks)


def _check(entry: Entry, entries: Iterable[str]) -> None:
    """Refuse what the schema cannot see."""
    names = list(entries)
    for before in entry.data.get("after", ()):
        if before not in names:
            near = nearest_names(before, names, count=1)
            mend = f"did you mean {near[0]!r}?" if near else "add it, or leave it out"
            raise CatalogueError(f"task {entry.id!r} comes after {before!r}, which is none: {mend}")
    for given in (*entry.data.get("paths", ()), *filter(None, [entry.data.get("bridge")])):
        if given not in (*PATHS, *BRIDGES):
            known_names = ", ".join((*PATHS, *BRIDGES))
            raise CatalogueError(f"task {entry.id!r} names {given!r}: one of {known_names}")
    needed = {"power": ("duration", "batch"), "racks": ("duration", "crew"), "any": ()}
    for key in needed.get(entry.text("kind"), ("duration",)):
        if not (entry.value(key) or 0.0) > 0.0 and not (key == "duration" and entry.figure(key)):
            raise CatalogueError(f"task {entry.id!r} has no {key}: add it")


def _task(entry: Entry) -> Task:
    figure = entry.figure("duration")
    return Task(
        id=entry.id,
        name=entry.name,
        kind=msgspec.convert(entry.text("kind"), TaskKind),
        duration=input_of(figure) if figure else known(0.0, "s"),
        after=tuple(entry.data.get("after", ())),
        ahead=bool(entry.data.get("ahead", False)),
        labour=bool(entry.data.get("labour", False)),
        first=bool(entry.data.get("first", False)),
        batch=entry.value("batch") or 0.0,
        crew=entry.value("crew") or 1.0,
    )


def in_order(tasks: Sequence[Task]) -> tuple[Task, ...]:
    """Tasks so that each stands behind all that come before it.

    Raises
    ------
    CatalogueError
        Tasks that wait for each other; they are named.
    """
    left = {task.id: task for task in tasks}
    found: dict[str, Task] = {}
    while left:
        ready = [task for task in left.values() if all(one in found for one in task.after)]
        if not ready:
            raise CatalogueError(f"tasks wait for each other: {' after '.join(_circle(left))}")
        for task in ready:
            found[task.id] = left.pop(task.id)
    return tuple(found.values())


def _circle(left: dict[str, Task]) -> list[str]:
    """One circle among tasks that cannot be put in order, its first name again at the end."""
    walked = [next(iter(left))]
    while True:
        before = next(one for one in left[walked[-1]].after if one in left)
        if before in walked:
            return [*walked[walked.index(before) :], before]
        walked.append(before)


def with_done(tasks: Sequence[Task], done: Iterable[str], *, ahead: bool) -> tuple[Task, ...]:
    """The same tasks, some of them finished before the clock starts.

    Parameters
    ----------
    tasks
        All tasks of the path.
    done
        Ids of those that are finished.
    ahead
        Whether all that comes before construction is, too.

    Raises
    ------
    InputError
        A name that is no task of this path.
    """
    names = [task.id for task in tasks]
    wanted = set(done)
    for name in wanted:
        task_named(tasks, name, "--done")
    return tuple(
        msgspec.structs.replace(task, done=True, duration=known(0.0, "s"), after=())
        if task.id in wanted or (ahead and task.ahead)
        else task
        for task in tasks
        if task.id in names
    )


def task_named(tasks: Sequence[Task], name: str, option: str) -> Task:
    """The task of that name.

    Raises
    ------
    InputError
        There is none on this path; the nearest are offered.
    """
    for task in tasks:
        if task.id == name:
            return task
    names = [task.id for task in tasks]
    near = nearest_names(name, names)
    mend = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(names)}"
    raise InputError(f"{option} names {name!r}, which is no task of this path: {mend}")

"""Records of a build: what was asked, and what came out."""

from __future__ import annotations

from typing import Literal, get_args

from clusterwright.buildout.tasks import Bridge, Path, Task
from clusterwright.records import Record
from clusterwright.uncertain import Input, Interval, Swing

Clock = Literal["planning", "construction"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)


class Training(Record, frozen=True, kw_only=True):
    """A run that begins before the cluster is whole.

    ``work``: of the run. [FLOP] ``rate``: delivered by one accelerator. [FLOP/s] ``first``:
    accelerators with which it begins. ``every``: it takes on new ones at checkpoints so far apart.
    [s]
    """

    work: float
    rate: float
    first: int
    every: float
    what: str = ""


class BuildQuestion(Record, frozen=True, kw_only=True):
    """A cluster to be built.

    ``power``: of the facility with all accelerators. [W] ``rack``: accelerators of one. ``now``:
    power that is there already [W], ``bridge_power``: what the bridge gives at most [W], 0: all.
    ``racks_rate``: racks set up in a unit of time [1/s], 0: as the crews can. ``clock``: from the
    first permit, or from the first spade. ``failures``: share of accelerators that fail in their
    burn-in, and ``replacement``, until they are replaced [s]. ``price``: of an accelerator with all
    that belongs to it [USD], 0: not asked for.
    """

    machine: str
    accelerator: str
    accelerators: int
    path: Path
    bridge: tuple[Bridge, ...]
    clock: Clock
    start: str
    tasks: tuple[Task, ...]
    power: Input
    rack: Input
    failures: Input
    replacement: Input
    shifts: int = 1
    shift_loss: Input
    racks_rate: float = 0.0
    now: float = 0.0
    bridge_power: float = 0.0
    price: float = 0.0
    training: Training | None = None
    assumed: tuple[str, ...] = ()


class TaskPlan(Record, frozen=True, kw_only=True):
    """When a task begins and ends with every task at its likely length. [s]

    ``spent``: how much of it lies on the longest path. [s] ``critical``: share of the draws in
    which it lies there. [1] ``ends``: when it ends over the draws. [s]
    """

    id: str
    name: str
    begin: float
    end: float
    spent: float
    critical: float
    ends: Interval
    done: bool = False


class Month(Record, frozen=True, kw_only=True):
    """How far it is at some time, with every task at its likely length.

    ``power``: on the site [W], ``halls``: power that fitted halls can take [W]. ``gate``: the task
    that the next accelerators are in or wait for; empty: all are online. ``low`` and ``high``: a
    tenth and nine tenths of draws have fewer accelerators online. ``spent``: on what was delivered.
    [USD]
    """

    time: float
    power: float
    halls: float
    racks: float
    online: float
    low: float
    high: float
    gate: str
    spent: float = 0.0


class Level(Record, frozen=True, kw_only=True):
    """When so many accelerators have passed their burn-in, over the draws. [s]"""

    accelerators: float
    when: Interval


class TrainingPlan(Record, frozen=True, kw_only=True):
    """A run across the growth of its cluster, every task at its likely length.

    ``begin``: when the first are up, ``end``: of the run that grows; ``waiting``: of the run that
    begins with the whole cluster, ``small``: of the run that never grows. [s]
    """

    begin: float
    end: float
    waiting: float
    small: float


class BuildPlan(Record, frozen=True, kw_only=True):
    """A cluster over the time of its building. All times are from the start. [s]

    ``first``: a tenth of the accelerators online; ``all_up``: all that did not fail in their
    burn-in; ``finish``: accepted. ``likely``: that with every task at its likely length, the sum of
    what the tasks spent. ``fastest``: with every one at its shortest. ``swings``: what moves the
    finish. ``gates``: what the first racks wait for longest, and what the last do from there.
    ``then``: the enlargement that follows, from its own start. ``ramp``: when accelerators pass
    their burn-in, the first to the last.
    """

    question: BuildQuestion
    first: Interval
    all_up: Interval
    finish: Interval
    likely: float
    fastest: float
    tasks: tuple[TaskPlan, ...]
    months: tuple[Month, ...]
    swings: tuple[Swing, ...]
    gates: tuple[str, str]
    training: TrainingPlan | None = None
    then: BuildPlan | None = None
    ramp: tuple[Level, ...] = ()

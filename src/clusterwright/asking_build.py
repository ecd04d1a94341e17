"""From what a person types to the question of a build."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from clusterwright.asking import quantity_of, whole_number
from clusterwright.asking_load import time_of
from clusterwright.asking_model import find_model
from clusterwright.buildout.machine import power_of, rack_of
from clusterwright.buildout.model import LAST, NEEDED
from clusterwright.buildout.plan import CLOCKS, BuildQuestion, Training
from clusterwright.buildout.tasks import (
    BRIDGES,
    PATHS,
    Bridge,
    Task,
    task_named,
    tasks_on,
    with_done,
)
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, UnknownNameError, nearest_names
from clusterwright.facts import shipped, usual
from clusterwright.formulas.flops import parameter_flops
from clusterwright.hardware import Cluster, peak_rate
from clusterwright.model.parameters import count_parameters
from clusterwright.uncertain import Input, known
from clusterwright.units import format_quantity

Word = TypeVar("Word", bound=str)
DAY = 86_400.0
MOST_SHIFTS = 3


def ask_build(
    machine: str,
    *,
    path: str = "greenfield",
    bridge: str = "",
    clock: str = "planning",
    start: str = "",
    done: Sequence[str] = (),
    task: Sequence[str] = (),
    power: str | None = None,
    power_now: str | None = None,
    bridge_power: str | None = None,
    per_rack: str | int | None = None,
    racks_per_day: float | None = None,
    shifts: int = 1,
    price: str | None = None,
    training: Training | None = None,
    catalogue: Catalogue | None = None,
) -> BuildQuestion:
    """Put the question together.

    Parameters
    ----------
    machine
        A cluster, or ``100000xh100``.
    path
        ``greenfield``, ``retrofit`` or ``colocation``.
    bridge
        Power until the grid comes: ``turbines``, or ``turbines,batteries``.
    clock
        Whether time counts from the first ``planning`` or from the start of ``construction``, with
        permits, studies and orders done.
    start
        The day on which it starts, such as ``2026-12-01``.
    done
        Tasks that are finished before.
    task
        Lengths of one's own: ``fit-out=90d`` or ``fit-out=60d..120d``.
    power
        Of the facility with all accelerators.
    power_now, bridge_power
        What is there from the beginning; what the bridge gives at most.
    per_rack
        Accelerators of a rack.
    racks_per_day
        Instead of what crews can set up.
    shifts
        In which the site works.
    price
        Of an accelerator with all that belongs to it, such as ``$40k``.
    training
        A run across the growth of the cluster.

    Raises
    ------
    InputError
        A number or a name that cannot be.
    """
    facts = catalogue or shipped()
    assumed: list[str] = []
    cluster = _machine(machine, facts)
    way, bridges = _choice(path, PATHS, "--path"), _bridges(bridge)
    if bridges and way == "colocation":
        raise InputError("--bridge is for a site of one's own; a leased hall has its power")
    if power_now is not None and way == "colocation":
        raise InputError("--power-now is for a site of one's own; a leased hall has its power")
    if bridge_power is not None and not bridges:
        raise InputError("--bridge-power needs a bridge: --bridge turbines")
    if not 1 <= shifts <= MOST_SHIFTS:
        raise InputError(f"--shifts is {shifts}, but a day has 1 to {MOST_SHIFTS}")
    counted = _choice(clock, CLOCKS, "--from")
    tasks = tasks_on(facts, way, bridges)
    missing = [name for name in NEEDED if name not in {one.id for one in tasks}]
    if missing:
        raise InputError(f"the tasks of path {way} lack {missing[0]!r}: add it")
    followed = {before for one in tasks for before in one.after}
    idle = [one.id for one in tasks if one.id not in followed and one.id != LAST]
    assumed += [f"nothing waits for task {name}: it delays nothing" for name in idle]
    tasks = _own_lengths(tasks, task)
    tasks = with_done(tasks, done, ahead=counted == "construction")
    whole = _power(cluster, power, facts, assumed)
    now = _watts(power_now, "--power-now")
    return BuildQuestion(
        machine=cluster.name,
        accelerator=cluster.accelerator.name,
        accelerators=cluster.count,
        path=way,
        bridge=bridges,
        clock=counted,
        start=_day(start),
        tasks=tasks,
        power=whole,
        rack=_rack(cluster, per_rack, facts, assumed),
        failures=usual(facts, "early-failures"),
        replacement=usual(facts, "early-replacement"),
        shifts=shifts,
        shift_loss=usual(facts, "shift-loss"),
        racks_rate=_racks_rate(racks_per_day),
        now=now,
        bridge_power=_watts(bridge_power, "--bridge-power"),
        price=_price(price),
        training=training,
        assumed=tuple(assumed),
    )


def ask_growing(
    machine: str,
    *,
    model: str | None = None,
    tokens: str | float | None = None,
    work: str | None = None,
    mfu: float | None = None,
    begin_with: str | int | None = None,
    every: str | None = None,
    catalogue: Catalogue | None = None,
) -> Training:
    """A training run across the growth of a cluster.

    Parameters
    ----------
    machine
        The cluster, or ``100000xh100``.
    model, tokens, work
        A model and its tokens, or the FLOP of the run.
    mfu
        Share of the bf16 peak that it makes use of.
    begin_with
        Accelerators with which it begins; a tenth of all by default.
    every
        It takes on new ones at checkpoints so far apart; a week by default.

    Raises
    ------
    InputError
        A number or a name that cannot be.
    """
    facts = catalogue or shipped()
    cluster = _machine(machine, facts)
    if work is not None and model is not None:
        raise InputError("--train and --work both say what is trained; give one of them")
    if model is not None:
        if tokens is None:
            raise InputError("--train needs --tokens beside it, such as 15.6T")
        trained = find_model(model, facts)
        amount = float(whole_number(tokens, "--tokens"))
        flops = float(parameter_flops(count_parameters(trained).active, amount))
        what = f"{trained.name} on {tokens} tokens"
    else:
        flops, what = quantity_of(work or "", "FLOP", "--work", above=True), "a run"
    share = usual(facts, "trained-share").value if mfu is None else mfu
    if not 0.0 < share <= 1.0:
        raise InputError(f"--mfu is {share:g}, but must be a share above 0, such as 0.4")
    first = (
        max(1, cluster.count // 10)
        if begin_with is None
        else whole_number(begin_with, "--begin-with")
    )
    if first > cluster.count:
        raise InputError(f"--begin-with is {first:,}, but there will be {cluster.count:,}")
    return Training(
        work=flops,
        rate=share * peak_rate(cluster.accelerator, "bf16"),
        first=first,
        every=time_of(every or "7d", "--grow-every") or DAY,
        what=what,
    )


def enlarged(question: BuildQuestion, to: str | int, after: float) -> BuildQuestion:
    """The build that follows: to so many accelerators, begun when the first is accepted.

    Parameters
    ----------
    question
        The first build.
    to
        Accelerators in the end.
    after
        When it begins, from the start of the first. [s]

    Raises
    ------
    InputError
        No more than there are already.
    """
    more = whole_number(to, "--then") - question.accelerators
    if more <= 0:
        raise InputError(
            f"--then is {to}, but there are {question.accelerators:,} already: name the whole"
        )
    scale = more / question.accelerators
    power = question.power
    return msgspec.structs.replace(
        question,
        accelerators=more,
        tasks=with_done(question.tasks, (), ahead=True),
        power=msgspec.structs.replace(
            power, value=power.value * scale, low=power.low * scale, high=power.high * scale
        ),
        now=0.0,
        start=later(question.start, after),
        training=None,
    )


def later(start: str, time: float) -> str:
    """The day so long [s] after another; empty where no day was given."""
    if not start:
        return ""
    try:
        day = dt.date.fromisoformat(start) + dt.timedelta(days=round(time / DAY))
    except OverflowError:
        raise InputError(f"a build from {start} ends after the year 9999: start earlier") from None
    return day.isoformat()


def _machine(text: str, facts: Catalogue) -> Cluster:
    """A cluster by name, or a number of accelerators of one kind."""
    if not text.strip():
        raise InputError("name what is built: a cluster such as colossus, or 100000xh100")
    count, times, kind = text.partition("x")
    if times and count.replace(",", "").replace("_", "")[:1].isdigit():
        if not kind.strip():
            raise InputError(f"{text!r} names no accelerator: write 100000xh100")
        return facts.any_cluster(kind.strip(), whole_number(count, "the number"))
    try:
        entry = facts.entry("clusters", text)
    except UnknownNameError:
        names = [*facts.entries("accelerators")]
        if text.lower() in names or any(
            text.lower() in one.aliases for one in facts.entries("accelerators").values()
        ):
            raise InputError(f"how many {text}? write 100000x{text}") from None
        raise
    return facts.cluster(entry.id)


def _choice(given: str, choices: tuple[Word, ...], option: str) -> Word:
    """One of a few words."""
    for one in choices:
        if one == given.strip().lower():
            return one
    near = nearest_names(given, choices, count=1)
    mend = f"did you mean {near[0]}?" if near else f"one of {', '.join(choices)}"
    raise InputError(f"{option} is {given!r}: {mend}")


def _bridges(text: str) -> tuple[Bridge, ...]:
    found = tuple(_choice(part, BRIDGES, "--bridge") for part in text.split(",") if part.strip())
    if "batteries" in found and "turbines" not in found:
        raise InputError(
            "--bridge is 'batteries', which store power and make none: write turbines,batteries"
        )
    return tuple(dict.fromkeys(found))


def _own_lengths(tasks: Sequence[Task], given: Sequence[str]) -> tuple[Task, ...]:
    """Tasks with a person's own lengths, ``fit-out=90d`` or ``fit-out=60d..120d``."""
    found = {task.id: task for task in tasks}
    for text in given:
        name, sign, length = text.partition("=")
        if not sign:
            raise InputError(f"--task is {text!r}, but needs a length: fit-out=90d")
        task = task_named(tasks, name.strip(), "--task")
        low, dots, high = length.partition("..")
        ends = [
            quantity_of(part, "s", f"--task {task.id}", above=True)
            for part in ([low, high] if dots else [low])
        ]
        if ends[0] > ends[-1]:
            raise InputError(f"--task {text} ends before it begins: write {task.id}={high}..{low}")
        own = Input(
            value=0.5 * (ends[0] + ends[-1]), low=ends[0], high=ends[-1], dimension="s", why="asked"
        )
        found[task.id] = msgspec.structs.replace(task, duration=own)
    return tuple(found.values())


def _power(cluster: Cluster, given: str | None, facts: Catalogue, assumed: list[str]) -> Input:
    """Power of the whole facility, at least what its accelerators draw. [W]"""
    if given is None:
        return power_of(cluster, facts, assumed)
    asked, board = _watts(given, "--power"), cluster.accelerator.board_power
    if board and asked < board * cluster.count:
        least = format_quantity(board * cluster.count, "W")
        raise InputError(
            f"--power is {given}, but {cluster.count:,} accelerators draw {least} at board power "
            f"alone: give the facility's power, or fewer accelerators"
        )
    return known(asked, "W", "asked")


def _rack(cluster: Cluster, given: str | int | None, facts: Catalogue, assumed: list[str]) -> Input:
    """Accelerators of a rack."""
    if given is None:
        return rack_of(cluster, facts, assumed)
    return known(float(whole_number(given, "--per-rack")), why="asked")


def _racks_rate(given: float | None) -> float:
    if given is None:
        return 0.0
    if not 0.0 < given <= 1e6:
        raise InputError(f"--racks-per-day is {given:g}, but must be above 0, such as 40")
    return given / DAY


def _watts(given: str | None, option: str) -> float:
    return 0.0 if given is None else quantity_of(given, "W", option, above=True)


def _price(given: str | None) -> float:
    return 0.0 if given is None else quantity_of(given, "USD", "--price", above=True)


def _day(given: str) -> str:
    if not given:
        return ""
    try:
        return dt.date.fromisoformat(given).isoformat()
    except ValueError:
        raise InputError(f"--start is {given!r}, but must be a day such as 2026-12-01") from None

"""A build as text a person reads: dates, a Gantt chart, what waits for what, month by month."""

from __future__ import annotations

from clusterwright.aligned import aligned
from clusterwright.asking_build import DAY, later
from clusterwright.buildout.plan import BuildPlan, BuildQuestion, TaskPlan, TrainingPlan
from clusterwright.report.folding import fold
from clusterwright.uncertain import Interval
from clusterwright.units import format_count, format_quantity

BAR = 46
NAME = 40
WORDS = {
    "greenfield": "on bare ground",
    "retrofit": "in a building that stands",
    "colocation": "in a leased hall",
    "planning": "counted from the first plans",
    "construction": "counted from the start of construction: permits, studies and orders are done",
}


def build_text(plan: BuildPlan) -> str:
    """A build, and the one that enlarges it."""
    question = plan.question
    blocks = [_asked(question), _dates(plan), _longest(plan), _chart(plan), _months(plan)]
    blocks.append(_swings(plan))
    if plan.training is not None:
        blocks.append(_training(question, plan.training))
    text = "\n\n".join("\n".join(block) for block in blocks if block)
    if plan.then is not None:
        more = [["Then, when that is accepted"], _asked(plan.then.question), _dates(plan.then)]
        more += [_longest(plan.then), _months(plan.then)]
        text += "\n\n" + "\n\n".join("\n".join(block) for block in more)
    return text


def _asked(question: BuildQuestion) -> list[str]:
    head = f"{question.accelerators:,} x {question.accelerator}"
    if not question.machine.startswith(head):
        head += f", {question.machine}"
    words = [WORDS[question.path], f"{format_quantity(question.power.value, 'W')} of the facility"]
    if question.bridge:
        words.append(f"{' and '.join(question.bridge)} until the grid comes")
    if question.shifts > 1:
        words.append(f"{question.shifts} shifts")
    words.append(WORDS[question.clock])
    lines = [head, *fold(", ".join(words), 0)]
    if question.assumed:
        lines += fold(f"assumed: {'; '.join(question.assumed)}", 9)
    return lines


def _when(question: BuildQuestion, time: float) -> str:
    """A day, or how many days from the start."""
    return later(question.start, time) or f"day {time / DAY:,.0f}"


def _dates(plan: BuildPlan) -> list[str]:
    rows = [
        ("a tenth up", plan.first),
        ("all up", plan.all_up),
        ("accepted", plan.finish),
    ]
    lines = [_date_line(plan.question, name, interval) for name, interval in rows]
    lines.append(
        f"  likely       {_when(plan.question, plan.likely)} with every task at its likely length; "
        f"{_when(plan.question, plan.fastest)} with every one at its shortest"
    )
    failed = plan.question.failures
    lines.append(
        f"  of all       {failed.low:.0%} to {failed.high:.0%} fail in their burn-in and come when "
        f"they are replaced"
    )
    if plan.then is not None:
        lines += _then(plan, plan.then)
    return ["When", *lines]


def _then(plan: BuildPlan, then: BuildPlan) -> list[str]:
    """When the enlargement is accepted, counted as the first build is."""
    question = plan.question
    low, middle, high = (
        _when(question, plan.likely + time)
        for time in (then.finish.low, then.finish.middle, then.finish.high)
    )
    count = question.accelerators + then.question.accelerators
    words = (
        f"  then         {middle}: {count:,} accepted, those after the first "
        f"{question.accelerators:,} begun on {_when(question, plan.likely)} "
        f"(80 % of draws: {low} to {high})"
    )
    return fold(words, 15)


def _date_line(question: BuildQuestion, name: str, found: Interval) -> str:
    ends = f"{_when(question, found.low)} to {_when(question, found.high)}"
    days = f"{found.low / DAY:,.0f} to {found.high / DAY:,.0f} days"
    tail = f", {days}" if question.start else ""
    return f"  {name:<12} {_when(question, found.middle)}  (80 % of draws: {ends}{tail})"


def _longest(plan: BuildPlan) -> list[str]:
    on_it = sorted(
        (task for task in plan.tasks if task.spent >= 0.5 * DAY), key=lambda one: one.end
    )
    parts = [f"{task.id} {task.spent / DAY:,.0f} d" for task in on_it]
    lines = fold(f"Longest path: {', '.join(parts)}: {plan.likely / DAY:,.0f} days in all", 14)
    names = {task.id: f"{_small(task.name)} ({task.id})" for task in plan.tasks}
    first, last = (names.get(gate, "nothing") for gate in plan.gates)
    return [
        *lines,
        f"The first racks wait longest for: {first}",
        f"The last ones, from there: {last}",
    ]


def _small(name: str) -> str:
    return name[0].lower() + name[1:]


def _chart(plan: BuildPlan) -> list[str]:
    question = plan.question
    header = ["  task", "begins", "days", "critical", _scale(plan)]
    rows = [
        [
            f"  {_cut(task.name)}",
            _when(question, task.begin),
            f"{(task.end - task.begin) / DAY:,.0f}",
            f"{task.critical:.0%}",
            _bar(task, plan.likely),
        ]
        for task in plan.tasks
        if not task.done and task.end > task.begin
    ]
    lines = aligned(header, rows, align="llrrl")
    done = [task.id for task in plan.tasks if task.done]
    title = (
        "Tasks, each at its likely length (# on the longest path; critical: in that share of draws)"
    )
    found = [title, *lines]
    return found + (fold(f"  done before: {', '.join(done)}", 15) if done else [])


def _cut(name: str) -> str:
    return name if len(name) <= NAME else name[: NAME - 1] + "…"


def _scale(plan: BuildPlan) -> str:
    end = _when(plan.question, plan.likely)
    return "|" + end.rjust(BAR - 1)


def _bar(task: TaskPlan, end: float) -> str:
    """A task's time as a bar; what lasts beyond the end is cut off."""
    low = min(BAR - 1, int(task.begin / end * BAR))
    high = max(low + 1, min(BAR, round(task.end / end * BAR)))
    sign = "#" if task.spent > 0.0 else "="
    return " " * low + sign * (high - low) + (">" if task.end > end else "")


def _months(plan: BuildPlan) -> list[str]:
    """How far it is when; of the time before the first rack, only what is waited for."""
    question = plan.question
    header = ["  by", "power", "halls", "racks", "online", "80 % of draws", "next wait for"]
    if question.price:
        header.append("spent")
    rows = []
    before = ""
    for month in plan.months:
        if not month.racks and month.gate == before:
            continue
        before = month.gate
        row = [
            f"  {_when(question, month.time)}",
            format_quantity(month.power, "W"),
            format_quantity(month.halls, "W"),
            f"{month.racks:,.0f}",
            f"{month.online:,.0f}",
            f"{month.low:,.0f} to {month.high:,.0f}",
            month.gate or "-",
        ]
        rows.append([*row, format_quantity(month.spent, "USD")] if question.price else row)
    title = "Over time, every task at its likely length"
    return [title, *aligned(header, rows, align="lrrrrrl" + ("r" if question.price else ""))]


def _swings(plan: BuildPlan) -> list[str]:
    if not plan.swings:
        return []
    names = {f"task:{task.id}": task.id for task in plan.tasks}
    rows = [
        [
            f"  {names.get(swing.name, swing.name)}",
            _when(plan.question, min(swing.low, swing.high)),
            _when(plan.question, max(swing.low, swing.high)),
            f"{abs(swing.high - swing.low) / DAY:,.0f}",
        ]
        for swing in plan.swings
    ]
    header = ["  what moves the end", "from", "to", "days"]
    return aligned(header, rows, align="lllr")


def _training(question: BuildQuestion, found: TrainingPlan) -> list[str]:
    asked = question.training
    if asked is None:
        return []
    rows = [
        ("grows with the cluster", found.end),
        ("waits for the whole", found.waiting),
        (f"stays with {asked.first:,}", found.small),
    ]
    saved = (found.waiting - found.end) / DAY
    verdict = (
        f"Growing wins {saved:,.0f} days over waiting." if saved >= 0.5 else "Growing wins nothing."
    )
    speed = format_quantity(asked.rate, "FLOP/s")
    begin = f"{_when(question, found.begin)} with {format_count(asked.first)} accelerators"
    return [
        f"Training across growth: {asked.what}, {asked.work:.3g} FLOP at {speed} an accelerator",
        f"  begins {begin}, takes on new ones every {asked.every / DAY:g} days",
        *[f"  {name:<24} ends {_when(question, end)}" for name, end in rows],
        f"  {verdict} Restarts, and what larger runs lose of each accelerator, are left out.",
    ]

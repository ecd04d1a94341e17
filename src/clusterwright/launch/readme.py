"""The README of a launch: what to run, what to expect, when to worry."""

from __future__ import annotations

from clusterwright.launch.records import Ask, Launch
from clusterwright.serving.plan import Latency, ServingEstimate, ServingPlan
from clusterwright.training.estimate import TrainingEstimate
from clusterwright.training.plan import TrainingPlan
from clusterwright.units import format_count, format_time

GIB = 2.0**30
LEAST = 1e-4
"""Share of a step below which a part of it is not worth a line."""


def readme(plan: TrainingPlan | ServingPlan, made: Launch, name: str) -> str:
    """As Markdown, for whoever starts it."""
    where = "by hand" if made.on == "torchrun" else f"on {made.on}"
    lines = [f"# {name}: {plan.question.model.name} with {made.tool}, {where}", ""]
    lines += _machine(plan, made)
    lines += ["", "## Say what a plan cannot know", ""]
    lines += _asked(made)
    lines += ["", "## Run", "", "In this folder:", "", *_shell(made.submit)]
    lines += ["", "## Watch", "", *_shell(made.watch), "", "## Stop", "", *_shell(made.stop)]
    if isinstance(plan, TrainingPlan):
        lines += ["", "Started again, it goes on from its newest checkpoint."]
    lines += ["", "## Expect", ""]
    if isinstance(plan, TrainingPlan):
        lines += _training(plan)
    else:
        lines += _serving(plan.best)
    if made.notes:
        lines += ["", "## Know this", "", *(f"- {note}." for note in made.notes)]
    lines += ["", _versions(plan, made)]
    return "\n".join(lines) + "\n"


def _shell(lines: str) -> list[str]:
    return ["```sh", *lines.splitlines(), "```"]


def _machine(plan: TrainingPlan | ServingPlan, made: Launch) -> list[str]:
    chip = plan.question.cluster.accelerator.name
    found = []
    for part in made.parts:
        copies = f"{part.replicas:,} replicas, each on " if part.replicas > 1 else ""
        hosts = "1 host" if part.hosts == 1 else f"{part.hosts:,} hosts"
        found.append(f"{part.name}: {copies}{hosts} of {part.per_host} x {chip}")
    return [f"- {one}" for one in found]


def _asked(made: Launch) -> list[str]:
    asks: dict[str, Ask] = {}
    for part in made.parts:
        asks |= {ask.variable: ask for ask in part.program.asks}
    if not asks:
        return ["Nothing."]
    rows = [
        f"| `{ask.variable}` | {ask.what} | {ask.default or 'must be set'} |"
        for ask in asks.values()
    ]
    table = ["| variable | what | unless set |", "| --- | --- | --- |", *rows]
    return [made.say, "", *table]


def _training(plan: TrainingPlan) -> list[str]:
    best = plan.best
    low, high = best.step_time_interval
    limit = best.memory_limit / GIB
    rows = {
        "step time": (best.step_time, low, high, format_time),
        "tokens a second, each accelerator": (*_over(best, _tokens(best)), format_count),
        "MFU": (*_over(best, best.mfu * best.step_time), "{:.1%}".format),
    }
    table = [
        f"| {name} | {written(likely)} | {written(least)} to {written(most)} |"
        for name, (likely, least, most, written) in rows.items()
    ]
    parts = [
        f"| {term.name} | {format_time(term.time)} | {term.time / best.step_time:.1%} | "
        f"{term.meaning} |"
        for term in best.waterfall
        if term.time > LEAST * best.step_time
    ]
    words = TRAINING.format(high=format_time(high), limit=limit)
    return [
        "| | likely | 80 % of runs alike |",
        "| --- | --- | --- |",
        *table,
        f"| memory, fullest rank | {best.memory_bytes / GIB:.1f} GiB | limit {limit:.1f} GiB |",
        *_whole(plan),
        *("", *words.splitlines(), ""),
        "| part of the step | time | share | what it is |",
        "| --- | --: | --: | --- |",
        *parts,
    ]


def _whole(plan: TrainingPlan) -> list[str]:
    """How long all of the run takes, where its tokens are known."""
    totals, account = plan.totals, plan.account
    if totals is None:
        return []
    low, high = map(format_time, totals.duration_interval)
    name = f"whole run, {totals.steps:,.0f} steps, without failures"
    rows = [f"| {name} | {format_time(totals.duration)} | {low} to {high} |"]
    if account is not None:
        wall, between = account.wall, account.between
        times = f"{format_time(wall.middle)} | {format_time(wall.low)} to {format_time(wall.high)}"
        rows.append(f"| whole run, with them | {times} |")
        apart = f"{format_time(between.low)} to {format_time(between.high)}"
        rows.append(f"| from one failure to the next | {format_time(between.middle)} | {apart} |")
    return rows


TRAINING = """\
Leave the first ten steps out: kernels are chosen and memory is reserved then. **Worry** when a
later step takes more than {high}, when memory passes {limit:.0f} GiB, or when steps differ by more
than a tenth. Then ask where the time goes:

```sh
clusterwright diagnose LOG --plan plan.json
```"""


def _tokens(best: TrainingEstimate) -> float:
    return best.tokens_per_step / best.accelerators


def _over(best: TrainingEstimate, amount: float) -> tuple[float, float, float]:
    """A rate: an amount over the step's likely, longest and shortest time."""
    low, high = best.step_time_interval
    return amount / best.step_time, amount / high, amount / low


def _serving(best: ServingEstimate) -> list[str]:
    low, high = best.limits
    words = SERVING.format(
        rate=best.rate,
        most=best.saturation,
        low=low,
        high=high,
        weights=best.memory.weights / GIB,
        cache=best.memory.cache / GIB,
        tokens=best.memory.cache_tokens,
    )
    return [
        "| | mean | half | 90 % | 99 % |",
        "| --- | --: | --: | --: | --: |",
        _latency("time to first token", best.ttft),
        _latency("per token after it", best.tpot),
        _latency("whole request", best.latency),
        *("", *words.splitlines()),
    ]


SERVING = """\
This is at {rate:.3g} requests a second over all replicas. They take {most:.3g} a second at most
({low:.3g} to {high:.3g} in 80 % of runs alike); beyond it queues grow. Each rank holds
{weights:.1f} GiB of weights and {cache:.1f} GiB of cache, room for {tokens:,.0f} tokens in a
replica. **Worry** when the engine prints room for fewer tokens, or when requests are preempted.
Then ask:

```sh
clusterwright diagnose RESULTS.json --plan plan.json
```"""


def _latency(name: str, latency: Latency) -> str:
    times = (latency.mean, latency.p50, latency.p90, latency.p99)
    return f"| {name} | " + " | ".join(format_time(time) for time in times) + " |"


def _versions(plan: TrainingPlan | ServingPlan, made: Launch) -> str:
    tools = ", ".join(dict.fromkeys(part.program.version for part in made.parts))
    return f"Written by clusterwright {plan.version} for {tools}; `plan.json` is the plan."

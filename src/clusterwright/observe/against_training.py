"""A measured step held against an estimated one, term by term.

Timers and traces divide a step otherwise than a plan does: terms are compared in the finest groups
that both know.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from clusterwright.observe.as_run import AsRun
from clusterwright.observe.findings import Term
from clusterwright.observe.records import TraceSummary, TrainingRun
from clusterwright.observe.steady import Pace, timer_of
from clusterwright.records import Record
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import TrainingEstimate

COMPUTE = ("ideal", "extra work", "kernels", "memory-bound", "host", "recompute")
INSIDE = ("tp", "cp", "ep")
"""Traffic that lies within forward and backward passes, and in their timers."""
PIPELINE = ("bubble", "pp", "stragglers")

FORWARD = ("forward-compute", "forward", "fwd", "forward-microstep", "fwd-microstep")
BACKWARD = (
    "backward-compute", "backward-inner", "bwd-inner", "backward-backward", "backward", "bwd",
    "backward-microstep", "bwd-microstep",
)  # fmt: skip
WHOLE = ("forward-backward",)
GRADIENTS = (
    "all-grads-sync", "backward-reduce-model-grads", "backward-params-all-reduce",
    "grads-reduce-scatter", "grads-all-reduce", "backward-allreduce", "bwd-allreduce",
)  # fmt: skip
WEIGHTS = ("params-all-gather", "backward-gather-model-params", "optimizer-allgather")
OPTIMIZER = ("optimizer", "step")
INPUT = ("batch-generator", "batch-input")


class Split(Record, frozen=True, kw_only=True):
    """Where a measured step goes. [s]; nan: nothing measured it.

    ``compute``: forward and backward, of the rank with least to do, and ``compute_most``, of the
    slowest one. ``traffic``: exposed, by axis. ``waiting``: in the pipeline. ``by``: timers or a
    trace. ``whole``: ``compute`` holds the waiting as well, as one timer of all passes does; ranks
    end that together, so that it tells nothing of slow ones.
    """

    compute: float = math.nan
    compute_most: float = math.nan
    traffic: dict[str, float] = {}
    waiting: float = math.nan
    optimizer: float = math.nan
    input: float = math.nan
    host: float = math.nan
    products: float = math.nan
    other_kernels: float = math.nan
    ranks: int = 0
    by: str = ""
    whole: bool = False


def split_by_timers(run: TrainingRun, pace: Pace) -> Split | None:
    """Terms from timers; None: the log has none of forward and backward passes."""

    def timer(names: Sequence[str]) -> tuple[float, float] | None:
        return timer_of(run, pace.rows, *names)

    forward, backward, whole = timer(FORWARD), timer(BACKWARD), timer(WHOLE)
    fetch = timer(INPUT) or (0.0, 0.0)
    gradients, weights = timer(GRADIENTS), timer(WEIGHTS)
    optimizer = timer(OPTIMIZER)
    if not (forward and backward) and not whole:
        return None
    sync = gradients[0] if gradients else 0.0
    gather = weights[0] if weights else 0.0
    compute = most = waiting = math.nan
    if forward and backward:
        within = fetch if "forward-compute" in run.timers else (0.0, 0.0)
        compute = forward[0] + backward[0] - within[0]
        most = forward[1] + backward[1] - within[1]
        if whole:
            inside = most + within[1] + sync
            waiting = max(0.0, whole[1] - (inside if whole[1] >= inside else inside - sync))
    elif whole:
        compute = most = whole[1] - sync
    return Split(
        compute=compute,
        compute_most=most,
        traffic={"dp": sync + gather} if gradients or weights else {},
        waiting=waiting,
        optimizer=max(0.0, optimizer[1] - gather) if optimizer else math.nan,
        input=fetch[1] if timer(INPUT) else math.nan,
        ranks=2 if most > compute else 1,
        by="timers",
        whole=not (forward and backward),
    )


def split_by_traces(traces: Sequence[TraceSummary], strategy: Strategy) -> Split | None:
    """Terms from traces of one or several ranks."""
    good = [trace for trace in traces if trace.steps_marked and trace.computing > 0.0]
    if not good:
        return None
    traffic: dict[str, float] = {}
    for label in dict.fromkeys(label for trace in good for label in trace.exposed):
        # The rank that comes last to a collective waits least: what it shows is the traffic.
        least = min(trace.exposed.get(label, 0.0) for trace in good)
        axis = axis_of(label, good[0].groups.get(label, -1), strategy)
        traffic[axis] = traffic.get(axis, 0.0) + least
    products = min(t.busy.get("matmul", 0.0) + t.busy.get("attention", 0.0) for t in good)
    update = min(t.busy.get("optimizer", 0.0) for t in good)
    other = min(t.busy.get("elementwise", 0.0) + t.busy.get("copy", 0.0) for t in good)
    starved = max(t.starved - t.input_wait for t in good)
    fetch = max(t.input_wait for t in good)
    computing = [t.computing for t in good]
    waits = min(max(0.0, t.idle - t.starved) for t in good)
    return Split(
        compute=min(computing) - update,
        compute_most=max(computing) - update,
        traffic=traffic,
        waiting=waits + traffic.get("pp", 0.0),
        optimizer=update,
        input=fetch,
        host=starved,
        products=products,
        other_kernels=other,
        ranks=len(good),
        by="trace" if len(good) == 1 else "traces",
    )


def axis_of(label: str, group: int, strategy: Strategy) -> str:
    """The parallel axis that a collective belongs to, by its sort and the size of its group."""
    kind = label.split(" over ", maxsplit=1)[0]
    if kind == "send-recv":
        return "pp" if strategy.pp > 1 else "cp" if strategy.cp > 1 else "pp"
    if kind == "all-to-all":
        return "ep" if strategy.ep > 1 else "cp"
    replicas = strategy.dp * strategy.cp
    sizes = {"tp": strategy.tp, "dp": replicas, "ep": strategy.ep, "cp": strategy.cp}
    fitting = [axis for axis, size in sizes.items() if size == group > 1]
    if len(fitting) == 1:
        return fitting[0]
    if strategy.tp > 1 and group in (-1, strategy.tp) and "dp" not in fitting:
        return "tp" if group == strategy.tp or replicas == 1 else "tp or dp"
    return fitting[0] if fitting else "dp"


def planned_split(expected: TrainingEstimate, split: Split) -> dict[str, float]:
    """The plan's terms, in the groups that timers or a trace can tell apart. [s]"""
    terms = {term.name: term.time for term in expected.waterfall}

    def total(*names: str) -> float:
        return sum(terms.get(name, 0.0) for name in names)

    found = {
        "waiting": total(*PIPELINE),
        "optimizer": total("optimizer", "offload"),
        "input": 0.0,
        "host": total("host"),
        "dp": total("dp"),
        "tp": total("tp"),
        "cp": total("cp"),
        "ep": total("ep"),
        "pp": total("pp"),
        "tp or dp": total("tp", "dp"),
        "products": total("ideal", "extra work", "kernels", "recompute"),
        "other kernels": total("memory-bound"),
    }
    if split.by == "timers":
        found["compute"] = total(*COMPUTE, *INSIDE, *(PIPELINE if split.whole else ()))
    else:
        found["compute"] = total(*COMPUTE) - total("host")
    return found


def training_terms(
    run: TrainingRun | None, step: float, split: Split | None, target: AsRun
) -> tuple[Term, ...]:
    """What was planned beside what was measured, the whole first."""
    expected = target.expected
    low, high = expected.step_time_interval
    used = expected.accelerators
    rows = [Term(name="step time", planned=expected.step_time, measured=step, low=low, high=high)]
    rows.append(
        Term(
            name="tokens/s an accelerator",
            planned=expected.tokens_per_second / used,
            measured=expected.tokens_per_step / step / used,
            unit="1/s",
        )
    )
    rows.append(
        Term(name="MFU", planned=expected.mfu, measured=expected.mfu * expected.step_time / step,
             unit="share")
    )  # fmt: skip
    rows += _split_terms(split, target) if split else []
    memory = max((value for value in run.memory if math.isfinite(value)), default=math.nan) if (
        run
    ) else math.nan  # fmt: skip
    if math.isfinite(memory):
        rows.append(
            Term(name="memory", planned=expected.allocated_bytes, measured=memory, unit="B")
        )
    return tuple(rows)


def _split_terms(split: Split, target: AsRun) -> list[Term]:
    """Groups of terms that were both planned and measured."""
    planned = planned_split(target.expected, split)
    passes = "passes" if split.by == "timers" else "kernels at work"
    passes += " and waiting" if split.whole else ""
    several = split.ranks > 1
    pairs = [
        (
            f"{passes}, fastest rank" if several else passes,
            planned["compute"] * (target.lightest if several else 1.0),
            split.compute,
        ),
        (
            f"{passes}, slowest rank",
            planned["compute"],
            split.compute_most if several else math.nan,
        ),
        ("  matrix and attention", planned["products"], split.products),
        ("  other kernels", planned["other kernels"], split.other_kernels),
        ("pipeline, waiting", planned["waiting"], split.waiting),
        ("optimizer", planned["optimizer"], split.optimizer),
        ("host, launches", planned["host"], split.host),
        ("input", planned["input"], split.input),
        *(
            (f"{axis} traffic shown", planned.get(axis, 0.0), time)
            for axis, time in split.traffic.items()
            if axis != "pp"
        ),
    ]
    return [
        Term(name=name, planned=usual, measured=value, by=split.by)
        for name, usual, value in pairs
        if math.isfinite(value) and (usual > 0.0 or value > 0.0)
    ]

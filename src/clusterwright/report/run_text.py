"""The outlook of a long run as text: what is left of its time, and where the rest goes."""

from __future__ import annotations

from collections.abc import Sequence

from clusterwright.aligned import aligned
from clusterwright.fleet.records import RunOutlook, TierOutlook
from clusterwright.report.folding import fold
from clusterwright.uncertain import Interval
from clusterwright.units import format_count, format_quantity, format_time

BAR = 20
TIERS = {
    "remote-sync": "shared storage, all wait",
    "remote": "shared storage, in the background",
    "local": "disks of the nodes, storage behind them",
    "memory": "memory of another node, storage behind it",
    "replica": "the other replicas at each step, storage behind them",
}
INPUTS = {
    "large_rate": "failures of large runs",
    "small_rate": "failures of small jobs",
    "small_size": "size of small jobs",
    "large_size": "size of large runs",
    "planned_rate": "planned interruptions",
    "planned_most": "most planned interruptions",
    "detection": "until a failure is noticed",
    "restart": "restart of the job",
    "exchange": "exchange of nodes",
    "checkpoint_bytes": "size of a checkpoint",
    "storage_bandwidth": "shared storage",
    "node_bandwidth": "a node's link to storage",
    "disk_bandwidth": "a node's disks",
    "storage_share": "share of storage for checkpoints",
    "step_time": "time of a step",
    "silent_latency": "until silent corruption is noticed",
    "regroup": "until whole replicas go on",
    "save_pause": "pause of a checkpoint",
}
MOST = 6


def outlook_text(outlook: RunOutlook) -> str:
    """How a run is likely to go."""
    question = outlook.question
    title = f"{question.machine}: {_of('accelerator', question.accelerators)}, "
    title += _of("node", question.nodes)
    assumed = f"  assumed      {'; '.join(question.assumed)}"
    blocks = [
        [title, *(fold(assumed, 15) if question.assumed else ())],
        _headline(outlook),
        _lost(outlook),
        _tiers(outlook.tiers),
        _causes(outlook),
        _moved(outlook),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _of(thing: str, count: int) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _percent(one: Interval) -> str:
    return f"{one.middle:.1%} (80 %: {one.low:.1%} to {one.high:.1%})"


def _times(one: Interval) -> str:
    return f"{format_time(one.middle)} (80 %: {format_time(one.low)} to {format_time(one.high)})"


def _counts(one: Interval) -> str:
    low, middle, high = (format_count(round(end)) for end in (one.low, one.middle, one.high))
    return f"{middle} (80 %: {low} to {high})"


def _headline(outlook: RunOutlook) -> list[str]:
    question, chosen = outlook.question, outlook.chosen
    span = "wall clock" if question.work else "watched"
    lasts = format_time(outlook.duration.middle)
    if question.work:
        lasts = f"{_times(outlook.duration)} if it takes {format_time(question.work)} undisturbed"
    lines = [
        (
            f"  goodput      {_percent(outlook.goodput)}; "
            f"{outlook.lost[0].share:.1%} with every input at its likely value"
        ),
        f"  {span:<12} {lasts}",
        (
            f"  failures     {_counts(outlook.interruptions)} unexpected, one every "
            f"{format_time(outlook.between.middle)}"
        ),
    ]
    every = f"every {format_time(chosen.interval)}"
    if chosen.slow_interval:
        every += f", to storage every {format_time(chosen.slow_interval)}"
    lines.append(f"  checkpoints  {TIERS[chosen.tier]}: {every}")
    lines.append(f"  spares       {_spares(outlook)}")
    if outlook.goodput.middle < 0.5 and outlook.half:
        lines.append(
            f"  to be half   work must go on {format_time(outlook.half)} after a failure "
            "(--detect, --restart, --exchange)"
        )
    return lines


def _lost(outlook: RunOutlook) -> list[str]:
    lines = ["Where the time goes, every input at its likely value (adds up to 100 %)"]
    for part in outlook.lost:
        if part.share < 5e-5 and part.name != "useful":
            continue
        bar = "#" * max(0, round(part.share * BAR))
        lines.append(f"  {part.name:<12} {part.share:>7.2%}  {bar:<{BAR}} {part.meaning}")
    return lines


def _spares(outlook: RunOutlook) -> str:
    """Nodes that stand by, and why so many."""
    question, count = outlook.question, outlook.spares
    found = f"{_of('node', count)} ({count / question.nodes:.1%}), "
    if question.spares is not None:
        return found + "as asked for"
    if count == 0:
        return "none needed: nodes fail too seldom"
    return found + "so many that one is nearly always up"


def _tiers(tiers: Sequence[TierOutlook]) -> list[str]:
    rows = [
        [
            f"  {tier.tier}",
            f"{tier.goodput.middle:.1%}",
            format_time(tier.interval),
            format_time(tier.slow_interval) if tier.slow_interval else "-",
            format_time(tier.stall),
            format_time(tier.lag),
        ]
        for tier in tiers
    ]
    header = ("  checkpoints to", "goodput", "every", "to storage every", "all wait", "safe after")
    return aligned(header, rows, align="lrrrrr")


def _causes(outlook: RunOutlook) -> list[str]:
    total = sum(cause.count for cause in outlook.causes)
    if not total:
        return []
    rows = [
        [
            f"  {cause.name}",
            cause.group,
            format_count(cause.count),
            f"{cause.count / total:.1%}",
            format_time(cause.repair_time) if cause.repair_time else "-",
        ]
        for cause in outlook.causes[:MOST]
    ]
    rest = outlook.causes[MOST:]
    if rest:
        count = sum(cause.count for cause in rest)
        taken = sum(cause.repair_time for cause in rest)
        rows.append(
            [
                f"  {len(rest)} others",
                "",
                format_count(count),
                f"{count / total:.1%}",
                format_time(taken),
            ]
        )
    return aligned(
        ("  cause (as in Llama 3)", "of", "times", "share", "node-time in repair"),
        rows,
        align="llrrr",
    )


def _moved(outlook: RunOutlook) -> list[str]:
    if not outlook.swings:
        return []
    shares = {one.name: one for one in outlook.influences}
    rows = [
        [
            f"  {INPUTS.get(swing.name, swing.name)}",
            _input(outlook, swing.name),
            f"{swing.low:.1%}",
            f"{swing.high:.1%}",
            f"{max(0.0, shares[swing.name].total):.0%}" if swing.name in shares else "-",
        ]
        for swing in outlook.swings[:MOST]
    ]
    header = ("  what moves the goodput", "from, to", "low", "high", "of its variance")
    return aligned(header, rows, align="llrrr")


def _input(outlook: RunOutlook, name: str) -> str:
    one = outlook.question.inputs[name]
    low, high = (float(one.quantile(end)) for end in (0.1, 0.9))
    if one.dimension == "1/s":
        return f"{low * 86400:.2g} to {high * 86400:.2g} a day"
    return f"{format_quantity(low, one.dimension)} to {format_quantity(high, one.dimension)}"

"""A measured machine, and predictions held against its runs, as words."""

from __future__ import annotations

from statistics import median

from clusterwright.aligned import aligned, percent
from clusterwright.calibrate.measure.entry import Entry
from clusterwright.units import format_quantity
from clusterwright.verify.api import Verification, Verified


def entry_text(entry: Entry) -> str:
    """Return what was measured, and how far each fit is from it."""
    machine, host = entry.machine, entry.host
    each = f"{_threads(machine.threads)}, " if machine.device == "cpu" else ""
    setting = f"{each}{machine.precision}, PyTorch {machine.torch}"
    lines = [
        f"{entry.name}: {machine.processes} x {machine.name}, {setting}",
        f"  products   {format_quantity(entry.peak_flops, 'FLOP/s')} at best",
        f"  memory     {format_quantity(entry.memory_bandwidth, 'B/s')}",
    ]
    if entry.link_bandwidth and entry.link_latency:
        rate = format_quantity(entry.link_bandwidth, "B/s")
        lines.append(f"  messages   {rate} after {1e6 * entry.link_latency:.0f} us")
    share = percent(host.memory_share)
    lines.append(
        f"  framework  {1e6 * host.launch_time:.1f} us a kernel beyond its own; small operators at "
        f"{share} of a stream's rate\n"
    )
    rows = [
        [what, str(rows), percent(median), percent(p90)]
        for what, (median, p90, rows) in entry.residuals.items()
    ]
    lines += aligned(("fit", "shapes", "median error", "90 %"), rows)
    if entry.busy:
        lines.append(
            f"\n{entry.busy} of {entry.tasks} were measured while other programs ran, and may be "
            f"many times too slow:\nrun it again before you plan with it; those alone are measured "
            f"anew"
        )
    return "\n".join(lines) + "\n"


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''} each"


def verification_text(found: Verification) -> str:
    """Return a row for each case, and the median of their errors."""
    head = ("case", "cut", "predicted", "measured", "ratio", "largest parts of the prediction")
    rows = [_row(one) for one in found.cases]
    lines = [
        f"{found.machine}: {found.processes} x {found.processor}, {_threads(found.threads)}",
        "",
        *aligned(head, rows, align="llrrrl"),
        "",
        f"median error {percent(found.median)} over {len(found.cases)} cases",
    ]
    if found.processes < 2 and not any(one.case.trains for one in found.cases):
        lines.append("training cases take two processes, and this machine was measured with one")
    disturbed = [one.case.name for one in found.cases if one.disturbed]
    if disturbed:
        lines.append(f"other programs took the cores all the time of {', '.join(disturbed)}")
        left = [one.error for one in found.cases if not one.disturbed]
        if left:
            lines.append(f"median error {percent(median(left))} over the {len(left)} left in peace")
    return "\n".join(lines) + "\n"


def _row(one: Verified) -> list[str]:
    case = one.case
    cut = f"{case.way}, {case.batch} x {case.length}"
    largest = sorted(one.parts.items(), key=lambda part: -part[1])[:4]
    parts = ", ".join(f"{name} {1e3 * time:.3g} ms" for name, time in largest if time > 0.0)
    return [
        case.name,
        cut,
        f"{1e3 * one.predicted:.4g} ms",
        f"{1e3 * one.measured:.4g} ms",
        f"{one.ratio:.2f}",
        parts,
    ]

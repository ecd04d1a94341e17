"""From what a person types to a machine as its building sees it: a cluster, a fleet, a phone."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from clusterwright.asking import find_cluster, whole_number
from clusterwright.catalogue.building import cut_levels
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, UnknownNameError
from clusterwright.hardware import Cluster
from clusterwright.scorecard.equivalents import Fleet, fleet_of, looks_like_fleet
from clusterwright.site.machine import Machine, joined, machine_of


def find_machine(
    target: str | None,
    *,
    accelerator: str | None = None,
    accelerators: str | int | None = None,
    catalogue: Catalogue,
) -> Machine:
    """A cluster, a part of it, a number of accelerators, a fleet such as 8kxh100,2kxb200, a device.

    Raises
    ------
    InputError
        No such thing, or nobody published of what it consists; says what to give instead.
    """
    facts = catalogue
    count = None if accelerators is None else whole_number(accelerators, "--accelerators")
    if (target, accelerator) == (None, None):
        raise InputError("name a machine: a cluster such as meta-24k, 8000xh100, or a saved plan")
    if target is not None and accelerator is not None:
        raise InputError(
            f"{target!r} and --accelerator both name the machine; give one of them, and "
            f"--accelerators for how many"
        )
    if target is None:
        return machine_of(find_cluster(target, accelerator, count, facts), facts)
    if looks_like_fleet(target):
        if count is not None:
            raise InputError(f"{target!r} says how many already: leave out --accelerators")
        return _mixed(target, fleet_of(target, facts), facts)
    try:
        entry = facts.entry("clusters", target)
    except UnknownNameError as error:
        return _otherwise(target, count, error, facts)
    if not entry.data.get("parts"):
        return machine_of(facts.cluster(target, count), facts)
    if count is not None:
        raise InputError(
            f"{entry.id} has accelerators of several kinds: say how many of which, such as "
            f"{count}x{entry.data['parts'][0]['accelerator']}"
        )
    return _mixed(entry.id, fleet_of(entry.id, facts), facts)


def _otherwise(
    name: str, count: int | None, unknown: UnknownNameError, facts: Catalogue
) -> Machine:
    """A device, or an accelerator of which nobody said how many; else there is no such thing."""
    try:
        device = facts.entry("devices", name)
    except UnknownNameError:
        pass
    else:
        found = facts.any_cluster(device.text("accelerator"), count or 1)
        shown = f"{found.count:,} x {device.name}" if found.count > 1 else device.name
        return machine_of(replace(found, name=shown), facts, device=device.id)
    try:
        chip = facts.entry("accelerators", name)
    except UnknownNameError:
        raise unknown from None
    number = "1024" if count is None else f"{count}"
    raise InputError(
        f"{name!r} is an accelerator, not a cluster: write {number}x{name}, or --accelerator "
        f"{chip.id} --accelerators {number}"
    )


def _mixed(name: str, fleet: Fleet, facts: Catalogue) -> Machine:
    """The machines of a fleet's parts as one, with one network."""
    notes: list[str] = []
    counted: dict[str, int] = {}
    baseline = next((part.accelerator for part in fleet.parts if part.accelerator), "")
    for part in fleet.parts:
        chip = part.accelerator or baseline
        if not chip:
            raise InputError(f"{name!r} names no accelerator: write it as 8000xh100,2000xb200")
        if part.stated:
            notes.append(f"{part.count:,.0f} that the owner counts as {chip} are taken for such")
        counted[chip] = counted.get(chip, 0) + int(part.count)
    clusters = [facts.any_cluster(chip, count) for chip, count in counted.items()]
    whole = _whole(name, fleet, clusters)
    if len(clusters) == 1:
        machine = machine_of(whole, facts)
        return replace(machine, assumed=(*notes, *machine.assumed))
    found = joined(whole, [machine_of(_in_its_node(one, name, facts), facts) for one in clusters])
    notes.append("one network of all, as for the most numerous")
    return replace(found, assumed=(*notes, *found.assumed))


def _in_its_node(part: Cluster, name: str, facts: Catalogue) -> Cluster:
    """A part under its cluster's name if the node that this names is of its accelerators."""
    entry = facts.entries("clusters").get(name)
    node = entry.text("node") if entry else ""
    its = bool(node) and facts.entry("nodes", node).text("accelerator") == part.accelerator.id
    return replace(part, id=name) if its else part


def _whole(name: str, fleet: Fleet, clusters: Sequence[Cluster]) -> Cluster:
    """All accelerators as if they were of the most numerous kind, for the network."""
    most = max(clusters, key=lambda one: one.count)
    count = sum(one.count for one in clusters)
    shown = fleet.name
    if shown == name:
        shown = " and ".join(one.name for one in clusters)
    return replace(most, id=name, name=shown, count=count, levels=cut_levels(most.levels, count))

"""From how a person writes sites down to records: ``14x8xh100@500Mb/s/100ms``.

    [sites x] [accelerators x] name @ bandwidth or kind of link [/ round trip or distance]

The name is a cluster, an accelerator or a device of the catalogue. What is left unsaid is assumed,
and listed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from clusterwright.asking import MOST, find_cluster, whole_number
from clusterwright.catalogue.figures import Entry
from clusterwright.catalogue.store import Catalogue
from clusterwright.device import Span
from clusterwright.errors import InputError, UnitError, UnknownNameError, nearest_names
from clusterwright.facts import device_named
from clusterwright.formulas.low_communication import fibre_round_trip
from clusterwright.hardware import Cluster
from clusterwright.swarm.things import Exchange, OuterMethod, Site
from clusterwright.units import format_quantity, format_time, parse

USUAL_METHOD = "intellect-1"
USUAL_ROUND_TRIP = "coast-to-coast"
MOST_SITES = 10**7
FULL = Span(low=1.0, high=1.0)
EXAMPLE = "14x8xh100@500Mb/s/100ms"

_COUNTED = re.compile(r"(?P<count>\d[\d_.]*[kKM]?)\s*[x×*]\s*(?P<rest>\S.*)")
_DISTANCE = re.compile(r"(?P<number>[\d.]+)\s*(?P<unit>km|mi|m)")
_METRES = {"m": 1.0, "km": 1e3, "mi": 1609.344}


class _Machine(NamedTuple):
    """What stands at a site: one, or all, of them, and whether each is a site of its own."""

    cluster: Cluster
    sites: int
    speed: Span
    assumed: tuple[str, ...]


def bit_rate(bandwidth: float) -> str:
    """A bandwidth in bits, as links between sites are sold. ``bandwidth`` in [B/s].

    >>> bit_rate(62.5e6)
    '500 Mb/s'
    """
    return format_quantity(8.0 * bandwidth, "B/s").replace("B/s", "b/s")


def ask_sites(text: str, catalogue: Catalogue) -> tuple[tuple[Site, ...], tuple[str, ...]]:
    """Read sites, and what had to be assumed of them.

    Raises
    ------
    InputError
        A part that cannot be read; the message names it.
    """
    parts = [part.strip() for part in text.split(",")]
    if not any(parts):
        raise InputError(f"--sites names no site: give one or more, such as {EXAMPLE}")
    found: dict[str, Site] = {}
    assumed: list[str] = []
    for part in parts:
        if not part:
            raise InputError(f"--sites {text!r} has two commas with nothing between them")
        site, notes = _site(part, catalogue)
        twin = found.get(part)
        if twin is not None:
            site = msgspec.structs.replace(site, count=site.count + twin.count)
        found[part] = site
        assumed += [note for note in notes if note not in assumed]
    return tuple(found.values()), tuple(assumed)


def ask_method(name: str | None, catalogue: Catalogue) -> OuterMethod:
    """How replicas exchange, by its name in the catalogue.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    entry = catalogue.entry("outer_methods", name or USUAL_METHOD)
    return OuterMethod(
        id=entry.id,
        name=entry.name,
        inner_steps=int(entry.data["inner_steps"]),
        exchanged=entry.require("exchanged").value,
        exchange=msgspec.convert(entry.text("exchange"), Exchange),
        fragments=int(entry.data.get("fragments", 1)),
        overlap=int(entry.data.get("overlap", 0)),
        every_step=bool(entry.data.get("every_step", False)),
        claim=bool(entry.data.get("claim", False)),
    )


def ask_inner_steps(given: str | int | None, method: OuterMethod) -> int:
    """Inner steps between two exchanges.

    Raises
    ------
    InputError
        None at all, or a method that exchanges in every step.
    """
    if given is None:
        return method.inner_steps
    steps = whole_number(given, "--inner-steps")
    if method.every_step and steps != 1:
        raise InputError(
            f"{method.id} exchanges in every step: leave --inner-steps out, or choose "
            f"--outer {USUAL_METHOD}"
        )
    return steps


def _site(part: str, catalogue: Catalogue) -> tuple[Site, list[str]]:
    what, at, link = part.partition("@")
    if not at or not link.strip():
        known = ", ".join(catalogue.entries("wans"))
        raise InputError(
            f"site {part!r} does not say how fast its link to the others is: write "
            f"{what.strip() or '8xh100'}@1Gb/s, or the kind of link ({known})"
        )
    counts, name = _counts(part, what.strip())
    try:
        machine = _machine(part, counts, name, catalogue)
    except UnknownNameError as error:
        raise InputError(f"site {part!r}: {error}") from None
    bandwidth, round_trip, assumed = _link(part, link.strip(), catalogue)
    site = Site(
        text=part,
        count=machine.sites,
        cluster=machine.cluster,
        bandwidth=bandwidth,
        round_trip=round_trip,
        speed=0.5 * (machine.speed.low + machine.speed.high),
        slowest=machine.speed.low,
        fastest=machine.speed.high,
    )
    return site, [*assumed, *machine.assumed]


def _counts(part: str, text: str) -> tuple[list[int], str]:
    """The numbers before a name, and the name."""
    counts: list[int] = []
    while match := _COUNTED.fullmatch(text):
        counts.append(whole_number(match["count"], f"a number in site {part!r}"))
        text = match["rest"].strip()
    if len(counts) > 2:
        raise InputError(
            f"site {part!r} has {len(counts)} numbers: write sites x accelerators of each, as in "
            f"{EXAMPLE}"
        )
    if not text:
        raise InputError(f"site {part!r} names no machine: write {EXAMPLE}")
    if counts and max(counts) > MOST["--accelerators"]:
        raise InputError(f"site {part!r} has more of them than anybody has: 10^8 at most")
    return counts, text


def _machine(part: str, counts: list[int], name: str, catalogue: Catalogue) -> _Machine:
    """A cluster, a device or an accelerator, in that order of names."""
    kinds = {kind: _find(catalogue, kind, name) for kind in ("clusters", "devices", "accelerators")}
    if kinds["clusters"] is not None:
        sites = counts[0] if len(counts) == 2 else 1
        cluster = find_cluster(name, None, counts[-1] if counts else None, catalogue)
        return _Machine(cluster, _few(part, sites), FULL, ())
    if kinds["devices"] is not None:
        return _devices(part, counts, name, catalogue)
    if kinds["accelerators"] is None:
        near = nearest_names(
            name,
            [
                other
                for kind in kinds
                for entry in catalogue.entries(kind).values()
                for other in (entry.id, *entry.aliases)
            ],
        )
        offer = f"did you mean {' or '.join(near)}?" if near else "see `clusterwright catalogue`"
        raise InputError(
            f"site {part!r}: no cluster, accelerator or device called {name!r}: {offer}"
        )
    return _accelerators(part, counts, name, catalogue)


def _find(catalogue: Catalogue, kind: str, name: str) -> Entry | None:
    try:
        return catalogue.entry(kind, name)
    except UnknownNameError:
        return None


def _accelerators(part: str, counts: list[int], name: str, catalogue: Catalogue) -> _Machine:
    """So many accelerators of one site; chips of homes beyond one host are sites of their own."""
    sites, own = (counts[0] if len(counts) == 2 else 1), (counts[-1] if counts else 1)
    chip = catalogue.accelerator(name)
    assumed: tuple[str, ...] = ()
    if len(counts) == 1 and chip.scaleup_bandwidth is None:
        host = catalogue.any_cluster(name, own).levels[0].size
        if own > host:
            sites, own = own, 1
            assumed = (f"{part}: {sites:,} sites of one; write 1x{part} for one site of them all",)
    cluster = catalogue.any_cluster(name, own)
    return _Machine(cluster, _few(part, sites), FULL, assumed)


def _devices(part: str, counts: list[int], name: str, catalogue: Catalogue) -> _Machine:
    """Phones, laptops, desktops: each is a site, and an app may not take all of its memory."""
    if len(counts) == 2 and counts[1] != 1:
        raise InputError(
            f"site {part!r}: each {name} is a site of its own; write "
            f"{counts[0] * counts[1]}x{name}@…"
        )
    device = device_named(catalogue, name)
    cluster = catalogue.any_cluster(device.accelerator, 1)
    memory = 0.5 * (device.app_memory.low + device.app_memory.high)
    speed = device.sustained_share
    chip = msgspec.structs.replace(cluster.accelerator, memory_bytes=memory, name=device.name)
    # An app's memory is all that there is: nothing can be moved to a host beside it.
    cluster = msgspec.structs.replace(
        cluster,
        accelerator=chip,
        name=device.name,
        host_memory_bytes=None,
        host_bandwidth=None,
    )
    shown = format_quantity(memory, "B")
    hot = f"{speed.low:.2g} to {speed.high:.2g}"
    assumed = (f"{device.id}: {shown} for an app, {hot} of its speed when hot",)
    return _Machine(cluster, _few(part, counts[0] if counts else 1), speed, assumed)


def _few(part: str, sites: int) -> int:
    if sites > MOST_SITES:
        raise InputError(f"site {part!r} stands for {sites:,} sites: {MOST_SITES:,} at most")
    return sites


def _link(part: str, text: str, catalogue: Catalogue) -> tuple[float, float, list[str]]:
    """Bandwidth and round trip of a link, and what was assumed."""
    named, _, rest = (piece.strip() for piece in text.partition("/"))
    wan = _find(catalogue, "wans", named)
    if wan is not None:
        bandwidth, far, assumed = _named_link(part, wan), wan, []
        assumed.append(f"{wan.id}: {bit_rate(bandwidth)} from each site")
    else:
        rate, rest = _cut(part, text)
        bandwidth, far, assumed = _rate(part, rate, catalogue), None, []
    if rest:
        return bandwidth, _trip(part, rest, catalogue), assumed
    if far is None:
        far = catalogue.entry("wans", USUAL_ROUND_TRIP)
        trip = format_time(far.require("round_trip").value)
        assumed.append(f"round trip between sites: {trip}, {far.id}")
    return bandwidth, far.require("round_trip").value, assumed


def _named_link(part: str, wan: Entry) -> float:
    """Bandwidth of a kind of link. [B/s]"""
    known = wan.value("bandwidth")
    if known is None:
        raise InputError(
            f"site {part!r}: {wan.id} says how far, not how fast: write "
            f"{part.partition('@')[0]}@1Gb/s/{wan.id}"
        )
    return known


def _rate(part: str, text: str, catalogue: Catalogue) -> float:
    """Bandwidth of a link. [B/s]"""
    try:
        bandwidth = parse(text, "B/s")
    except UnitError as error:
        known = ", ".join(catalogue.entries("wans"))
        raise InputError(f"site {part!r}: {error}; or the kind of link: {known}") from None
    if bandwidth <= 0.0:
        raise InputError(f"site {part!r} has a link of no bandwidth: write {EXAMPLE}")
    return bandwidth


def _cut(part: str, text: str) -> tuple[str, str]:
    """The rate, whose unit may have a stroke of its own, and what follows it."""
    pieces = [piece.strip() for piece in text.split("/")]
    if len(pieces) > 1 and pieces[1] in ("s", "sec", "second"):
        pieces = [f"{pieces[0]}/s", *pieces[2:]]
    if len(pieces) > 2:
        raise InputError(f"site {part!r}: after @ comes bandwidth / round trip, as in {EXAMPLE}")
    return pieces[0], pieces[1] if len(pieces) == 2 else ""


def _trip(part: str, text: str, catalogue: Catalogue) -> float:
    """A round trip, as a time, a distance or a kind of link."""
    if _find(catalogue, "wans", text) is not None:
        return catalogue.entry("wans", text).require("round_trip").value
    far = _DISTANCE.fullmatch(text)
    if far is not None:
        index = catalogue.figure("defaults", "fibre-index", "value").value
        metres = float(far["number"]) * _METRES[far["unit"]]
        return float(fibre_round_trip(metres, index))
    try:
        return parse(text, "s")
    except UnitError as error:
        raise InputError(f"site {part!r}: {error}; or a distance, such as 1000km") from None

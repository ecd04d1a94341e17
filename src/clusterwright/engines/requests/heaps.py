"""Two heaps: what happens next, and which sequence of a replica ends next."""

from __future__ import annotations

from clusterwright.engines.requests.things import Array, Event, Tally


def put(calendar: Array, tally: Tally, time: float, what: int, who: int, version: int) -> None:
    """Enter something that will happen; equal times keep the order in which they were entered."""
    place = tally.events
    tally.events = place + 1
    while place > 0:
        parent = (place - 1) >> 1
        if calendar[parent].time <= time:
            break
        move(calendar, parent, place)
        place = parent
    event = calendar[place]
    event.time = time
    event.number = tally.number
    event.what = what
    event.who = who
    event.version = version
    tally.number += 1


def drop_first(calendar: Array, tally: Tally) -> None:
    """Take away what happens first."""
    last = tally.events - 1
    tally.events = last
    if last == 0:
        return
    time, number = calendar[last].time, calendar[last].number
    place = 0
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and before(
            calendar[child + 1], calendar[child].time, calendar[child].number
        ):
            child += 1
        if not before(calendar[child], time, number):
            break
        move(calendar, child, place)
        place = child
    move(calendar, last, place)


def before(event: Event, time: float, number: int) -> bool:
    """Whether an event comes before a time and number."""
    return event.time < time or (event.time == time and event.number < number)


def move(calendar: Array, start: int, goal: int) -> None:
    """Copy an event to another place."""
    one, other = calendar[start], calendar[goal]
    other.time = one.time
    other.number = one.number
    other.what = one.what
    other.who = one.who
    other.version = one.version


def add_ending(
    endings: Array, requests: Array, base: int, size: int, request: int, step: int
) -> None:
    """Enter a sequence that ends at a step; ``base``: where the replica's heap of ``size`` lies."""
    place = size
    while place > 0:
        parent = (place - 1) >> 1
        if endings[base + parent].step <= step:
            break
        shift(endings, requests, base, parent, place)
        place = parent
    settle(endings, requests, base, place, request, step)


def drop_ending(endings: Array, requests: Array, base: int, size: int, place: int) -> None:
    """Take away the entry at a place; ``size``: before."""
    last = size - 1
    if place == last:
        return
    request, step = endings[base + last].request, endings[base + last].step
    while place > 0:
        parent = (place - 1) >> 1
        if endings[base + parent].step <= step:
            break
        shift(endings, requests, base, parent, place)
        place = parent
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and endings[base + child + 1].step < endings[base + child].step:
            child += 1
        if endings[base + child].step >= step:
            break
        shift(endings, requests, base, child, place)
        place = child
    settle(endings, requests, base, place, request, step)


def shift(endings: Array, requests: Array, base: int, start: int, goal: int) -> None:
    """Copy an entry to another place."""
    entry = endings[base + start]
    settle(endings, requests, base, goal, entry.request, entry.step)


def settle(endings: Array, requests: Array, base: int, place: int, request: int, step: int) -> None:
    """Write an entry, and where it stands into its request."""
    entry = endings[base + place]
    entry.request = request
    entry.step = step
    requests[request].place = place

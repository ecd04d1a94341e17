"""Requests in lists: who waits at a replica, whose prompt it works on, and who decodes there.

A request is in one list at most, so that all lists share the same neighbours.
"""

from __future__ import annotations

from clusterwright.engines.requests.things import NONE, Array, Replica


def join_fill(requests: Array, replica: Replica, request: int) -> None:
    """Put a request last among those whose prompts are worked on."""
    replica.fill_tail = hook(requests, replica.fill_tail, request)
    if replica.fill_head == NONE:
        replica.fill_head = request
    replica.filling += 1


def join_run(requests: Array, replica: Replica, request: int) -> None:
    """Put a request last among those that decode."""
    replica.run_tail = hook(requests, replica.run_tail, request)
    if replica.run_head == NONE:
        replica.run_head = request
    replica.running += 1


def leave_fill(requests: Array, replica: Replica, request: int) -> None:
    """Take a request out of those whose prompts are worked on."""
    one = requests[request]
    if replica.fill_head == request:
        replica.fill_head = one.behind
    if replica.fill_tail == request:
        replica.fill_tail = one.ahead
    unhook(requests, request)
    replica.filling -= 1


def leave_run(requests: Array, replica: Replica, request: int) -> None:
    """Take a request out of those that decode."""
    one = requests[request]
    if replica.run_head == request:
        replica.run_head = one.behind
    if replica.run_tail == request:
        replica.run_tail = one.ahead
    unhook(requests, request)
    replica.running -= 1


def leave_line(requests: Array, replica: Replica, request: int) -> None:
    """Take a request out of those that wait."""
    one = requests[request]
    if replica.line_head == request:
        replica.line_head = one.behind
    if replica.line_tail == request:
        replica.line_tail = one.ahead
    unhook(requests, request)
    replica.waiting -= 1
    replica.asked -= one.prompt + one.made


def hook(requests: Array, last: int, request: int) -> int:
    """Put a request behind the last of a list; returns the new last."""
    requests[request].ahead = last
    requests[request].behind = NONE
    if last != NONE:
        requests[last].behind = request
    return request


def unhook(requests: Array, request: int) -> None:
    """Join the neighbours of a request."""
    before, after = requests[request].ahead, requests[request].behind
    if before != NONE:
        requests[before].behind = after
    if after != NONE:
        requests[after].ahead = before


def join_line(requests: Array, replica: Replica, request: int, first: int) -> None:
    """Let a request wait behind those of its priority, or (``first`` = 1) before them."""
    own = requests[request].priority
    after = NONE
    before = replica.line_tail
    while before != NONE:
        other = requests[before].priority
        if other < own or (other == own and first == 0):
            break
        after = before
        before = requests[before].ahead
    requests[request].ahead = before
    requests[request].behind = after
    if before == NONE:
        replica.line_head = request
    else:
        requests[before].behind = request
    if after == NONE:
        replica.line_tail = request
    else:
        requests[after].ahead = request
    replica.waiting += 1
    replica.asked += requests[request].prompt + requests[request].made

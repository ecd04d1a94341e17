"""A profiler's trace as columns: read in pieces, so that a large file takes little memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from clusterwright.errors import InputError

Array = Any
PIECE = 8 * 2**20
"""Bytes that are decoded at a time."""

_KEY = b'"traceEvents"'
_BORDER = re.compile(rb"\}\s*,\s*\{")
_TRIES = 64


class _Args(msgspec.Struct, gc=False):
    correlation: Any = None
    group_size: Any = msgspec.field(default=None, name="Group size")


class _Event(msgspec.Struct, gc=False):
    ph: str = ""
    cat: Any = ""
    name: Any = ""
    ts: Any = None
    dur: Any = None
    tid: Any = None
    args: Any = None


class _TypedEvent(msgspec.Struct, gc=False):
    ph: str = ""
    cat: str = ""
    name: str = ""
    ts: float | None = None
    dur: float | None = None
    tid: Any = None
    args: _Args | None = None


class _Device(msgspec.Struct):
    name: str = ""


class _Head(msgspec.Struct):
    events: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"[]"), name="traceEvents")
    distributed: dict[str, Any] = msgspec.field(default={}, name="distributedInfo")
    devices: list[_Device] = msgspec.field(default=[], name="deviceProperties")


class Columns(NamedTuple):
    """Events with a duration; ``name``, ``cat`` and ``thread`` count into ``names``.

    ``start``, ``end``: from the first event on. [s] ``correlation``: joins a launch with its
    kernel, -1: none. ``group``: ranks of a collective, -1: not said.
    """

    start: Array
    end: Array
    name: Array
    cat: Array
    thread: Array
    correlation: Array
    group: Array
    names: list[str]
    rank: int
    world_size: int
    device: str
    whole: bool


_TYPED = msgspec.json.Decoder(list[_TypedEvent])
_LOOSE = msgspec.json.Decoder(list[_Event])


def is_trace(raw: bytes) -> bool:
    """Whether bytes look like a trace of events."""
    head = raw[: 2**16]
    return _KEY in head or (head.lstrip()[:1] == b"[" and b'"ph"' in head) or _KEY in raw


def columns_of(raw: bytes, path: str, *, whole: bool) -> Columns:
    """Decode a trace.

    Raises
    ------
    InputError
        Not even its first event can be read.
    """
    head, body, closed = _parts(raw)
    gathered = _Gathered()
    for piece in _pieces(body, path):
        gathered.take(piece)
    if not gathered.start:
        raise InputError(
            f"{path!r} is a trace of which no event with a duration can be read: was the profiler "
            f"stopped before the file was written?"
        )
    said = head.distributed
    return gathered.columns(
        rank=_whole_number(said.get("rank")),
        world_size=_whole_number(said.get("world_size")),
        device=head.devices[0].name if head.devices else "",
        whole=whole and closed,
    )


def _without_brackets(view: memoryview) -> memoryview:
    """What stands between the brackets of a list; nothing is copied."""
    start, end = 0, len(view)
    while start < end and view[start] in b" \t\r\n":
        start += 1
    while end > start and view[end - 1] in b" \t\r\n":
        end -= 1
    return view[start + 1 : max(start + 1, end - 1)]


def _parts(raw: bytes) -> tuple[_Head, memoryview, bool]:
    """What stands beside the events, the events without brackets, and whether they were closed."""
    try:
        head = msgspec.json.decode(raw, type=_Head)
        return head, _without_brackets(memoryview(head.events)), True
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        pass
    at = raw.find(_KEY)
    opening = raw.find(b"[", max(at, 0))
    before = raw[:at].rstrip().rstrip(b",") + b"}" if at > 0 else b"{}"
    try:
        head = msgspec.json.decode(before, type=_Head)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        head = _Head()
    body = memoryview(raw)[opening + 1 :] if opening >= 0 else memoryview(b"")
    closed = at < 0 and raw[-64:].rstrip().endswith(b"]")
    return head, _without_brackets(memoryview(raw)) if closed else body, closed


def _pieces(raw: memoryview, path: str) -> Iterator[list[Any]]:
    """The events, some at a time; at the end whatever is whole."""
    position = 0
    while position < len(raw):
        events, position = _piece(raw, position, path)
        if events:
            yield events


def _piece(raw: memoryview, position: int, path: str) -> tuple[list[Any], int]:
    """The next events, and where the ones after them begin."""
    aim = position + PIECE
    for found in _borders(raw, aim):
        events = _decoded(raw[position : found.start() + 1])
        if events is not None:
            return events, found.end() - 1
    rest = bytes(raw[position:]).strip().rstrip(b",")
    events = _decoded(rest)
    if events is None:
        events = _cut_short(rest)
    if events is None and position == 0:
        raise InputError(f"{path!r} is a trace that breaks off within its first event")
    return events or [], len(raw)


def _borders(raw: memoryview, aim: int) -> Iterator[re.Match[bytes]]:
    """Places at which one event may end and the next begin; within arguments there are few."""
    if aim >= len(raw):
        return
    for count, found in enumerate(_BORDER.finditer(raw, aim)):
        if count >= _TRIES:
            return
        yield found


def _decoded(raw: bytes | memoryview) -> list[Any] | None:
    """A list of events, or None where the piece is no such list."""
    listed = b"".join((b"[", raw, b"]"))
    try:
        return _TYPED.decode(listed)
    except (msgspec.ValidationError, UnicodeDecodeError):
        pass
    except msgspec.DecodeError:
        return None
    try:
        return _LOOSE.decode(listed)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None


def _cut_short(raw: bytes) -> list[Any] | None:
    """The whole events of a list that breaks off."""
    end = len(raw)
    for _ in range(_TRIES):
        end = raw.rfind(b"}", 0, end)
        if end < 0:
            return None
        events = _decoded(raw[: end + 1])
        if events is not None:
            return events
    return None


def _whole_number(value: Any) -> int:  # noqa: ANN401 - whatever stands in the file
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1


def _seconds(value: Any) -> float | None:  # noqa: ANN401 - whatever stands in the file
    try:
        return 1e-6 * float(value)
    except (TypeError, ValueError):
        return None


class _Gathered:
    """Columns that grow piece by piece."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.start: list[Array] = []
        self.parts: list[tuple[Array, ...]] = []

    def take(self, events: list[Any]) -> None:
        """Add the events of a piece that have a duration."""
        rows = []
        for event in events:
            if event.ph != "X":
                continue
            start, spent = event.ts, event.dur
            if type(start) is not float or type(spent) is not float:
                first, last = _seconds(start), _seconds(spent)
                if first is None or last is None:
                    continue
                start, spent = 1e6 * first, 1e6 * last
            rows.append(
                (
                    start, spent, self._id(event.name), self._id(event.cat),
                    self._id(event.tid), *self._links(event),
                )
            )  # fmt: skip
        if rows:
            columns = tuple(zip(*rows, strict=True))
            starts = np.array(columns[0])
            self.start.append(starts)
            kinds = (np.int32, np.int32, np.int32, np.int64, np.int32)
            rest = [np.array(one, kind) for one, kind in zip(columns[2:], kinds, strict=True)]
            self.parts.append((starts, np.array(columns[1]), *rest))

    def _id(self, text: Any) -> int:  # noqa: ANN401 - whatever stands in the file
        text = text if type(text) is str else str(text)
        return self.ids.setdefault(text, len(self.ids))

    def _links(self, event: Any) -> tuple[int, int]:  # noqa: ANN401 - either struct
        """Correlation of an event, and ranks of its group."""
        args = event.args
        if type(args) is _Args:
            link, size = args.correlation, args.group_size
        elif isinstance(args, dict):
            link, size = args.get("correlation"), args.get("Group size")
        else:
            return -1, -1
        known = type(link) is int and -(2**62) < link < 2**62
        group = _whole_number(size) if size is not None else -1
        return (link if known else -1), (group if 0 < group < 2**31 else -1)

    def columns(self, **said: Any) -> Columns:  # noqa: ANN401 - of the head
        """All of it; times from the first event on."""
        columns = [np.concatenate([part[i] for part in self.parts]) for i in range(7)]
        start, spent, name, cat, thread, link, group = columns
        zero = float(start.min())
        first = 1e-6 * (start - zero)
        end = first + 1e-6 * np.maximum(spent, 0.0)
        return Columns(
            first, end, name, cat, thread, link, group, names=list(self.ids), **said
        )  # fmt: skip

"""A file as bytes and as lines: packed or not, whatever was put before each line."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from clusterwright.errors import InputError

LONGEST_LINE = 20_000
"""Characters of a line that are looked at; what logs say of a step is shorter."""

MOST_BYTES = 4 * 2**30
"""A file larger than this, unpacked, is refused and not read half."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_])")
_PREFIX = re.compile(
    r"\s*(?:\[(?:default|rank)(?P<torchrun>\d+)\]:|(?P<slurm>\d{1,6}):(?=\s|\[)|"
    r"\(?[\w.-]+ pid=\d+(?:, ip=[\d.]+)?\)|\[[\d,]+\]<std(?:out|err)>:)"
)


class Opened(NamedTuple):
    """What a file holds; ``whole``: false if it ended in the middle of its packing."""

    raw: bytes
    whole: bool


class Line(NamedTuple):
    """A line without colours and launchers' prefixes, and the rank that these tell (or None)."""

    text: str
    rank: int | None


def open_file(path: Path) -> Opened:
    """Read a file, unpacked.

    Raises
    ------
    InputError
        No such file, a folder, an empty one, or packed data that is damaged from its beginning.
    """
    if path.is_dir():
        raise InputError(f"{str(path)!r} is a folder: name the files in it, such as {path}/*.log")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}: name a log, a trace or a result") from (
            None
        )
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    packed = raw[:2] == b"\x1f\x8b"
    opened = _unpacked(raw, path) if packed else Opened(raw, whole=True)
    if packed and not opened.raw:
        raise InputError(f"{str(path)!r} is damaged gzip data: copy or write it anew")
    if not opened.raw.strip():
        raise InputError(f"{str(path)!r} is empty: nothing was written, or the run never began")
    return opened


def _unpacked(raw: bytes, path: Path) -> Opened:
    """As much of gzip data as can be unpacked."""
    parts: list[bytes] = []
    total, left = 0, raw
    try:
        while left:
            unpacker = zlib.decompressobj(wbits=31)
            parts.append(unpacker.decompress(left, MOST_BYTES - total + 1))
            total += len(parts[-1])
            if total > MOST_BYTES:
                raise InputError(
                    f"{str(path)!r} unpacks to more than {MOST_BYTES / 2**30:.0f} GiB: give a part"
                )
            if not unpacker.eof:
                return Opened(b"".join(parts), whole=False)
            left = unpacker.unused_data.lstrip(b"\0")
    except zlib.error:
        return Opened(b"".join(parts), whole=False)
    return Opened(b"".join(parts), whole=True)


def looks_binary(raw: bytes) -> bool:
    """Whether bytes are no text in any encoding that logs come in."""
    head = raw[:4096]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return b"\0" in head or sum(byte < 9 or 13 < byte < 27 for byte in head) > len(head) // 10


def text_of(raw: bytes) -> str:
    """Bytes as text; what cannot be decoded is marked and not a reason to stop."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    return raw.decode("utf-8-sig", errors="replace")


def lines_of(raw: bytes) -> Iterator[Line]:
    """All lines; progress bars, which overwrite theirs, give one for each time they are drawn."""
    for line in re.split(r"\r\n|\n|\r", text_of(raw)):
        if line:
            yield plain(line[:LONGEST_LINE])


def plain(text: str) -> Line:
    r"""A line without colours and prefixes.

    >>> plain("[rank3]:\x1b[32mstep: 7\x1b[0m"), plain(" 0: step: 7").text
    (Line(text='step: 7', rank=3), ' step: 7')
    """
    text = _ANSI.sub("", text)
    rank: int | None = None
    while found := _PREFIX.match(text):
        told = found["torchrun"] or found["slurm"]
        rank = int(told) if told else rank
        text = text[found.end() :]
    return Line(text, rank)

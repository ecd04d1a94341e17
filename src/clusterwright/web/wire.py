"""What the server and its workers say to one another: tasks, progress and replies, length first."""

from __future__ import annotations

from typing import BinaryIO, Literal

import msgspec

from clusterwright.records import Record

PREFIX = 4
"""Bytes that say how long a message is."""
API = "/api"
"""The page that names the server's own address."""
Form = Literal["page", "fragment", "json", "columns", "save", "zip", "report", "pdf"]


class Task(Record, frozen=True, kw_only=True):
    """One question: the page that is asked, its query, and as what it is to be answered."""

    path: str
    query: tuple[tuple[str, str], ...]
    form: Form


class Begun(Record, frozen=True, kw_only=True, tag="begun"):
    """A worker has taken a task up; ``seconds``: what it may take. [s]"""

    seconds: float


class Progress(Record, frozen=True, kw_only=True, tag="progress"):
    """How far a worker is, in words."""

    words: str


class Reply(Record, frozen=True, kw_only=True, tag="reply"):
    """An answer, ready to be sent.

    ``attachment``: the name of a file that it is. ``lasting``: whether it would be the same next
    time, which it need not if it was read from a file. ``memory``: what its worker holds now (0:
    not known). [B]
    """

    status: int
    media: str
    body: bytes
    attachment: str = ""
    lasting: bool = True
    memory: int = 0


Message = Begun | Progress | Reply
_ENCODER = msgspec.msgpack.Encoder()
TASKS = msgspec.msgpack.Decoder(Task)
MESSAGES: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def packed(message: Task | Message) -> bytes:
    """A message as it goes through a pipe."""
    body = _ENCODER.encode(message)
    return len(body).to_bytes(PREFIX, "big") + body


def read_task(pipe: BinaryIO) -> Task | None:
    """The next task; None: the server went away."""
    head = pipe.read(PREFIX)
    if len(head) < PREFIX:
        return None
    return TASKS.decode(pipe.read(int.from_bytes(head, "big")))

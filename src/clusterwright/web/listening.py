"""HTTP/1.1 as uvicorn and h11 speak it, with limits on whoever is slow, many or malformed."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from clusterwright.web.guarding import HEADERS, MOST_HEAD

MOST_CONNECTIONS = 500
"""At once."""
HEAD_SECONDS = 10.0
"""In which the whole head of a request must have come. [s]"""
ANSWER_SECONDS = 600.0
"""In which its answer must have been taken. [s]"""


class Listener(H11Protocol):
    """One connection. What is refused before there is a request has all our headers too."""

    _watch: asyncio.TimerHandle | None = None
    _reading = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, unless there are too many."""
        super().connection_made(transport)
        self._watch_state()
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(503, "too many connections: ask again in a moment")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes after a refusal is not looked at."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch_state()

    def on_response_complete(self) -> None:
        """Go on to the next request of the connection."""
        super().on_response_complete()
        self._watch_state()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """Refuse what is no request."""
        self._refuse(400, f"this is no HTTP/1.1 request with a head of {MOST_HEAD:,} bytes at most")

    def _watch_state(self) -> None:
        """Begin to count anew when it is the other's turn."""
        reading = self.conn.their_state is h11.IDLE
        if self._watch is None or reading != self._reading:
            self._unwatch()
            seconds = HEAD_SECONDS if reading else ANSWER_SECONDS
            self._watch = self.loop.call_later(seconds, self._give_up)
            self._reading = reading

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _give_up(self) -> None:
        if self.conn.trailing_data[0]:
            self._refuse(408, f"the head of a request must come within {HEAD_SECONDS:.0f} s")
        else:
            self.transport.abort()

    def _refuse(self, status: int, words: str) -> None:
        """Say why, and hang up."""
        headers = {"content-type": "text/plain; charset=utf-8", "connection": "close", **HEADERS}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *lines]
        said = f"{words}\n".encode()
        head.append(f"content-length: {len(said)}")
        self.transport.write("\r\n".join((*head, "", "")).encode() + said)
        self.transport.close()

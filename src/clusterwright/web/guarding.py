"""What stands before every page: who may ask, how much, and what a browser may load."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_QUERY = 8192
"""Bytes of an address's query."""
METHODS = ("GET", "HEAD")
SOURCES = {
    "default": "'none'",
    "script": "'self'",
    "style": "'self'",
    "img": "'self' data:",
    "connect": "'self'",
}
POLICY = "; ".join(f"{what}-src {where}" for what, where in SOURCES.items()) + (
    "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")


class Guard:
    """ASGI middleware that refuses other hosts, other origins, other methods, and long queries.

    A page of another site could otherwise ask this server through its visitor's browser, by its
    address or by a name that it lets point here.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = LOOPBACK) -> None:
        self.app = app
        self.hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with our headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if refused := self._refused(scope):
            status, words = refused
            headers = {"allow": ", ".join(METHODS)} if status == 405 else None
            await PlainTextResponse(words + "\n", status, headers)(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(f"//{host}") not in self.hosts:
            return 421, f"this server does not answer to the name {host[:100]!r}"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, f"pages of {origin[:100]!r} may not ask here"
        if scope["method"] not in METHODS:
            return (
                405,
                f"{scope['method'][:20]} is not understood here: {' and '.join(METHODS)} are",
            )
        if len(scope["query_string"]) > MOST_QUERY:
            return 414, f"a query can have {MOST_QUERY:,} bytes at most"
        return None


def _name(address: str) -> str:
    """The host of an address, without its port; "" where it is none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""

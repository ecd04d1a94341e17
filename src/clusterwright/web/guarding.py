"""What stands before every page: who may ask, how much, and what a browser may load."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_PATH, MOST_QUERY = 1024, 8192
"""Bytes of an address's path, and of its query."""
MOST_HEAD = 16_384
"""Bytes of a request's first line and headers."""
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
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?", re.IGNORECASE)


class Guard:
    """ASGI middleware that refuses other hosts, other origins, other methods, and long queries.

    A page of another site could otherwise ask this server through its visitor's browser, by its
    address or by a name that it lets point here.

    Parameters
    ----------
    app
        What it stands before.
    hosts
        Names and addresses under which the server answers.
    any_address
        Whether it answers under any address, though not under any name: a name can be made to
        point here by whoever owns it, an address cannot.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str] = LOOPBACK, any_address: bool = False
    ) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.any_address = any_address

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
            headers = {"allow": ", ".join(METHODS)} if status == 405 else {}
            if _has_body(Headers(scope=scope)):
                headers["connection"] = "close"  # it is not read, so nothing can follow it
            await PlainTextResponse(words + "\n", status, headers)(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, f"this server does not answer to the name {host[:100]!r}"
        if other := _other_site(headers, host):
            return 403, f"{other} may not ask here"
        if scope["method"] not in METHODS:
            words = f"{scope['method'][:20]} is not understood here"
            return 405, f"{words}: {' and '.join(METHODS)} are"
        if len(scope["raw_path"]) > MOST_PATH or len(scope["query_string"]) > MOST_QUERY:
            return 414, f"a path can have {MOST_PATH:,} bytes, and a query {MOST_QUERY:,}"
        if sum(len(name) + len(value) for name, value in headers.raw) > MOST_HEAD:
            return 431, f"headers can have {MOST_HEAD:,} bytes at most"
        if _has_body(headers):
            return 413, "a question stands in its address: send nothing after it"
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this server; its port is whichever it was reached by."""
        found = _HOST.fullmatch(host)
        name = (found[1] or found[2]).lower() if found else ""
        return name in self.hosts or (self.any_address and _is_address(name))


def _other_site(headers: Headers, host: str) -> str:
    """The other site whose page makes a browser ask, in words; "" if none does.

    A link that a person follows from elsewhere is no such thing.
    """
    for origin in headers.getlist("origin"):
        if urlsplit(origin).netloc.lower() != host.lower():
            return f"pages of {origin[:100]!r}"
    followed = headers.get("sec-fetch-mode") == "navigate"
    followed = followed and headers.get("sec-fetch-dest") == "document"
    site = headers.get("sec-fetch-site", "none")
    return "" if followed or site in ("same-origin", "none") else "pages of another site"


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

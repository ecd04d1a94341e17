"""The server run: its socket, its folder, its greeting."""

from __future__ import annotations

import os
import socket
import sys
import webbrowser
from pathlib import Path

import uvicorn

from clusterwright.errors import InputError
from clusterwright.web.app import create_app
from clusterwright.web.guarding import LOOPBACK, MOST_HEAD
from clusterwright.web.listening import Listener
from clusterwright.web.pool import Limits

BACKLOG = 256
"""Connections that wait to be taken."""
GRACE = 2
"""Seconds that requests get to end in, once the server is told to."""


def serve(folder: Path, *, host: str, port: int, workers: int, browser: bool) -> None:
    """Serve until interrupted.

    Raises
    ------
    InputError
        The address is not one of this machine, or its port is taken.
    """
    _keep_modules()
    os.chdir(folder)
    bound = _bound(host, port)
    address, taken = bound.getsockname()[:2]
    url = f"http://{f'[{address}]' if ':' in address else address}:{taken}/"
    print(f"clusterwright is at {url} (Ctrl-C stops it)", file=sys.stderr, flush=True)
    if host not in LOOPBACK:
        print("whoever reaches this address may ask it", file=sys.stderr, flush=True)
    app = create_app(
        limits=Limits(workers=workers),
        hosts=(*LOOPBACK, host, socket.gethostname()),
        any_address=host not in LOOPBACK,
    )
    config = uvicorn.Config(
        app,
        http=Listener,
        ws="none",
        proxy_headers=False,
        server_header=False,
        log_level="error",
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=MOST_HEAD,
    )
    if browser and sys.stdout.isatty():
        webbrowser.open(url)
    uvicorn.Server(config).run([bound])


def _keep_modules() -> None:
    """Where modules are found must not depend on the folder: it may hold files called as they."""
    if said := os.environ.get("PYTHONPATH"):
        whole = (str(Path(part).resolve()) for part in said.split(os.pathsep))
        os.environ["PYTHONPATH"] = os.pathsep.join(whole)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(BACKLOG)  # who comes while the server starts is answered, a little later
    except OSError as error:
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror}; give another --port, or 0 for "
            f"any that is free"
        ) from None
    return found

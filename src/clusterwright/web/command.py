"""``clusterwright web``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli.options import Whole
from clusterwright.errors import InputError
from clusterwright.web.serving import serve

HIGHEST = 65535


def web(
    folder: Path = Path(),
    /,
    *,
    host: str = "127.0.0.1",
    port: Whole = 8770,
    workers: Whole = 2,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
) -> None:
    """Serve the pages on this machine, until it is stopped with Ctrl-C.

    Parameters
    ----------
    folder
        Whose plans and studies are shown; nothing outside of it is read.
    host
        The address to listen on: another than this machine's own lets others in.
    port
        The port to listen on; 0: any that is free.
    workers
        Questions that are answered at once.
    browser
        Open the browser.
    """
    if not folder.is_dir():
        raise InputError(f"{str(folder)!r} is no folder: name the one that holds your plans")
    if not 0 <= port <= HIGHEST:
        raise InputError(f"--port is {port}, but must be 0 to {HIGHEST:,}")
    if not 1 <= workers <= 64:
        raise InputError(f"--workers is {workers}, but must be 1 to 64")

    serve(folder, host=host, port=port, workers=workers, browser=browser)

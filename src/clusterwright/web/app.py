"""The server: what is asked goes to a worker, what was answered lately is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from clusterwright.report.pictures.theme import config
from clusterwright.web.answers import Answers, name_of
from clusterwright.web.guarding import LOOPBACK, Guard
from clusterwright.web.pool import BusyError, Limits, LostError
from clusterwright.web.wire import API, Form, Task

STATIC = Path(__file__).parent / "static"
LEAST_PACKED = 1000
"""Bytes below which an answer is sent as it is."""
PAUSE = 0.25
"""Between two looks at how far a question is. [s]"""
ENDINGS: dict[str, Form] = {
    ".json": "json",
    ".columns": "columns",
    ".save": "save",
    ".zip": "zip",
    ".report": "report",
    ".pdf": "pdf",
}
"""What else may be asked of a page, by how its address ends."""
GONE, BUSY, LOST = 499, 503, 504


def create_app(
    *, limits: Limits | None = None, hosts: Iterable[str] = LOOPBACK, any_address: bool = False
) -> Starlette:
    """Put the server together.

    Parameters
    ----------
    limits
        Workers, waiting questions, seconds of one.
    hosts
        Names and addresses under which it answers.
    any_address
        Whether it answers under any other address too, though under no other name.
    """
    answers = Answers(limits or Limits())
    themes = {"light": config(dark=False), "dark": config(dark=True)}

    async def ask(request: Request) -> Response:
        return await _answered(request, answers)

    async def progress(request: Request) -> Response:
        lines = _told(answers, name_of(task_of(request)))
        return StreamingResponse(lines, media_type="text/event-stream")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        starting = asyncio.create_task(answers.pool.start())
        yield
        starting.cancel()
        answers.pool.stop()

    app = Starlette(
        routes=[
            Route("/themes.json", lambda _: JSONResponse(themes)),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/progress/{path:path}", progress),
            Route("/{path:path}", ask),
        ],
        lifespan=lifespan,
    )
    app.add_middleware(GZipMiddleware, minimum_size=LEAST_PACKED)
    app.add_middleware(Guard, hosts=hosts, any_address=any_address)
    return app


async def _answered(request: Request, answers: Answers) -> Response:
    """One page, or its data; whoever asked may leave before."""
    task = task_of(request)
    working = asyncio.create_task(answers.of(task))
    leaving = asyncio.create_task(_gone(request))
    await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if not working.done():
        working.cancel()
        return Response(status_code=GONE)
    try:
        reply = working.result()
    except BusyError as error:
        return _unanswered(task, f"{error}", BUSY, {"retry-after": "1"})
    except LostError as error:
        return _unanswered(task, f"{error}", LOST)
    headers = {"vary": "HX-Request", "cache-control": "no-cache"}
    if reply.attachment:
        headers["content-disposition"] = f'attachment; filename="{reply.attachment}"'
    return Response(reply.body, reply.status, headers, reply.media)


def _unanswered(
    task: Task, words: str, status: int, headers: dict[str, str] | None = None
) -> Response:
    """Why there is no answer, in the form in which one was asked for."""
    if task.form in ("json", "columns"):
        return JSONResponse({"error": words, "field": ""}, status, headers)
    if task.form == "fragment":
        said = f'<p class="refused" role="alert">{escape(words)}</p>'
        return HTMLResponse(said, status, headers)
    return PlainTextResponse(f"{words}\n", status, headers)


async def _told(answers: Answers, name: str) -> AsyncIterator[str]:
    """How far a question is, each time that this changes, until it is answered."""
    before = None
    while name in answers.progress:
        words = answers.progress[name]
        if words != before:
            yield f"data: {' '.join(words.splitlines())}\n\n"
        before = words
        await asyncio.sleep(PAUSE)
    yield "event: end\ndata:\n\n"


async def _gone(request: Request) -> None:
    """Wait until whoever asked has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def task_of(request: Request) -> Task:
    """What a request asks."""
    path = "/" + request.path_params["path"].strip("/")
    query = tuple((str(name), str(value)) for name, value in request.query_params.multi_items())
    form: Form = "fragment" if request.headers.get("hx-request") else "page"
    for ending, other in ENDINGS.items():
        if path.endswith(ending):
            path, form = path.removesuffix(ending), other
    if path == API:  # its examples name the server
        query = (("host", request.headers["host"]),)
    return Task(path=path, query=query, form=form)

"""One task answered: the command is asked, and its answer becomes a page, or JSON."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

import msgspec

from clusterwright.cli import ask
from clusterwright.cli.answers import Answer, as_json
from clusterwright.errors import CatalogueError, ClusterwrightError
from clusterwright.web.asking import Query, command_of, field_of, words_of
from clusterwright.web.drawing import draw
from clusterwright.web.page import Asked, Page
from clusterwright.web.pages import BY_PATH, HOME, OPENAPI
from clusterwright.web.pages_saved import GROUP as SAVED
from clusterwright.web.view import View, address
from clusterwright.web.wire import API, Reply, Task

HTML, JSON = "text/html; charset=utf-8", "application/json"
FILES = {
    "save": "plan_file",
    "zip": "launch_archive",
    "report": "report_file",
    "pdf": "report_pages",
}
"""What may be kept of an answer."""
DONE, NOT_THERE, REFUSED, BROKEN = 200, 404, 422, 500


def answer(task: Task) -> Reply:
    """Answer one task; whatever goes wrong becomes a reply in words."""
    reply = _replied(task)
    lasting = reply.status == DONE and _lasts(task)
    return msgspec.structs.replace(reply, lasting=lasting)


def _replied(task: Task) -> Reply:
    if task.path == HOME:
        return Reply(status=DONE, media=HTML, body=draw("home.html"))
    if task.path == API:
        return Reply(status=DONE, media=HTML, body=draw("api.html", host=said(task.query)["host"]))
    if task.path == OPENAPI and task.form == "json":
        document = import_module("clusterwright.web.openapi").document()
        return Reply(status=DONE, media=JSON, body=as_json(document))
    page = BY_PATH.get(task.path)
    if page is None:
        return _refusal(task, f"there is no page {task.path}", NOT_THERE)
    try:
        return _answer(task, page)
    except ClusterwrightError as error:
        status = BROKEN if isinstance(error, CatalogueError) else REFUSED
        return _refusal(task, str(error), status, page, field_of(page.form, error))
    except ModuleNotFoundError as error:
        words = f"this page needs {error.name!r}, which is not installed where it is served"
        return _refusal(task, words, REFUSED, page)
    except OSError as error:
        return _refusal(task, _unusable(error), REFUSED, page)
    except MemoryError:
        words = "this takes more memory than a page may: ask the command line, or for less"
        return _refusal(task, words, REFUSED, page)
    except Exception as error:  # a fault of ours must not look like an answer, nor stop the server
        logging.getLogger(__name__).exception("while answering %s", task.path)
        if named := _files_named(task.query):
            words = (
                f"{named[0]!r} cannot be shown: it was edited, or this is a fault of clusterwright "
                f"({type(error).__name__})"
            )
            return _refusal(task, words, REFUSED, page)
        return _refusal(task, "this is a fault of clusterwright, please report it", BROKEN, page)


def _unusable(error: OSError) -> str:
    """Why a file cannot be used; only files of the folder are called by their names."""
    name = str(error.filename or "")
    said = repr(name) if name and not Path(name).is_absolute() else "a file"
    return f"cannot use {said}: {error.strerror or 'it cannot be read'}"


def _answer(task: Task, page: Page) -> Reply:
    words = words_of(page.form, task.query)
    asked = task.query or page.at_once or task.form == "json"
    found = _found(page, words, said(task.query)) if asked else None
    return _shown(task, page, words, found)


def _found(page: Page, words: Sequence[str], asked: dict[str, str]) -> Answer | None:
    """Ask the command, or what answers in its place."""
    if not page.source:
        return ask(words)
    module, name = page.source.split(":")
    source = getattr(_module(f"clusterwright.web.{module}"), name)
    found: Answer = source(Asked(said=asked, words=tuple(words)))
    return found


def _shown(task: Task, page: Page, words: Sequence[str], found: Answer | None) -> Reply:
    """The answer as it was asked for."""
    if task.form == "json":
        value = None if found is None else found.value
        return Reply(status=DONE, media=JSON, body=as_json(value))
    if task.form == "columns":
        return _columns(task, page, found)
    if task.form in FILES:
        return _file(task, page, found)
    view = None if found is None else _view(page, found, said(task.query))
    command = "" if page.source else command_of(words)
    return _page(task, page, DONE, view=view, command=command)


def _lasts(task: Task) -> bool:
    """Whether an answer rests on no file, which may be another by the next time."""
    page = BY_PATH.get(task.path)
    if page is None or page.group == SAVED or (page.files and task.form == "page"):
        return False
    return not _files_named(task.query)


def _files_named(query: Query) -> list[str]:
    """What of a query is there as a file or a folder."""
    words = [word for _, value in query for word in (value.strip(), *value.split())]
    return [word for word in dict.fromkeys(words) if word and os.path.lexists(word)]


def _view(page: Page, found: Answer, asked: dict[str, str]) -> View:
    module, name = page.view.split(":")
    view: View = getattr(_module(f"clusterwright.web.views.{module}"), name)(found, asked)
    return view


@cache
def _module(name: str) -> object:
    return import_module(name)


def _columns(task: Task, page: Page, found: Answer | None) -> Reply:
    """The operations of a step that was played out, for the page's timeline."""
    from clusterwright.report.timeline_columns import timeline_columns
    from clusterwright.simulation.step import Played

    played = None if found is None else found.seen.get("played")
    if not isinstance(played, Played):
        return _refusal(task, f"{page.path} has no timeline", NOT_THERE, page)
    return Reply(status=DONE, media=JSON, body=as_json(timeline_columns(played)))


def _file(task: Task, page: Page, found: Answer | None) -> Reply:
    """What a person may keep of an answer; it is made here, and written nowhere."""
    make = getattr(_module("clusterwright.web.keeping"), FILES[task.form])
    kept = None if found is None else make(found)
    if kept is None:
        return _refusal(task, f"{page.path} has no file to keep", NOT_THERE, page)
    return Reply(status=DONE, media=kept.media, body=kept.body, attachment=kept.name)


def _refusal(
    task: Task, words: str, status: int, page: Page | None = None, field: str = ""
) -> Reply:
    """The same sentence as on the command line, beside the field that it is about."""
    if task.form in ("json", "columns"):
        body = as_json({"error": words, "field": field})
        return Reply(status=status, media=JSON, body=body)
    if page is None:
        return Reply(status=status, media=HTML, body=draw("lost.html", refused=words))
    return _page(task, page, status, refused=words, field=field)


def _page(
    task: Task,
    page: Page,
    status: int,
    *,
    view: View | None = None,
    command: str = "",
    refused: str = "",
    field: str = "",
) -> Reply:
    asked = said(task.query)
    body = draw(
        "answer.html" if task.form == "fragment" else "question.html",
        page=page,
        form=page.form,
        said=asked,
        view=view,
        command=command,
        refused=refused,
        field=field,
        data=address(f"{page.path}.json", asked),
    )
    return Reply(status=status, media=HTML, body=body)


def said(query: Query) -> dict[str, str]:
    """The query by field; several values of one stand behind each other, as they are typed.

    >>> said([("pin", "tp=8"), ("pin", "pp=2")])
    {'pin': 'tp=8 pp=2'}
    """
    found: dict[str, str] = {}
    for name, value in query:
        found[name] = f"{found[name]} {value}" if name in found else value
    return found

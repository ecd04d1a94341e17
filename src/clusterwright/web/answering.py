"""One task answered: the command is asked, and its answer becomes a page, or JSON."""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module

from clusterwright.cli import ask
from clusterwright.cli.answers import Answer, as_json
from clusterwright.errors import CatalogueError, ClusterwrightError, InfeasibleError
from clusterwright.report.timeline_columns import timeline_columns
from clusterwright.simulation.step import Played
from clusterwright.web.asking import command_of, field_of, words_of
from clusterwright.web.drawing import environment
from clusterwright.web.forms import Form, form_of
from clusterwright.web.pages import BY_PATH, PAGES, Page
from clusterwright.web.view import View, address
from clusterwright.web.wire import Reply, Task

HTML, JSON = "text/html; charset=utf-8", "application/json"
REFUSED, NOT_THERE, BROKEN = 422, 404, 500


def answer(task: Task) -> Reply:
    """Answer one task; whatever goes wrong becomes a reply in words."""
    page = BY_PATH.get(task.path)
    if page is None:
        return refusal(task, f"there is no page {task.path}", NOT_THERE)
    form = form_of(page.words, page.hidden)
    try:
        words = words_of(form, task.query)
        found = ask(words) if task.query else None
    except ClusterwrightError as error:
        status = BROKEN if isinstance(error, CatalogueError) else REFUSED
        return refusal(task, str(error), status, page, form, field_of(form, error))
    except Exception:  # a fault of ours must not look like an answer, nor stop the server
        logging.getLogger(__name__).exception("while answering %s", task.path)
        return refusal(task, "this is a fault of clusterwright, please report it", BROKEN, page)
    if task.form == "json":
        body = as_json(None if found is None else found.value)
        return Reply(status=200, media=JSON, body=body)
    if task.form == "columns":
        return _columns(task, page, found)
    return _page(task, page, form, found, words)


def _page(task: Task, page: Page, form: Form, found: Answer | None, words: list[str]) -> Reply:
    view = None if found is None else _view(page, found, task)
    text = _drawn(task, page, form, view=view, command=command_of(words))
    return Reply(status=200, media=HTML, body=text)


def _view(page: Page, found: Answer, task: Task) -> View:
    module, name = page.view.split(":")
    view: View = getattr(_module(module), name)(found, _said(task))
    return view


@cache
def _module(name: str) -> object:
    return import_module(f"clusterwright.web.views.{name}")


def refusal(
    task: Task,
    words: str,
    status: int,
    page: Page | None = None,
    form: Form | None = None,
    field: str = "",
) -> Reply:
    """The same sentence as on the command line, beside the field that it is about."""
    if task.form in ("json", "columns"):
        body = as_json({"error": words, "field": field})
        return Reply(status=status, media=JSON, body=body)
    if page is None:
        text = _drawn_lost(words)
    else:
        form = form or form_of(page.words, page.hidden)
        text = _drawn(task, page, form, refused=words, field=field)
    return Reply(status=status, media=HTML, body=text)


def _drawn(
    task: Task,
    page: Page,
    form: Form,
    *,
    view: View | None = None,
    command: str = "",
    refused: str = "",
    field: str = "",
) -> bytes:
    template = "answer.html" if task.form == "fragment" else "question.html"
    said = _said(task)
    return _text(
        template,
        page=page,
        form=form,
        said=said,
        view=view,
        command=command,
        refused=refused,
        field=field,
        data=address(f"{page.path}.json", said),
    )


def _columns(task: Task, page: Page, found: Answer | None) -> Reply:
    """The operations of a step that was played out, for the page's timeline."""
    played = None if found is None else found.seen.get("played")
    if not isinstance(played, Played):
        return refusal(task, f"{page.path} has no timeline", NOT_THERE, page)
    try:
        body = as_json(timeline_columns(played))
    except ClusterwrightError as error:
        return refusal(task, str(error), REFUSED, page)
    return Reply(status=200, media=JSON, body=body)


def _said(task: Task) -> dict[str, str]:
    """The query by field; several values of one stand behind each other, as they are typed."""
    said: dict[str, str] = {}
    for name, value in task.query:
        said[name] = f"{said[name]} {value}" if name in said else value
    return said


def _drawn_lost(words: str) -> bytes:
    return _text("lost.html", refused=words)


def _text(template: str, **names: object) -> bytes:
    return environment().get_template(template).render(pages=PAGES, **names).encode()

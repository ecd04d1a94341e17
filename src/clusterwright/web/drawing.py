"""Templates, and what they may call."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from clusterwright import __version__
from clusterwright.cli.answers import as_json
from clusterwright.web.names import names_of
from clusterwright.web.page import Page
from clusterwright.web.pages import GROUPS, PAGES
from clusterwright.web.view import address


def draw(template: str, *, page: Page | None = None, **names: object) -> bytes:
    """Fill a template, as bytes that a browser reads."""
    here = {"here": page.path if page else "", "here_group": page.group if page else ""}
    filled = environment().get_template(template).render(page=page, **here, **names)
    return filled.encode()


@cache
def environment() -> Environment:
    """The templates; everything that is put into them is escaped."""
    made = Environment(
        loader=PackageLoader("clusterwright.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["data"] = data
    made.filters["digest"] = digest
    made.globals.update(
        address=address,
        names_of=names_of,
        files_of=files_of,
        pages=PAGES,
        groups=GROUPS,
        version=__version__,
    )
    return made


def files_of(kind: str) -> list[str]:
    """Files of the folder that is served which a field may name."""
    from clusterwright.web.folder import names_in  # few pages ask for it, and it loads much

    return names_in(Path(), kind)


def data(value: object) -> Markup:
    """JSON that may stand inside of a page: nothing in it can end the element around it.

    >>> "<" in data({"name": "</script>"})
    False
    """
    text = as_json(value).decode()  # what is no number becomes null
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return Markup(safe)  # noqa: S704 - the line above makes it safe


def digest(text: str) -> str:
    """A short name of a text, another for every other.

    >>> digest("a") == digest("a"), digest("a") == digest("b")
    (True, False)
    """
    return hashlib.sha256(text.encode()).hexdigest()[:12]

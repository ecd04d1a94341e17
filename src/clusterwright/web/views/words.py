"""What is shown of answers that have no picture: their words."""

from __future__ import annotations

from collections.abc import Mapping

from clusterwright.cli.answers import Answer
from clusterwright.web.view import View, view_of


def plain(found: Answer, said: Mapping[str, str]) -> View:  # noqa: ARG001 - as all views are called
    """The words alone."""
    return view_of(found)

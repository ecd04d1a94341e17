"""What is shown of answers that nobody drew yet: their words."""

from __future__ import annotations

from collections.abc import Mapping

from clusterwright.cli.answers import Answer
from clusterwright.web.view import View


def plain(found: Answer, said: Mapping[str, str]) -> View:
    """The words alone."""
    return View(title="Answer")

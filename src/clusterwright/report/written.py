"""Pages of Markdown of which a command writes parts, and a person the rest.

A generated part stands between two comments, so that what a person writes around it stays::

    <!-- generate written sources -->
    <!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from clusterwright.records import Record

RESULTS = "results.json"
"""The results as a file of a line for each run, beside a page's pictures."""
PART = re.compile(
    r"(?P<head><!-- generate written (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end -->)", re.DOTALL
)


class Page(Record, frozen=True, kw_only=True):
    """Generated parts by name, in their order, and pictures by the name of their file.

    ``name``: of its file, without ending. ``title``: its heading, ``heads``: those of its parts,
    where the page is not there yet.
    """

    name: str
    title: str
    heads: Mapping[str, str]
    parts: dict[str, str]
    pictures: dict[str, str]

    def write(self, folder: Path) -> None:
        """Renew the parts of a page, or begin one, and write the pictures beside it."""
        file = folder / f"{self.name}.md"
        beside = folder / self.name
        beside.mkdir(parents=True, exist_ok=True)
        old = file.read_text(encoding="utf-8") if file.is_file() else self._blank()
        file.write_text(renewed(old, self.parts), encoding="utf-8")
        for name, picture in self.pictures.items():
            (beside / name).write_text(picture, encoding="utf-8")

    def _blank(self) -> str:
        """Return a page with room for every part."""
        blocks = [
            f"## {self.heads[name]}\n\n<!-- generate written {name} -->\n<!-- end -->\n"
            for name in self.parts
        ]
        return "\n".join([f"# {self.title}\n", *blocks])


def renewed(text: str, fresh: Mapping[str, str]) -> str:
    """Return a page with the parts that it asks for made anew; others stay as they are."""

    def part(match: re.Match[str]) -> str:
        if match["name"] not in fresh:
            return match[0]
        return match["head"] + fresh[match["name"]].rstrip("\n") + "\n" + match["tail"]

    return PART.sub(part, text)


def table(header: Iterable[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Make a Markdown table; figures, after the first ``left`` columns, stand to the right."""
    names = list(header)
    marks = ["---" if place < left else "--:" for place in range(len(names))]
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in [names, marks, *body])


def spaced(text: str) -> str:
    """Return text with a space before each per cent sign.

    >>> spaced("5% of 7%")
    '5 % of 7 %'
    """
    return text.replace("%", " %")

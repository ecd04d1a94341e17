"""What tests of pictures share: a walk over a specification, and drawing it as files do."""

from __future__ import annotations

import re

import pytest

from clusterwright.report.pictures.theme import MOST_ROWS, SCHEMA, dressed

COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|(rgb|hsl)a?\(.*")


def walk(part):
    """Yield every value of a specification that is no list and no object."""
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list | tuple):
        for one in part:
            yield from walk(one)
    else:
        yield part


def rows_of(spec, **wanted):
    """Return the rows that have these values."""
    rows = spec["data"]["values"]
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def check(spec):
    """Check what holds of each picture, and that it draws in both themes on a wall and a phone."""
    assert spec["$schema"] == SCHEMA
    assert spec["width"] == "container"
    assert isinstance(spec["height"], int | float)
    assert spec["description"].endswith(".")
    assert any(digit in spec["description"] for digit in "0123456789")
    assert 0 < len(spec["data"]["values"]) <= MOST_ROWS
    assert not [one for one in walk(spec) if isinstance(one, str) and COLOUR.fullmatch(one)]
    draw = pytest.importorskip("vl_convert").vegalite_to_svg
    for dark in (False, True):
        for width in (1000, 340):
            svg = draw(dressed(spec, dark=dark, width=width))
            wide, high = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
            assert wide == width
            assert high >= spec["height"]
            assert "NaN" not in svg
            assert "undefined" not in svg

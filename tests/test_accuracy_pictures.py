"""Pictures of predictions against measurements: structure, escaping, and what no axis can hold."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.report import drawing
from clusterwright.report.scatter import (
    MOST_POINTS,
    ErrorRow,
    Pair,
    Panel,
    error_chart,
    scatter,
    sheet,
    thinned,
)

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)


def panel(*pairs: tuple[float, float], title: str = "made") -> Panel:
    return Panel(title=title, subtitle="few runs", pairs=tuple(Pair(*p) for p in pairs))


def number_of_dots(root: ET.Element, kind: str = "dots") -> int:
    """Dots of a kind; the key shows one of each."""
    paths = [p for p in root.iter(f"{SVG}path") if p.get("class") == kind]
    return sum(p.get("d", "").count("h0") for p in paths) - 1


def coordinates(root: ET.Element) -> list[float]:
    steps = "".join(p.get("d", "") for p in root.iter(f"{SVG}path"))
    return [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?", steps.replace("h0", " "))]


def words(root: ET.Element) -> list[str]:
    return [t.text or "" for t in root.iter(f"{SVG}text")]


def test_a_picture_says_what_it_shows():
    root = parsed(scatter(panel((1.0, 1.05), title='A & "B" <c>')))
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title").text == 'A & "B" <c>'
    assert "10 % and 25 %" in root.find(f"{SVG}desc").text
    assert {e.get("id") for e in root if e.get("id")} == set(root.get("aria-labelledby").split())
    assert 'A & "B" <c>' in words(root)


def test_a_picture_has_both_schemes_and_fetches_nothing():
    picture = scatter(panel((1.0, 1.0)))
    assert "prefers-color-scheme:dark" in picture
    assert "href" not in picture
    assert "url(" not in picture


def test_runs_far_off_have_another_colour():
    root = parsed(scatter(panel((1.0, 1.0), (2.0, 2.4), (3.0, 1.0), (1.0, 1.3))))
    assert number_of_dots(root) == 2
    assert number_of_dots(root, "dots far") == 2


def test_a_right_prediction_lies_on_the_diagonal_inside_the_bands():
    root = parsed(scatter(panel((1.0, 1.0), (100.0, 100.0)), side=400.0))
    (diagonal,) = (p.get("d") for p in root.iter(f"{SVG}path") if p.get("class") == "one")
    x0, y0, x1, y1 = (float(v) for v in re.findall(r"[\d.]+", diagonal))
    assert (x1 - x0, y0 - y1) == (400.0, 400.0)
    dots = next(p for p in root.iter(f"{SVG}path") if p.get("class") == "dots")
    places = [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)h0", dots.get("d"))]
    assert all(x - x0 == pytest.approx(y0 - y, abs=0.11) for x, y in places[:2])


def test_bands_are_as_wide_as_they_say():
    side, low, high = 400.0, 1.0 / 1.25, 100.0 * 1.25
    root = parsed(scatter(panel((1.0, 1.0), (100.0, 100.0)), side=side))
    for kind, share in (("near", 0.10), ("wide", 0.25)):
        band = next(p for p in root.iter(f"{SVG}path") if p.get("class") == kind)
        corners = re.findall(r"([\d.]+) ([\d.]+)", band.get("d"))
        rise = float(corners[0][1]) - float(corners[1][1])
        wanted = side * math.log(1.0 + share) / math.log(high / low)
        assert rise == pytest.approx(wanted, abs=0.11)


def test_no_runs_are_no_error():
    assert "no runs" in words(parsed(scatter(panel())))
    assert "no runs to show" in words(parsed(sheet("none", [])))
    assert "no runs to show" in words(parsed(error_chart("none", [])))


@given(
    st.lists(
        st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 2),
        max_size=8,
    )
)
def test_whatever_the_values_every_coordinate_is_inside_the_picture(pairs):
    root = parsed(scatter(panel(*pairs)))
    assert all(math.isfinite(v) and -1.0 <= v <= 620.0 for v in coordinates(root))


def test_a_sheet_has_a_panel_each_in_order_and_grows_by_rows():
    one, many = (
        parsed(sheet("all", [panel((1.0, 1.0), title=f"p{i}") for i in range(n)])) for n in (4, 5)
    )
    shown = [w for w in words(many) if re.fullmatch(r"p\d", w)]
    assert shown == ["p0", "p1", "p2", "p3", "p4"]
    assert float(many.get("height")) > float(one.get("height"))
    assert many.get("width") == one.get("width")


def test_long_titles_are_broken_and_cut():
    name = "A name of a source that is much too long for the two lines that a panel of a sheet has"
    lines = [w for w in words(parsed(sheet("s", [panel((1.0, 1.0), title=name)]))) if w in name]
    assert lines
    assert any(w.endswith("…") for w in drawing.lines_of(name, 190.0, 2))
    assert len(drawing.lines_of(name, 190.0, 2)) == 2
    assert drawing.lines_of("", 190.0, 2) == [""]


def test_thinning_keeps_the_ends_and_drops_what_has_no_logarithm():
    pairs = [Pair(1.0, 1.0 + i / 1000) for i in range(1000)]
    kept = thinned(pairs)
    assert len(kept) == MOST_POINTS
    assert {min(pairs), max(pairs)} <= set(kept)
    assert kept == thinned(reversed(pairs))
    assert (
        thinned([Pair(0.0, 1.0), Pair(1.0, math.inf), Pair(1.0, math.nan), Pair(-1.0, 1.0)]) == []
    )


def test_thousands_of_runs_make_a_small_file():
    picture = scatter(panel(*[(1.0 + i / 7, 1.1 + i / 7) for i in range(5000)]))
    assert len(picture) < 12_000
    assert "few runs (300 drawn)" in words(parsed(picture))


def test_an_error_chart_has_a_line_for_each_source():
    rows = [
        ErrorRow(label="a & b", median=0.1, p90=0.3, flat=0.5),
        ErrorRow(label="far", median=0.2, p90=2.5, flat=9.0),
        ErrorRow(label="lost", median=math.inf, p90=math.nan, flat=0.0),
    ]
    root = parsed(error_chart("errors", rows))
    assert {"a & b", "far", "lost", "250 %", "∞"} <= set(words(root))
    places = [float(c.get("cx")) for c in root.iter(f"{SVG}circle")]
    assert all(0.0 <= x <= float(root.get("width")) for x in places)
    full = [float(c.get("cx")) for c in root.iter(f"{SVG}circle") if c.get("class") == "full"][1:]
    assert full == sorted(full)


@given(st.floats(min_value=1e-9, max_value=1e9), st.floats(min_value=1.5, max_value=1e6))
def test_ticks_are_few_and_between_the_bounds(low, factor):
    ticks = drawing.log_ticks(low, low * factor)
    assert 1 <= len(ticks) <= 5
    assert all(low <= tick <= low * factor for tick in ticks)
    assert ticks == sorted(set(ticks))

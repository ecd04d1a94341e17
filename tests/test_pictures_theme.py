"""The look of pictures: a palette that everybody can tell apart, and where colours come from."""

from __future__ import annotations

import itertools
import math

import pytest

from clusterwright.report.pictures.scales import unit_for
from clusterwright.report.pictures.theme import DARK, LIGHT, config, picture, style

# Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as people see it who lack a cone.
SIGHTS = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}  # fmt: skip
CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929), (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)  # fmt: skip
LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468), (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)  # fmt: skip


def linear(colour):
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def times(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def oklab(rgb):
    seen = [min(1.0, max(0.0, one)) for one in rgb]
    return times(LAB, [one ** (1 / 3) for one in times(CONES, seen)])


def contrast(one, other):
    lights = sorted(times(((0.2126, 0.7152, 0.0722),), linear(c))[0] + 0.05 for c in (one, other))
    return lights[1] / lights[0]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_colours_of_the_palette_can_be_told_apart(colours, sight):
    seen = [oklab(times(SIGHTS[sight], linear(colour))) for colour in colours.category]
    assert min(math.dist(*pair) for pair in itertools.combinations(seen, 2)) > 0.08


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_marks_and_words_stand_out_from_their_ground(colours):
    marks = (*colours.category, colours.quiet, colours.soft)
    assert min(contrast(one, colours.ground) for one in marks) > 1.95
    words = (colours.text, colours.muted, colours.good, colours.bad)
    assert min(contrast(one, colours.ground) for one in words) > 4.5


def test_both_themes_have_the_same_styles_and_ranges():
    light, dark = config(dark=False), config(dark=True)
    assert light["style"].keys() == dark["style"].keys()
    assert light["range"].keys() == dark["range"].keys()
    assert style("accent", "bar")["style"] in light["style"]


def test_a_height_by_step_counts_the_categories_and_what_lies_beside_each_other_in_them():
    rows = [{"a": name, "b": part} for name in "xyz" for part in "pq"]
    y = {"y": {"field": "a", "type": "nominal"}}
    beside = {**y, "yOffset": {"field": "b"}}
    for encoding, expected in ((y, 60.0), (beside, 120.0)):
        spec = picture(rows, height={"step": 20}, description="1.", mark="bar", encoding=encoding)
        assert spec["height"] == expected


@pytest.mark.parametrize(
    ("value", "dimension", "name"),
    [(5.5, "s", "s"), (0.4, "s", "ms"), (100.0, "s", "s"), (5e5, "s", "days"), (8e10, "B", "GiB"),
     (5.3e5, "USD", "k$"), (2e12, "J", "MWh"), (0.0, "W", "mW"), (3e-6, "s", "µs"),
     (4e-4, "USD/s", "$/h")],
)  # fmt: skip
def test_an_axis_takes_the_unit_in_which_its_largest_value_reads_best(value, dimension, name):
    assert unit_for([value, value / 100], dimension).name == name

"""Designs: how many rows, each by itself, and the indices of functions that are known."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep_cases import study_of

from clusterwright.sweep.asking import Answer, Chunk, chunks_of, columns_of
from clusterwright.sweep.designs import Table
from clusterwright.sweep.options import Option, number_of, written_of
from clusterwright.sweep.spreads import Spread
from clusterwright.sweep.store import Store
from clusterwright.sweep.study import Axis, Study
from clusterwright.sweep.summing import summed
from clusterwright.uncertain import Input, influences, interval_of

OPTIONS = ("accelerators", "tariff", "server_price", "failure_rate", "seq_len")
UNITS = {"tariff": "$/kWh", "server_price": "$", "failure_rate": "/d"}
DRAWN = {
    "rent": Spread(shape="even", dimension="USD/s", low=1.0, high=2.0),
    "duty": Spread(shape="peak", low=0.1, value=0.5, high=0.9),
    "carbon": Spread(shape="log", dimension="kg/J", low=1e-9, high=1e-6),
}


@st.composite
def studies(draw):
    sizes = draw(st.lists(st.integers(1, 4), max_size=3))
    axes = []
    for name, size in zip(draw(st.permutations(OPTIONS)), sizes, strict=False):
        values = [
            f"{value} {UNITS[name]}" if name in UNITS else value for value in range(1, size + 1)
        ]
        axes.append(
            Axis(name=name, cases=tuple({name: v} for v in values), labels=tuple(map(str, values)))
        )
    names = draw(st.lists(st.sampled_from(sorted(DRAWN)), unique=True))
    return Study(
        question="plan train",
        options={"model": "llama-3.1-8b"},
        axes=tuple(axes),
        uncertain={name: DRAWN[name] for name in names},
        design=draw(st.sampled_from(["sobol", "monte-carlo"])) if names else "grid",
        samples=draw(st.integers(2, 6)) if names else 0,
        seed=draw(st.integers(0, 3)),
    )


@given(studies())
def test_there_are_as_many_rows_as_the_sizes_multiply_to(study):
    k = len(study.uncertain)
    points = {"grid": 1, "monte-carlo": 1 + 2 * k + study.samples,
              "sobol": 1 + 2 * k + (k + 2) * study.samples}[study.design]  # fmt: skip
    table = Table(study)
    assert table.count == math.prod(len(axis.cases) for axis in study.axes) * points
    rows = [tuple(sorted(table.row(index).items())) for index in range(table.count)]
    cells = {tuple((n, v) for n, v in row if n not in study.uncertain) for row in rows}
    assert len(cells) == table.cells
    if study.design == "grid":
        assert len(set(rows)) == table.count


@given(studies(), st.data())
def test_a_row_by_itself_is_the_row_of_the_table(study, data):
    whole = Table(study)
    rows = [whole.row(index) for index in range(whole.count)]
    index = data.draw(st.integers(0, whole.count - 1))
    assert Table(study).row(index) == rows[index]


@given(studies())
def test_rows_that_share_a_plan_follow_one_another(study):
    table = Table(study)
    plans = [
        tuple(v for n, v in table.row(i).items() if n in ("accelerators", "seq_len"))
        for i in range(table.count)
    ]
    runs = 1 + sum(one != two for one, two in pairwise(plans))
    assert runs == len(set(plans))


@given(studies())
def test_points_of_a_design_are_what_they_are_called(study):
    table, k = Table(study), len(study.uncertain)
    if not k:
        return
    for place in range(k):
        low, high = table.point(1 + 2 * place), table.point(2 + 2 * place)
        assert (low.role, low.option, high.role, high.option) == ("low", place, "high", place)
    for role in ("ours", "others", "mixed") if study.design == "sobol" else ("ours",):
        found = [table.point(at) for at in table.within(role, k - 1)]
        assert [one.sample for one in found] == list(range(study.samples))
        assert {one.role for one in found} == {role}


@given(studies())
def test_a_mixed_point_differs_from_its_sample_in_one_option_alone(study):
    table = Table(study)
    if study.design != "sobol":
        return
    for option, name in enumerate(table.names):
        for sample, at in enumerate(table.within("mixed", option)):
            mixed = table.drawn(at)
            ours = table.drawn(table.within("ours")[sample])
            others = table.drawn(table.within("others")[sample])
            assert mixed == {**ours, name: others[name]}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=4), st.integers(1, 20))
def test_chunks_cover_what_is_left_once(gaps, size):
    at, runs = 0, []
    for skipped, length in gaps:
        runs.append((at + skipped, at + skipped + length))
        at += skipped + length
    rows = [row for first, end in runs for row in range(first, end)]
    chunks = chunks_of(runs, size)
    assert [row for one in chunks for row in range(one.first, one.first + one.rows)] == rows
    assert all(1 <= one.rows <= size for one in chunks)


@pytest.mark.parametrize(
    ("option", "dimension"),
    [
        (Option("quantity", "W"), "W"),
        (Option("quantity", "1/s"), "1/s"),
        (Option("quantity", "s"), "s"),
        (Option("quantity", "B/s"), "B/s"),
        (Option("quantity", "kg/J"), "kg/J"),
        (Option("quantity", "1"), "1"),
        (Option("money", "USD"), "USD"),
        (Option("money", "USD/s"), "USD/s"),
        (Option("money", "USD/J"), "USD/J"),
        (Option("money", "USD/W"), "USD/W"),
        (Option("share"), "1"),
        (Option("rate"), "1/s"),
    ],
)
@given(st.floats(1e-9, 1e12, exclude_max=True))  # a rate lies between: other loads never come
def test_a_drawn_number_is_read_as_the_very_same(option, dimension, number):
    from clusterwright.facts import shipped

    written = written_of(option, number, dimension)
    assert number_of(option, written, "it", shipped()) == number


@pytest.mark.parametrize("name", sorted(DRAWN))
@given(st.floats(0, 1), st.floats(0, 1))
def test_quantiles_rise_from_one_end_to_the_other(name, one, other):
    spread = DRAWN[name]
    low, high = sorted((one, other))
    slack = 1e-12 * spread.high
    assert spread.low - slack <= spread.quantile(low) <= spread.quantile(high) + slack
    assert spread.quantile(high) <= spread.high + slack


def test_choices_are_drawn_alike():
    spread = Spread(shape="choice", choices=("h100", "b200"))
    drawn = [spread.quantile(place) for place in np.linspace(0.0, 1.0, 101)]
    assert (drawn.count("h100"), drawn.count("b200")) == (50, 51)


def made_up(study, folder, function):
    """A store of the answers that a function of a row's numbers would give."""
    table = Table(study)
    store = Store(Path(folder) / "made-up.sqlite", study, table)
    names = columns_of(study)
    answers = []
    for row in range(table.count):
        case = table.row(row)
        numbers = {
            name: float(value) if isinstance(value, int | float) else float(value.split()[0])
            for name, value in case.items()
            if name != "model"
        }
        value = function(numbers)
        found = tuple(value if name == "cost" else None for name in names)
        status = "refused" if value is None else "answered"
        answers.append(Answer(row, status, found, why="" if value is not None else "no"))
    store.add(Chunk(0, table.count), answers)
    return store


def drawn_study(design, samples, **uncertain):
    return Study(
        question="plan train",
        options={"model": "llama-3.1-8b"},
        uncertain=uncertain,
        design=design,
        samples=samples,
        results=("cost",),
        least="cost",
    )


FLAT = Spread(shape="even", low=0.0, high=1.0)


def test_indices_of_a_sum_are_the_shares_of_variance(tmp_path):
    study = drawn_study("sobol", 4096, duty=FLAT, drawn=FLAT, contracts=FLAT)
    with made_up(study, tmp_path, lambda x: 3.0 * x["duty"] + x["drawn"]) as store:
        [moved] = summed(store).best[0].moved
    found = {one.name: one for one in moved.influences}
    for name, share in {"duty": 0.9, "drawn": 0.1, "contracts": 0.0}.items():
        assert found[name].first == pytest.approx(share, abs=0.02)
        assert found[name].total == pytest.approx(share, abs=0.02)
    assert [one.name for one in moved.swings] == ["duty", "drawn", "contracts"]
    assert moved.swings[0].high - moved.swings[0].low == pytest.approx(3.0 * 0.8)


def test_indices_agree_with_scipy_on_what_acts_together(tmp_path):
    from scipy.stats import sobol_indices, uniform

    def function(duty, drawn, contracts):
        return duty * drawn + 0.3 * contracts

    theirs = sobol_indices(
        func=lambda x: function(*x), n=4096, dists=[uniform()] * 3, rng=np.random.default_rng(1)
    )
    study = drawn_study("sobol", 4096, duty=FLAT, drawn=FLAT, contracts=FLAT)
    with made_up(study, tmp_path, lambda x: function(**x)) as store:
        [moved] = summed(store).best[0].moved
    found = {one.name: one for one in moved.influences}
    for place, name in enumerate(("duty", "drawn", "contracts")):
        assert found[name].first == pytest.approx(theirs.first_order[place], abs=0.03)
        assert found[name].total == pytest.approx(theirs.total_order[place], abs=0.03)


def test_indices_are_those_that_the_rest_of_the_house_computes(tmp_path):
    names = ("drawn", "duty")  # as the house orders them: by name
    one = Spread(shape="peak", low=0.1, value=0.3, high=0.9)

    def function(x):
        return x["duty"] ** 2 * x["drawn"]

    with made_up(
        drawn_study("sobol", 64, **dict.fromkeys(names, one)), tmp_path, function
    ) as store:
        [moved] = summed(store).best[0].moved
    inputs = dict.fromkeys(names, Input(value=0.3, low=0.1, high=0.9))
    theirs = influences(lambda x: {"y": function(x)}, inputs, "y", count=64, seed=0)
    for ours, other in zip(moved.influences, theirs, strict=True):
        assert ours.name == other.name
        assert ours.first == pytest.approx(other.first, rel=1e-9)
        assert ours.total == pytest.approx(other.total, rel=1e-9)


def test_indices_of_a_grid_are_exact(tmp_path):
    values = (1.0, 2.0, 3.0)
    axes = tuple(
        Axis(name=name, cases=tuple({name: value} for value in values), labels=("a", "b", "c"))
        for name in ("duty", "drawn")
    )
    study = Study(
        question="plan train", options={"model": "llama-3.1-8b"}, axes=axes, results=("cost",)
    )
    with made_up(study, tmp_path, lambda x: x["duty"] + 2.0 * x["drawn"]) as store:
        [moved] = summed(store).moved
    assert [(one.name, round(one.first, 12), round(one.total, 12)) for one in moved.influences] == [
        ("drawn", 0.8, 0.8),
        ("duty", 0.2, 0.2),
    ]


def test_samples_that_are_refused_in_part_are_left_out_and_that_is_said(tmp_path):
    study = drawn_study("sobol", 256, duty=FLAT, drawn=FLAT)
    wrong = lambda x: None if x["duty"] > 0.9 else x["duty"] + x["drawn"]  # noqa: E731
    with made_up(study, tmp_path, wrong) as store:
        found = summed(store)
    [moved] = found.best[0].moved
    assert "of 256 samples are left out: not answered in full" in moved.why_not
    assert found.refused > 0
    assert found.best[0].share < 1.0


def test_places_are_ranked_by_the_median_over_their_samples(tmp_path):
    axis = Axis(
        name="drawn", cases=tuple({"drawn": v} for v in (0.1, 0.9, 0.5)), labels=("a", "b", "c")
    )
    study = Study(
        question="plan train", options={"model": "llama-3.1-8b"}, axes=(axis,), most="cost",
        results=("cost",), uncertain={"duty": FLAT}, design="monte-carlo", samples=200,
    )  # fmt: skip
    with made_up(study, tmp_path, lambda x: x["drawn"] + 0.01 * x["duty"]) as store:
        best = summed(store).best
    assert [one.case["drawn"] for one in best] == [0.9, 0.5, 0.1]
    assert best[0].spreads["cost"].middle == pytest.approx(0.905, abs=1e-3)


def test_a_chunk_is_the_rows_that_share_a_plan(tmp_path):
    prices = ", ".join(f'"${price}/h"' for price in range(1, 1001))
    text = f"""question = "plan train"
[axes]
rent = [{prices}]
accelerators = [8, 16, 32]
"""
    table = Table(study_of(tmp_path, text))
    assert [axis.name for axis in table.axes] == ["accelerators", "rent"]
    assert table.usual_chunk == 125  # an eighth of them, that several workers have something to do


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=300))
def test_intervals_are_numpys_quantiles_to_the_last_bit(draws):
    with np.errstate(over="ignore", invalid="ignore"):
        low, middle, high = np.quantile(np.array(draws), (0.1, 0.5, 0.9))
        found = interval_of(np.array(draws))
    for ours, theirs in zip(
        (found.low, found.middle, found.high), (low, middle, high), strict=True
    ):
        assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))

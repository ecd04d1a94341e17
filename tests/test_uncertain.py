"""Intervals, tornadoes and Sobol' indices: against known answers and SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import InputError
from clusterwright.uncertain import (
    Input,
    draw,
    influences,
    interval_of,
    intervals_of,
    known,
    likely,
    tornado,
)

UNIT = Input(value=0.5, low=0.0, high=1.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_stay_within_and_rise(low, middle, high):
    low, middle, high = sorted((low, middle, high))
    one = Input(value=middle, low=low, high=high)
    at = one.quantile(np.linspace(0, 1, 21))
    assert at[0] == pytest.approx(low)
    assert at[10] == pytest.approx(middle)
    assert at[-1] == pytest.approx(high)
    assert np.all(np.diff(at) >= -1e-12)


def test_half_of_the_draws_lie_below_the_value():
    one = Input(value=2.0, low=1.0, high=10.0)
    drawn = draw({"a": one}, 1000)["a"]
    assert np.count_nonzero(drawn < 2.0) == 500
    assert drawn.min() >= 1.0
    assert drawn.max() <= 10.0


def test_draws_are_the_same_for_a_seed_and_certain_inputs_stay_numbers():
    inputs = {"a": UNIT, "b": known(3.0)}
    first, second, other = draw(inputs), draw(inputs), draw(inputs, seed=1)
    assert np.array_equal(first["a"], second["a"])
    assert not np.array_equal(first["a"], other["a"])
    assert first["b"] == 3.0
    assert likely(inputs) == {"a": 0.5, "b": 3.0}


def test_the_interval_of_a_certain_answer_is_the_answer():
    found = intervals_of(lambda given: {"twice": 2.0 * given["a"]}, {"a": known(4.0)})["twice"]
    assert (found.low, found.middle, found.high) == (8.0, 8.0, 8.0)
    assert interval_of(7.0).middle == 7.0


def test_a_tornado_lists_the_widest_first_and_certain_ones_never():
    inputs = {"small": UNIT, "large": UNIT, "none": known(1.0)}
    model = lambda given: {"sum": given["small"] - 10.0 * given["large"] + given["none"]}  # noqa: E731
    swings = tornado(model, inputs, "sum")
    assert [swing.name for swing in swings] == ["large", "small"]
    assert swings[0].low > swings[0].high  # more of it is less of the result
    with pytest.raises(InputError, match="no result called 'difference': one of sum"):
        tornado(model, inputs, "difference")


def test_influences_of_a_sum_are_the_shares_of_variance():
    inputs = {"a": UNIT, "b": UNIT, "c": known(5.0)}
    found = influences(lambda x: {"y": x["a"] + 2.0 * x["b"] + x["c"]}, inputs, "y", count=8192)
    assert [one.name for one in found] == ["b", "a"]
    assert found[0].first == pytest.approx(0.8, abs=0.03)
    assert found[1].total == pytest.approx(0.2, abs=0.03)


def test_influences_agree_with_scipy_on_what_acts_together():
    from scipy.stats import sobol_indices

    class Falling:
        def ppf(self, probability):
            return UNIT.quantile(probability)

    def product(x):
        return x[0] * x[1] + 0.3 * x[2]

    theirs = sobol_indices(
        func=product, n=8192, dists=[Falling()] * 3, rng=np.random.default_rng(1)
    )
    ours = influences(
        lambda x: {"y": x["a"] * x["b"] + 0.3 * x["c"]},
        {"a": UNIT, "b": UNIT, "c": UNIT},
        "y",
        count=8192,
    )
    by_name = {one.name: one for one in ours}
    for place, name in enumerate("abc"):
        assert by_name[name].first == pytest.approx(theirs.first_order[place], abs=0.03)
        assert by_name[name].total == pytest.approx(theirs.total_order[place], abs=0.03)


def test_a_result_that_nothing_moves_has_no_influences():
    assert influences(lambda _: {"y": 1.0}, {"a": UNIT}, "y")[0].total == 0.0

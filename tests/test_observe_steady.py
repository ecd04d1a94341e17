"""Which steps are a run's steady pace, and what others cost beside it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.observe.records import Mark, TrainingRun
from clusterwright.observe.steady import pace_of


def run_of(times, *, iterations=None, clock=None, marks=(), steps=None, skipped=None):
    count = len(times)
    none = (math.nan,) * count
    return TrainingRun(
        tool="Megatron-LM",
        iteration=tuple(iterations or range(1, count + 1)),
        steps=tuple(steps or (1,) * count),
        clock=tuple(clock or none),
        step_time=tuple(times),
        loss=none, device_rate=none, flops_rate=none, mfu=none, samples=none, sample_rate=none,
        power=none, memory=none, input_time=none, skipped=tuple(skipped or none),
        marks=tuple(marks),
    )  # fmt: skip


def test_warm_up_is_set_apart_and_counted():
    pace = pace_of(run_of([9.0, 3.0, 1.0, 1.01, 0.99, 1.0]))
    assert pace.median == 1.0
    assert pace.apart == {"warm-up": 2}
    assert pace.hiccups == 0.0


def test_single_slow_steps_are_spread_over_all():
    pace = pace_of(run_of([1.0] * 18 + [3.0] + [1.0]))
    assert pace.apart == {"slow": 1}
    assert pace.hiccups == pytest.approx(2.0 / 20)


def test_few_digits_are_no_reason_to_set_steps_apart():
    pace = pace_of(run_of([1.0, 1.0, 1.0, 1.05, 1.0, 1.0]))
    assert pace.apart == {}


def test_a_step_that_contains_a_checkpoint_is_set_apart_and_one_beside_it_is_not():
    marks = [Mark(kind="checkpoint", row=row, time=2.0) for row in (5, 10)]
    times = [1.0] * 15
    assert pace_of(run_of(times, marks=marks)).apart == {}
    times[5] = 3.0
    pace = pace_of(run_of(times, marks=marks))
    assert pace.apart == {"checkpoint": 1}
    assert pace.checkpoint_share == pytest.approx(4.0 / 15)


def test_a_checkpoint_without_a_time_is_measured_by_the_time_of_day():
    clock = [float(i) for i in range(10)] + [float(i) + 7.0 for i in range(10, 20)]
    marks = [Mark(kind="checkpoint", row=10)]
    pace = pace_of(run_of([1.0] * 20, clock=clock, marks=marks))
    assert pace.checkpoint_time == pytest.approx(7.0)


def test_a_restart_is_where_steps_go_back():
    iterations = [*range(1, 11), *range(6, 16)]
    clock = [float(i) for i in range(10)] + [100.0 + i for i in range(10)]
    pace = pace_of(run_of([1.0] * 20, iterations=iterations, clock=clock))
    (one,) = pace.restarts
    assert (one.reached, one.resumed, one.lost) == (10, 5, 5)
    assert one.down == pytest.approx(100.0 - 9.0 - 1.0)
    assert pace.steps == 15
    assert pace.restart_share == pytest.approx((5.0 + 90.0) / 15)


def test_a_restart_without_lost_steps_is_told_by_its_marks():
    marks = [Mark(kind="load", row=5, iteration=5)]
    pace = pace_of(run_of([1.0] * 10, marks=marks, clock=[*range(5), *range(55, 60)]))
    assert [one.lost for one in pace.restarts] == [0]
    assert pace.restarts[0].down == pytest.approx(50.0)


def test_a_run_that_slows_down_says_by_how_much():
    pace = pace_of(run_of([1.0 + 0.002 * i for i in range(40)]))
    assert pace.drift == pytest.approx(0.06, abs=0.01)


def test_skipped_steps_are_a_share():
    pace = pace_of(run_of([1.0] * 10, skipped=[1.0, 1.0] + [0.0] * 8))
    assert pace.skipped == pytest.approx(0.2)


@given(st.lists(st.floats(0.5, 100.0), min_size=1, max_size=40))
def test_the_pace_lies_within_the_times_and_every_row_is_accounted_for(times):
    pace = pace_of(run_of(times))
    assert min(times) <= pace.low <= pace.median <= pace.high <= max(times)
    assert len(pace.rows) + sum(pace.apart.values()) == len(times) or not pace.apart
    assert pace.hiccups >= 0.0

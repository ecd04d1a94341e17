"""Regret: what our pick among measured strategies really cost."""

from __future__ import annotations

import pytest

from clusterwright.validation.choosing import as_lines, contests_of
from clusterwright.validation.scoring import Result


def ran(name: str, measured: float, predicted: float, job: str = "one job") -> Result:
    return Result(
        id=name,
        source="a sweep",
        metric="step_time_s",
        status="ok",
        accelerator="chip",
        job=job,
        measured_value=measured,
        measured_time=measured,
        predicted_time=predicted,
    )


def test_the_pick_is_judged_by_what_it_really_took():
    runs = [ran("a", 1.0, 3.0), ran("b", 1.1, 2.0), ran("c", 2.0, 5.0), ran("d", 3.0, 6.0)]
    (contest,) = contests_of(runs)
    assert (contest.pick, contest.best, contest.entrants) == ("b", "a", 4)
    assert contest.regret == pytest.approx(0.1)


def test_few_strategies_are_no_contest_and_jobs_do_not_mix():
    three = [ran("a", 1.0, 1.0), ran("b", 2.0, 2.0), ran("c", 3.0, 3.0)]
    assert contests_of([*three, ran("d", 0.1, 9.0, job="another")]) == ()


def test_every_source_gets_a_line():
    runs = [ran(str(i), 1.0 + i, 1.0 + i, job=f"job {i % 2}") for i in range(10)]
    (line,) = as_lines(contests_of(runs))
    assert "10 measured strategies of 2 jobs (a sweep)" in line
    assert "0.0 % at worst" in line

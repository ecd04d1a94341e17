"""Intervals are set from like runs, and hold as many others as they say."""

from __future__ import annotations

import math
import tomllib

import msgspec
import numpy as np
import pytest

from clusterwright import Strategy, ask_training
from clusterwright.calibrate.intervals import (
    Residual,
    check_enough,
    coverage_of,
    cross_validated,
    intervals_from,
    unseen_sources,
)
from clusterwright.calibrate.recording import intervals_as_text, intervals_as_toml
from clusterwright.errors import CatalogueError, InputError
from clusterwright.planner import evaluator_of
from clusterwright.training.estimate import estimate_with
from clusterwright.training.intervals import Circumstances, IntervalGroup, Intervals


def like(software="one", chip="measured", kind="dense", scale="nodes") -> Circumstances:
    return Circumstances(software=software, chip=chip, kind=kind, scale=scale)


def residuals(count, spread, *, source="a", seed=0, **circumstances) -> list[Residual]:
    draws = np.random.default_rng(seed).normal(0.0, spread, count)
    return [
        Residual(
            id=f"{source}-{i}",
            source=f"{source}{i % 4}",
            log_ratio=float(draw),
            circumstances=like(**circumstances),
        )
        for i, draw in enumerate(draws)
    ]


def test_the_particular_comes_before_the_general():
    wide = IntervalGroup(low=0.5, high=2.0)
    narrow = IntervalGroup(low=0.9, high=1.1, software="one")
    found = Intervals(groups=(narrow, wide))
    assert found.group_for(like("one")) is narrow
    assert found.group_for(like("two")) is wide
    assert found.of_software("two").groups == (wide,)


def test_the_spread_of_a_framework_is_its_own():
    rows = residuals(200, 0.02, software="steady") + residuals(200, 0.3, software="wild", seed=1)
    found = intervals_from(rows)
    steady = found.group_for(like("steady"))
    wild = found.group_for(like("wild"))
    unknown = found.group_for(like("never seen"))
    assert steady.high / steady.low < 1.1
    assert wild.high / wild.low > 1.8
    assert steady.high / steady.low < unknown.high / unknown.low < wild.high / wild.low


@pytest.mark.parametrize("spread", [0.05, 0.4])
def test_intervals_hold_what_they_say_of_runs_they_were_not_set_from(spread):
    held = cross_validated(residuals(600, spread))
    assert held.rows == pytest.approx(0.8, abs=0.05)
    assert held.sources == pytest.approx(0.8, abs=0.05)


def test_a_source_unlike_all_others_is_not_held():
    steady = residuals(100, 0.02, source="steady")
    odd = [
        Residual(id=f"odd-{i}", source="odd", log_ratio=1.0, circumstances=like("unlike"))
        for i in range(25)
    ]
    # Four steady sources hold each other; the odd one is held by none of them.
    assert unseen_sources([*steady, *odd]).sources == pytest.approx(0.8 * 4 / 5, abs=0.1)


def test_a_sweep_does_not_speak_for_everybody():
    few = [
        Residual(id=f"f{i}", source=f"s{i % 5}", log_ratio=0.3, circumstances=like())
        for i in range(25)
    ]
    sweep = [
        Residual(id=f"w{i}", source="sweep", log_ratio=0.0, circumstances=like())
        for i in range(100)
    ]
    assert intervals_from([*few, *sweep]).group_for(like()).high == pytest.approx(
        math.exp(0.3), rel=0.01
    )


def test_an_estimate_says_whose_runs_it_resembles():
    question = ask_training("llama-3.1-8b", accelerator="h100", accelerators=64)
    group = IntervalGroup(low=0.9, high=1.3, kind="dense", scale="nodes", rows=30, sources=4)
    other = IntervalGroup(low=0.5, high=2.0)
    found = estimate_with(
        evaluator_of(question), Strategy(tp=8, dp=8), intervals=Intervals(groups=(group, other))
    )
    assert found.likeness is group
    low, high = found.step_time_interval
    assert (low / found.step_time, high / found.step_time) == pytest.approx((0.9, 1.3))


def test_the_table_reads_back_and_says_what_it_holds():
    found = intervals_from(residuals(60, 0.1))
    toml = intervals_as_toml(found, source='my "runs".csv', checked="2026-11-22")
    read = tomllib.loads(toml)["settings"][0]
    assert read["source"] == 'my "runs".csv'
    assert [group["rows"] for group in read["groups"]] == [g.rows for g in found.groups]
    text = intervals_as_text(found, {"by fifths": cross_validated(residuals(60, 0.1))})
    assert "80 % intervals hold" in text
    assert "all" in text


def test_a_few_runs_set_no_interval():
    with pytest.raises(InputError, match="19 runs with a complete configuration are too few"):
        check_enough(residuals(19, 0.1))
    check_enough(residuals(20, 0.1))


def test_runs_of_one_source_say_nothing_of_others():
    own = [msgspec.structs.replace(r, source="mine") for r in residuals(40, 0.1)]
    assert coverage_of(own) == {}
    assert "unknown: that takes 3 sources" in intervals_as_text(intervals_from(own), {})
    assert len(coverage_of(residuals(40, 0.1))) == 2


def test_a_file_of_intervals_that_breaks_is_refused_with_the_mend():
    with pytest.raises(CatalogueError, match=r"low 1\.9 and high 1\.1 are no interval"):
        IntervalGroup(low=1.9, high=1.1)
    sparse = Intervals(groups=(IntervalGroup(low=0.9, high=1.1, kind="sparse"),))
    with pytest.raises(CatalogueError, match="add a last one that has no software"):
        sparse.group_for(like(kind="dense"))

"""Power over time: all racks at once against one by one, and what smooths it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.engines.power_trace import (
    WINDOWS,
    Pause,
    Phase,
    Racks,
    Store,
    Trace,
    burned,
    stored,
    trace_power,
)
from clusterwright.errors import InputError

BUSY, WAITING = 130e3, 60e3
PHASES = (Phase(duration=1.5, power=BUSY), Phase(duration=0.5, power=WAITING))
HALL = Racks(count=1389, phases=PHASES, jitter=0.02, spread=0.01)
"""100,000 accelerators, 72 to a rack; a quarter of each iteration waits for the network."""


def test_a_hundred_thousand_swing_by_97_megawatts():
    trace = trace_power([HALL], 60.0)
    assert trace.swing == pytest.approx(97e6, rel=0.01)
    assert trace.frequency == pytest.approx(0.5)
    assert trace.mean == pytest.approx(1389 * (0.75 * BUSY + 0.25 * WAITING), rel=0.002)
    peaks = [trace.percentile(window) for window in WINDOWS]
    assert peaks[0] == pytest.approx(1389 * BUSY, rel=0.005)
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[-1] == pytest.approx(trace.mean, rel=1e-3)


def rack_by_rack(racks: Racks, duration: float, step: float, fine: int) -> np.ndarray:
    """Each rack by small steps, with the offsets and weights that the engine draws."""
    random = np.random.default_rng(0)
    late = np.rint(random.normal(0.0, racks.jitter, racks.count) / step) * step
    weight = random.normal(1.0, racks.spread, racks.count)
    period = sum(one.duration for one in racks.phases)
    edges = np.cumsum([one.duration for one in racks.phases])
    powers = np.array([one.power for one in racks.phases])
    samples = round(duration / step)
    lead = 20 * round(period / step)
    level, found = np.full(racks.count, powers[0]), []
    kept = math.exp(-step / fine / racks.lag)
    for index in range(-lead * fine, samples * fine):
        if index >= 0 and index % fine == 0:
            found.append(float((weight * level).sum()))
        place = ((index + 0.5) * step / fine - late) % period
        target = powers[np.searchsorted(edges, place, side="right")]
        level = target + (level - target) * kept
    return np.array(found) + racks.base


def test_one_convolution_is_every_rack_by_itself():
    racks = Racks(
        count=7,
        phases=(Phase(duration=0.03, power=9.0), Phase(duration=0.02, power=3.0)),
        jitter=0.01,
        spread=0.1,
        lag=0.01,
        base=5.0,
    )
    trace = trace_power([racks], 0.2, step=1e-3)
    assert trace.power == pytest.approx(rack_by_rack(racks, 0.2, 1e-3, 10), rel=1e-9)


def test_groups_add_up_and_traces_are_deterministic():
    one = trace_power([HALL], 5.0, seed=4)
    assert np.array_equal(one.power, trace_power([HALL], 5.0, seed=4).power)
    assert not np.array_equal(one.power, trace_power([HALL], 5.0, seed=5).power)
    still = Racks(count=3, phases=(Phase(duration=1.0, power=7.0),), base=4.0)
    flat = trace_power([still, still], 3.0)
    assert flat.power == pytest.approx(2 * (21.0 + 4.0))
    assert (flat.frequency, flat.largest_ramp) == (0.0, pytest.approx(0.0, abs=1e-6))


def test_jitter_softens_the_edges():
    sharp, soft = (
        trace_power([Racks(count=1389, phases=PHASES, jitter=jitter)], 20.0)
        for jitter in (0.0, 0.05)
    )
    assert soft.largest_ramp < 0.2 * sharp.largest_ramp
    # All racks, first-order, 5 ms: the first millisecond has 1 - exp(-1/5) of the edge.
    edge = 1389 * (BUSY - WAITING) * -math.expm1(-0.2) / 1e-3
    assert sharp.largest_ramp == pytest.approx(edge, rel=1e-3)


def test_a_checkpoint_and_a_stop_of_all():
    pauses = [
        Pause(start=10.0, duration=5.0, power=40e3),
        Pause(start=41.0, duration=math.inf, power=20e3),
    ]
    trace = trace_power([HALL], 60.0, pauses=pauses)
    at = {time: trace.power[round(time * 1000)] / 1389 for time in (9.0, 12.5, 16.0, 17.5, 50.0)}
    assert at == pytest.approx(
        {9.0: BUSY, 12.5: 40e3, 16.0: BUSY, 17.5: BUSY, 50.0: 20e3}, rel=0.01
    )
    # The iteration goes on where it was: 10 s are whole ones, so the next wait is at 16.5 s.
    assert trace.power[16_750] / 1389 == pytest.approx(WAITING, rel=0.01)


def test_what_burns_neither_falls_far_nor_fast():
    trace = trace_power([HALL], 20.0)
    floor, fall = 1389 * 90e3, 20e6
    found = burned(trace, floor=floor, fall=fall)
    assert (found.power >= trace.power - 1e-3).all()
    assert (found.power >= floor).all()
    assert np.diff(found.power).min() >= -fall * 1e-3 * (1 + 1e-6)
    assert found.mean > trace.mean
    assert np.array_equal(burned(trace).power, trace.power)


def test_little_storage_is_no_help_at_the_iteration():
    # 65 J an accelerator against 35 kJ a rack: what ENGINES calls for edges, not for iterations.
    trace = trace_power([HALL], 60.0)
    little = Store(energy=1389 * 72 * 65.0, power=1389 * 1e5, time=2.0, ramp=1389 * 5e3)
    ample = Store(energy=1389 * 2e5, power=1389 * 1e5, time=2.0)
    assert stored(trace, little)[0].after(30.0).swing > 0.95 * trace.swing
    assert stored(trace, ample)[0].after(30.0).swing < 0.25 * trace.swing


@given(st.floats(1e3, 1e9), st.floats(1e3, 1e8), st.floats(0.02, 10.0), st.floats(1e5, 1e9))
def test_storage_keeps_its_energy(energy, power, time, ramp):
    trace = trace_power([HALL], 4.0, step=0.01)
    store = Store(energy=energy, power=power, time=time, ramp=ramp)
    grid, held = stored(trace, store, compile_loop=False)
    given_up = ((trace.power - grid.power) * 0.01).sum()
    assert given_up == pytest.approx(energy / 2 - held[-1], abs=1e-6 * (energy + 1e9))
    assert (held >= -1e-6 * energy).all()
    assert (held <= energy * (1 + 1e-6)).all()
    assert np.abs(trace.power - grid.power).max() <= power * (1 + 1e-9)


def test_compiled_and_plain_storage_are_the_same():
    trace = trace_power([HALL], 4.0)
    store = Store(energy=1e7, power=1e8, time=1.0, ramp=1e7)
    plain, quick = (stored(trace, store, compile_loop=one) for one in (False, True))
    assert np.array_equal(plain[0].power, quick[0].power)
    assert np.array_equal(plain[1], quick[1])


def test_a_percentile_of_a_short_trace_is_its_mean():
    trace = Trace(step=1.0, power=np.array([1.0, 3.0]))
    assert trace.percentile(60.0) == 2.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"duration": 0.0}, "give a longer one"),
        ({"duration": 1e9}, "give at most"),
        ({"racks": [Racks(count=0, phases=PHASES)]}, "one or more"),
        ({"racks": [Racks(count=1, phases=())]}, "needs phases"),
        ({"racks": [Racks(count=1, phases=(Phase(duration=1e-6, power=1.0),))]}, "shorter steps"),
        ({"racks": [Racks(count=1, phases=(Phase(duration=1.0, power=-1.0),))]}, "negative power"),
        ({"racks": [Racks(count=1, phases=PHASES, jitter=-1.0)]}, "not negative"),
        (
            {"pauses": [Pause(start=s, duration=5.0, power=1.0) for s in (1.0, 3.0)]},
            "give them in order",
        ),
    ],
)
def test_a_timeline_that_cannot_be_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        trace_power(**{"racks": [HALL], "duration": 1.0, **change})


def test_a_storage_of_nothing_is_refused():
    with pytest.raises(InputError, match="above zero"):
        stored(trace_power([HALL], 1.0), Store(energy=0.0, power=1.0, time=1.0))

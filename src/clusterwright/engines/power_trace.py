"""Power over time of a job whose accelerators all do the same at once, and what smooths it.

An iteration is a row of phases of constant power. Racks run through it together, each a little
early or late and a little above or below the mean. Power follows its target as a first-order lag,
which is linear: so one rack is computed exactly, phase by phase, and all racks are its copies,
shifted and added up by one convolution. No rack is left out and none is computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clusterwright.engines.compiled import compiled, should_compile
from clusterwright.errors import InputError

Array = Any

WINDOWS = (0.02, 1.0, 60.0)
"""Over which a percentile of power is taken: a supply's hold-up, a feeder, a meter. [s]"""
WHOLE_STEPS = 2_000_000
"""Most samples of one trace; more are a mistyped unit sooner than a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of an iteration.

    Parameters
    ----------
    duration
        Its length. [s]
    power
        Of one rack in it. [W]
    """

    duration: float
    power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A time in which all racks do something else: a checkpoint, a stop after a failure.

    Parameters
    ----------
    start
        When it begins; the iteration goes on after it where it was. [s]
    duration
        Its length, ``inf`` for a stop. [s]
    power
        Of one rack in it. [W]
    """

    start: float
    duration: float
    power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Racks:
    """Racks that run the same iteration.

    Parameters
    ----------
    count
        How many.
    phases
        Of one iteration.
    jitter
        Standard deviation of how early or late a rack is, constant for it. [s]
    spread
        Standard deviation of a rack's power over the mean of all. [1]
    lag
        Time constant with which a rack's power follows. [s]
    base
        What all of them, and what stands beside them, draw at any time. [W]
    """

    count: int
    phases: tuple[Phase, ...]
    jitter: float = 0.0
    spread: float = 0.0
    lag: float = 0.005
    base: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Energy storage between racks and the grid, as a whole.

    Parameters
    ----------
    energy
        It can hold. [J]
    power
        It can take or give at most. [W]
    time
        Time constant with which the grid's power follows the racks'. [s]
    ramp
        Fastest change of the grid's power while the storage can make up the difference. [W/s]
    """

    energy: float
    power: float
    time: float
    ramp: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Power at regular times.

    Parameters
    ----------
    step
        Time between two samples. [s]
    power
        At each of them, (samples,). [W]
    """

    step: float
    power: Array

    @property
    def times(self) -> Array:
        """When each sample is. [s]"""
        return np.arange(len(self.power)) * self.step

    @property
    def mean(self) -> float:
        """Mean power. [W]"""
        return float(self.power.mean())

    @property
    def swing(self) -> float:
        """From the least to the most. [W]"""
        return float(np.ptp(self.power))

    @property
    def largest_ramp(self) -> float:
        """Fastest change from one sample to the next. [W/s]"""
        return float(np.abs(np.diff(self.power)).max(initial=0.0)) / self.step

    @property
    def frequency(self) -> float:
        """At which power swings most, 0 where it does not. [1/s]"""
        strength = np.abs(np.fft.rfft(self.power - self.mean))
        # What is left of a constant is rounding, and has no frequency.
        if len(strength) < 2 or strength.max() <= 1e-9 * abs(self.mean) * len(self.power):
            return 0.0
        return float(np.argmax(strength)) / (len(self.power) * self.step)

    def percentile(self, window: float, share: float = 0.999) -> float:
        """Mean power over a window that is exceeded for no more than the rest of the time. [W]"""
        width = min(max(round(window / self.step), 1), len(self.power))
        total = np.concatenate([[0.0], np.cumsum(self.power)])
        return float(np.quantile((total[width:] - total[:-width]) / width, share))

    def after(self, time: float) -> Trace:
        """What follows some time, without the start."""
        return replace(self, power=self.power[round(time / self.step) :])


def trace_power(
    racks: Sequence[Racks],
    duration: float,
    *,
    step: float = 1e-3,
    pauses: Sequence[Pause] = (),
    seed: int = 0,
) -> Trace:
    """Power of racks over time.

    Parameters
    ----------
    racks
        Groups of racks that run the same, all in step.
    duration
        How long. [s]
    step
        Between two samples. [s]
    pauses
        In which all do something else, in order of time.
    seed
        Of jitter and spread.

    Raises
    ------
    InputError
        For a timeline that cannot be.

    Examples
    --------
    100,000 accelerators in 1,389 racks; for a quarter of each 2 s they wait for the network.

    >>> phases = (Phase(duration=1.5, power=130e3), Phase(duration=0.5, power=60e3))
    >>> trace = trace_power([Racks(count=1389, phases=phases, jitter=0.02)], 60.0)
    >>> round(trace.swing / 1e6), round(trace.frequency, 2)
    (97, 0.5)
    """
    _check(racks, duration, step, pauses)
    random = np.random.default_rng(seed)
    samples = round(duration / step)
    total = np.zeros(samples)
    for group in racks:
        late = np.rint(random.normal(0.0, group.jitter, group.count) / step).astype(int)
        weight = random.normal(1.0, group.spread, group.count)
        first, last = int(late.min()), int(late.max())
        times = np.arange(-last, samples - first) * step
        one = _one_rack(group, times, pauses)
        copies = np.bincount(late - first, weights=weight)
        total += np.convolve(one, copies, mode="valid") + group.base
    return Trace(step=step, power=total)


def _one_rack(group: Racks, times: Array, pauses: Sequence[Pause]) -> Array:
    """Power of a rack that is neither early nor late at some times, in the midst of a long run."""
    starts, targets = _targets(group.phases, times[0], times[-1], pauses)
    if group.lag <= 0.0:
        return targets[np.searchsorted(starts, times, side="right") - 1]
    # Exact at the start of each target, then between.
    decay = np.exp(-np.diff(starts) / group.lag)
    levels = np.empty(len(starts))
    levels[0] = level = _settled(group)
    for index, (target, kept) in enumerate(zip(targets[:-1], decay, strict=True), start=1):
        level = target + (level - target) * kept
        levels[index] = level
    place = np.searchsorted(starts, times, side="right") - 1
    left = np.exp(-(times - starts[place]) / group.lag)
    return targets[place] + (levels[place] - targets[place]) * left


def _targets(
    phases: Sequence[Phase], first: float, last: float, pauses: Sequence[Pause]
) -> tuple[Array, Array]:
    """When each target power begins, whole iterations from before ``first`` on, and the targets."""
    period = sum(phase.duration for phase in phases)
    before = math.ceil(max(-first, 0.0) / period)
    paused = sum(pause.duration for pause in pauses if math.isfinite(pause.duration))
    count = before + math.ceil((last + paused) / period) + 1
    edges = np.cumsum([0.0, *(phase.duration for phase in phases)])[:-1]
    starts = (np.arange(-before, count)[:, None] * period + edges).ravel()
    targets = np.tile([float(phase.power) for phase in phases], before + count)
    for pause in pauses:
        index = int(np.searchsorted(starts, pause.start, side="right"))
        held = targets[index - 1]
        end = pause.start + pause.duration
        starts = np.concatenate(
            [starts[:index], [pause.start, end], starts[index:] + pause.duration]
        )
        targets = np.concatenate([targets[:index], [pause.power, held], targets[index:]])
    ahead = np.isfinite(starts)
    return starts[ahead], targets[ahead]


def _settled(group: Racks) -> float:
    """Power at the start of an iteration, after many of them."""
    level, kept = 0.0, 1.0
    for phase in group.phases:
        decay = math.exp(-phase.duration / group.lag)
        level = phase.power + (level - phase.power) * decay
        kept *= decay
    return level / (1.0 - kept)


def burned(trace: Trace, *, floor: float = 0.0, fall: float = math.inf) -> Trace:
    """A trace in which idle accelerators burn power, so that it neither drops far nor fast.

    Parameters
    ----------
    trace
        What is drawn without.
    floor
        Power below which it never falls. [W]
    fall
        Fastest fall. [W/s]
    """
    power = np.maximum(trace.power, floor)
    if math.isfinite(fall):
        slope = fall * trace.step * np.arange(len(power))
        power = np.maximum.accumulate(power + slope) - slope
    return replace(trace, power=power)


def stored(trace: Trace, store: Store, *, compile_loop: bool | None = None) -> tuple[Trace, Array]:
    """What the grid sees behind a storage, and the energy in it. [J]

    The storage begins half full and drifts back to that; empty or full, it no longer helps.
    """
    limits = (store.energy, store.power, store.time, store.ramp)
    if not all(one > 0.0 for one in limits):
        raise InputError("a storage needs energy, power, time constant and ramp above zero")
    power: Array = trace.power
    grid: Array = np.empty(len(power))
    energy: Array = np.empty(len(power))
    if should_compile(len(power), compile_loop):
        compiled(_store)(power, trace.step, limits, grid, energy)
    else:  # plain Python is quicker on lists
        grid, energy = grid.tolist(), energy.tolist()
        _store(power.tolist(), trace.step, limits, grid, energy)
    return replace(trace, power=np.asarray(grid)), np.asarray(energy)


def _store(
    power: Array, step: float, limits: tuple[float, float, float, float], grid: Array, energy: Array
) -> None:
    """Follow the load slowly, within the ramp; give and take the difference while there is any."""
    capacity, most, time, ramp = limits
    wanted, held = power[0], 0.5 * capacity
    for index in range(len(power)):
        load = power[index]
        # Towards the load, and towards half full twenty times as slowly.
        change = ((load - wanted) + (0.5 * capacity - held) / (20.0 * time)) * (step / time)
        wanted += max(min(change, ramp * step), -ramp * step)
        given = max(min(load - wanted, most), -most)
        given = max(min(given, held / step), (held - capacity) / step)
        held -= given * step
        grid[index] = load - given
        energy[index] = held


def _check(racks: Sequence[Racks], duration: float, step: float, pauses: Sequence[Pause]) -> None:
    if not 0.0 < step <= duration < math.inf:
        raise InputError(f"a trace of {duration:g} s in steps of {step:g} s: give a longer one")
    if duration / step > WHOLE_STEPS:
        raise InputError(
            f"{duration:g} s in steps of {step:g} s are {duration / step:.3g} samples: "
            f"give at most {WHOLE_STEPS:,}"
        )
    for group in racks:
        if group.count < 1:
            raise InputError(f"{group.count} racks: give one or more")
        if not group.phases or any(not 0.0 < one.duration < math.inf for one in group.phases):
            raise InputError("an iteration needs phases, each of a finite time above zero")
        period = sum(one.duration for one in group.phases)
        if period < step:
            raise InputError(
                f"an iteration of {period:g} s is shorter than the steps of {step:g} s: "
                f"give shorter steps"
            )
        if min(group.jitter, group.spread, group.lag, group.base) < 0.0:
            raise InputError("jitter, spread, lag and base power of racks are not negative")
        powers = [one.power for one in group.phases] + [one.power for one in pauses]
        if any(not 0.0 <= power < math.inf for power in powers):
            raise InputError("a phase or a pause draws a negative power: give zero or more")
    ends = 0.0
    for pause in pauses:
        if pause.start < ends or not pause.duration > 0.0:
            raise InputError(
                f"the pause at {pause.start:g} s begins before the one before it ends, or takes no "
                f"time: give them in order"
            )
        ends = pause.start + pause.duration

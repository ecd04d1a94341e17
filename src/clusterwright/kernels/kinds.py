"""The kinds of kernels that tables of measured times hold: one small module each, listed here.

A kind says which columns its table has, what a row must at least do (arithmetic and traffic, which
no chip does faster than its peaks), and how long its formula takes for it with parameters of the
catalogue. Fitting the parameters is the business of ``clusterwright.calibrate``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import TableError, nearest_names
from clusterwright.hardware import Accelerator
from clusterwright.kernels import decode, experts, gemm, latent, prefill
from clusterwright.kernels.columns import ENGINE, LATENCY, SYSTEM, Array, Table
from clusterwright.kernels.library import Branch


class KernelKind(NamedTuple):
    """One kind of kernel.

    ``numbers``: columns of the shape. ``words``: columns that say the precision. ``precision``:
    from their words to the catalogue's name. ``peak``: dense rate at it [FLOP/s]. ``work``: least
    FLOPs and least bytes of each row. ``features``: by which an engine may choose its kernel.
    ``times``: what the formula says of each row; ``usual_times``: what the generation's profile
    says where no engine was measured [s]. ``labels``: columns of words besides that it needs.
    ``prepare``: adds columns that are worth computing once for a table.
    """

    name: str
    numbers: tuple[str, ...]
    words: tuple[str, ...]
    precision: Callable[[tuple[str, ...]], str]
    peak: Callable[[Accelerator, str], float]
    work: Callable[[Table, str], tuple[Array, Array]]
    features: Callable[[Table], dict[str, Array]]
    times: Callable[[Table, Accelerator, str, Mapping[str, float]], Array]
    usual_times: Callable[[Table, Accelerator, str, EfficiencyProfile], Array]
    labels: tuple[str, ...] = ()
    prepare: Callable[[Table], Table] = lambda table: table

    def predict(
        self, table: Table, accelerator: Accelerator, precision: str, branches: Sequence[Branch]
    ) -> Array:
        """Return the time of each row by the branch that its shape falls in. [s]"""
        table = self.prepare(table)
        found = np.full(len(table), np.nan)
        features = self.features(table)
        for branch in branches:
            inside = inside_branch(features, branch)
            rows = table.where(inside)
            if len(rows):
                found[inside] = self.times(rows, accelerator, precision, branch.values)
        return found


def inside_branch(features: Mapping[str, Array], branch: Branch) -> Array:
    """Return a mask of the rows whose features lie within a branch's bounds."""
    inside = np.ones(len(next(iter(features.values()))), dtype=bool)
    for name, bound in branch.above.items():
        inside &= features[name] > bound
    for name, bound in branch.up_to.items():
        inside &= features[name] <= bound
    return inside


KINDS: dict[str, KernelKind] = {
    "gemm": KernelKind(
        name="gemm",
        numbers=gemm.NUMBERS,
        words=gemm.WORDS,
        precision=gemm.precision,
        peak=gemm.peak,
        work=gemm.work,
        features=gemm.features,
        times=gemm.times,
        usual_times=gemm.usual_times,
    ),
    "attention_prefill": KernelKind(
        name="attention_prefill",
        numbers=prefill.NUMBERS,
        words=prefill.WORDS,
        precision=prefill.precision,
        peak=prefill.peak,
        work=prefill.work,
        features=prefill.features,
        times=prefill.times,
        usual_times=prefill.usual_times,
    ),
    "attention_decode": KernelKind(
        name="attention_decode",
        numbers=decode.NUMBERS,
        words=decode.WORDS,
        precision=decode.precision,
        peak=decode.peak,
        work=decode.work,
        features=decode.features,
        times=decode.times,
        usual_times=decode.usual_times,
    ),
    "latent_decode": KernelKind(
        name="latent_decode",
        numbers=latent.NUMBERS,
        words=latent.WORDS,
        precision=latent.precision,
        peak=latent.peak,
        work=latent.work,
        features=latent.features,
        times=latent.times,
        usual_times=latent.usual_times,
    ),
    "experts": KernelKind(
        name="experts",
        numbers=experts.NUMBERS,
        words=experts.WORDS,
        precision=experts.precision,
        peak=experts.peak,
        work=experts.work,
        features=experts.features,
        times=experts.times,
        usual_times=experts.usual_times,
        labels=experts.LABELS,
        prepare=experts.prepared,
    ),
}
"""Every kind by its name: add one here, and its fit in ``clusterwright.calibrate.kinds``."""


def kind_named(name: str) -> KernelKind:
    """Return a kind by its name.

    Raises
    ------
    TableError
        There is none of that name.
    """
    if name not in KINDS:
        near = nearest_names(name, KINDS)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(KINDS)}"
        raise TableError(f"no kind of kernel called {name!r}: {hint}")
    return KINDS[name]


def kind_of_columns(names: tuple[str, ...]) -> KernelKind | None:
    """Return the kind whose columns a table has, the one with most of them; ``None``: no kind."""
    found = [kind for kind in KINDS.values() if not _missing(kind, names)]
    return max(found, key=lambda kind: len(kind.words) + len(kind.numbers), default=None)


def nearest_kind(names: tuple[str, ...]) -> tuple[KernelKind, tuple[str, ...]]:
    """Return the kind that a table lacks the fewest columns of, and those columns."""
    nearest = min(KINDS.values(), key=lambda kind: len(_missing(kind, names)))
    return nearest, _missing(nearest, names)


def _missing(kind: KernelKind, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns of a kind that a table does not have."""
    needed = (SYSTEM, ENGINE, LATENCY, *kind.words, *kind.labels, *kind.numbers)
    return tuple(name for name in needed if name not in names)

"""Measured kernels: one engine's kernels on one accelerator, as parameters of a formula.

A profile (``clusterwright.efficiency``) says what a generation of chips makes of its peaks; where
an engine's own kernels were measured on a chip, an entry of kind ``kernels`` says so more exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from clusterwright.efficiency import Evidence, record_of_entry
from clusterwright.hardware import Accelerator
from clusterwright.kernels.columns import Array, Table
from clusterwright.records import Record

FOLLOWS: dict[str, tuple[str, ...]] = {
    "fp16": ("bf16",),
    "bf16": ("fp16",),
    "fp8_block": ("fp8",),
    "mxfp8": ("fp8_block", "fp8"),
    "mxfp4": ("nvfp4",),
    "fp4": ("nvfp4",),
}
"""Precision → whose kernels stand in for it, nearest first."""
MOST_KEPT = 4096
"""Tables whose times are remembered; beyond them all are forgotten."""


class Branch(Record, frozen=True, kw_only=True):
    """Parameters for a box of shapes: engines run another kernel beyond some sizes.

    ``above``, ``up_to``: bounds by the name of a feature of the shape (rows, columns …), the lower
    one outside the box, the upper one inside; a feature without bounds is free. The branches of a
    fit fill the whole space and do not overlap.
    """

    values: dict[str, float]
    above: dict[str, float] = {}
    up_to: dict[str, float] = {}


class KernelFit(Record, frozen=True, kw_only=True):
    """Parameters of a kind's formula at one precision, and what they rest on."""

    branches: tuple[Branch, ...]
    evidence: Evidence


class Kernels(Record, frozen=True, kw_only=True):
    """One engine's kernels of one kind on one accelerator.

    ``profile``: the generation that the accelerator belongs to; its other chips borrow from here.
    """

    id: str
    name: str
    kind: str
    accelerator: str
    profile: str
    engine: str
    precisions: dict[str, KernelFit]
    engine_version: str = ""

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Kernels:
        """Build the record of a catalogue entry.

        Raises
        ------
        CatalogueError
            When a key is missing, unknown or of the wrong type; the message names it.
        """
        return record_of_entry(entry, cls, "kernels")

    def fit_for(self, precision: str) -> KernelFit | None:
        """Return the parameters of a precision or of its nearest stand-in; ``None``: neither."""
        for name in (precision, *FOLLOWS.get(precision, ())):
            if name in self.precisions:
                return self.precisions[name]
        return None


class KernelLibrary:
    """The measured kernels of a catalogue.

    Parameters
    ----------
    entries
        Of kind ``kernels``, as a catalogue holds them.
    """

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self._known: dict[tuple[str, str], list[Kernels]] = {}
        self._kept: dict[tuple[Hashable, ...], Array | None] = {}
        for entry in entries:
            one = Kernels.from_entry(entry)
            self._known.setdefault((one.kind, one.engine), []).append(one)

    def find(
        self, *, kind: str, accelerator: Accelerator, engine: str, precision: str
    ) -> KernelFit | None:
        """Return an engine's kernels on an accelerator, or on its nearest relative.

        A chip of the same generation stands in, the first by id; then nothing does (``None``), and
        the generation's profile holds.

        Parameters
        ----------
        kind
            Of kernel, such as ``gemm``.
        accelerator
            Where it runs.
        engine
            Whose kernel it is, in any case of letters.
        precision
            As the catalogue calls it; near ones stand in (``FOLLOWS``).
        """
        chosen = self._known.get((kind, engine.lower()), [])
        own = [k for k in chosen if k.accelerator == accelerator.id]
        kin = [k for k in chosen if k.profile == accelerator.profile]
        fits = (k.fit_for(precision) for k in (*own, *sorted(kin, key=lambda k: k.id)))
        return next((fit for fit in fits if fit), None)

    def kept(
        self, asked: tuple[Hashable, ...], table: Table, compute: Callable[[], Array | None]
    ) -> Array | None:
        """Return the times of a table, remembered: deployments share most of their products.

        Parameters
        ----------
        asked
            What besides the table decides the times: kind, precision, accelerator, engines.
        table
            Shapes.
        compute
            Makes the times, which nobody may change afterwards; ``None``: nobody measured any.
        """
        key = (*asked, table.names, *(table[name].tobytes() for name in table.names))
        if key not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = compute()
            if found is not None:
                found.flags.writeable = False
            self._kept[key] = found
        return self._kept[key]

"""A machine as the cost model sees it: an accelerator, and levels of network around it.

SI throughout: FLOP/s, B, B/s, s, W, USD. ``None`` means that nobody published the figure.
"""

from __future__ import annotations

from clusterwright.errors import InputError
from clusterwright.records import Record

LOW_PRECISIONS = {"fp8": "fp8", "mxfp8": "fp8", "nvfp4": "fp4"}
"""Formats below 16 bits, and the peak that they run at."""


class Accelerator(Record, frozen=True, kw_only=True):
    """One device as the framework sees it.

    ``peaks``: dense peak rate by precision (``fp32 tf32 fp16 bf16 fp8 int8 fp4``). [FLOP/s]
    ``matmul``: best matrix-product rate measured on it, by precision. [FLOP/s]
    ``cache_bytes``: its last-level cache. [B] ``num_units``: multiprocessors, or cores that take
    tiles.
    ``profile``: which efficiency profile of the catalogue its kernels follow.
    """

    id: str
    name: str
    vendor: str
    kind: str
    peaks: dict[str, float]
    matmul: dict[str, float] = {}
    memory_bytes: float | None = None
    memory_bandwidth: float | None = None
    board_power: float | None = None
    scaleup_bandwidth: float | None = None
    scaleup_domain: int | None = None
    scaleout_bandwidth: float | None = None
    price: float | None = None
    cache_bytes: float | None = None
    num_units: int | None = None
    profile: str = ""


class Level(Record, frozen=True, kw_only=True):
    """One level of the network, from inside out.

    ``size``: accelerators that reach each other inside it. ``bandwidth``: what one accelerator can
    send through it while all others do the same, one direction, oversubscription included. [B/s]
    ``latency``: one hop through it, software included. [s]
    """

    name: str
    size: int
    bandwidth: float
    latency: float


class Cluster(Record, frozen=True, kw_only=True):
    """``count`` accelerators joined by ``levels``; level 0 is the scale-up domain.

    Sizes rise strictly; the last level reaches all. ``host_memory_bytes`` is per accelerator and
    ``host_bandwidth`` per direction (offload). ``assumed`` names the figures that were not
    published and what was put in their place.
    """

    id: str
    name: str
    accelerator: Accelerator
    count: int
    levels: tuple[Level, ...]
    host_memory_bytes: float | None = None
    host_bandwidth: float | None = None
    assumed: tuple[str, ...] = ()


def peak_rate(accelerator: Accelerator, precision: str) -> float:
    """Dense peak of a precision, or of the next wider one the chip has. [FLOP/s]

    Raises
    ------
    InputError
        When nobody published a matrix rate for the chip at 16 bits or below; no such precision.
    """
    wanted = LOW_PRECISIONS.get(precision, precision)
    wider = {
        "fp4": ("fp4", "fp8", "bf16", "fp16"),
        "fp8": ("fp8", "bf16", "fp16"),
        "bf16": ("bf16", "fp16"),
        "fp16": ("fp16", "bf16"),
        "tf32": ("tf32", "fp32"),
        "fp32": ("fp32",),
    }
    if wanted not in wider:
        raise InputError(f"no precision called {precision!r}: one of {', '.join(wider)}")
    for name in wider[wanted]:
        if accelerator.peaks.get(name):
            return accelerator.peaks[name]
    known = ", ".join(sorted(accelerator.peaks)) or "none"
    raise InputError(
        f"{accelerator.id} has no published {wanted} rate (known: {known}); choose another "
        f"--precision, or add the figure to a catalogue file of your own"
    )

"""What to search for matrix products: parameters, tiles, and where engines change kernels."""

from __future__ import annotations

from clusterwright.calibrate.fitting import Parameter

PARAMETERS = (
    Parameter("peak_efficiency", 0.75, 0.01, 1.0),
    Parameter("memory_efficiency", 0.8, 0.05, 1.0),
    Parameter("floor", 2.5e-6, 1e-7, 1e-3),
    Parameter("sharpness", 3.0, 1.0, 8.0, neutral=3.0),
    Parameter("wave_share", 0.7, 0.01, 1.0, neutral=1.0),
    Parameter("half_rows", 30.0, 0.1, 1024.0, neutral=0.0),
    Parameter("half_columns", 30.0, 0.1, 1024.0, neutral=0.0),
    Parameter("half_depth", 100.0, 1.0, 8192.0, neutral=0.0),
    Parameter("depth_time", 6e-10, 1e-12, 1e-7, neutral=0.0),
    Parameter("split_depth", 3e3, 30.0, 1e5, neutral=1.0),
    Parameter("cache_speedup", 2.0, 1.0, 20.0, neutral=1.0),
    Parameter("cache_share", 0.5, 0.05, 3.0, neutral=0.0),
    Parameter("cast_traffic", 0.5, 1e-3, 30.0, neutral=0.0),
    Parameter("repack_traffic", 0.3, 1e-3, 30.0, neutral=0.0),
    Parameter("host_time", 1e-6, 1e-8, 1e-3, neutral=0.0),
)
"""Searched where they can matter: see ``searched``."""

TILED = ("wave_share",)
UNTILED = ("half_rows", "half_columns")
LOW = ("cast_traffic", "repack_traffic")
SIZES = (16.0, 32.0, 64.0, 128.0, 256.0)
"""Rows and columns that one unit's tile may have. [1]"""
AREAS = (512.0, 65536.0)
"""Smallest and largest tile: registers and the tensor memory hold no more. [1]"""

CUTS: dict[str, tuple[float, ...]] = {
    "rows": (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0),
    "columns": (32.0, 64.0, 128.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0),
    "depth": (64.0, 128.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0),
    "ragged": (0.5,),
}
"""Sizes beyond which an engine may run another kernel: powers of two, and full alignment."""


def variants(most_rows: float) -> tuple[dict[str, float], ...]:
    """Return the tiles to try for products of at most some rows; first: the library picks one.

    Of the tiles that hold all rows only the smallest is tried: the others pay for it in the same
    way.
    """
    small = [size for size in SIZES if size < most_rows]
    holding = [size for size in SIZES if size >= most_rows][:1]
    tiles = [
        {"tile_rows": rows, "tile_columns": columns}
        for rows in (*small, *holding)
        for columns in SIZES
        if AREAS[0] <= rows * columns <= AREAS[1]
    ]
    return ({}, *tiles)


def searched(precision: str, variant: dict[str, float]) -> tuple[Parameter, ...]:
    """Return the parameters that matter for a precision and a tile."""
    idle = set(UNTILED if "tile_rows" in variant else TILED)
    if precision in ("fp32", "bf16", "fp16") or precision.endswith("_weights"):
        idle.update(LOW)
    return tuple(p for p in PARAMETERS if p.name not in idle)

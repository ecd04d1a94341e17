"""What to search for attention, over prompts and while decoding, and between which bounds."""

from __future__ import annotations

from itertools import product

from clusterwright.calibrate.fitting import Parameter
from clusterwright.calibrate.search import CellSearch
from clusterwright.kernels import decode, prefill

PREFILL = CellSearch(
    shared=(
        Parameter("floor", 1e-5, 1e-6, 1e-3),
        Parameter("fill_rows", 1e4, 10.0, 1e6),
        Parameter("start_time", 1e-9, 1e-12, 1e-6),
        Parameter("query_passes", 1.0, 0.01, 30.0),
        Parameter("key_passes", 2.0, 0.01, 30.0),
        Parameter("cache_speedup", 2.0, 1.0, 20.0),
    ),
    own=(
        Parameter("peak_efficiency", 0.5, 0.003, 1.0),
        Parameter("half_length", 150.0, 1.0, 5e3),
        Parameter("window_waste", 0.01, 1e-5, 1.0),
    ),
    cells=prefill.cells,
    choices=tuple(
        {"query_tile": tile, "least_tile": least, "packed": packed}
        for tile, packed in product((64.0, 128.0, 256.0), (0.0, 1.0))
        for least in (16.0, tile)
    ),
    window_only=("window_waste",),
)

PREFILL_CUTS: dict[str, tuple[float, ...]] = {
    "group": (1.0, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0),
    "length": (16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0),
    "batch": (1.0, 4.0, 16.0, 64.0),
    "tokens": (64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0),
}

DECODE = CellSearch(
    shared=(
        Parameter("peak_efficiency", 0.2, 0.002, 1.0),
        Parameter("fill_tiles", 150.0, 8.0, 2e3),
        Parameter("split_keys", 128.0, 8.0, 4096.0),
        Parameter("split_latency", 5e-7, 1e-9, 2e-5),
        Parameter("chunk_time", 1e-6, 1e-9, 3e-5),
        Parameter("reread_speedup", 2.0, 0.1, 30.0),
        Parameter("cache_speedup", 2.0, 1.0, 10.0),
    ),
    own=(
        Parameter("memory_efficiency", 0.8, 0.05, 1.0),
        Parameter("tile_time", 2e-8, 1e-10, 1e-5),
        Parameter("key_time", 1e-11, 1e-13, 1e-6),
        Parameter("floor", 8e-6, 1e-6, 1e-3),
        Parameter("window_waste", 0.01, 1e-5, 1.0),
    ),
    cells=decode.cells,
    choices=tuple(
        {"query_tile": tile, "group_limit": limit, "window_limit": window_limit}
        for tile, limit, window_limit in (
            (64.0, 0.0, 0.0),
            (16.0, 0.0, 0.0),
            (64.0, 32.0, 32.0),
            (64.0, 1e9, 1.0),
        )
    ),
    window_only=("window_waste",),
)

DECODE_CUTS: dict[str, tuple[float, ...]] = {
    "group": (1.0, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0),
    "keys": (64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0),
    "batch": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0),
    "tiles": (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0),
}

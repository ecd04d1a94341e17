"""What to search for latent attention while decoding, and between which bounds."""

from __future__ import annotations

from clusterwright.calibrate.fitting import Parameter

PARAMETERS = (
    Parameter("memory_efficiency", 0.7, 0.02, 1.0),
    Parameter("peak_efficiency", 0.4, 0.002, 1.0),
    Parameter("floor", 1e-5, 1e-6, 1e-3),
    Parameter("tile_time", 2e-7, 1e-10, 1e-5),
    Parameter("fill_tiles", 60.0, 4.0, 1e3),
    Parameter("split_keys", 128.0, 8.0, 4096.0),
    Parameter("split_latency", 1e-6, 1e-9, 2e-5),
    Parameter("chunk_time", 2e-6, 1e-9, 1e-4),
    Parameter("key_time", 1e-11, 1e-13, 1e-6),
    Parameter("reread_speedup", 2.0, 0.1, 30.0),
    Parameter("cache_speedup", 1.5, 1.0, 10.0),
    Parameter("head_time", 1e-8, 1e-12, 1e-5),
    Parameter("query_time", 1e-10, 1e-14, 1e-7),
)

TILES = ({"query_tile": 128.0}, {"query_tile": 64.0}, {"query_tile": 16.0})

CUTS: dict[str, tuple[float, ...]] = {
    "batch": (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0),
    "heads": (4.0, 8.0, 16.0, 32.0, 64.0),
    "keys": (64.0, 256.0, 1024.0, 4096.0, 16384.0),
    "rows": (16.0, 64.0, 256.0, 1024.0, 4096.0),
}

"""What to search for a mixture's experts: parameters, and where engines change kernels."""

from __future__ import annotations

from clusterwright.calibrate.fitting import Parameter

PARAMETERS = (
    Parameter("peak_efficiency", 0.5, 0.01, 1.0),
    Parameter("memory_efficiency", 0.8, 0.02, 1.0),
    Parameter("half_tile", 30.0, 0.5, 256.0),
    Parameter("fill_area", 5e5, 1e3, 2e7, neutral=0.0),
    Parameter("activation_passes", 2.0, 0.02, 20.0),
    Parameter("floor", 2e-5, 1e-6, 1e-3),
    Parameter("foreign_cost", 0.3, 1e-3, 3.0, neutral=0.0),
    Parameter("foreign_passes", 1.0, 0.01, 20.0, neutral=0.0),
    Parameter("cache_speedup", 1.5, 1.0, 8.0, neutral=1.0),
)

CUTS: dict[str, tuple[float, ...]] = {
    "rows_per_expert": (1.5, 3.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0),
    "tokens": (4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0),
    "tokens_per_expert": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
    "experts": (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0),
    "intermediate": (64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0),
    "ranks": (1.0,),
    "ungated": (0.5,),
    "ragged": (0.5,),
    "generic": (0.5,),
}
"""Where an engine may run another kernel. The hidden size is not among them: few models share one,
and a cut along it would be a model's own."""

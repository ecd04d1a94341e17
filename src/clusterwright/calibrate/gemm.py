"""What to search for matrix products, and between which bounds."""

from __future__ import annotations

from clusterwright.calibrate.fitting import Parameter

PARAMETERS = (
    Parameter("peak_efficiency", 0.75, 0.05, 1.0),
    Parameter("half_tile", 30.0, 0.1, 512.0),
    Parameter("half_depth", 100.0, 1.0, 4096.0),
    Parameter("fill_area", 5e5, 1e3, 1e8),
    Parameter("split_depth", 2e3, 32.0, 1e5),
    Parameter("memory_efficiency", 0.8, 0.1, 1.0),
    Parameter("floor", 3e-6, 1e-7, 1e-3),
)

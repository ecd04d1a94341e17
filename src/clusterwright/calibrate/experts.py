"""What to search for a mixture's experts, and between which bounds."""

from __future__ import annotations

from clusterwright.calibrate.fitting import Parameter
from clusterwright.calibrate.search import CellSearch
from clusterwright.validation import kernel_experts

EXPERTS = CellSearch(
    shared=(
        Parameter("foreign_cost", 0.3, 1e-3, 3.0),
        Parameter("cache_speedup", 1.5, 1.0, 8.0),
    ),
    own=(
        Parameter("peak_efficiency", 0.5, 0.01, 1.0),
        Parameter("memory_efficiency", 0.8, 0.02, 1.0),
        Parameter("half_tile", 30.0, 0.5, 256.0),
        Parameter("fill_area", 5e5, 1e3, 2e7),
        Parameter("activation_passes", 2.0, 0.02, 20.0),
        Parameter("floor", 2e-5, 1e-6, 1e-3),
    ),
    cells=kernel_experts.cells,
    choices=({},),
    prepare=kernel_experts.prepared,
)

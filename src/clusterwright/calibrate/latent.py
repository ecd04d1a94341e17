"""What to search for latent attention while decoding, and between which bounds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from clusterwright.calibrate.fitting import Parameter
from clusterwright.calibrate.search import CellSearch
from clusterwright.validation.kernel_cells import Cells
from clusterwright.validation.kernel_tables import Table


def one_cell(table: Table, _constants: Mapping[str, float]) -> Cells:
    """Return all rows as one cell: the tables hold one head size."""
    return Cells(np.zeros(len(table)), "all{:.0f}".format)


LATENT = CellSearch(
    shared=(
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
    ),
    own=(),
    cells=one_cell,
    choices=({"query_tile": 128.0}, {"query_tile": 64.0}, {"query_tile": 16.0}),
)

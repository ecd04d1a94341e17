"""What a fit needs to know of each kind of kernel beyond what predicting it needs."""

from __future__ import annotations

from typing import NamedTuple

from clusterwright.calibrate import attention, experts, gemm, latent
from clusterwright.calibrate.branching import Cuts, Fitter
from clusterwright.calibrate.search import CellFitter, CellSearch
from clusterwright.calibrate.variants import VariantFitter, VariantSearch
from clusterwright.hardware import Accelerator
from clusterwright.kernels.kinds import KernelKind


class Fit(NamedTuple):
    """How kernels of one kind are fitted: their parameters, and where branches may end.

    ``needs_rates``: a table that comes near no roof is skipped, as it shows overheads only.
    """

    search: VariantSearch | CellSearch
    cuts: Cuts
    needs_rates: bool = False

    def fitter(self, kind: KernelKind, accelerator: Accelerator, precision: str) -> Fitter:
        """Return what fits the branches of one accelerator and precision."""
        if isinstance(self.search, CellSearch):
            return CellFitter(self.search, kind, accelerator, precision)
        return VariantFitter(self.search, kind, accelerator, precision)


FITS: dict[str, Fit] = {
    "gemm": Fit(
        VariantSearch(
            settings=("tile_rows", "tile_columns"),
            variants=lambda features: gemm.variants(float(features["rows"].max())),
            parameters=gemm.searched,
        ),
        Cuts(gemm.CUTS, tried=2, least_rows=120, most_branches=8),
        needs_rates=True,
    ),
    "attention_prefill": Fit(
        attention.PREFILL,
        Cuts(attention.PREFILL_CUTS, tried=3, least_rows=150, most_branches=4),
    ),
    "attention_decode": Fit(
        attention.DECODE, Cuts(attention.DECODE_CUTS, tried=3, least_rows=150, most_branches=4)
    ),
    "latent_decode": Fit(
        VariantSearch(
            settings=("query_tile",),
            variants=lambda _features: latent.TILES,
            parameters=lambda _precision, _variant: latent.PARAMETERS,
        ),
        Cuts(latent.CUTS, tried=3, least_rows=60, most_branches=4),
    ),
    "experts": Fit(
        VariantSearch(
            settings=(),
            variants=lambda _features: ({},),
            parameters=lambda _precision, _variant: experts.PARAMETERS,
        ),
        Cuts(experts.CUTS, tried=4, least_rows=60, most_branches=8),
    ),
}
"""By the names of ``kernels.kinds.KINDS``."""

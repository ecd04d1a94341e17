"""What a fit needs to know of each kind of kernel beyond what predicting it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from clusterwright.calibrate import attention, experts, gemm, latent
from clusterwright.calibrate.fitting import Parameter
from clusterwright.calibrate.search import CellSearch
from clusterwright.validation.kernel_tables import Array


class Search(NamedTuple):
    """How the parameters of one kind are searched.

    ``variants``: settings to try one by one, given the features of the rows; ``settings``: their
    names. ``parameters``: what to fit at a precision with a variant. ``cuts``: by feature, where a
    branch may end.
    """

    settings: tuple[str, ...]
    variants: Callable[[Mapping[str, Array]], tuple[dict[str, float], ...]]
    parameters: Callable[[str, dict[str, float]], tuple[Parameter, ...]]
    cuts: Mapping[str, tuple[float, ...]]


SEARCHES: dict[str, Search] = {
    "gemm": Search(
        settings=("tile_rows", "tile_columns"),
        variants=lambda features: gemm.variants(float(features["rows"].max())),
        parameters=gemm.searched,
        cuts=gemm.CUTS,
    ),
}
"""By the names of ``validation.kernel_kinds.KINDS``."""

CELL_SEARCHES: dict[str, CellSearch] = {
    "attention_prefill": attention.PREFILL,
    "attention_decode": attention.DECODE,
    "latent_decode": latent.LATENT,
    "experts": experts.EXPERTS,
}
"""Kinds whose engines' kernels are known by their shape, by the same names."""

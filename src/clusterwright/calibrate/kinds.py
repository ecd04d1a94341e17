"""What a fit needs to know of each kind of kernel beyond what predicting it needs."""

from __future__ import annotations

from clusterwright.calibrate import attention, gemm
from clusterwright.calibrate.fitting import Parameter
from clusterwright.calibrate.search import Search

PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "gemm": gemm.PARAMETERS,
}
"""Parameters to search, by the names of ``validation.kernel_kinds.KINDS``."""

SEARCHES: dict[str, Search] = {
    "attention_prefill": attention.PREFILL,
    "attention_decode": attention.DECODE,
}
"""Kinds some of whose parameters differ from kernel to kernel, by the same names."""

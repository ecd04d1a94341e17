"""What a fit needs to know of each kind of kernel beyond what predicting it needs."""

from __future__ import annotations

from clusterwright.calibrate import gemm
from clusterwright.calibrate.fitting import Parameter

PARAMETERS: dict[str, tuple[Parameter, ...]] = {
    "gemm": gemm.PARAMETERS,
}
"""Parameters to search, by the names of ``validation.kernel_kinds.KINDS``."""

"""A machine bound to a precision and a framework: kernels and links as functions of shape."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import InputError
from clusterwright.formulas import attention, roofline
from clusterwright.hardware import LOW_PRECISIONS, Cluster, peak_rate
from clusterwright.links import links_of
from clusterwright.software import Software
from clusterwright.training.settings import Settings

Array = Any

ELEMENT_BYTES = {
    "fp32": 4.0,
    "tf32": 4.0,
    "fp16": 2.0,
    "bf16": 2.0,
    "fp8": 1.0,
    "mxfp8": 1.0,
    "nvfp4": 0.5625,
}
"""Bytes of an operand, block scales included (nvfp4: 4 bits and an 8-bit scale for 16 values)."""


class Machine:
    """Kernel times of one accelerator at one precision, and its links."""

    def __init__(
        self,
        cluster: Cluster,
        profile: EfficiencyProfile,
        software: Software,
        settings: Settings,
        *,
        precision: str,
    ) -> None:
        accelerator = cluster.accelerator
        if not accelerator.memory_bandwidth or not accelerator.memory_bytes:
            missing = "memory size" if accelerator.memory_bandwidth else "memory bandwidth"
            raise InputError(
                f"nobody published the {missing} of {accelerator.id}; add it to a catalogue file "
                f"of your own to plan with this chip"
            )
        self.cluster = cluster
        self.software = software
        self.settings = settings
        self.profile = profile
        stack = software.stack
        share, hop_time = stack.network_share, stack.tensor_hop_time
        self.links = links_of(cluster, profile, network_share=share)
        self.tensor_links = links_of(cluster, profile, network_share=share, hop_time=hop_time)
        own_launch = stack.launch_time
        self.launch_time = settings.launch_time if own_launch is None else own_launch
        self.precision = precision
        self.bandwidth = accelerator.memory_bandwidth
        self.matmul_peak = peak_rate(accelerator, precision)
        wide = precision if precision in ("fp32", "tf32", "fp16") else "bf16"
        self.attention_peak = peak_rate(accelerator, wide)
        low = LOW_PRECISIONS.get(precision)
        self.is_low = low is not None and bool(accelerator.peaks.get(low))
        self._matmul = self._matmul_parameters(low if self.is_low and low else wide)
        self._wide_matmul = self._matmul_parameters(wide)
        self._grouped = self._matmul_parameters(low if self.is_low and low else wide, grouped=True)
        self._element_bytes = ELEMENT_BYTES[precision] if self.is_low else ELEMENT_BYTES[wide]
        self.activation_bytes = ELEMENT_BYTES[wide]
        in_blocks = precision == "mxfp8" or software.block_scaled
        cast = settings.block_cast_bytes if in_blocks else settings.cast_bytes
        self.cast_bytes_per_element = cast if self.is_low else 0.0
        library = self.links.library
        slowdown = library.overlap_slowdown
        self.overlap_slowdown = settings.overlap_slowdown if slowdown is None else slowdown
        passes = software.optimizer_passes
        self.optimizer_passes = settings.optimizer_passes if passes is None else passes
        own = software.reserve_bytes
        self.reserve_bytes = settings.reserve_bytes if own is None else own

    def wide(self) -> Self:
        """The same machine at 16 bits (or wider), which loss heads keep even in fp8 training."""
        if not self.is_low:
            return self
        return type(self)(
            self.cluster, self.profile, self.software, self.settings, precision="bf16"
        )

    def _matmul_parameters(self, precision: str, *, grouped: bool = False) -> dict[str, float]:
        accelerator = self.cluster.accelerator
        choose = self.profile.grouped_for if grouped else self.profile.matmul_for
        software = self.software
        name = self.precision if precision == "fp4" else precision
        found = choose("fp8_block" if name == "fp8" and software.block_scaled else name)
        measured = accelerator.matmul.get(precision)
        found = found.anchored(measured=measured, peak=accelerator.peaks.get(precision))
        arguments = found.arguments()
        stack = software.stack
        share = stack.expert_share if grouped else stack.product_share
        arguments["peak_efficiency"] *= self._sustained(precision) * share * software.units_share
        return arguments

    def _sustained(self, precision: str) -> float:
        """What long runs keep of the rate of short benchmarks, at a precision. [1]"""
        low = self.profile.sustained_low
        return low if low and precision in LOW_PRECISIONS.values() else self.profile.sustained

    @property
    def product_rate(self) -> float:
        """What large 16-bit matrix products reach. [FLOP/s]"""
        return self.attention_peak * self._wide_matmul["peak_efficiency"]

    def matmul_time(
        self,
        rows: Array,
        columns: Array,
        depth: Array,
        *,
        groups: Array = 1.0,
        activations: bool = False,
    ) -> Array:
        """Time of a matrix product, or of ``groups`` of them with ``rows`` in all. [s]

        ``activations``: both operands are activations, which are never below 16 bits.
        """
        alone = np.ndim(groups) == 0 and float(groups) == 1.0
        weights = self._matmul if alone else self._grouped
        return roofline.grouped_matmul_time(
            np.maximum(rows, 1.0),
            columns,
            depth,
            num_groups=groups,
            peak_flops=self.attention_peak if activations else self.matmul_peak,
            memory_bandwidth=self.bandwidth,
            element_bytes=self.activation_bytes if activations else self._element_bytes,
            output_bytes=self.activation_bytes,
            **(self._wide_matmul if activations else weights),
        )

    def attention_times(self, shape: dict[str, Array]) -> tuple[Array, Array]:
        """Flash attention both ways; ``shape`` as ``formulas.attention`` names it. [s]"""
        # Not derated: it keeps the matrix units half busy, and draws less power than products.
        share = self.software.stack.attention_share * self.software.units_share
        common = {
            "peak_flops": self.attention_peak * share,
            "memory_bandwidth": self.bandwidth,
            "element_bytes": self.activation_bytes,
        }
        kernel = self.profile.attention_for(self.software.attention_kernel)
        forward, backward = kernel.forward.arguments(), kernel.backward.arguments()
        return (
            attention.attention_time(**shape, **common, **forward),
            attention.attention_time(**shape, **common, **backward),
        )

    def memory_time(self, num_bytes: Array, *, kernels: float) -> Array:
        """Memory-bound kernels that move ``num_bytes`` in all. [s]"""
        arguments = self.profile.memory.arguments()
        floor = arguments.pop("floor")
        one = roofline.memory_time(
            num_bytes / kernels,
            memory_bandwidth=self.bandwidth * self.software.stack.memory_share,
            floor=floor,
            **arguments,
        )
        return one * kernels

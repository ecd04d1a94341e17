"""Kernel times: values, limits, monotony, arrays, dimensions, and real kernels."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.efficiency import EfficiencyProfile
from clusterwright.errors import CatalogueError
from clusterwright.formulas.attention import attended_pairs, attention_time
from clusterwright.formulas.roofline import (
    grouped_matmul_time,
    matmul_efficiency,
    matmul_time,
    memory_time,
    soft_maximum,
)

CATALOGUE = Path(__file__).parents[1] / "catalogue" / "efficiency"
ENTRIES: list[dict[str, Any]] = [
    entry
    for file in sorted(CATALOGUE.glob("*.toml"))
    for entry in tomllib.loads(file.read_text(encoding="utf-8"))["efficiency"]
]
PROFILES = {entry["id"]: EfficiencyProfile.from_entry(entry) for entry in ENTRIES}

RATES = {  # dense bf16 peak [FLOP/s], memory bandwidth [B/s]
    "nvidia-ampere": (312e12, 2.039e12),
    "nvidia-hopper": (989.4e12, 3.35e12),
    "h200": (989.4e12, 4.8e12),
    "nvidia-blackwell": (2250e12, 8e12),
}
SHAPE = {"half_tile": 30.0, "half_depth": 100.0, "fill_area": 5e5, "split_depth": 5e3}
H100 = {
    "peak_flops": 989.4e12,
    "memory_bandwidth": 3.35e12,
    "element_bytes": 2.0,
    "output_bytes": 2.0,
    "peak_efficiency": 0.8,
    "memory_efficiency": 0.82,
    "floor": 2.7e-6,
    **SHAPE,
}
FLASH = {
    "peak_flops": 989.4e12,
    "memory_bandwidth": 3.35e12,
    "element_bytes": 2.0,
    "peak_efficiency": 0.78,
    "half_length": 180.0,
    "half_head_dim": 88.0,
    "fill_rows": 11000.0,
    "memory_efficiency": 0.85,
    "floor": 5e-6,
    "num_kv_heads": 8.0,
    "qk_dim": 128.0,
    "value_dim": 128.0,
}

# bf16 products measured by three engines on the same library, microseconds. Source: NVIDIA
# aiconfigurator's operator tables (Apache-2.0): SGLang 0.5, TensorRT-LLM 1.x, vLLM, as available.
MEASURED = [
    ("nvidia-ampere", 16, 8192, 8192, (99.80, 91.72, 100.64)),
    ("nvidia-ampere", 4096, 12288, 4096, (1675.46, 1607.44, 1517.26)),
    ("nvidia-ampere", 8192, 8192, 8192, (4280.41, 4188.50, 3743.38)),
    ("nvidia-ampere", 32768, 2048, 8192, (4329.80,)),
    ("nvidia-hopper", 16, 8192, 8192, (56.18, 49.83, 46.44)),
    ("nvidia-hopper", 4096, 12288, 4096, (519.62, 515.23, 519.82)),
    ("nvidia-hopper", 8192, 8192, 8192, (1673.01, 1404.78, 1541.71)),
    ("nvidia-hopper", 16384, 16384, 4096, (3217.74, 2770.05, 3002.94)),
    ("h200", 16, 8192, 8192, (34.31, 35.68, 34.42)),
    ("h200", 8192, 4096, 16384, (1568.98, 1479.61, 1308.52)),
    ("nvidia-blackwell", 16, 8192, 8192, (25.42, 25.29, 22.61)),
    ("nvidia-blackwell", 4096, 12288, 4096, (300.83, 257.39, 262.71)),
    ("nvidia-blackwell", 8192, 8192, 8192, (699.70, 737.15, 651.88)),
    ("nvidia-blackwell", 8192, 4096, 16384, (739.69, 863.53, 769.20)),
]

# FlashAttention-3 on H100, TFLOP/s (Shah et al. 2024, figures 5 and 6): 16k tokens, hidden 2048.
FLASH_MEASURED = [
    ("forward", 128, 0, 2048, 625.0),
    ("forward", 128, 0, 16384, 648.0),
    ("forward", 128, 1, 1024, 423.0),
    ("forward", 128, 1, 16384, 616.0),
    ("forward", 64, 0, 8192, 496.0),
    ("backward", 128, 0, 1024, 424.0),
    ("backward", 128, 0, 16384, 561.0),
    ("backward", 64, 0, 4096, 453.0),
]

sizes = st.integers(min_value=1, max_value=200_000).map(float)


def predicted(chip: str, rows: float, columns: float, depth: float) -> float:
    """Time of a bf16 product by the catalogue's profile. [s]"""
    profile = PROFILES["nvidia-hopper" if chip == "h200" else chip]
    peak, bandwidth = RATES[chip]
    return float(
        matmul_time(
            float(rows),
            float(columns),
            float(depth),
            peak_flops=peak,
            memory_bandwidth=bandwidth,
            element_bytes=2.0,
            output_bytes=2.0,
            **profile.matmul_for("bf16").arguments(),
        )
    )


@pytest.mark.parametrize(("chip", "rows", "columns", "depth", "times"), MEASURED)
def test_measured_products_are_met_within_15_percent(
    chip: str, rows: int, columns: int, depth: int, times: tuple[float, ...]
) -> None:
    # The engines ran the same library and differ by up to 20 % among themselves: the chip's clock.
    mean = float(np.exp(np.mean(np.log(times)))) * 1e-6
    assert predicted(chip, rows, columns, depth) == pytest.approx(mean, rel=0.15)


def test_measured_products_are_met_within_5_percent_in_the_middle() -> None:
    errors = [
        abs(predicted(chip, m, n, k) / (float(np.exp(np.mean(np.log(times)))) * 1e-6) - 1)
        for chip, m, n, k, times in MEASURED
    ]
    assert np.median(errors) < 0.05


@pytest.mark.parametrize(("way", "head_dim", "causal", "length", "rate"), FLASH_MEASURED)
def test_published_flash_attention_is_met_within_8_percent(
    way: str, head_dim: int, causal: int, length: int, rate: float
) -> None:
    kernel = PROFILES["nvidia-hopper"].attention_for("fa3")
    found = kernel.forward if way == "forward" else kernel.backward
    batch, heads = 16384 / length, 2048 / head_dim
    time = attention_time(
        batch,
        heads,
        float(length),
        float(length),
        num_kv_heads=heads,
        qk_dim=float(head_dim),
        value_dim=float(head_dim),
        peak_flops=989.4e12,
        memory_bandwidth=3.35e12,
        element_bytes=2.0,
        causal=causal,
        **found.arguments(),
    )
    flops = 4 * batch * heads * head_dim * length**2 * (0.5 if causal else 1.0)
    flops *= 1.0 if way == "forward" else 2.5
    assert flops / float(time) / 1e12 == pytest.approx(rate, rel=0.08)


def test_huge_products_near_the_peak_efficiency() -> None:
    huge = matmul_efficiency(1e7, 1e7, 1e7, peak_efficiency=0.8, **SHAPE)
    assert huge == pytest.approx(0.8, rel=1e-3)


def test_tiny_products_take_the_floor() -> None:
    tiny = matmul_time(1.0, 1.0, 1.0, **H100)
    assert H100["floor"] < tiny < 2 * H100["floor"]


def test_thin_products_are_bound_by_memory() -> None:
    time = matmul_time(1.0, 16384.0, 16384.0, **H100)
    assert time == pytest.approx(2.0 * 16384**2 / (3.35e12 * 0.82), rel=0.05)


@given(m=sizes, n=sizes, k=sizes, more=st.integers(1, 5000))
def test_more_of_any_size_never_takes_less_time(m: float, n: float, k: float, more: int) -> None:
    base = matmul_time(m, n, k, **H100)
    assert matmul_time(m + more, n, k, **H100) >= base
    assert matmul_time(m, n + more, k, **H100) >= base
    assert matmul_time(m, n, k + more, **H100) >= base


@given(m=sizes, n=sizes, k=sizes)
def test_no_product_beats_the_roofline(m: float, n: float, k: float) -> None:
    flop_time = 2 * m * n * k / (989.4e12 * 0.8)
    byte_time = 2 * (m * k + k * n + m * n) / (3.35e12 * 0.82)
    assert matmul_time(m, n, k, **H100) >= max(flop_time, byte_time) * (1 - 1e-9)


@given(length=st.integers(1, 100_000), more=st.integers(1, 5000), causal=st.sampled_from([0, 1]))
def test_longer_sequences_never_take_less_time(length: int, more: int, causal: int) -> None:
    short, long = (
        attention_time(2.0, 32.0, float(s), float(s), causal=causal, **FLASH)
        for s in (length, length + more)
    )
    assert long >= short


def test_one_group_is_one_product() -> None:
    assert grouped_matmul_time(512.0, 4096.0, 7168.0, num_groups=1.0, **H100) == matmul_time(
        512.0, 4096.0, 7168.0, **H100
    )


def test_groups_without_rows_load_no_weights() -> None:
    few = grouped_matmul_time(4.0, 4096.0, 7168.0, num_groups=4.0, **H100)
    many = grouped_matmul_time(4.0, 4096.0, 7168.0, num_groups=256.0, **H100)
    assert many == few


@given(groups=st.integers(1, 256), more=st.integers(1, 64))
def test_more_groups_never_take_less_time(groups: int, more: int) -> None:
    few, many = (
        grouped_matmul_time(65536.0, 2048.0, 7168.0, num_groups=float(g), **H100)
        for g in (groups, groups + more)
    )
    assert many >= few


@given(query=st.integers(1, 60), extra=st.integers(0, 60), window=st.integers(0, 80))
def test_pairs_agree_with_counting(query: int, extra: int, window: int) -> None:
    key = query + extra
    span = window or key
    counted = sum(min(span, extra + row + 1) for row in range(query))
    assert attended_pairs(query, key, window=window) == counted


def test_a_window_costs_less_than_none() -> None:
    full = attention_time(1.0, 32.0, 32768.0, 32768.0, **FLASH)
    narrow = attention_time(1.0, 32.0, 32768.0, 32768.0, window=4096.0, **FLASH)
    assert 0.2 < narrow / full < 0.3


def test_backward_takes_its_flop_factor_longer() -> None:
    forward = attention_time(1.0, 32.0, 16384.0, 16384.0, **FLASH)
    backward = attention_time(
        1.0, 32.0, 16384.0, 16384.0, flop_factor=2.5, traffic_factor=2.5, **FLASH
    )
    assert backward / forward == pytest.approx(2.5, rel=0.01)


def test_memory_streams_at_its_share_and_small_kernels_at_the_floor() -> None:
    memory = {"memory_bandwidth": 2e12, "efficiency": 0.8, "ramp_bytes": 1e7, "floor": 2e-6}
    assert memory_time(1e11, **memory) == pytest.approx(1e11 / 1.6e12, rel=1e-3)
    assert memory_time(0.0, **memory) == pytest.approx(2e-6 + 1e7 / 1.6e12)


def test_soft_maximum_lies_above_both() -> None:
    assert soft_maximum(3.0, 0.0) == pytest.approx(3.0)
    assert soft_maximum(3.0, 2.9) > 3.0


def test_arrays_and_scalars_agree() -> None:
    rows = np.array([1.0, 128.0, 4096.0, 32768.0])
    columns = np.array([[128.0], [8192.0]])
    together = matmul_time(rows, columns, 4096.0, **H100)
    assert together.shape == (2, 4)
    assert together[1, 2] == matmul_time(4096.0, 8192.0, 4096.0, **H100)
    lengths = np.array([1024.0, 8192.0])
    both = attention_time(1.0, 32.0, lengths, lengths, **FLASH)
    assert both[1] == pytest.approx(attention_time(1.0, 32.0, 8192.0, 8192.0, **FLASH))


def test_times_have_the_dimension_of_time() -> None:
    units = pint.UnitRegistry(cache_folder=None)
    rate, speed = 989e12 / units.second, 3.35e12 * units.byte / units.second
    byte, floor = units.byte, 3e-6 * units.second
    shape = {**SHAPE, "peak_efficiency": 0.8, "memory_efficiency": 0.8, "floor": floor}
    one = matmul_time(
        64.0,
        64.0,
        64.0,
        peak_flops=rate,
        memory_bandwidth=speed,
        element_bytes=2 * byte,
        output_bytes=2 * byte,
        **shape,
    )
    two = memory_time(
        64 * byte, memory_bandwidth=speed, efficiency=0.8, ramp_bytes=1e6 * byte, floor=floor
    )
    assert one.check("[time]")
    assert two.check("[time]")


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_loads_and_serves_the_formulas(name: str) -> None:
    profile = PROFILES[name]
    for precision in ("bf16", "fp8", "mxfp8", "nvfp4", "int8", "fp32"):
        for found in (profile.matmul_for(precision), profile.grouped_for(precision)):
            time = matmul_time(
                4096.0,
                4096.0,
                4096.0,
                peak_flops=1e15,
                memory_bandwidth=3e12,
                element_bytes=1.0,
                output_bytes=2.0,
                **found.arguments(),
            )
            assert 0.1 < 2 * 4096.0**3 / 1e15 / time < 1.0
    slower = profile.grouped_for("bf16").peak_efficiency
    assert slower <= profile.matmul_for("bf16").peak_efficiency


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_what_was_not_measured_says_so(name: str) -> None:
    for matmul in PROFILES[name].matmul.values():
        evidence = matmul.evidence
        assert evidence.source
        if evidence.rows:
            assert evidence.residual is not None
        else:
            assert evidence.borrowed_from


def test_fallback_keeps_the_nearest_precision() -> None:
    hopper, volta = PROFILES["nvidia-hopper"], PROFILES["nvidia-volta"]
    assert hopper.stand_in("mxfp8") == "fp8_block"
    assert hopper.stand_in("fp16") == "bf16"
    assert volta.stand_in("fp8") == "bf16"
    assert volta.attention_for("fa3").forward == volta.attention_forward


def test_only_borrowed_ceilings_are_replaced_by_measured_ones() -> None:
    borrowed = PROFILES["amd-cdna3"].matmul_for("bf16")
    fitted = PROFILES["nvidia-hopper"].matmul_for("bf16")
    assert borrowed.anchored(measured=668e12, peak=1307e12).peak_efficiency == 668 / 1307
    assert borrowed.anchored(measured=None, peak=1307e12) == borrowed
    assert fitted.anchored(measured=668e12, peak=1307e12) == fitted


def test_bad_entries_are_refused_in_one_sentence() -> None:
    entry = dict(next(e for e in ENTRIES if e["id"] == "nvidia-hopper"))
    with pytest.raises(CatalogueError, match=r"nvidia-hopper.*typo"):
        EfficiencyProfile.from_entry({**entry, "typo": 1})
    with pytest.raises(CatalogueError, match=r"sustained is 1\.2, not in \(0, 1\]"):
        EfficiencyProfile.from_entry({**entry, "sustained": 1.2})
    with pytest.raises(CatalogueError, match="at least"):
        EfficiencyProfile.from_entry({**entry, "matmul": {}})

"""An engine's matrix products: tiles and waves, warm caches, limits, and more work takes longer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.formulas.tiles import (
    engine_matmul_time,
    serial_depth_time,
    tiled_area,
    warm_traffic_time,
)

CHIP = {
    "peak_flops": 1979e12,
    "memory_bandwidth": 3.35e12,
    "cache_bytes": 50e6,
    "num_units": 132.0,
    "input_bytes": 1.0,
    "weight_bytes": 1.0,
    "output_bytes": 2.0,
    "ragged": 0.0,
}
LIBRARY = {
    "peak_efficiency": 0.8,
    "memory_efficiency": 0.85,
    "floor": 3e-6,
    "half_rows": 40.0,
    "half_columns": 30.0,
    "half_depth": 150.0,
    "depth_time": 7e-10,
    "split_depth": 3500.0,
}
TILED = {
    "peak_efficiency": 0.8,
    "memory_efficiency": 0.85,
    "floor": 6e-6,
    "tile_rows": 64.0,
    "tile_columns": 128.0,
    "wave_share": 0.9,
    "cache_share": 0.6,
    "cache_speedup": 3.0,
    "cast_traffic": 2.5,
}
BARE = {"peak_efficiency": 1.0, "memory_efficiency": 1.0, "floor": 0.0}

sizes = st.integers(min_value=1, max_value=200_000).map(float)
fits = st.sampled_from([LIBRARY, TILED])


@given(m=sizes, n=sizes, k=sizes, more=st.integers(1, 5000), fit=fits)
def test_more_of_any_size_never_takes_less_time(m, n, k, more, fit):
    base = engine_matmul_time(m, n, k, **CHIP, **fit) * (1 - 1e-12)
    assert engine_matmul_time(m + more, n, k, **CHIP, **fit) >= base
    assert engine_matmul_time(m, n + more, k, **CHIP, **fit) >= base
    assert engine_matmul_time(m, n, k + more, **CHIP, **fit) >= base


@given(m=sizes, n=sizes, k=sizes, fit=fits)
def test_no_product_beats_the_roofline(m, n, k, fit):
    cold = {**CHIP, "cache_bytes": 0.0}
    time = engine_matmul_time(m, n, k, **cold, **fit)
    least = max(2 * m * n * k / 1979e12, (m * k + k * n + 2 * m * n) / 3.35e12)
    assert time >= least * (1 - 1e-9)


def test_without_waste_the_sharpest_knee_is_the_roofline():
    exact = engine_matmul_time(8192.0, 8192.0, 8192.0, **CHIP, **BARE, sharpness=64.0)
    assert exact == pytest.approx(2 * 8192.0**3 / 1979e12, rel=1e-6)


def test_a_wave_costs_the_same_however_full_it_is():
    tile = {"tile_rows": 128.0, "tile_columns": 128.0, "num_units": 132.0}
    one, all_units = (
        tiled_area(128.0, 128.0 * tiles, wave_share=1.0, **tile) for tiles in (1, 132)
    )
    assert one == all_units == 132 * 128 * 128
    assert tiled_area(128.0, 128.0 * 133, wave_share=1.0, **tile) == 2 * all_units
    shared = tiled_area(128.0, 128.0 * 133, wave_share=0.0, **tile)
    assert shared == pytest.approx(all_units * 133 / 132)


def test_what_the_cache_holds_is_read_faster_and_never_more_than_that():
    def time(num_bytes, cache):
        return warm_traffic_time(
            num_bytes,
            memory_bandwidth=1e12,
            cache_bytes=cache,
            cache_share=1.0,
            cache_speedup=4.0,
        )

    assert time(1e6, 50e6) == pytest.approx(1e6 / 4e12, rel=1e-3)
    assert time(1e10, 50e6) == pytest.approx(1e10 / 1e12, rel=1e-3)
    assert time(1e6, 0.0) == 1e6 / 1e12


def test_the_serial_loop_stops_growing_where_it_is_split():
    assert serial_depth_time(10.0, depth_time=1e-9, split_depth=1e4) == pytest.approx(
        1e-8, rel=1e-3
    )
    assert serial_depth_time(1e7, depth_time=1e-9, split_depth=1e4) == pytest.approx(1e-5, rel=1e-3)


def test_ragged_rows_read_the_weights_again():
    even, ragged = (
        engine_matmul_time(
            512.0, 65536.0, 4096.0, **{**CHIP, "ragged": r}, **BARE, repack_traffic=2.0
        )
        for r in (0.0, 1.0)
    )
    assert ragged - even == pytest.approx(2 * 65536 * 4096 / 3.35e12)


def test_a_slow_host_hides_short_kernels_and_not_long_ones():
    fast, slow = ({**CHIP, **LIBRARY, "host_time": host} for host in (0.0, 60e-6))
    assert engine_matmul_time(8.0, 4096.0, 4096.0, **slow) == pytest.approx(60e-6, rel=1e-3)
    large = (16384.0, 8192.0, 8192.0)
    assert engine_matmul_time(*large, **slow) == pytest.approx(engine_matmul_time(*large, **fast))


def test_scaling_the_inputs_is_a_pass_over_them():
    plain, cast = (
        engine_matmul_time(4096.0, 64.0, 8192.0, **{**CHIP, "cache_bytes": 0.0}, **BARE, **more)
        for more in ({}, {"cast_traffic": 2.0})
    )
    assert cast - plain == pytest.approx(2 * 3 * 4096 * 8192 / 3.35e12)


def test_arrays_and_scalars_agree():
    rows = np.array([1.0, 128.0, 4096.0])
    together = engine_matmul_time(rows, 8192.0, 4096.0, **CHIP, **TILED)
    assert together[1] == engine_matmul_time(128.0, 8192.0, 4096.0, **CHIP, **TILED)

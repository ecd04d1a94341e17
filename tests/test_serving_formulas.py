"""Attention in engines, decoding and experts: values at limits, and what may never happen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.formulas.attention import attention_time
from clusterwright.formulas.decoding import decode_attention_time
from clusterwright.formulas.experts import experts_time, touched_experts
from clusterwright.formulas.roofline import cached_share

PEAK, BANDWIDTH = 1e15, 4e12
PREFILL = {
    "num_kv_heads": 8.0,
    "qk_dim": 128.0,
    "value_dim": 128.0,
    "peak_flops": PEAK,
    "memory_bandwidth": BANDWIDTH,
    "element_bytes": 2.0,
    "peak_efficiency": 0.7,
    "half_length": 150.0,
    "half_head_dim": 0.0,
    "fill_rows": 1e4,
    "memory_efficiency": 1.0,
    "floor": 1e-5,
}
DECODE = {
    "num_kv_heads": 8.0,
    "qk_dim": 128.0,
    "value_dim": 128.0,
    "key_width": 256.0,
    "peak_flops": PEAK,
    "memory_bandwidth": BANDWIDTH,
    "element_bytes": 2.0,
    "memory_efficiency": 0.9,
    "peak_efficiency": 0.3,
    "floor": 8e-6,
    "tile_time": 3e-8,
    "fill_tiles": 132.0,
    "split_keys": 128.0,
    "split_latency": 5e-7,
    "chunk_time": 1e-6,
}
EXPERTS = {
    "num_matrices": 3.0,
    "peak_flops": PEAK,
    "memory_bandwidth": BANDWIDTH,
    "weight_bytes": 2.0,
    "element_bytes": 2.0,
    "peak_efficiency": 0.6,
    "memory_efficiency": 0.9,
    "half_tile": 32.0,
    "fill_area": 5e5,
    "activation_passes": 2.0,
    "floor": 3e-5,
}


def test_a_cache_keeps_all_of_what_fits_and_nothing_of_what_does_not():
    shares = cached_share(np.array([1e6, 50e6, 1e9]), cache_bytes=50e6)
    assert shares == pytest.approx([1.0, 0.5, 0.0], abs=1e-5)
    assert cached_share(1e6, cache_bytes=0.0) == 0.0


def test_a_kernel_that_skips_nothing_takes_a_window_for_the_whole_square():
    no_wave = {**PREFILL, "fill_rows": 0.0}
    full = attention_time(1.0, 32.0, 8192.0, 8192.0, **no_wave)
    masked = attention_time(1.0, 32.0, 8192.0, 8192.0, window=128.0, window_waste=1.0, **no_wave)
    assert masked == pytest.approx(float(full))
    skipping = attention_time(1.0, 32.0, 8192.0, 8192.0, window=128.0, **PREFILL)
    assert skipping < 0.2 * full


def test_tiles_charge_short_prompts_for_rows_that_packing_saves():
    short = {"query_tile": 128.0, "least_tile": 128.0, **PREFILL}
    apart = attention_time(256.0, 64.0, 16.0, 16.0, **short)
    packed = attention_time(256.0, 64.0, 16.0, 16.0, packed=1.0, **short)
    smaller = attention_time(256.0, 64.0, 16.0, 16.0, **{**short, "least_tile": 16.0})
    assert packed < apart
    assert smaller < apart
    long = [attention_time(1.0, 64.0, 8192.0, 8192.0, packed=p, **short) for p in (0.0, 1.0)]
    assert long[0] == pytest.approx(long[1])


def test_appending_keys_is_paid_for_on_top_and_less_from_the_cache():
    bare = attention_time(8.0, 32.0, 1024.0, 1024.0, **PREFILL)
    passes = {"query_passes": 1.0, "key_passes": 3.0}
    appended = attention_time(8.0, 32.0, 1024.0, 1024.0, **passes, **PREFILL)
    query_bytes, key_bytes = 8 * 1024 * 32 * 256 * 2, 8 * 1024 * 8 * 256 * 2
    assert appended - bare == pytest.approx((query_bytes + 3 * key_bytes) / BANDWIDTH)
    cached = attention_time(
        8.0, 32.0, 1024.0, 1024.0, cache_bytes=1e12, cache_speedup=4.0, **passes, **PREFILL
    )
    assert cached - bare < 0.26 * (appended - bare)


def test_decoding_long_sequences_reads_the_cache_at_the_memory_s_rate():
    time = decode_attention_time(64.0, 32.0, 131072.0, **DECODE)
    stream = 64 * 8 * 131072 * 512 / (BANDWIDTH * 0.9)
    assert time == pytest.approx(stream, rel=0.05)
    halved = decode_attention_time(64.0, 32.0, 131072.0, **{**DECODE, "element_bytes": 1.0})
    assert halved == pytest.approx(0.5 * time, rel=0.05)


def test_a_decoding_window_bounds_the_keys_that_are_read():
    times = [
        float(decode_attention_time(64.0, 32.0, length, window=128.0, **DECODE))
        for length in (128.0, 131072.0)
    ]
    assert times[0] == times[1]


def test_heads_that_work_alone_read_their_keys_again():
    shared = decode_attention_time(64.0, 64.0, 4096.0, **DECODE)
    alone = decode_attention_time(64.0, 64.0, 4096.0, alone=1.0, reread_speedup=2.0, **DECODE)
    assert alone > 2.0 * shared


def test_few_long_sequences_pay_for_adding_up_their_parts():
    whole = decode_attention_time(1.0, 8.0, 65536.0, **{**DECODE, "split_latency": 0.0})
    split = decode_attention_time(1.0, 8.0, 65536.0, **DECODE)
    assert split - whole == pytest.approx(5e-7 * np.log2(132 / 8))


def test_one_token_waits_for_its_experts_weights():
    time = experts_time(8.0, 4096.0, 1536.0, num_groups=8.0, tokens=1.0, **EXPERTS)
    weights = 8 * 3 * 4096 * 1536 * 2 / (BANDWIDTH * 0.9)
    assert time == pytest.approx(3e-5 + weights, rel=0.1)


def test_many_tokens_run_at_the_arithmetic_s_rate():
    rows = 131072.0
    parameters = {**EXPERTS, "activation_passes": 0.0}
    time = experts_time(rows, 4096.0, 1536.0, num_groups=8.0, tokens=16384.0, **parameters)
    assert time == pytest.approx(2 * rows * 3 * 4096 * 1536 / (0.6 * PEAK), rel=0.03)


def test_every_expert_is_touched_by_many_tokens_and_top_k_by_one():
    assert touched_experts(1.0, 8.0, num_experts=256.0) == pytest.approx(8.0)
    assert touched_experts(1e5, 8.0, num_experts=256.0) == pytest.approx(256.0)


@given(st.integers(1, 2048), st.integers(1, 131072), st.sampled_from([1.0, 4.0, 16.0, 64.0]))
def test_more_keys_or_sequences_never_decode_sooner(batch, keys, group):
    def time(sequences, length):
        return float(decode_attention_time(sequences, 8.0 * group, length, **DECODE))

    assert time(batch, keys) <= time(batch, keys + 1) * (1 + 1e-9)
    # Doubling the sequences saves a step of adding parts up, and no more than that.
    assert time(batch, keys) <= time(2 * batch, keys) + DECODE["split_latency"]


@given(st.integers(1, 16384), st.integers(1, 8), st.sampled_from([1.0, 2.0, 8.0]))
def test_more_queries_never_attend_sooner(length, batch, group):
    tiles = {"query_tile": 128.0, "least_tile": 16.0, "packed": 1.0, **PREFILL}

    def time(sequences, queries):
        return float(attention_time(sequences, 8.0 * group, queries, queries, **tiles))

    assert time(batch, length) <= time(batch, length + 1) * (1 + 1e-9)
    assert time(batch, length) <= time(batch + 1, length)


@given(st.integers(1, 16384), st.integers(1, 256))
def test_more_rows_or_experts_never_finish_sooner(rows, groups):
    def time(worked, touched):
        return float(
            experts_time(worked, 4096.0, 1536.0, num_groups=touched, tokens=1.0, **EXPERTS)
        )

    assert time(rows, groups) < time(rows + 1, groups)
    assert time(rows, groups) < time(rows, groups + 1)

"""What fits and what a step takes: values, limits, and what more of anything may never do."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_cases import FACTS, asked, server

from clusterwright.errors import InfeasibleError, InputError
from clusterwright.hardware import Cluster
from clusterwright.inference import Correction, Deployment
from clusterwright.model.parameters import count_parameters
from clusterwright.model.records import Model
from clusterwright.serving.capacity import Memory, sequence_bytes, weight_bytes
from clusterwright.serving.estimating import step_parts
from clusterwright.serving.layers import whole_costs
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steady import decode_step, steady
from clusterwright.serving.steps import CONTEXT, TOKENS, DeviceTimes, device_times, step_times

ONE = Deployment()
PLAIN_CHIP = "mi300x"
"""A chip whose kernels nobody measured: formulas alone say what its steps take."""
DENSE = [ONE, Deployment(weights="fp8", cache="fp8"), Deployment(tp=8), Deployment(tp=8, pp=2)]
SPARSE = [ONE, Deployment(tp=8), Deployment(tp=8, ep=8), Deployment(dp=8, ep=8)]
CASES = [("llama-3.1-8b", one) for one in DENSE] + [("qwen3-30b-a3b", one) for one in SPARSE]
FASTER = settings(max_examples=15)


def falls(times: np.ndarray, axis: int = 0) -> float:
    """By how much of itself a table ever falls from one point to the next."""
    before = np.take(times, range(times.shape[axis] - 1), axis=axis)
    return max(0.0, float(np.max(-np.diff(times, axis=axis) / before)))


def whole_step(device: DeviceTimes) -> np.ndarray:
    """A step that decodes, (rows, contexts)."""
    return device.alone[:, None] + device.attention


def changed_chip(bound: Server, **changes: float) -> Server:
    """The same on a chip with other figures, whose times are nobody else's."""
    chip = msgspec.structs.replace(bound.cluster.accelerator, **changes)
    cluster = msgspec.structs.replace(bound.cluster, accelerator=chip)
    return Server(bound.model, cluster, bound.engine, FACTS)


def room(bound: Server, deployment: Deployment, tokens: float = 2000.0) -> Memory:
    return bound.memory(deployment, tokens)


# What fits


def test_weights_in_bf16_are_two_bytes_of_each_parameter():
    parameters = count_parameters(server().model).total
    assert room(server(), ONE).weights == pytest.approx(2 * parameters, rel=0.01)


@pytest.mark.parametrize(("weights", "share"), [("fp8", 0.5), ("awq", 0.258), ("nvfp4", 0.281)])
def test_narrow_formats_keep_their_embedding_wide(weights, share):
    model = server().model
    ends = model.embedding_parameters + model.head_parameters
    rest = count_parameters(model).total - ends
    found = room(server(), Deployment(weights=weights)).weights
    assert found == pytest.approx(2 * ends + 2 * share * rest, rel=0.01)


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_tensor_parallelism_cuts_dense_weights_evenly(tp):
    whole = weight_bytes(server().served(ONE))
    part = weight_bytes(server().served(Deployment(tp=tp)))
    assert part == pytest.approx(whole / tp, rel=1e-3)


def test_experts_are_spread_over_all_ranks_and_the_rest_over_tensor_parallel_ones():
    sparse = server("qwen3-30b-a3b")
    counted = count_parameters(sparse.model).total
    whole, cut, shared = (
        weight_bytes(sparse.served(one))
        for one in (ONE, Deployment(tp=8, ep=8), Deployment(dp=8, ep=8))
    )
    assert whole == pytest.approx(2 * counted, rel=0.01)
    assert cut == pytest.approx(whole / 8, rel=0.02)
    assert cut < shared < 0.3 * whole


def test_a_pipeline_cuts_layers_and_keeps_one_end():
    bound = server()
    ends = 2 * max(bound.model.embedding_parameters, bound.model.head_parameters)
    whole, half = (weight_bytes(bound.served(Deployment(pp=pp))) for pp in (1, 2))
    assert half - ends == pytest.approx((whole - 2 * ends) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "cache", "per_token"),
    [
        ("llama-3.1-8b", "bf16", 32 * 8 * 128 * 2 * 2),
        ("llama-3.1-8b", "fp8", 32 * 8 * 128 * 2),
        ("deepseek-v3", "bf16", 61 * 576 * 2),
        ("deepseek-v3", "fp8", 61 * 576),
    ],
)
def test_a_token_s_cache(model, cache, per_token):
    served = server(model).served(Deployment(cache=cache))
    assert sequence_bytes(served, 1000.0) == pytest.approx(1000 * per_token, rel=1e-12)


def test_latents_are_kept_whole_by_every_rank_and_heads_are_cut_while_there_are_any():
    latent, heads = (
        [sequence_bytes(server(name).served(Deployment(tp=tp)), 1.0) for tp in (1, 2, 4, 8, 16)]
        for name in ("deepseek-v3", "llama-3.1-8b")
    )
    assert latent == [61 * 576 * 2] * 5
    assert heads == [131072.0 / tp for tp in (1, 2, 4, 8, 8)]


def test_a_window_bounds_what_is_cached_and_a_linear_state_is_there_from_the_first_token():
    tokens = [128.0, 4096.0, 131072.0]
    windowed = [sequence_bytes(server("mistral-7b-v0.1").served(ONE), n) for n in tokens]
    assert windowed == [n * 131072.0 for n in (128, 4096, 4096)]
    mixed = server("gpt-oss-20b").served(ONE)
    beyond = sequence_bytes(mixed, 131072.0) - sequence_bytes(mixed, 65536.0)
    assert beyond == pytest.approx(65536 * 12 * 8 * 64 * 2 * 2)  # of 24 layers, those that see all
    linear = server("qwen3-next-80b-a3b").served(ONE)
    short, middle, long = (sequence_bytes(linear, n) for n in (1.0, 1001.0, 2001.0))
    assert short > 10 * (middle - short) / 1000
    assert middle - short == pytest.approx(long - middle)


@FASTER
@given(st.floats(30e9, 300e9), st.floats(1.001, 4.0))
def test_more_memory_gives_more_blocks(memory_bytes, factor):
    less, more = (
        room(changed_chip(server(), memory_bytes=size), ONE)
        for size in (memory_bytes, factor * memory_bytes)
    )
    assert less.blocks <= more.blocks
    assert (less.blocks < more.blocks) == (more.cache - less.cache > 0.0)
    assert less.weights + less.activations + less.reserve + less.cache <= less.taken * (1 + 1e-12)


def test_data_parallel_attention_has_a_cache_on_every_rank():
    bound = server("deepseek-v3", "h200")
    few, many = (room(bound, Deployment(dp=dp, ep=dp, weights="fp8-block")) for dp in (8, 16))
    assert few.cache_tokens == pytest.approx(8 * few.cache / (few.sequence_bytes / 1500.0))
    assert many.cache_tokens > 2 * few.cache_tokens  # ranks hold fewer experts, too
    kind = bound.replica(Pool(deployment=Deployment(dp=16, ep=16, weights="fp8-block")), 2000.0)
    assert kind.lanes == 16
    assert kind.most == 16 * bound.engine.most


def test_what_does_not_fit_is_refused_with_figures():
    with pytest.raises(InfeasibleError, match=r"does not fit 1 x .*weights 1342\.1 GB .*of 77\.3"):
        server("deepseek-v3").replica(Pool(deployment=ONE), 2000.0)
    with pytest.raises(InfeasibleError, match=r"one request of 600,000 tokens does not fit"):
        server().replica(Pool(deployment=ONE), 600e3)


@pytest.mark.parametrize(
    ("missing", "said"),
    [("memory_bytes", "memory size"), ("memory_bandwidth", "memory bandwidth")],
)
def test_a_chip_without_published_memory_serves_nothing(missing, said):
    with pytest.raises(InputError, match=f"nobody published the {said} of nv-h100-sxm"):
        changed_chip(server(), **{missing: None})


# What a step takes


def test_one_user_s_step_reads_all_weights_at_nearly_the_memory_s_rate():
    bound = server(chip=PLAIN_CHIP)
    embedding = 2 * bound.model.embedding_parameters
    read = (
        weight_bytes(bound.served(ONE)) - embedding
    ) / bound.cluster.accelerator.memory_bandwidth
    assert read < bound.device(ONE).alone[0] < 2.0 * read


def test_many_rows_run_at_the_arithmetic_s_rate():
    bound = server(chip=PLAIN_CHIP)
    device, tokens = bound.device(ONE), float(TOKENS[-5])
    layers = count_parameters(bound.model).total - 2 * bound.model.embedding_parameters
    ideal = 2 * layers * tokens / bound.cluster.accelerator.peaks["bf16"]
    assert ideal < device.lane[-5] < 3.0 * ideal


@pytest.mark.parametrize("deployment", DENSE)
def test_more_sequences_or_longer_ones_never_take_a_shorter_step(deployment):
    device = server(chip=PLAIN_CHIP).device(deployment)
    assert falls(whole_step(device)) <= 1e-9
    assert falls(whole_step(device), axis=1) <= 1e-9
    for table in (device.lane, device.head, device.prefill):
        assert falls(table) <= 1e-9


@pytest.mark.parametrize("chip", ["h100", "h200", "b200", "a100", "l40s"])
@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_dense_steps_of_measured_kernels_dip_by_less_than_two_percent(chip, engine):
    # A kernel that was measured changes its way of splitting work; fits keep what that gains.
    for deployment in DENSE:
        device = server(chip=chip, engine=engine).device(deployment)
        assert falls(whole_step(device)) < 0.02
        assert falls(whole_step(device), axis=1) < 0.005
        assert falls(device.lane) <= 1e-9


@pytest.mark.parametrize("chip", ["h100", "b200", PLAIN_CHIP, "tpu-v6e"])
def test_sparse_steps_dip_by_less_than_seven_percent_where_experts_fill_their_tiles(chip):
    # From 64 to 96 tokens the busiest rank's experts are all touched, and their tiles fill up.
    for deployment in SPARSE:
        device = server("qwen3-30b-a3b", chip).device(deployment)
        assert falls(whole_step(device)) < 0.07
        assert falls(device.lane + device.whole) < 0.07
        assert falls(whole_step(device), axis=1) < 0.005


@FASTER
@given(st.sampled_from(CASES), st.floats(0.3, 4.0), st.floats(1.0, 8.0))
def test_more_memory_bandwidth_never_slows_a_step(case, start, factor):
    model, deployment = case
    bound = server(model, PLAIN_CHIP)
    bandwidth = start * bound.cluster.accelerator.memory_bandwidth
    slow, quick = (
        device_times(changed_chip(bound, memory_bandwidth=rate).served(deployment))
        for rate in (bandwidth, factor * bandwidth)
    )
    for name in ("lane", "whole", "alone", "head", "attention", "prefill"):
        assert np.all(getattr(quick, name) <= getattr(slow, name) * (1 + 1e-12)), name


@pytest.mark.parametrize("chip", [PLAIN_CHIP, "mi355x", "h100", "h200", "b200", "a100", "l40s"])
def test_weights_of_8_bits_decode_no_slower_than_those_of_16(chip):
    wide, narrow = (server(chip=chip).device(Deployment(weights=name)) for name in ("bf16", "fp8"))
    served = wide.rows <= 256
    assert np.all(narrow.alone[served] < wide.alone[served])
    assert np.all(narrow.attention == wide.attention)


@pytest.mark.parametrize("chip", [PLAIN_CHIP, "h100", "h200", "b200"])
def test_experts_of_8_bits_in_blocks_decode_no_slower_once_there_are_a_few_users(chip):
    wide, narrow = (
        server("qwen3-30b-a3b", chip).device(Deployment(weights=name))
        for name in ("bf16", "fp8-block")
    )
    busy = (wide.rows >= 8) & (wide.rows <= 256)
    assert np.all(narrow.alone[busy] < wide.alone[busy])


def test_a_cache_of_8_bits_is_read_no_slower():
    wide, narrow = (
        server(chip=PLAIN_CHIP).device(Deployment(cache=name)) for name in ("bf16", "fp8")
    )
    assert np.all(narrow.attention <= wide.attention)
    assert narrow.attention[-1, -1] == pytest.approx(0.5 * wide.attention[-1, -1], rel=0.05)


def test_a_window_s_attention_does_not_grow_beyond_it():
    times = server("mistral-7b-v0.1", PLAIN_CHIP).device(ONE).attention
    beyond = CONTEXT > 4096
    assert np.ptp(times[:, beyond], axis=1).max() <= 1e-12
    assert np.all(np.diff(times[-1, CONTEXT <= 4096]) > 0.0)


# Steps as an engine takes them


def test_a_host_s_time_comes_on_top_and_what_was_fitted_multiplies_the_device_s():
    bound = server(chip=PLAIN_CHIP)
    device, engine = bound.device(ONE), bound.engine
    plain = msgspec.structs.replace(engine, step_time=0.0, sequence_time=0.0, launch_time=0.0)
    bare = step_times(device, plain, Correction())
    assert bare.decode == pytest.approx(device.alone)
    doubled = step_times(device, plain, Correction(decode=2.0))
    assert doubled.decode + doubled.attention[:, 0] == pytest.approx(2 * whole_step(device)[:, 0])
    late = msgspec.structs.replace(plain, step_time=3e-3, sequence_time=1e-5)
    hosted = step_times(device, late, Correction())
    assert hosted.decode - bare.decode == pytest.approx(3e-3 + 1e-5 * device.rows)
    assert hosted.head - bare.head == pytest.approx(3e-3 + 1e-5 * device.rows)


def test_decoding_that_is_not_replayed_from_graphs_is_launched_kernel_by_kernel():
    bound = server(chip=PLAIN_CHIP)
    device = bound.device(ONE)
    replayed, eager = (
        step_times(
            device, msgspec.structs.replace(bound.engine, graph_rows=rows, launch_time=2e-4),
            Correction(),
        ).decode
        for rows in (512, 0)
    )  # fmt: skip
    assert eager[0] > 2 * replayed[0]
    assert eager[-1] == pytest.approx(replayed[-1])  # long steps hide their launches
    assert np.all(eager >= replayed)


def test_no_step_that_decodes_is_fitted_below_what_reading_takes():
    bound = server(chip=PLAIN_CHIP)
    device = bound.device(ONE)
    engine = msgspec.structs.replace(bound.engine, step_time=0.0, sequence_time=0.0)
    impossible = step_times(device, engine, Correction(decode=0.01))
    assert impossible.decode[0] == pytest.approx(device.read)
    assert np.all(impossible.attention >= np.minimum(device.attention, device.cached) * 0.999)


def test_two_halves_hide_the_traffic_to_the_experts_behind_kernels():
    spread = Deployment(dp=32, ep=32, weights="fp8-block", expert_weights="fp8-block")
    bound = server("deepseek-v3", "h100", "sglang")
    plain = bound.served(spread)
    halves = dataclasses.replace(
        plain, engine=msgspec.structs.replace(plain.engine, overlaps="always")
    )
    whole, hidden = device_times(plain).whole, device_times(halves).whole
    experts = whole_costs(plain, TOKENS).parts["experts"]
    assert np.all(hidden <= whole)
    assert hidden[-3] == pytest.approx(experts[-3])  # kernels are the longer part of long prompts


def test_two_halves_decode_only_where_that_is_quicker():
    spread = Deployment(dp=128, ep=128, weights="fp8-block", expert_weights="fp8-block")
    bound = server("deepseek-v3", "h100", "sglang")
    plain = device_times(bound.served(spread))
    asked = device_times(bound.served(msgspec.structs.replace(spread, overlap=True)))
    context = int(np.searchsorted(CONTEXT, 4096))
    one_by_one = plain.alone + plain.attention[:, context]
    in_halves = asked.alone + asked.attention[:, context]
    small, large = plain.rows / 128 <= 4, plain.rows / 128 >= 128
    assert np.all(in_halves <= one_by_one * (1 + 1e-12))
    assert in_halves[small] == pytest.approx(one_by_one[small])
    assert np.all(in_halves[large] < one_by_one[large])
    assert np.all(in_halves > 0.5 * one_by_one)  # nothing but waiting is saved
    assert np.all(np.diff(asked.attention, axis=1) >= -1e-12)


def test_a_router_with_one_group_of_all_experts_sends_tokens_as_far_as_one_without():
    spread, tokens = Deployment(dp=32, ep=32, weights="fp8-block"), np.array([8192.0])

    def exchange(groups: int, top: int) -> float:
        bound = Server(*_in_groups(groups, top), server(chip="h200").engine, FACTS)
        return float(whole_costs(bound.served(spread), tokens).parts["exchange"][0])

    assert exchange(1, 1) == exchange(1, 0)
    assert exchange(8, 1) < exchange(8, 4) <= exchange(1, 0)


def _in_groups(groups: int, top: int) -> tuple[Model, Cluster]:
    """DeepSeek-V3 with other groups of experts, on four nodes of H200."""
    question = asked("deepseek-v3", "h200", accelerators=32)
    blocks = []
    for block in question.model.blocks:
        experts = block.experts
        if experts is not None:
            experts = msgspec.structs.replace(experts, num_groups=groups, top_groups=top)
        blocks.append(msgspec.structs.replace(block, experts=experts))
    return msgspec.structs.replace(question.model, blocks=tuple(blocks)), question.cluster


def test_the_most_special_correction_that_holds_is_taken():
    engine = msgspec.structs.replace(
        server().engine,
        corrections=(
            Correction(decode=1.1),
            Correction(profile="p", decode=1.2),
            Correction(profile="p", weights="fp8", decode=1.3),
            Correction(accelerator="a", weights="fp8", decode=1.4),
        ),
    )
    asks = [("q", "b", "fp8"), ("p", "b", "bf16"), ("p", "b", "fp8"), ("p", "a", "fp8")]
    found = [
        engine.correction(profile=profile, accelerator=chip, weights=weights).decode
        for profile, chip, weights in asks
    ]
    assert found == [1.1, 1.2, 1.3, 1.4]


@pytest.mark.parametrize(
    ("model", "chip", "deployment"),
    [
        ("llama-3.1-8b", "h100", ONE),
        ("llama-3.1-8b", PLAIN_CHIP, Deployment(tp=4, weights="fp8", cache="fp8")),
        ("llama-3.1-8b", "h200", Deployment(tp=8, pp=2)),
        ("qwen3-30b-a3b", "b200", Deployment(tp=4, ep=4)),
        ("deepseek-v3", "h200", Deployment(dp=16, ep=16, weights="fp8-block")),
    ],
)
def test_the_parts_of_a_step_add_up_to_it(model, chip, deployment):
    bound, pool = server(model, chip), Pool(deployment=deployment)
    job = asked(prompt=960, output=128).workload  # 1,024 tokens on average: a point of the grid
    kind, device = bound.replica(pool, 1088.0), bound.device(deployment)
    at = int(np.flatnonzero(device.rows >= deployment.lanes * 8)[0])
    parts = {
        part.name: part.time for part in step_parts(bound, kind, pool, job, float(device.rows[at]))
    }
    total = decode_step(kind, device.rows[at : at + 1], 1024.0)[0]
    assert sum(parts.values()) == pytest.approx(total, rel=1e-12)
    rest = parts.pop("host_and_fitted")
    assert all(time > 0.0 for time in parts.values())
    assert total - rest == pytest.approx(whole_step(device)[at, CONTEXT == 1024][0], rel=1e-9)


def test_a_replica_s_closed_form_trades_users_for_throughput():
    state = steady(server().replica(Pool(deployment=ONE), 1200.0), 1000.0, 200.0)
    assert np.all(np.diff(state.step) > 0.0)
    assert falls(state.rate) < 0.02  # saturated, it wavers
    assert state.rate[0] == pytest.approx(1.0 / (200.0 * state.step[0]))
    place = state.at(0.02)
    assert state.step[place] <= 0.02 < state.step[place + 1]
    assert state.at(1e-6) == -1

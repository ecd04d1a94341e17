"""One set of quantities for every formula: what goes in, in mixed units, and what must come out.

A figure without a unit is a plain number. Activation formulas hold constants such as "2 bytes per
element of bf16"; their per-element bytes are plain numbers here, tokens and elements are dimensions
of their own, and the result shows that it is linear in both.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    """What goes into a formula, and the unit of what must come out."""

    result: str
    arguments: dict[str, object]


def case(result: str, **arguments: object) -> Case:
    """Write a case as a call."""
    return Case(result, arguments)


GROUP = {"group_size": 16, "stride": 2}
SIZES = {"level_sizes": (8, 72, 1024)}
BANDWIDTHS = {**SIZES, "level_bandwidths": ("0.45 TB/s", "100 GB/s", "50 GB/s")}
LATENCIES = {**SIZES, "level_latencies": ("3 us", "0.005 ms", "14 us")}
TILE = {"half_tile": 32, "half_depth": 100, "fill_area": 5e5, "split_depth": 5e3}
SHAPE = {"rows": 4096, "columns": 8192, "depth": 1024}
MACHINE = {
    "peak_flops": "989.4 TFLOP/s",
    "memory_bandwidth": "3.35 TB/s",
    "memory_efficiency": 0.8,
    "peak_efficiency": 0.75,
    "floor": "2.7 us",
}
WAVE = {"tile_rows": 128, "tile_columns": 256, "num_units": 132, "wave_share": 0.5}
CACHE = {"cache_bytes": "50 MB", "cache_share": 0.5, "cache_speedup": 2.5}
MATMUL = {**SHAPE, **TILE, **MACHINE, "element_bytes": "2 B", "output_bytes": "4 B"}
HALF_LAYER = {
    "tokens": "8192 token",
    "hidden_size": "4096 element",
    "tensor_shards": 8,
    "sequence_shards": 8,
    "linear_input_bytes": 2,
    "mask_bytes": 1,
}
GPT = {
    "sequences": 512,
    "sequence_length": 2048,
    "num_layers": 96,
    "hidden_size": 12288,
    "vocab_size": 51200,
}
PIPELINE = {"num_stages": 8, "num_chunks": 2, "num_micro_batches": 30}

ATTENTION = {"query_length": 4096, "key_length": 8192, "causal": 1, "window": 1024}

CASES: dict[str, Case] = {
    "attention.attended_pairs": case("1", **ATTENTION),
    "attention.attention_time": case(
        "s",
        **ATTENTION,
        **MACHINE,
        batch_size=2,
        num_heads=32,
        num_kv_heads=8,
        qk_dim=192,
        value_dim=128,
        element_bytes="2 B",
        half_length=220,
        half_head_dim=90,
        fill_rows=3500,
        flop_factor=2.5,
        traffic_factor=2,
        query_tile=128,
        least_tile=16,
        packed=1,
        window_waste=0.1,
        start_time="0.003 us",
        query_passes=1.5,
        key_passes=2.5,
        cache_bytes="50 MB",
        cache_speedup=3,
    ),
    "collectives.members_inside": case("1", **GROUP, level_size=8),
    "collectives.ring_inverse_bandwidth": case("s/B", **GROUP, **BANDWIDTHS),
    "collectives.ring_latency": case("s", **GROUP, **LATENCIES),
    "collectives.tree_latency": case("s", **GROUP, **LATENCIES),
    "collectives.all_to_all_inverse_bandwidth": case("s/B", **GROUP, **BANDWIDTHS),
    "collectives.point_to_point_inverse_bandwidth": case("s/B", stride=16, **BANDWIDTHS),
    "collectives.point_to_point_latency": case("s", stride=16, **LATENCIES),
    "decoding.decode_attention_time": case(
        "s",
        **MACHINE,
        batch_size=64,
        num_heads=32,
        key_length=4096,
        num_kv_heads=8,
        qk_dim=128,
        value_dim=128,
        key_width=256,
        element_bytes="1 B",
        tile_time="0.028 us",
        fill_tiles=132,
        split_keys=128,
        split_latency="0.3 us",
        chunk_time="2 us",
        key_time="0.001 us",
        query_tile=16,
        alone=1,
        reread_speedup=3,
        window=1024,
        window_waste=0.1,
        cache_bytes="50 MB",
        cache_speedup=2,
    ),
    "experts.touched_experts": case("1", tokens=32, top_k=8, num_experts=256),
    "experts.experts_time": case(
        "s",
        **MACHINE,
        rows=4096,
        hidden_size=4096,
        intermediate_size=1536,
        num_groups=128,
        tokens=512,
        num_matrices=3,
        weight_bytes="1 B",
        element_bytes="2 B",
        half_tile=32,
        fill_area=5e5,
        activation_passes=2.5,
        foreign_rows=100,
        foreign_cost=0.3,
        foreign_passes=1.5,
        cache_bytes="50 MB",
        cache_speedup=2,
    ),
    "flops.parameter_flops": case(
        "FLOP*parameter*token", parameters="8 Gparameter", tokens="4 Mtoken", passes=4
    ),
    "flops.attention_flops": case(
        "token**2*element",
        sequences=512,
        sequence_length="2 ktoken",
        num_layers=32,
        attention_width="4096 element",
        visible_share=0.5,
    ),
    "flops.scan_flops": case(
        "token*element**2",
        tokens="4 Mtoken",
        num_heads=80,
        state_dim="128 element",
        value_dim="64 element",
        chunk_length="256 element",
    ),
    "flops.gpt_model_flops": case("FLOP", **GPT),
    "flops.gpt_hardware_flops": case("FLOP", **GPT),
    "flops.newton_schulz_flops": case(
        "FLOP", parameters="1e9 FLOP", hidden_size=4096, num_iterations=5
    ),
    "flops.utilization": case(
        "1",
        step_flops="3e18 FLOP",
        step_time="2500 ms",
        num_accelerators=4096,
        peak_flops="989.4 TFLOP/s",
    ),
    "halves.halved_time": case("s", kernel_time="30 ms", traffic_time="20 ms"),
    "memory.optimizer_state_bytes_per_parameter": case(
        "B", num_moments=2, moment_bytes="4 B", master_bytes="0.004 kB"
    ),
    "memory.sharded_bytes": case(
        "B", parameters="7.5e9 parameter", bytes_per_parameter="12 B/parameter", shards=64
    ),
    "memory.score_activation_bytes": case(
        "token**2", sequences=1, sequence_length="2048 token", key_length="4 ktoken", num_heads=96
    ),
    "memory.mixer_activation_bytes": case(
        "token*element", **HALF_LAYER, projected_width="6 kelement", core_width="4096 element"
    ),
    "memory.mlp_activation_bytes": case(
        "token*element", **HALF_LAYER, width="14 kelement", num_up=2
    ),
    "memory.expert_activation_bytes": case(
        "token*element",
        routed_tokens="8192 token",
        hidden_size="4096 element",
        width="2 kelement",
        num_up=2,
        expert_shards=1,
        linear_input_bytes=2,
    ),
    "memory.logit_bytes": case(
        "token*element",
        tokens="8192 token",
        vocab_size="128 kelement",
        tensor_shards=8,
        bytes_per_logit=8,
    ),
    "pipeline.bubble_time": case("s", sum_time="8.1 s", slowest_time="1100 ms", **PIPELINE),
    "pipeline.zero_bubble_saving": case("s", weight_gradient_time="3 ms", num_stages=8, delayed=2),
    "pipeline.dualpipe_bubble_time": case(
        "s",
        both_time="30 ms",
        backward_time="0.02 s",
        weight_gradient_time="10 ms",
        num_stages=8,
    ),
    "pipeline.exposed_hop_time": case("s", one_hop_time="700 us", overlapped=1, **PIPELINE),
    "pipeline.micro_batches_in_flight": case("1", rank=0, **PIPELINE),
    "protocols.quickest_time": case(
        "s",
        buffer_bytes="64 MB",
        latencies=("5 us", "0.03 ms"),
        inverse_bandwidths=("0.02 s/GB", "3 s/TB"),
    ),
    "protocols.tree_inverse_bandwidth": case("s/B", **GROUP, **BANDWIDTHS, max_rails=4),
    "protocols.switch_inverse_bandwidth": case("s/B", **GROUP, **BANDWIDTHS, max_rails=4),
    "protocols.one_shot_inverse_bandwidth": case("s/B", group_size=8, level_bandwidth="0.45 TB/s"),
    "protocols.expected_domains": case("1", top_k=8, num_domains=8, max_domains=4),
    "protocols.dispatch_time_per_token": case(
        "s", **GROUP, **BANDWIDTHS, top_k=8, max_domains=4, token_bytes="7 kB"
    ),
    "roofline.cached_share": case("1", num_bytes="30 MB", cache_bytes="0.05 GB"),
    "roofline.soft_maximum": case("s", first="4 ms", second="0.004 s", sharpness=3),
    "roofline.matmul_work": case("1", **SHAPE, **TILE, num_groups=4),
    "roofline.matmul_efficiency": case("1", **SHAPE, **TILE, peak_efficiency=0.8),
    "roofline.matmul_time": case("s", **MATMUL),
    "roofline.grouped_matmul_time": case("s", **MATMUL, num_groups=8),
    "roofline.memory_time": case(
        "s",
        num_bytes="1 GB",
        memory_bandwidth="3.35 TB/s",
        efficiency=0.9,
        ramp_bytes="2 MB",
        floor="2 us",
    ),
    "tiles.tiled_area": case("1", rows=4096, columns=8192, **WAVE),
    "tiles.warm_traffic_time": case("s", num_bytes="1 GB", memory_bandwidth="3.35 TB/s", **CACHE),
    "tiles.serial_depth_time": case("s", depth=4096, depth_time="0.001 us", split_depth=3000),
    "scores.fleet_equivalents": case("1", counts=(150e3, 50e3), ratios=(1.0, 1.5)),
    "scores.weighted_mean_ratio": case("1", ratios=(2.0, 0.5), weights=(0.25, 0.75)),
    "spares.down_share": case("1", mean_time_to_failure="60 day", mean_time_to_repair="8 hour"),
    "spares.spares": case("1", needed=100, down=0.01, shortfall=1e-3),
    "speculation.accepted_tokens": case("1", drafted=3, acceptance=0.8),
    "tiles.engine_matmul_time": case(
        "s",
        **SHAPE,
        **MACHINE,
        **WAVE,
        **CACHE,
        input_bytes="1 B",
        weight_bytes="0.5625 B",
        output_bytes="2 B",
        ragged=1,
        sharpness=3,
        half_rows=30,
        half_columns=30,
        half_depth=100,
        depth_time="0.001 us",
        split_depth=3000,
        cast_traffic=2.5,
        repack_traffic=1.2,
        host_time="50 us",
    ),
    "variation.slowest_of_many": case("1", spread=0.01, count=1024),
}

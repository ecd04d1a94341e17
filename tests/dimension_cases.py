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
WAN = {"payload_bytes": "10 GB", "replicas": 14, "bandwidth": "62.5 MB/s", "round_trip": "100 ms"}
WAITS = {"step_time": "22.8 s", "sync_time": "469 s", "hidden_time": "1 minute"}
PIPELINE = {"num_stages": 8, "num_chunks": 2, "num_micro_batches": 30}

CYCLE = {
    "interval": "10 minute",
    "stall_time": "1 s",
    "restart_time": "0.1 hour",
    "failure_rate": "8 1/day",
}
FREE = {
    "outdoor_temperature": "298 K",
    "supply_temperature": "300 K",
    "temperature_rise": "8 K",
    "approach": "6 K",
}

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
    "carbon.amortised_carbon": case(
        "g", made="164 kg", duration="54 day", life="5 year", busy_share=0.9
    ),
    "carbon.electricity_carbon": case("g", energy="1287 MWh", grid_carbon="0.429 kg / kWh"),
    "carbon.electricity_water": case("L", energy="1287 MWh", grid_water="0.82 L / kWh"),
    "carbon.made_carbon": case(
        "g",
        die_area="814e-6 metre ** 2",
        area_carbon="1.8e4 kg / metre ** 2",
        memory_bytes="80 GB",
        byte_carbon="0.4 kg / GB",
        rest_carbon="20 kg",
    ),
    "carbon.market_carbon": case(
        "g",
        energy="1287 MWh",
        grid_carbon="0.429 kg / kWh",
        contracted_share=0.8,
        contract_carbon="11 g / kWh",
    ),
    "carbon.wafer_carbon": case(
        "kg / metre ** 2",
        fab_energy="2.75e4 kWh / metre ** 2",
        fab_carbon="0.5 kg / kWh",
        fab_gases="4.3e3 kg / metre ** 2",
        fab_materials="5e6 g / metre ** 2",
        fab_yield=0.875,
    ),
    "checkpoints.best_interval": case("s", stall_time="60 s", failure_rate="3 1/hour"),
    "checkpoints.checkpoint_write_time": case(
        "s",
        checkpoint_bytes="5.7 TB",
        storage_bandwidth="2 TB/s",
        node_bandwidth="25 GB/s",
        num_nodes=64,
    ),
    "checkpoints.daly_interval": case("s", stall_time="1 minute", failure_rate="3 1/hour"),
    "checkpoints.lost_accelerator_time": case(
        "s", num_steps=99, step_time="2000 ms", num_accelerators=100_000
    ),
    "checkpoints.young_interval": case("s", stall_time="1 minute", failure_rate="3 1/hour"),
    "clos.clos_capacity": case("1", radix=64, tiers=3),
    "clos.clos_switches": case("1", num_endpoints=32768, radix=64, tiers=3),
    "clos.dragonfly_links": case("1", dragonfly_groups=74, group_switches=32, pair_links=4),
    "clos.dragonfly_oversubscription": case(
        "1", group_endpoints=512, dragonfly_groups=74, pair_links=4
    ),
    "clos.fewest_tiers": case("1", num_endpoints=5000, radix=64),
    "clos.optical_ends": case("1", num_endpoints=384, tiers=2, copper_share=1.0),
    "clos.tier_links": case("1", num_endpoints=1024, tier=2, oversubscriptions=(2.0,)),
    "clos.torus_links": case("1", num_accelerators=4096, dimensions=3),
    "clos.torus_optical_ends": case("1", num_accelerators=4096, side=4, dimensions=3),
    "clos.whole_switches": case(
        "1", num_endpoints=1024, radix=64, tier=1, tiers=2, rails=8, oversubscriptions=(2.0,)
    ),
    "collectives.all_to_all_inverse_bandwidth": case("s/B", **GROUP, **BANDWIDTHS),
    "collectives.members_inside": case("1", **GROUP, level_size=8),
    "collectives.point_to_point_inverse_bandwidth": case("s/B", stride=16, **BANDWIDTHS),
    "collectives.point_to_point_latency": case("s", stride=16, **LATENCIES),
    "collectives.ring_inverse_bandwidth": case("s/B", **GROUP, **BANDWIDTHS),
    "collectives.ring_latency": case("s", **GROUP, **LATENCIES),
    "collectives.tree_latency": case("s", **GROUP, **LATENCIES),
    "cooling.chiller_cop": case(
        "1", cold_temperature="278 K", hot_temperature="308 K", carnot_share=0.5, least_lift="10 K"
    ),
    "cooling.climate_spread": case(
        "K", coldest_month="278 K", hottest_month="301 K", daily_range="10 K", weather_spread="4 K"
    ),
    "cooling.cooling_power": case("1", moving=0.04, rejection=0.03, free=0.5, performance=5.0),
    "cooling.distribution_loss": case("1", ups_efficiency=0.97, wiring_loss=0.01, lighting=0.001),
    "cooling.evaporated_share": case("1", **{**FREE, "outdoor_temperature": "308 K"}),
    "cooling.evaporative_heat": case(
        "1",
        dry_temperature="288 K",
        wet_temperature="284 K",
        exhaust_rise="9 K",
        sensible_ratio=0.37,
    ),
    "cooling.free_share": case("1", **FREE),
    "cooling.moving_power": case(
        "1",
        pressure="500 J / metre ** 3",
        heat_capacity="1.17 kJ / metre ** 3 / K",
        temperature_rise="16 K",
        mover_efficiency=0.8,
    ),
    "cooling.power_usage_effectiveness": case("1", distribution=0.05, cooling=0.06),
    "cooling.water_usage_effectiveness": case(
        "L / J", heat=1.1, evaporative_share=0.9, latent_heat="2.45 MJ / L", cycles=5
    ),
    "cooling.wet_bulb": case("K", temperature="293 K", humidity=0.5, ice_point="273.15 K"),
    "cooling.yearly_temperatures": case("K", mean_temperature="288 K", temperature_spread="8 K"),
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
    "experts.touched_experts": case("1", tokens=32, top_k=8, num_experts=256),
    "failure_rates.first_failure_time": case("s", mean_time_to_failure="5 year", count=1e5),
    "failure_rates.job_failure_rate": case(
        "1/s",
        num_nodes=512,
        small_rate="0.02 1/day",
        large_rate="1.6e-4 1/hour",
        small_nodes=128,
        large_nodes=2048,
    ),
    "flops.attention_flops": case(
        "token**2*element",
        sequences=512,
        sequence_length="2 ktoken",
        num_layers=32,
        attention_width="4096 element",
        visible_share=0.5,
    ),
    "flops.gpt_hardware_flops": case("FLOP", **GPT),
    "flops.gpt_model_flops": case("FLOP", **GPT),
    "flops.newton_schulz_flops": case(
        "FLOP", parameters="1e9 FLOP", hidden_size=4096, num_iterations=5
    ),
    "flops.parameter_flops": case(
        "FLOP*parameter*token", parameters="8 Gparameter", tokens="4 Mtoken", passes=4
    ),
    "flops.scan_flops": case(
        "token*element**2",
        tokens="4 Mtoken",
        num_heads=80,
        state_dim="128 element",
        value_dim="64 element",
        chunk_length="256 element",
    ),
    "flops.utilization": case(
        "1",
        step_flops="3e18 FLOP",
        step_time="2500 ms",
        num_accelerators=4096,
        peak_flops="989.4 TFLOP/s",
    ),
    "goodput.clean_share": case("1", silent_rate="1.2e-6 1/s", latency_time="1800 s"),
    "goodput.elastic_speed": case("1", num_missing=17, replica_nodes=16, num_replicas=128),
    "goodput.first_order_goodput": case("1", **CYCLE),
    "goodput.renewal_goodput": case("1", **CYCLE, lag_time="20 s"),
    "goodput.replica_share": case(
        "1", failure_rate="1e-3 1/s", absent_time="600 s", num_replicas=12
    ),
    "goodput.two_tier_goodput": case(
        "1",
        **CYCLE,
        slow_interval="3 hour",
        slow_stall_time="40 s",
        fast_share=0.9,
        lag_time="20 s",
    ),
    "growth.best_wait": case("s", run_time="60 day", doubling_time="0.5 year"),
    "growth.doubling_time": case("s", growth=1e6, span="10 year"),
    "growth.grown": case("1", span="10 year", doubling_time="270 day"),
    "growth.ramp_time": case(
        "s",
        total_flops="4e13 TFLOP",
        start_count=1e4,
        count_rate="5263 1/day",
        unit_flops="400 TFLOP/s",
    ),
    "growth.ramp_work": case(
        "FLOP", start_count=1e4, count_rate="5263 1/day", unit_flops="400 TFLOP/s", span="19 day"
    ),
    "halves.halved_time": case("s", kernel_time="30 ms", traffic_time="20 ms"),
    "low_communication.arrivals_needed": case("1/s", active=14, mean_stay="7 day"),
    "low_communication.butterfly_sync_time": case("s", **WAN),
    "low_communication.compute_utilization": case("1", inner_steps=100, **WAITS),
    "low_communication.download_time": case(
        "s", num_bytes="400 TB", bandwidth="625 TB/s", round_trip="100 ms"
    ),
    "low_communication.fibre_round_trip": case(
        "s", distance="4497 km", refractive_index=1.44, light_speed="299792.458 km/s"
    ),
    "low_communication.inner_steps_for": case("1", utilization=0.9, **WAITS),
    "low_communication.kept_work": case(
        "1", mean_stay="1 day", join_time="10 minute", period="0.75 hour"
    ),
    "low_communication.relay_time": case(
        "s", tokens=8192, hidden_size=4096, element_bytes="1 B", bandwidth="2.5 MB/s"
    ),
    "low_communication.ring_sync_time": case("s", **WAN),
    "low_communication.server_sync_time": case("s", **WAN, server_bandwidth="5 GB/s"),
    "low_communication.traffic_reduction": case(
        "1", inner_steps=100, gradient_bytes="4 B", exchanged_bytes="0.001 kB"
    ),
    "low_communication.tree_sync_time": case("s", **WAN),
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
    "memory.mixer_activation_bytes": case(
        "token*element", **HALF_LAYER, projected_width="6 kelement", core_width="4096 element"
    ),
    "memory.mlp_activation_bytes": case(
        "token*element", **HALF_LAYER, width="14 kelement", num_up=2
    ),
    "memory.optimizer_state_bytes_per_parameter": case(
        "B", num_moments=2, moment_bytes="4 B", master_bytes="0.004 kB"
    ),
    "memory.score_activation_bytes": case(
        "token**2", sequences=1, sequence_length="2048 token", key_length="4 ktoken", num_heads=96
    ),
    "memory.sharded_bytes": case(
        "B", parameters="7.5e9 parameter", bytes_per_parameter="12 B/parameter", shards=64
    ),
    "money.accelerator_cost_rate": case(
        "USD/s",
        capital_cost_rate="100 USD/s",
        running_cost_rate="40 USD/hour",
        num_accelerators=1e5,
        utilisation=0.9,
    ),
    "money.annuity": case("USD", price="30 USD", residual="6 USD", interest=0.08, periods=5),
    "money.break_even_utilisation": case("1", cost_rate="1.4 USD/hour", rent_rate="56 USD/day"),
    "money.capital_recovery": case("1", interest=0.08, periods=5),
    "money.cost_per_token": case("USD", cost_rate="2 USD/hour", token_rate="5000 1/s"),
    "money.energy_cost_rate": case("USD/s", power="140 MW", pue=1.2, energy_price="0.08 USD/kWh"),
    "money.part_interest": case("1", interest=0.08, parts=12),
    "money.payback_time": case(
        "s", price="31 USD", rent_rate="2 USD/hour", running_cost_rate="9 USD/day"
    ),
    "money.present_value": case("USD", cash_flows=("5 USD", "6 USD", "7 USD"), interest=0.1),
    "money.work_cost": case(
        "USD", total_flops="1e21 FLOP", peak_flops="989 TFLOP/s", mfu=0.4, cost_rate="2 USD/hour"
    ),
    "pipeline.bubble_time": case("s", sum_time="8.1 s", slowest_time="1100 ms", **PIPELINE),
    "pipeline.dualpipe_bubble_time": case(
        "s",
        both_time="30 ms",
        backward_time="0.02 s",
        weight_gradient_time="10 ms",
        num_stages=8,
    ),
    "pipeline.exposed_hop_time": case("s", one_hop_time="700 us", overlapped=1, **PIPELINE),
    "pipeline.micro_batches_in_flight": case("1", rank=0, **PIPELINE),
    "pipeline.zero_bubble_saving": case("s", weight_gradient_time="3 ms", num_stages=8, delayed=2),
    "pooling.further_reach": case("1", study_rates=("3 1/day", "0.1 1/hour", "1 1/day")),
    "pooling.further_spread": case("1", study_rates=("3 1/day", "0.1 1/hour", "1 1/day")),
    "pooling.middle_rate": case("1/s", study_rates=("3 1/day", "0.1 1/hour", "1 1/day")),
    "power.capped_speed": case(
        "1", power_cap="1 kW", idle_power="130 W", rated_power="1200 W", power_exponent=3.0
    ),
    "power.converter_input": case(
        "W", load_power="2 kW", fixed_loss="13 W", conversion_efficiency=0.98
    ),
    "power.device_energy": case("J", device_time="3552000 hour", device_power="330 W", pue=1.1),
    "power.facility_power": case(
        "W",
        num_accelerators=100_000,
        accelerator_power="0.7 kW",
        load=0.9,
        host_power="575 W",
        network_power="100 W",
        storage_power="27 W",
        pue=1.294,
    ),
    "power.part_load": case("W", idle_power="2.8 kW", rated_power="10200 W", load=0.5),
    "power.phase_power": case(
        "W",
        compute_share=0.6,
        memory_share=0.1,
        traffic_share=0.2,
        compute_power="0.7 kW",
        memory_power="380 W",
        traffic_power="250 W",
        idle_power="75 W",
    ),
    "power.step_speed": case("1", speed=0.93, compute_share=0.75),
    "protocols.dispatch_time_per_token": case(
        "s", **GROUP, **BANDWIDTHS, top_k=8, max_domains=4, token_bytes="7 kB"
    ),
    "protocols.expected_domains": case("1", top_k=8, num_domains=8, max_domains=4),
    "protocols.one_shot_inverse_bandwidth": case("s/B", group_size=8, level_bandwidth="0.45 TB/s"),
    "protocols.quickest_time": case(
        "s",
        buffer_bytes="64 MB",
        latencies=("5 us", "0.03 ms"),
        inverse_bandwidths=("0.02 s/GB", "3 s/TB"),
    ),
    "protocols.switch_inverse_bandwidth": case("s/B", **GROUP, **BANDWIDTHS, max_rails=4),
    "protocols.tree_inverse_bandwidth": case("s/B", **GROUP, **BANDWIDTHS, max_rails=4),
    "roofline.cached_share": case("1", num_bytes="30 MB", cache_bytes="0.05 GB"),
    "roofline.grouped_matmul_time": case("s", **MATMUL, num_groups=8),
    "roofline.matmul_efficiency": case("1", **SHAPE, **TILE, peak_efficiency=0.8),
    "roofline.matmul_time": case("s", **MATMUL),
    "roofline.matmul_work": case("1", **SHAPE, **TILE, num_groups=4),
    "roofline.memory_time": case(
        "s",
        num_bytes="1 GB",
        memory_bandwidth="3.35 TB/s",
        efficiency=0.9,
        ramp_bytes="2 MB",
        floor="2 us",
        cache_bytes="50 MB",
        cache_speedup=2,
    ),
    "roofline.soft_maximum": case("s", first="4 ms", second="0.004 s", sharpness=3),
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
    "tiles.serial_depth_time": case("s", depth=4096, depth_time="0.001 us", split_depth=3000),
    "tiles.tiled_area": case("1", rows=4096, columns=8192, **WAVE),
    "tiles.warm_traffic_time": case("s", num_bytes="1 GB", memory_bandwidth="3.35 TB/s", **CACHE),
    "variation.slowest_of_many": case("1", spread=0.01, count=1024),
    "worth.cluster_price": case("USD", price="25 USD", server_factor=1.82, network_share=0.19),
    "worth.eroded_value": case("USD", price="25 USD", age="2 year", erosion_rate="0.14 1/year"),
    "worth.in_dollars": case("USD", amount=3.5, exchange_rate="0.14 USD"),
    "worth.learned_price": case("USD", price="25 USD", volume_ratio=4, learning_rate=0.2),
    "worth.straight_line_value": case("USD", price="25 USD", age="20 day", life="5 year"),
}

"""What engines are documented to do, seen in the steps of models that it concerns."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from serving_cases import STATIC, asked, run_of, server

from clusterwright.engines.requests.simulator import play_requests
from clusterwright.errors import InputError
from clusterwright.facts import engine_named, profile_of, shipped
from clusterwright.inference import Correction, Deployment, InferenceEngine
from clusterwright.serving.attending import attention_costs, prefill_costs
from clusterwright.serving.capacity import memory_of
from clusterwright.serving.layers import lane_costs, whole_costs
from clusterwright.serving.server import Pool, Server
from clusterwright.serving.steps import step_times
from clusterwright.validation.machines import split
from clusterwright.validation.serving.predicting import lengths_of
from clusterwright.validation.serving.questions import ServeLookup, question_of
from clusterwright.validation.serving.rows import ServeRun
from clusterwright.validation.serving.traffic import burst

KNOWN = ServeLookup(shipped())
SEQUENCES, CONTEXT = np.array([64.0]), np.array([1000.0])


def attention(model: str, engine: str) -> float:
    served = server(model, "h100", engine).served(Deployment(tp=4))
    return float(attention_costs(served, SEQUENCES, CONTEXT)[0])


def test_before_xqa_heads_that_share_keys_read_each_its_own():
    assert attention("llama-2-70b", "trtllm-2023") > 2.0 * attention("llama-2-70b", "trtllm")
    assert attention("llama-2-7b", "trtllm-2023") == attention("llama-2-7b", "trtllm")


def test_chips_without_8_bit_floats_widen_a_cache_of_them_and_integers_need_not():
    times = {
        (chip, cache): server(chip=chip).device(Deployment(cache=cache)).attention[-1, -1]
        for chip in ("a100", "h100")
        for cache in ("bf16", "fp8", "int8")
    }
    assert times["a100", "fp8"] > 2.0 * times["a100", "bf16"] > 2.0 * times["a100", "int8"]
    assert times["h100", "fp8"] == times["h100", "int8"] < times["h100", "bf16"]


def test_engines_that_do_not_cut_prompts_take_the_longest_on_every_lane():
    pool = Pool(role="both", count=1, deployment=Deployment(dp=4, ep=4, weights="fp8-block"))
    tokens = {name: server("qwen3-30b-a3b", engine=name) for name in ("trtllm-pytorch", "vllm")}
    budgets = {name: bound.replica(pool, 40_000.0).budget for name, bound in tokens.items()}
    assert budgets == {"trtllm-pytorch": 40_000, "vllm": 8192}


@pytest.mark.parametrize(
    ("words", "date", "vendor", "found"),
    [
        ("TensorRT-LLM", "2023-11", "NVIDIA", "trtllm-2023"),
        ("TensorRT-LLM", "2024-04", "NVIDIA", "trtllm-2024"),
        ("TensorRT-LLM", "2024-06", "NVIDIA", "trtllm"),
        ("llama.cpp", "2024-05", "NVIDIA", "llama-cpp-2024"),
        ("llama.cpp", "2025-01", "NVIDIA", "llama-cpp"),
        ("llama.cpp", "", "Apple", "llama-cpp-metal"),
        ("llama.cpp", "2024-05", "Apple", "llama-cpp-metal"),
        ("vLLM", "2023-10", "NVIDIA", "vllm-splitwise"),
        ("vLLM", "2024-10", "NVIDIA", "vllm-v0"),
        ("vLLM", "2025-12", "NVIDIA", "vllm-2025"),
        ("vLLM", "2026-01", "NVIDIA", "vllm"),
        ("KTransformers", "2025-02", "Intel", "ktransformers-v02"),
        ("ATOM", "2026-08", "AMD", "atom"),
    ],
)
def test_a_run_is_of_its_engines_era(words, date, vendor, found):
    run = ServeRun(**{**STATIC, "line": 1, "engine": words, "date": date, "config_complete": True})
    assert KNOWN.engine_of(run, vendor).id == found


@pytest.mark.parametrize(
    ("engine", "version", "date", "found"),
    [
        ("TensorRT-LLM", "1.0.0rc3", "", "trtllm-pytorch"),
        ("TensorRT-LLM", "1.2.0rc6", "2026-01", "trtllm-pytorch-2025"),
        ("TensorRT-LLM", "0.19.0", "2025-05", "trtllm"),
        ("vLLM", "0.5.3.post1", "2024-10", "vllm-v05"),
        ("vLLM", "0.6.3", "2024-10", "vllm-v0"),
    ],
)
def test_a_version_tells_the_engine_where_no_date_does(engine, version, date, found):
    said = {"engine": engine, "engine_version": version, "date": date}
    run = ServeRun(**{**STATIC, "line": 1, **said, "config_complete": True})
    assert KNOWN.engine_of(run, "NVIDIA").id == found


@pytest.mark.parametrize(
    ("chip", "engine"),
    [
        ("m4-pro", "llama-cpp-metal"),
        ("soc-sdxelite-gpu", "llama-cpp-opencl"),
        ("soc-sdxelite-cpu", "llama-cpp-processor"),
        ("nv-gb10", "llama-cpp"),
        ("mi300x", "vllm"),
        ("tpu-v5p", "vllm-tpu"),
        ("aws-trn2", "nxd-inference"),
        ("hw-910c", "generic"),
    ],
)
def test_a_chip_runs_the_engine_that_is_usual_for_it(chip, engine):
    assert asked(chip=chip).engine.id == engine


def test_llama_cpp_on_a_desktop_card_of_amd_is_not_of_the_kernels_for_cuda():
    run = run_of(engine="llama.cpp", date="2026-07", accelerator="RX 7900 XT", n_accel=1, tp=1)
    assert question_of(run, KNOWN).engine.id == "llama-cpp-vulkan"
    old = msgspec.structs.replace(run, date="2024-07")
    assert question_of(old, KNOWN).engine.id == "llama-cpp-2024"


def test_an_engine_for_other_chips_is_refused():
    with pytest.raises(InputError, match=r"processors does not run on .*leave out --engine"):
        asked(chip="m4-pro", engine="llama-cpp-processor")


def test_a_row_said_to_be_without_the_kernel_is_taken_so():
    row = {**STATIC, "line": 1, "config_complete": True, "disaggregated": False}
    run = {**row, "source": "trtllm-xqa", "engine": "TensorRT-LLM", "date": "2024-01"}
    asked = [
        question_of(ServeRun(**{**run, "notes": notes}), KNOWN).engine.shared_keys
        for notes in ("without XQA kernel", "with XQA kernel")
    ]
    assert asked == [False, True]


def test_what_an_engine_reserves_is_taken_from_the_cache():
    usual = server("llama-3.1-8b", "h100", "vllm").served(Deployment())
    small = server("llama-3.1-8b", "h100", "llama-cpp").served(Deployment())
    assert memory_of(usual, 80e9, context=1000.0).reserve == 0.7e9
    assert memory_of(small, 80e9, context=1000.0).reserve == 0.3e9


def lane(engine: InferenceEngine, chip: str, tokens: float, model: str = "llama-3.1-8b") -> float:
    """Time of all layers on some tokens, as an engine that was changed takes them. [s]"""
    usual = server(model, chip, "llama-cpp")
    served = Server(usual.model, usual.cluster, engine, usual.facts).served(Deployment())
    return float(lane_costs(served, np.array([tokens])).total[0])


def test_an_engine_without_matrix_units_takes_prompts_at_the_vector_rate():
    usual = engine_named(shipped(), "llama-cpp")
    vector = msgspec.structs.replace(usual, vector="fp32")
    assert lane(vector, "h100", 512.0) > 4.0 * lane(usual, "h100", 512.0)
    assert lane(vector, "h100", 1.0) == pytest.approx(lane(usual, "h100", 1.0), rel=0.2)


def test_tables_are_looked_up_bit_by_bit_where_weights_have_few():
    served = server("llama-2-7b", "soc-sdxelite-cpu", "t-mac").served(Deployment())
    rows = np.array([512.0])  # the more rows, the less the memory matters

    def taken(form: str) -> float:
        return float(served.kernels.matmul(rows, 4096.0, 4096.0, KNOWN.formats[form])[0])

    assert taken("int4") == pytest.approx(2.0 * taken("int2"), rel=1e-2)
    assert taken("bf16") > 1.5 * taken("int4")


def test_sums_in_16_bits_are_twice_as_quick_on_desktop_cards_alone():
    usual = engine_named(shipped(), "llama-cpp")
    wide = msgspec.structs.replace(usual, narrow_sums=False)
    assert lane(wide, "nv-rtx4090", 2048.0) > 1.6 * lane(usual, "nv-rtx4090", 2048.0)
    assert lane(wide, "h100", 2048.0) == pytest.approx(lane(usual, "h100", 2048.0), rel=1e-3)


def test_scores_that_leave_the_chip_cost_the_more_the_longer_the_prompt():
    def prompts(engine: str) -> Any:
        served = server("llama-3.1-8b", "h100", engine).served(Deployment())
        return prefill_costs(served, np.array([512.0, 8192.0]))

    short, long = prompts("llama-cpp-2024") - prompts("llama-cpp")
    assert long > 100.0 * short > 0.0


def test_on_metal_few_tokens_read_their_experts_one_by_one():
    served = server("gpt-oss-20b", "m2-ultra", "llama-cpp-metal").served(Deployment())
    one, eight, many = whole_costs(served, np.array([1.0, 8.0, 64.0])).total
    assert eight == pytest.approx(8.0 * one)
    assert many < 32.0 * one


def test_narrow_weights_that_are_written_out_first_cost_their_traffic_and_16_bits():
    served = server("llama-3.1-8b", "nv-rtx3090", "llama-cpp-2024").served(Deployment())
    form = KNOWN.formats["q4-k-m"]
    few, many = served.kernels.matmul(np.array([64.0, 65.0]), 4096.0, 4096.0, form)
    moved = 4096.0 * 4096.0 * (form.weight_bytes + 2.0)
    assert many - few > moved / served.kernels.accelerator.memory_bandwidth
    wide = served.kernels.matmul(np.array([65.0]), 4096.0, 4096.0, KNOWN.formats["fp16"])
    assert many > wide[0]


def test_windows_of_llama_cpp_are_wider_by_a_step_s_tokens():
    def seen(engine: str, budget: int) -> float:
        served = server("gemma-3-4b", "nv-gb10", engine).served(Deployment(budget=budget))
        return float(attention_costs(served, SEQUENCES, np.array([8192.0]))[0])

    assert seen("llama-cpp", 2048) > 1.3 * seen("llama-cpp", 512)
    assert seen("vllm", 2048) == seen("vllm", 512)


def test_a_model_compiled_for_a_context_attends_to_all_of_it():
    notes = "AI Hub perf.yaml; context length 4096; fill not stated"
    run = run_of(notes=notes, input_len=None, output_len=None)
    assert lengths_of(run, whole_context=True) == (4064.0, 32.0, 0.0)
    assert lengths_of(run) == (250.0, 32.0, 0.0)


def test_a_processor_has_no_more_cores_than_threads():
    row = {"engine": "T-MAC", "weight_precision": "int4", "batch_or_concurrency": "1"}
    names = ("Snapdragon X Elite CPU (4 threads)", "Snapdragon X Elite CPU (12 threads)")
    few, all_ = (question_of(run_of(accelerator=name, **row), KNOWN) for name in names)
    small, whole = few.cluster.accelerator, all_.cluster.accelerator
    assert small.peaks["int8"] == pytest.approx(whole.peaks["int8"] / 3.0)
    assert small.memory_bandwidth == whole.memory_bandwidth


def test_two_instances_on_two_sockets_share_nothing():
    row = {
        "source": "sglang-xeon",
        "engine": "llama.cpp",
        "accelerator": "Xeon 6980P (sockets)",
        "n_accel": 2,
        "tp": None,
    }
    [pool] = question_of(run_of(**row), KNOWN).pools
    assert (pool.count, pool.deployment.tp) == (2, 1)
    [pool] = question_of(run_of(**{**row, "engine": "SGLang"}), KNOWN).pools
    assert (pool.count, pool.deployment.tp) == (1, 6)


@pytest.mark.parametrize(
    ("engine", "format_"), [("llama.cpp", "q8-0"), ("SGLang", "int8-both"), ("vLLM", "int8")]
)
def test_a_recipe_says_which_8_bits(engine, format_):
    row = {"source": "sglang-xeon", "weight_precision": "int8", "accelerator": "Xeon 6980P"}
    [pool] = question_of(run_of(engine=engine, **row), KNOWN).pools
    assert pool.deployment.weights == pool.deployment.expert_weights == format_


def test_all_threads_of_a_processor_meet_after_a_kernel():
    whole = shipped().any_cluster("intel-xeon-6980p", 1)
    third = split(whole, 3)
    floors = [profile_of(shipped(), one).memory.floor for one in (whole, third)]
    assert floors == pytest.approx([128 * 0.27e-6, 42 * 0.27e-6])
    gpus = shipped().any_cluster("nv-h100-sxm", 1)
    assert profile_of(shipped(), gpus).barrier == 0.0


def test_heads_are_dealt_whole():
    served = server("llama-2-13b", "aws-trn1", "neuronx")
    cut = [served.served(Deployment(tp=tp)) for tp in (20, 32, 40)]
    half, some, one = (float(attention_costs(each, SEQUENCES, CONTEXT)[0]) for each in cut)
    assert half == some > one


def test_a_context_of_the_next_power_of_two_is_read():
    usual = server("llama-2-7b", "aws-trn1", "neuronx")
    engine = msgspec.structs.replace(usual.engine, doubling_context=False)
    exact = Server(usual.model, usual.cluster, engine, usual.facts)
    times = [
        float(attention_costs(one.served(Deployment()), SEQUENCES, CONTEXT)[0])
        for one in (usual, exact)
    ]
    assert times[0] == pytest.approx(times[1] * 4.0 / 3.0, rel=0.05)


def test_one_workgroup_for_a_head_is_slow_until_there_are_many():
    usual = server("minimax-m2.5", "mi355x", "atom")
    engine = msgspec.structs.replace(usual.engine, cuts_keys=True)
    whole = Server(usual.model, usual.cluster, engine, usual.facts)
    few, many = (
        [
            float(
                attention_costs(one.served(Deployment(tp=2)), np.array([batch]), 8.0 * CONTEXT)[0]
            )
            for one in (usual, whole)
        ]
        for batch in (1.0, 512.0)
    )
    assert few[0] > 5.0 * few[1]
    assert many[0] < 1.2 * many[1]


def test_a_processor_launches_its_own_kernels():
    usual = server("llama-3.2-3b", "intel-xeon-6980p", "sglang-processor")
    hidden = msgspec.structs.replace(usual.engine, launches_itself=False)
    device = usual.device(Deployment())
    own, beside = (
        float(step_times(device, engine, Correction()).decode[0])
        for engine in (usual.engine, hidden)
    )
    assert own - beside == pytest.approx(usual.engine.launch_time * device.kernels)


def test_filled_up_experts_are_all_read_whatever_is_chosen():
    usual = server("qwen3-235b-a22b", "h100", "vllm-2025")
    engine = msgspec.structs.replace(usual.engine, expert_rows=128)
    filled = Server(usual.model, usual.cluster, engine, usual.facts)
    cut = Deployment(tp=4, ep=4, weights="fp8-block", expert_weights="fp8-block")
    few, many = (
        [float(x) for x in whole_costs(one.served(cut), np.array([1.0, 256.0])).parts["experts"]]
        for one in (usual, filled)
    )
    assert many[0] > 3.0 * few[0]
    assert few[1] < many[1] < 1.5 * few[1]


def test_weights_count_as_what_they_were_widened_to():
    row = {"model_name": "gpt-oss-120b", "weight_precision": "bf16 (dequantised from mxfp4)"}
    [pool] = question_of(run_of(**row), KNOWN).pools
    assert (pool.deployment.weights, pool.deployment.expert_weights) == ("bf16", "bf16")


def test_products_cut_by_rows_share_each_layer():
    row = {"source": "mlcperf", "accelerator": "A10G", "n_accel": 4, "pp": 4, "date": "2023-10"}
    found = [
        question_of(run_of(engine=engine, **row), KNOWN).pools[0].deployment
        for engine in ("llama.cpp", "exllama")
    ]
    assert [(cut.tp, cut.pp) for cut in found] == [(4, 1), (1, 4)]


def test_rows_are_copied_to_each_rank_in_turn():
    usual = server("llama-2-7b", "nv-a10g", "llama-cpp-2024")
    engine = msgspec.structs.replace(usual.engine, rows=True)
    cluster = shipped().any_cluster("nv-a10g", 8)
    machine = Server(usual.model, cluster, engine, usual.facts)
    two, eight = (
        lane_costs(machine.served(Deployment(tp=tp)), np.array([1.0])).parts["all_reduce"][0]
        for tp in (2, 8)
    )
    assert eight == pytest.approx(7.0 * two)


def test_notes_say_which_kernels_ran():
    row = {"source": "autoawq", "engine": "AutoAWQ", "weight_precision": "int4 (AWQ)"}
    found = [
        question_of(run_of(notes=notes, **row), KNOWN).engine.id
        for notes in ("GEMV kernel, batch 1", "GEMM kernel, batch 1")
    ]
    assert found == ["autoawq-gemv", "autoawq"]


def test_caches_of_an_npu_are_as_wide_as_its_activations_are_exact():
    found = [
        question_of(run_of(engine="Genie", weight_precision=words), KNOWN).pools[0].deployment
        for words in ("int4 (w4a16)", "int4 (w4, float activations)")
    ]
    assert [(one.weights, one.cache) for one in found] == [
        ("w4a16-npu", "fp8"),
        ("w4-npu", "bf16"),
    ]


def test_the_last_layer_is_as_narrow_as_an_engine_s_checkpoints_have_it():
    for engine, head in (("trtllm-edge", "nvfp4"), ("vllm", "bf16")):
        served = server("llama-3.1-8b", "nv-agx-thor", engine).served(Deployment(weights="nvfp4"))
        assert served.head.id == head


def test_a_prompt_that_a_row_does_not_say_is_as_its_source_says():
    row = {"input_len": None, "scenario": "single-stream", "batch_or_concurrency": "1"}
    told = [
        question_of(run_of(source=source, **row), KNOWN).prompt for source in ("llmfit", "made")
    ]
    assert told == [40.0, 0.0]
    run = run_of(source="llmfit", **row)
    assert lengths_of(run, unknown=told[0])[0] == 40.0
    assert lengths_of(run)[0] == 250.0


def test_what_stands_beside_experts_is_as_the_engine_stores_it():
    row = {"model_name": "gpt-oss-20b", "weight_precision": "mxfp4 (experts)"}
    found = [
        question_of(run_of(engine=engine, **row), KNOWN).pools[0].deployment.weights
        for engine in ("llama.cpp", "vLLM")
    ]
    assert found == ["q8-0", "bf16"]


@pytest.mark.parametrize(("prompt", "passes"), [(512, 1.0), (1024, 1.25), (2048, 1.75)])
def test_a_prompt_alone_fills_the_pipeline_chunk_by_chunk(prompt, passes):
    served = server("llama-3.1-8b", "h100", "llama-cpp")

    def taken(pp: int, tokens: int) -> float:
        replica = served.replica(Pool(deployment=Deployment(pp=pp)), 4096.0)
        traffic = burst(1, tokens, 1.0)
        return float(play_requests(traffic, [replica], compile_loop=False).ttft[0])

    assert taken(4, prompt) == pytest.approx(passes * taken(1, 512), rel=0.05)

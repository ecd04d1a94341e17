"""Serving plans on tools whose own parsers do not run here, against recorded lists of options."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from serving_launch_cases import handed_over, launched, plan_of, replica_for, wide
from yaml import safe_load

from clusterwright.asking_serving import ask_serving
from clusterwright.errors import InputError
from clusterwright.inference import Deployment, Service
from clusterwright.launch import engine, llama_cpp
from clusterwright.launch.api import launch_plan
from clusterwright.serving.plan import ServingPlan
from clusterwright.serving.server import Pool

TOOLS = tomllib.loads((Path(__file__).parent / "serving_tools.toml").read_text(encoding="utf-8"))
COUNT = 200


def read_yaml(text: str) -> dict[str, Any]:
    """A file as a tool reads it."""
    found: dict[str, Any] = safe_load(text)
    return found


def fits(value: Any, kind: str) -> bool:
    """Whether a value is of a recorded kind."""
    if kind == "share":
        return isinstance(value, float) and 0.0 < value <= 1.0
    if "|" in kind:
        return value in kind.split("|")
    kinds = {"int": int, "bool": bool, "str": str, "list": list}
    return type(value) is kinds[kind]


def check_table(table: dict[str, Any], options: dict[str, str], tables: dict[str, Any]) -> None:
    for key, value in table.items():
        assert key in options, key
        kind = options[key]
        if kind.startswith("table:"):
            check_table(value, tables[kind.removeprefix("table:")], tables)
        else:
            assert fits(value, kind), (key, value)


def test_tensorrt_llm_has_every_option_of_two_hundred_plans(tmp_path):
    recorded = TOOLS["tensorrt-llm"]
    for plan, made in launched("tensorrt-llm", COUNT):
        for part, pool in zip(made.parts, plan.best.pools, strict=True):
            table = read_yaml(part.program.files[0].text)
            check_table(table, recorded["options"], recorded["tables"])
            kind = table.get("speculative_config", {})
            allowed = recorded["speculative"].get(kind.get("decoding_type"), [])
            assert set(kind) <= {"decoding_type", *allowed}
            d, replica = pool.deployment, replica_for(plan, made.parts.index(part))
            told = engine.told(replica)
            assert table["tensor_parallel_size"] == d.tp * d.dp
            assert table["pipeline_parallel_size"] == d.pp
            assert table.get("enable_attention_dp", False) == (d.dp > 1)
            assert table.get("moe_expert_parallel_size", d.ep) == d.ep
            assert table["max_batch_size"] == told.sequences
            assert table["max_num_tokens"] == told.tokens
            assert table["max_seq_len"] == replica.longest
            assert table["kv_cache_config"]["free_gpu_memory_fraction"] == told.free
            assert (table["kv_cache_config"]["dtype"] == "fp8") == (d.cache == "fp8")
            assert ("cache_transceiver_config" in table) == (pool.role != "both")


def test_llama_server_has_every_option_of_two_hundred_plans(tmp_path):
    recorded = TOOLS["llama-server"]["options"]
    for index, (plan, made) in enumerate(launched("llama.cpp", COUNT)):
        words = handed_over(
            made, tmp_path / f"{index}", "llama-server", MODEL="m.gguf", DRAFTER="d.gguf"
        )
        read = read_words(words, recorded)
        replica, d = replica_for(plan), plan.best.pools[0].deployment
        told = engine.told(replica)
        assert read["--model"] == "m.gguf"
        assert int(read["--parallel"]) == llama_cpp.slots(replica) <= told.sequences
        assert int(read["--ubatch-size"]) == told.tokens
        assert int(read["--kv-unified-per-slot"]) == replica.longest <= int(read["--ctx-size"])
        assert int(read["--ctx-size"]) <= max(replica.longest, replica.memory.cache_tokens)
        assert read["--cache-type-k"] == {"bf16": "f16", "fp8": "q8_0"}[d.cache]
        assert read.get("--tensor-split", "1") == ",".join("1" * d.accelerators)


def read_words(words: list[str], recorded: dict[str, str]) -> dict[str, str]:
    """Read a command line by a recorded list of options."""
    read, rest = {}, list(words)
    while rest:
        name = rest.pop(0)
        assert name in recorded, name
        kind = recorded[name]
        read[name] = rest.pop(0) if kind else ""
        if kind == "N" and name != "--gpu-layers":
            assert int(read[name]) >= 0
        elif "|" in kind:
            assert read[name] in kind.split("|"), (name, read[name])
    return read


def small(**changes: Any) -> ServingPlan:
    """Return a plan of one accelerator for an 8-billion model, with other things said."""
    cut = {key: changes.pop(key) for key in list(changes) if key in Deployment.__struct_fields__}
    question = {"engine": "vllm", "accelerator": "h100", **changes}
    asked = ask_serving(
        question.pop("model", "llama-3.1-8b"), rate=1, prompt=500, output=100, **question
    )
    return plan_of(asked, Pool(role="both", deployment=Deployment(**{"weights": "fp8", **cut})))


REFUSED = [
    ("vllm", {"weights": "q4-k-m"}, "not a format it reads"),
    ("vllm", {"tp": 3}, "32 heads are not cut evenly over tp 3"),
    ("vllm", {"budget": 64, "most": 128}, "give --budget 128 or more"),
    ("sglang", {"tp": 8, "cp": 2, "engine": "vllm"}, "use --to vllm"),
    ("tensorrt-llm", {"weights": "gptq"}, "not a format its PyTorch backend reads"),
    ("tensorrt-llm", {"accelerator": "mi300x"}, "accelerators of AMD"),
    ("llama.cpp", {"weights": "fp8"}, "not a type of GGUF"),
    ("llama.cpp", {"tp": 2, "pp": 2, "weights": "q8-0"}, "take tp 1 or pp 1"),
]


@pytest.mark.parametrize(("tool", "changes", "words"), REFUSED)
def test_what_a_tool_has_not_is_refused_with_the_nearest_that_it_has(tool, changes, words):
    with pytest.raises(InputError, match="cannot run this plan") as refused:
        launch_plan(small(**changes), to=tool)
    assert words in str(refused.value)


def test_all_that_a_tool_has_not_is_named_at_once():
    plan = wide("vllm", weights="fp8-block", tp=8, dp=2, ep=2, overlap=True)
    with pytest.raises(InputError) as refused:
        launch_plan(plan, to="llama.cpp")
    for words in ("GGUF", "data-parallel", "ep 1", "one host", "two halves"):
        assert words in str(refused.value)


def test_experts_cut_through_a_block_of_scales_are_refused():
    plan = small(model="qwen3-30b-a3b", weights="fp8-block", tp=4)
    with pytest.raises(InputError, match="not whole blocks of 128"):
        launch_plan(plan, to="vllm")
    spread = small(model="qwen3-30b-a3b", weights="fp8-block", tp=4, ep=4)
    assert launch_plan(spread, to="vllm").parts[0].per_host == 4


def test_a_phone_runs_llama_cpp_with_one_slot_and_nothing_else():
    asked = ask_serving("llama-3.2-3b", device="iphone-16-pro")
    plan = plan_of(asked, Pool(role="both", deployment=Deployment(weights="q4-k-m")))
    program = launch_plan(plan, to="llama.cpp").parts[0].program
    assert "--parallel 1\n" in program.files[0].text
    assert "type Q4_K_M" in program.asks[0].what
    for tool in ("vllm", "sglang", "tensorrt-llm"):
        with pytest.raises(InputError, match=r"use --to llama\.cpp"):
            launch_plan(plan, to=tool)


def test_the_longest_request_never_needs_more_than_the_cache_has_room_for():
    roomy = replica_for(small(weights="bf16"))
    tight = replica_for(small(weights="bf16", memory_share=0.24))
    assert roomy.longest == 1024
    assert 600 <= tight.longest <= tight.memory.cache_tokens


def test_another_engines_plan_is_launched_with_a_note():
    notes = launch_plan(small(), to="sglang").notes
    assert any("how fast it is was not predicted" in note for note in notes)
    assert not any("not predicted" in note for note in launch_plan(small(), to="vllm").notes)


def two_pools(tool: str, engine_id: str) -> ServingPlan:
    asked = ask_serving(
        "llama-3.1-70b", accelerator="h100", engine=engine_id, rate=1, prompt=500, output=100
    )
    early, late = Deployment(tp=2, weights="fp8"), Deployment(tp=4, weights="fp8")
    return plan_of(
        asked,
        Pool(role="prefill", count=2, deployment=early),
        Pool(role="decode", count=1, deployment=late),
    )


@pytest.mark.parametrize(
    ("tool", "engine_id", "words"),
    [
        ("vllm", "vllm", "vllm-router --vllm-pd-disaggregation"),
        ("sglang", "sglang", "--pd-disaggregation"),
        ("tensorrt-llm", "trtllm-pytorch", "trtllm-serve disaggregated"),
    ],
)
def test_pools_of_their_own_are_folders_beside_a_router(tool, engine_id, words):
    made = launch_plan(two_pools(tool, engine_id), to=tool)
    files = {file.path: file.text for file in made.files}
    assert {"prefill/run.sh", "decode/run.sh", "prefill/serve.yaml", "router.sh"} <= set(files)
    assert words in files["router.sh"]
    assert "router.sh" in files["README.md"]


def test_the_router_chooses_as_the_plan_does():
    plan = small()
    asked = msgspec.structs.replace(plan.question, service=Service(router="round-robin"))
    best = msgspec.structs.replace(plan.best.pools[0], count=3)
    made = launch_plan(plan_of(asked, best), to="sglang")
    assert "--policy round_robin" in next(f.text for f in made.files if f.path == "router.sh")
    assert not [f for f in launch_plan(plan, to="sglang").files if f.path == "router.sh"]


def test_several_hosts_of_tensorrt_llm_are_one_mpi_job():
    plan = wide("tensorrt-llm")
    job = {f.path: f.text for f in launch_plan(plan, to="tensorrt-llm", on="slurm").files}
    assert "--ntasks-per-node=8" in job["job.sbatch"]
    assert "--mpi=pmix" in job["job.sbatch"]
    assert "trtllm-llmapi-launch trtllm-serve" in job["run.sh"]
    assert "HOST_RANK" not in job["run.sh"]
    assert "mpirun -n 16" in launch_plan(plan, to="tensorrt-llm").submit


@pytest.mark.parametrize("on", ["kubernetes", "ray"])
def test_one_mpi_job_over_hosts_is_refused_where_nothing_starts_it(on):
    with pytest.raises(InputError, match=f"not started on {on} here: use --on slurm"):
        launch_plan(wide("tensorrt-llm"), to="tensorrt-llm", on=on)


def test_a_drafters_place_reaches_tensorrt_llm(tmp_path):
    plan = small(engine="trtllm-pytorch", drafted=3, drafter="layer", accepted=0.7)
    made = launch_plan(plan, to="tensorrt-llm")
    words = handed_over(
        made,
        tmp_path,
        "trtllm-serve",
        MODEL="m",
        DRAFTER="/some where/eagle & co",
        TMPDIR=str(tmp_path),
    )
    written = Path(words[words.index("--extra_llm_api_options") + 1]).read_text(encoding="utf-8")
    assert read_yaml(written)["speculative_config"]["speculative_model_dir"] == (
        "/some where/eagle & co"
    )


def test_adapters_that_are_named_are_handed_over(tmp_path):
    made = launch_plan(small(adapters=4), to="vllm")
    none = handed_over(made, tmp_path, "vllm", MODEL="m")
    assert "--lora-modules" not in none
    some = handed_over(made, tmp_path, "vllm", MODEL="m", ADAPTERS="one=/a two=/b")
    assert some[-3:] == ["--lora-modules", "one=/a", "two=/b"]


SCRIPTS = shutil.which("shellcheck") or shutil.which(
    "shellcheck", path=str(Path(sys.executable).parent)
)


@pytest.mark.skipif(SCRIPTS is None, reason="shellcheck is not installed")
def test_every_script_of_every_tool_is_clean(tmp_path):
    plans = [
        ("vllm", two_pools("vllm", "vllm")),
        ("vllm", wide("vllm", adapters=2)),
        ("vllm", small(adapters=2, drafted=2, drafter="layer", accepted=0.5)),
        ("sglang", two_pools("sglang", "sglang")),
        ("sglang", wide("sglang", adapters=2)),
        ("tensorrt-llm", two_pools("tensorrt-llm", "trtllm-pytorch")),
        ("tensorrt-llm", small(drafted=2, drafter="layer", accepted=0.5)),
        ("llama.cpp", small(weights="q8-0", adapters=1, tp=2)),
    ]
    for index, (tool, plan) in enumerate(plans):
        for file in launch_plan(plan, to=tool, on="slurm").files:
            if file.path.endswith((".sh", ".sbatch")):
                path = tmp_path / f"{index}" / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(file.text, encoding="utf-8")
                shell = ["--shell=bash", "--exclude=SC1091,SC2016,SC2034", str(path)]
                found = subprocess.run(
                    [SCRIPTS, *shell], capture_output=True, text=True, check=False
                )
                assert found.returncode == 0, found.stdout

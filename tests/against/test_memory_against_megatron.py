"""Memory of the fullest pipeline rank against Megatron's own estimate of it.

Megatron prints, before it trains, what `megatron.training.theoretical_memory_usage` makes of its
arguments. Its file is read here as it is; the two helpers that it imports decide only whether to
speak, so stand-ins take their place and neither PyTorch nor a device is needed.

**Weights, gradients and optimizer states** follow the same arithmetic (18 bytes a parameter, or
6 + 12/dp with the distributed optimizer) and agree to 0.001 %, but that Megatron counts neither the
position table nor biases: up to 0.33 % of a GPT's first rank. Three differences are of substance,
and jobs are compared only where they do not arise:

- Megatron's estimate cuts the down-projections of latent attention over tp, while its layers hold
  them whole on every rank, as we count them. DeepSeek-V3 at tp = 8: 13.2 M parameters a layer, 4 %
  of the states at ep = 64, pp = 1. At tp = 1, where DeepSeek-V3 is trained, there is no difference.
- It spreads dense and expert layers evenly over the pipeline; we deal them in order, so that the
  rank with the leading dense layers differs (DeepSeek-V3 is compared at pp = 1).
- It gives the multi-token-prediction layer to the rank of the embedding; jobs here train none.

**Activations** under sequence parallelism and selective recompute are table 2 of Korthikanti et al.
(arXiv:2205.05198): s b h (18 + 4 w/h) / t a layer, dropout masks counted, micro-batches in flight
as on the first rank. We are asked for the same: ``dropout``, unfused attention, of which the
recompute drops the scores, and four bytes a logit. Known differences:

- Megatron adds the embedding's dropout mask and token ids, about a byte per element of every
  micro-batch in flight, and at pp = 1 input and output of the last norm, which we leave out: below
  0.6 % up to pp = 16, 1.5 % at pp = 64.
- Its formula knows only plain networks and as many key and value heads as query heads (its own
  comment says so). Of a gated network it counts one of the two products going up (2 w bytes a token
  too little), of grouped queries keys and values as wide as the queries (4 (h - h_kv) too much).
  In sum it is 15 % below what we count for Llama 2 7B, 10 % for Llama 3 70B, 8 % for Llama 3.1
  405B. Such jobs are compared with the width that stands for what is kept, 1.5 w - (h - h_kv).
- It has no formula for experts' activations (it takes ``ffn_hidden_size`` for every layer): those
  are not compared.
- Without sequence parallelism it uses s b h (10 + 24/t), a width of 4 h, two bytes a logit, and
  adds 5 % for temporaries, which is taken off here. The embedding's mask is then not cut by tp:
  1.3 % at pp = 16, and 3.7 % at pp = 64, where we do not compare.
"""

from __future__ import annotations

import importlib.util
import sys
from argparse import Namespace
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import msgspec
import pytest
from against.fetch_megatron import FOLDER, REQUIREMENT

from clusterwright.facts import shipped
from clusterwright.hardware import Accelerator, Cluster, Level
from clusterwright.model.config import load_config
from clusterwright.strategy import Strategy
from clusterwright.training.api import estimate_training, software_named
from clusterwright.training.estimate import StageMemory
from clusterwright.workload import TrainingWorkload

pytestmark = pytest.mark.against

STATES_TOLERANCE, ACTIVATIONS_TOLERANCE = 0.005, 0.02


def gpt(hidden: int, layers: int, heads: int) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "n_embd": hidden,
        "n_layer": layers,
        "n_head": heads,
        "n_positions": 2048,
        "vocab_size": 51200,
    }


def llama(
    hidden: int, layers: int, heads: int, kv_heads: int, *, width: int, vocab: int
) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": width,
        "vocab_size": vocab,
        "tie_word_embeddings": False,
    }


GPT_22B, GPT_3 = gpt(6144, 48, 64), gpt(12288, 96, 96)
GPT_530B, GPT_1T = gpt(20480, 105, 128), gpt(25600, 128, 160)
LLAMA_2_7B = llama(4096, 32, 32, 32, width=11008, vocab=32000)
LLAMA_3_8B = llama(4096, 32, 32, 8, width=14336, vocab=128256)
LLAMA_3_70B = llama(8192, 80, 64, 8, width=28672, vocab=128256)
LLAMA_31_405B = llama(16384, 126, 128, 8, width=53248, vocab=128256)
LLAMA_TIED = LLAMA_3_8B | {"tie_word_embeddings": True}
MIXTRAL = LLAMA_3_8B | {
    "model_type": "mixtral",
    "vocab_size": 32000,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
QWEN3_30B = llama(2048, 48, 32, 4, width=6144, vocab=151936) | {
    "model_type": "qwen3_moe",
    "head_dim": 128,
    "moe_intermediate_size": 768,
    "num_experts": 128,
    "num_experts_per_tok": 8,
}
DEEPSEEK_V3 = llama(7168, 61, 128, 128, width=18432, vocab=129280) | {
    "model_type": "deepseek_v3",
    "moe_intermediate_size": 2048,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "n_shared_experts": 1,
    "first_k_dense_replace": 3,
    "q_lora_rank": 1536,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model, as its ``config.json``, and how it is cut."""

    config: dict[str, Any]
    tp: int = 1
    pp: int = 1
    vpp: int = 1
    dp: int = 1
    ep: int = 1
    etp: int = 1
    micro_batch: int = 1
    num_micro_batches: int = 64
    sequence_length: int = 2048
    distributed_optimizer: bool = True
    sequence_parallel: bool = True


PLAIN = {
    "22B-tp8": Job(config=GPT_22B, tp=8, micro_batch=4, distributed_optimizer=False),
    "22B-tp4-pp4": Job(config=GPT_22B, tp=4, pp=4, dp=2, micro_batch=2),
    "gpt3-tp8-pp8-vpp3": Job(config=GPT_3, tp=8, pp=8, vpp=3, dp=16),
    "gpt3-tp8-pp16": Job(config=GPT_3, tp=8, pp=16, dp=8, distributed_optimizer=False),
    "gpt3-tp2-pp16-vpp2": Job(config=GPT_3, tp=2, pp=16, vpp=2, dp=4),
    "gpt3-few-micro-batches": Job(config=GPT_3, tp=8, pp=8, dp=16, num_micro_batches=4),
    "530B-tp8-pp35-vpp3": Job(config=GPT_530B, tp=8, pp=35, vpp=3, num_micro_batches=280),
    "1T-tp8-pp64": Job(config=GPT_1T, tp=8, pp=64, dp=2, num_micro_batches=256),
}
GATED = {
    "llama2-7b-tp1": Job(config=LLAMA_2_7B, dp=8, sequence_length=4096),
    "llama3-8b-tp2-pp2": Job(config=LLAMA_3_8B, tp=2, pp=2, dp=4, sequence_length=8192),
    "llama3-8b-tied": Job(config=LLAMA_TIED, tp=4, pp=4, dp=4, distributed_optimizer=False),
    "llama3-70b-tp8-pp4-vpp5": Job(
        config=LLAMA_3_70B, tp=8, pp=4, vpp=5, dp=32, sequence_length=8192
    ),
    "llama3-70b-tp4-pp16": Job(config=LLAMA_3_70B, tp=4, pp=16, dp=2, micro_batch=2),
    "llama3.1-405b-tp8-pp14-vpp3": Job(
        config=LLAMA_31_405B, tp=8, pp=14, vpp=3, dp=8, sequence_length=8192
    ),
}
EXPERTS = {
    "mixtral-tp2-ep4": Job(config=MIXTRAL, tp=2, pp=4, dp=8, ep=4),
    "mixtral-tp4-etp2": Job(config=MIXTRAL, tp=4, pp=2, dp=4, ep=4, etp=2),
    "mixtral-plain-optimizer": Job(config=MIXTRAL, tp=2, dp=8, ep=8, distributed_optimizer=False),
    "qwen3-30b-ep8-vpp3": Job(config=QWEN3_30B, tp=2, pp=4, vpp=3, dp=16, ep=8),
    "deepseek-v3-ep64": Job(config=DEEPSEEK_V3, dp=128, ep=64, sequence_length=4096),
}


@pytest.fixture(scope="module")
def megatron() -> ModuleType:
    """Megatron's file, under a package of stand-ins for the helpers that it imports."""
    path = FOLDER / "megatron" / "training" / "theoretical_memory_usage.py"
    if not path.is_file():
        pytest.skip(f"{REQUIREMENT} is not unpacked here: memory NOT compared")
    package, helpers = ModuleType("megatron_alone"), ModuleType("megatron_alone.utils")
    package.__path__ = []
    helpers.is_hybrid_model = helpers.print_rank_0 = None
    sys.modules.update({package.__name__: package, helpers.__name__: helpers})
    spec = importlib.util.spec_from_file_location("megatron_alone.memory", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments_of(job: Job) -> Namespace:
    """Megatron's arguments for a job, those that its estimate reads."""
    config = job.config
    plain = config["model_type"] == "gpt2"
    latent = "kv_lora_rank" in config
    hidden = config["n_embd"] if plain else config["hidden_size"]
    heads = config["n_head"] if plain else config["num_attention_heads"]
    kv_heads = heads if plain else config["num_key_value_heads"]
    layers = config["n_layer"] if plain else config["num_hidden_layers"]
    width = 4 * hidden if plain else config["intermediate_size"]
    experts = config.get("num_local_experts") or config.get("num_experts")
    experts = experts or config.get("n_routed_experts")
    dense = config.get("first_k_dense_replace", 0)
    expert_width = config.get("moe_intermediate_size", width)
    shared = config.get("n_shared_experts")
    return Namespace(
        hidden_size=hidden,
        num_layers=layers,
        num_attention_heads=heads,
        group_query_attention=kv_heads != heads,
        num_query_groups=kv_heads,
        kv_channels=config.get("head_dim", hidden // heads),
        ffn_hidden_size=width,
        swiglu=not plain,
        normalization="LayerNorm" if plain else "RMSNorm",
        add_bias_linear=plain,
        untie_embeddings_and_output_weights=not plain and not config["tie_word_embeddings"],
        padded_vocab_size=config["vocab_size"],
        num_experts=experts,
        moe_layer_freq=[0] * dense + [1] * (layers - dense),
        moe_ffn_hidden_size=expert_width if experts else None,
        moe_shared_expert_intermediate_size=shared * expert_width if shared else None,
        moe_router_topk=config.get("num_experts_per_tok"),
        moe_latent_size=None,
        mtp_num_layers=None,
        multi_latent_attention=latent,
        q_lora_rank=config.get("q_lora_rank"),
        kv_lora_rank=config.get("kv_lora_rank"),
        qk_head_dim=config.get("qk_nope_head_dim"),
        qk_pos_emb_head_dim=config.get("qk_rope_head_dim"),
        v_head_dim=config.get("v_head_dim"),
        seq_length=job.sequence_length,
        micro_batch_size=job.micro_batch,
        tensor_model_parallel_size=job.tp,
        pipeline_model_parallel_size=job.pp,
        virtual_pipeline_model_parallel_size=job.vpp if job.vpp > 1 else None,
        expert_model_parallel_size=job.ep,
        expert_tensor_parallel_size=job.etp,
        data_parallel_size=job.dp,
        world_size=job.tp * job.pp * job.dp,
        use_distributed_optimizer=job.distributed_optimizer,
    )


def our_stages(job: Job, *, logit_bytes: float = 4.0) -> tuple[StageMemory, ...]:
    """Memory of the pipeline's ranks as clusterwright sees it, with what Megatron counts."""
    accelerators = job.tp * job.pp * job.dp
    device = Accelerator(
        id="made",
        name="made for this test",
        vendor="nobody",
        kind="gpu",
        peaks={"bf16": 1e15},
        memory_bytes=80e9,
        memory_bandwidth=3e12,
    )
    levels = (
        Level(name="node", size=8, bandwidth=400e9, latency=2e-6),
        Level(name="fabric", size=max(16, accelerators), bandwidth=50e9, latency=5e-6),
    )
    cluster = Cluster(
        id="made", name="made", accelerator=device, count=max(16, accelerators), levels=levels
    )
    strategy = Strategy(
        tp=job.tp,
        pp=job.pp,
        vpp=job.vpp,
        dp=job.dp,
        ep=job.ep,
        etp=job.etp,
        micro_batch=job.micro_batch,
        zero=1 if job.distributed_optimizer else 0,
        sequence_parallel=job.sequence_parallel,
        recompute="selective",
        schedule="interleaved" if job.vpp > 1 else "1f1b",
    )
    workload = TrainingWorkload(
        sequence_length=job.sequence_length,
        global_batch=job.num_micro_batches * job.micro_batch * job.dp,
        flash_attention=False,
        dropout=True,
    )
    software = software_named(shipped(), "megatron-core")
    return estimate_training(
        load_config(job.config),
        cluster,
        workload,
        strategy,
        software=msgspec.structs.replace(software, logit_bytes=logit_bytes),
    ).stages


def our_states(job: Job) -> float:
    """Weights, gradients and optimizer states of the rank that has most of them. [B]"""
    names = ("weights", "gradients", "optimizer")
    return max(sum(stage.parts[name] for name in names) for stage in our_stages(job))


def our_activations(job: Job, *, logit_bytes: float = 4.0) -> float:
    """Activations of the first rank, with the loss where it is also the last. [B]"""
    first = our_stages(job, logit_bytes=logit_bytes)[0]
    assert first.rank == 0
    kept = ("attention", "feed-forward", "experts", "layer inputs", "logits")
    return sum(first.parts[part] for part in kept)


@pytest.mark.parametrize("name", [*PLAIN, *GATED, *EXPERTS])
def test_states_of_the_fullest_rank_are_megatrons(megatron, name):
    job = (PLAIN | GATED | EXPERTS)[name]
    theirs = megatron.compute_weight_and_optimizer_memory(arguments_of(job))
    assert our_states(job) == pytest.approx(theirs, rel=STATES_TOLERANCE)


@pytest.mark.parametrize("name", PLAIN)
def test_activations_of_plain_networks_are_megatrons(megatron, name):
    job = PLAIN[name]
    theirs = megatron.compute_activation_memory(arguments_of(job), job.num_micro_batches)
    assert our_activations(job) == pytest.approx(theirs, rel=ACTIVATIONS_TOLERANCE)


@pytest.mark.parametrize("name", GATED)
def test_activations_of_gated_networks_are_megatrons_for_the_width_that_is_kept(megatron, name):
    job = GATED[name]
    arguments = arguments_of(job)
    kv_width = arguments.kv_channels * arguments.num_query_groups
    arguments.ffn_hidden_size *= 1.5
    arguments.ffn_hidden_size -= arguments.hidden_size - kv_width
    theirs = megatron.compute_activation_memory(arguments, job.num_micro_batches)
    assert our_activations(job) == pytest.approx(theirs, rel=ACTIVATIONS_TOLERANCE)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("llama2-7b-tp1", 0.15),
        ("llama3-70b-tp8-pp4-vpp5", 0.10),
        ("llama3.1-405b-tp8-pp14-vpp3", 0.08),
    ],
)
def test_what_megatrons_estimate_leaves_out_of_gated_networks(megatron, name, missing):
    job = GATED[name]
    theirs = megatron.compute_activation_memory(arguments_of(job), job.num_micro_batches)
    assert 1.0 - theirs / our_activations(job) == pytest.approx(missing, abs=0.01)


@pytest.mark.parametrize("name", [name for name, job in PLAIN.items() if job.pp <= 16])
def test_activations_without_sequence_parallelism_are_megatrons(megatron, name):
    job = replace(PLAIN[name], sequence_parallel=False)
    theirs = megatron.compute_activation_memory_without_sp(arguments_of(job), job.num_micro_batches)
    assert our_activations(job, logit_bytes=2.0) == pytest.approx(
        theirs / 1.05, rel=ACTIVATIONS_TOLERANCE
    )

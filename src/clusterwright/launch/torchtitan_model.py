"""A network as torchtitan's own blocks make it, with the sizes of a plan.

The three builders follow the model registries of torchtitan 0.3.0 (``torchtitan/models/llama3``,
``qwen3``, ``deepseek_v3``), whose helpers the recipe calls.
"""

from __future__ import annotations

from typing import Any, Literal

from clusterwright.launch.architecture import Architecture
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.python import Code, call, function
from clusterwright.records import Record


class Family(Record, frozen=True, kw_only=True):
    """One of torchtitan's models: its module, names in it, and how it turns positions.

    ``scaling``: the rotary scaling that it has, by its name in a configuration.
    """

    module: str
    name: str
    parallelize: str
    adapter: str
    rope: Literal["ComplexRoPE", "CosSinRoPE"]
    scaling: str


LLAMA = Family(
    module="llama3",
    name="Llama3",
    parallelize="parallelize_llama",
    adapter="Llama3StateDictAdapter",
    rope="ComplexRoPE",
    scaling="llama3",
)
QWEN = Family(
    module="qwen3",
    name="Qwen3",
    parallelize="parallelize_qwen3",
    adapter="Qwen3StateDictAdapter",
    rope="CosSinRoPE",
    scaling="yarn",
)
DEEPSEEK = Family(
    module="deepseek_v3",
    name="DeepSeekV3",
    parallelize="parallelize_deepseekv3",
    adapter="DeepSeekV3StateDictAdapter",
    rope="ComplexRoPE",
    scaling="yarn",
)
FAMILIES = {
    "llama": LLAMA,
    "mistral": LLAMA,
    "qwen3": QWEN,
    "qwen3_moe": QWEN,
    "deepseek_v2": DEEPSEEK,
    "deepseek_v3": DEEPSEEK,
    "kimi_k2": DEEPSEEK,
}
"""``model_type`` to the model of torchtitan that computes the same."""

INITIAL = """\
WEIGHTS = {"weight": partial(nn.init.trunc_normal_, std=0.02), "bias": nn.init.zeros_}
ONES = {"weight": nn.init.ones_}


def scaled(layer: int) -> dict:
    \"\"\"Initial weights of what is added to the residual stream, smaller in deeper layers.\"\"\"
    std = depth_scaled_std(0.02, layer)
    return {"weight": partial(nn.init.trunc_normal_, std=std), "bias": nn.init.zeros_}
"""
EXPERTS = """

def experts(layer: int) -> dict:
    \"\"\"The same of the three matrices of an expert.\"\"\"
    down = scaled(layer)["weight"]
    return {"w1_EFD": WEIGHTS["weight"], "w2_EDF": down, "w3_EFD": down}
"""


def imports(model: Architecture) -> list[str]:
    """What the builders use, one line of imports each."""
    family = FAMILIES[model.family]
    package = f"torchtitan.models.{family.module}"
    lines = [
        f"from torchtitan.models.common import {family.rope}, Embedding, Linear",
        "from torchtitan.models.common.nn_modules import RMSNorm",
        f"from torchtitan.models.common.param_init import {_initialisers(model)}",
        f"from {package}.model import {family.name}Model"
        + ("" if family is DEEPSEEK else f", {family.name}TransformerBlock"),
        f"from {package}.parallelize import {family.parallelize}",
        f"from {package}.state_dict_adapter import {family.adapter}",
    ]
    if family is DEEPSEEK:
        return [*lines, f"from {package} import build_mla_moe_layers"]
    helpers = ["get_attention_config", "make_ffn_config", "make_gqa_config"]
    if model.mixture is not None:
        helpers += ["make_moe_config", "make_routed_experts_config", "make_router_config"]
    return [*lines, f"from torchtitan.models.common.config_utils import {', '.join(helpers)}"]


def _initialisers(model: Architecture) -> str:
    return "depth_scaled_std, skip_param_init" if model.tied else "depth_scaled_std"


def builders(job: TrainingJob, model: Architecture) -> str:
    """The functions ``layers`` and ``model`` of the recipe."""
    parts = [INITIAL + (EXPERTS if model.mixture is not None else "")]
    if FAMILIES[model.family] is DEEPSEEK:
        parts += [function("layers", "list", "Latent attention and experts.", _latent(job, model))]
    else:
        parts += [_layer(job, model)]
    return "\n\n".join([*parts, _network(model)])


def _network(model: Architecture) -> str:
    name = f"{FAMILIES[model.family].name}Model.Config"
    embedding = {
        "num_embeddings": model.vocab_size,
        "embedding_dim": model.hidden_size,
        "param_init": Code('{"weight": skip_param_init}' if model.tied else "WEIGHTS"),
    }
    head = {
        "in_features": model.hidden_size,
        "out_features": model.vocab_size,
        "param_init": Code("WEIGHTS"),
    }
    layers = "layers()"
    if FAMILIES[model.family] is not DEEPSEEK:
        layers = f"[layer(index) for index in range({model.num_layers})]"
    fields: dict[str, Any] = {
        "dim": model.hidden_size,
        "vocab_size": model.vocab_size,
        "enable_weight_tying": model.tied,
        "tok_embeddings": call("Embedding.Config", embedding),
        "norm": _norm(model.hidden_size, model),
        "lm_head": call("Linear.Config", head),
        "layers": Code(layers),
    }
    return function("network", name, "The model with the plan's sizes.", call(name, fields))


def _norm(size: int, model: Architecture) -> Code:
    return Code(f"RMSNorm.Config(normalized_shape={size}, eps={model.norm_eps!r}, param_init=ONES)")


def _rope(job: TrainingJob, model: Architecture) -> Code:
    latent, scaling = model.latent, model.rope_scaling
    fields: dict[str, Any] = {
        "dim": model.head_dim if latent is None else latent.rotary_dim,
        "max_seq_len": max(model.max_positions, job.workload.sequence_length),
        "theta": model.rope_theta,
    }
    kind = scaling.get("rope_type") or scaling.get("type")
    if kind == "llama3":
        fields |= {
            "scaling": "llama",
            "scaling_factor": float(scaling["factor"]),
            "low_freq_factor": float(scaling.get("low_freq_factor", 1.0)),
            "high_freq_factor": float(scaling.get("high_freq_factor", 4.0)),
            "original_max_position_embeddings": int(
                scaling.get("original_max_position_embeddings", 8192)
            ),
        }
    if kind == "yarn":
        fields |= {
            "scaling": "yarn",
            "rope_factor": float(scaling["factor"]),
            "beta_fast": float(scaling.get("beta_fast", 32.0)),
            "beta_slow": float(scaling.get("beta_slow", 1.0)),
            "original_seq_len": int(scaling.get("original_max_position_embeddings", 4096)),
        }
    return call(f"{FAMILIES[model.family].rope}.Config", fields)


def _backend(job: TrainingJob) -> str:
    """How tokens reach experts: 8-bit products pad their groups, which DeepEP there cannot."""
    wide = job.workload.precision in ("bf16", "fp32")
    cut = job.strategy.ep > 1
    return (
        "deepep" if cut and wide and job.plan.question.software.dispatch == "deepep" else "standard"
    )


def _layer(job: TrainingJob, model: Architecture) -> str:
    """A function that makes one layer, by its place."""
    family = FAMILIES[model.family]
    attention: dict[str, Any] = {
        "dim": model.hidden_size,
        "n_heads": model.num_heads,
        "n_kv_heads": model.num_kv_heads,
        "head_dim": model.head_dim,
        "wqkv_param_init": Code("WEIGHTS"),
        "wo_param_init": Code("scaled(index)"),
        "inner_attention": Code('get_attention_config("flex")'),
        "fuse_qkv": True,
        "rope": _rope(job, model),
    }
    if model.qk_norm:
        attention["qk_norm"] = _norm(model.head_dim, model)
    fields: dict[str, Any] = {
        "attention_norm": _norm(model.hidden_size, model),
        "ffn_norm": _norm(model.hidden_size, model),
        "attention": call("make_gqa_config", attention),
        **_feed_forward(job, model),
    }
    made = call(f"{family.name}TransformerBlock.Config", fields).replace("\n", "\n    ")
    return (
        f"def layer(index: int) -> {family.name}TransformerBlock.Config:\n"
        f'    """One layer, by its place."""\n    return {made}\n'
    )


def _feed_forward(job: TrainingJob, model: Architecture) -> dict[str, Any]:
    dense = call(
        "make_ffn_config",
        {
            "dim": model.hidden_size,
            "hidden_dim": model.width,
            "w1_param_init": Code("WEIGHTS"),
            "w2w3_param_init": Code("scaled(index)"),
        },
    )
    mixture = model.mixture
    if mixture is None:
        return {"feed_forward": dense}
    sparse = call(
        "make_moe_config",
        {
            "num_experts": mixture.num_experts,
            "router": _router(model),
            "routed_experts": _experts(job, model),
        },
    )
    if mixture.every == 1 and not mixture.dense_first:
        return {"moe": sparse}
    chosen = f"(index + 1) % {mixture.every} == 0 and index >= {mixture.dense_first}"
    return {
        "feed_forward": Code(f"None if {chosen} else {dense}"),
        "moe": Code(f"{sparse} if {chosen} else None"),
    }


def _router(model: Architecture) -> Code:
    mixture = model.mixture
    assert mixture is not None
    return call(
        "make_router_config",
        {
            "dim": model.hidden_size,
            "num_experts": mixture.num_experts,
            "gate_param_init": Code("WEIGHTS"),
            "top_k": mixture.top_k,
            "score_func": mixture.score,
            "route_norm": mixture.normalised,
            "route_scale": mixture.scale,
        },
    )


def _experts(job: TrainingJob, model: Architecture) -> Code:
    mixture = model.mixture
    assert mixture is not None
    return call(
        "make_routed_experts_config",
        {
            "dim": model.hidden_size,
            "hidden_dim": mixture.width,
            "num_experts": mixture.num_experts,
            "top_k": mixture.top_k,
            "param_init": Code("experts(index)"),
            "comm_backend": _backend(job),
        },
    )


def _latent(job: TrainingJob, model: Architecture) -> Code:
    latent, mixture = model.latent, model.mixture
    assert latent is not None
    factor = model.rope_scaling.get("mscale_all_dim", 1.0)
    fields: dict[str, Any] = {
        "n_layers": model.num_layers,
        "n_dense_layers": model.num_layers if mixture is None else mixture.dense_first,
        "dim": model.hidden_size,
        "n_heads": model.num_heads,
        "q_lora_rank": latent.query_rank or 0,
        "kv_lora_rank": latent.key_rank,
        "qk_nope_head_dim": latent.plain_dim,
        "qk_rope_head_dim": latent.rotary_dim,
        "v_head_dim": latent.value_dim,
        "mscale": float(factor),
        "dense_hidden_dim": model.width,
        "moe_hidden_dim": mixture.width if mixture else model.width,
        "num_experts": mixture.num_experts if mixture else 1,
        "num_shared_experts": mixture.shared_width // mixture.width if mixture else 1,
        "router_top_k": mixture.top_k if mixture else 1,
        "router_score_func": mixture.score if mixture else "softmax",
        "router_route_scale": mixture.scale if mixture else 1.0,
        "router_route_norm": mixture.normalised if mixture else False,
        "attn_backend": "flex",
        "moe_comm_backend": _backend(job),
        "non_blocking_capacity_factor": None,
        "linear_init": Code("WEIGHTS"),
        "norm_init": Code("ONES"),
        "depth_init": Code("scaled"),
        "depth_experts_init": Code("experts" if mixture else "scaled"),
        "rope": _rope(job, model),
    }
    if mixture is not None and mixture.groups > 1:
        fields["router_num_expert_groups"] = mixture.groups
        fields["router_num_limited_groups"] = mixture.top_groups
    return call("build_mla_moe_layers", fields)

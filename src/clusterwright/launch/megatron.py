"""A plan as the arguments of Megatron-LM's ``pretrain_gpt.py``.

Source of what each option means: ``megatron/training/arguments.py`` of megatron-core 0.19.2, whose
own `parse_args` and `validate_args` read the result in ``tests/against``.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusterwright.errors import InputError
from clusterwright.launch.architecture import Architecture, architecture_of
from clusterwright.launch.customary import (
    BETAS,
    CLIP,
    LAST_RATE,
    WEIGHT_DECAY,
    ask_warmup,
    customary_notes,
)
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.records import Ask, LaunchFile, Program
from clusterwright.launch.saving import KEPT, ask_interval
from clusterwright.launch.shell import array

VERSION = "megatron-core 0.19.2"
Words = list[str]

SCHEMES = {"all-gather": "all_gather", "ring": "p2p", "all-to-all": "a2a"}
RECIPES = {"fp8": "delayed", "mxfp8": "mxfp8"}
STATES = {4.0: "fp32", 2.0: "bf16", 1.0: "fp8"}
RETAIN = f"""
# One checkpoint in {KEPT} is kept, and the newest; its own default keeps all of them.
ARGUMENTS+=(--save-retain-interval $((SAVE_INTERVAL * {KEPT})))
"""
SHARDING = {2: "optim_grads", 3: "optim_grads_params"}


def program(job: TrainingJob) -> Program:
    """What each rank runs.

    Raises
    ------
    InputError
        The plan has something that Megatron-LM has not; every such thing is named.
    """
    architecture = architecture_of(job.plan.question.config)
    if reasons := refusals(job, architecture):
        raise InputError(f"Megatron-LM cannot run this plan: {'; '.join(reasons)}")
    words = arguments(job, architecture)
    asks = (
        Ask(variable="MEGATRON", what="the folder of a Megatron-LM checkout"),
        Ask(variable="DATA_PATH", what="the prefix of the preprocessed data (no .bin, .idx)"),
        Ask(variable="TOKENIZER", what="the tokenizer's Hugging Face name or folder"),
        Ask(variable="CHECKPOINTS", what="a folder for checkpoints", default="checkpoints"),
        ask_interval(job, behind=job.strategy.zero < 2),
        Ask(variable="LR", what="the highest learning rate"),
        Ask(variable="MIN_LR", what=LAST_RATE, default="0.0"),
        ask_warmup(job),
    )
    return Program(
        tool="megatron",
        version=VERSION,
        start="torchrun",
        command=("${MEGATRON}/pretrain_gpt.py",),
        arguments=("ARGUMENTS",),
        files=(LaunchFile(path="arguments.sh", text=array("ARGUMENTS", words) + RETAIN),),
        environment=environment(job),
        asks=asks,
        notes=(*notes(job, architecture), *customary_notes(job)),
    )


def environment(job: TrainingJob) -> dict[str, str]:
    """Variables that Megatron's overlap needs."""
    if job.strategy.zero >= 2:  # its FSDP wants several queues, all else just one
        return {"CUDA_DEVICE_MAX_CONNECTIONS": "8"}
    return {"CUDA_DEVICE_MAX_CONNECTIONS": "1"}


def refusals(job: TrainingJob, model: Architecture) -> list[str]:
    """What of a plan Megatron-LM cannot do, in words with the nearest that it can."""
    s, w = job.strategy, job.workload
    found = {
        f"{w.method} training is not in pretrain_gpt.py (use --to megatron-bridge)": w.method
        != "full",
        f"it has no {s.schedule} schedule (pin schedule=1f1b)": s.schedule
        not in ("1f1b", "interleaved"),
        "its FSDP has no pipeline here (pin zero=1 or pp=1)": s.zero >= 2 and s.pp > 1,
        "moments without the distributed optimizer are fp32 (pin zero=1)": s.zero == 0
        and w.state_bytes != 4.0,
        "its FSDP has no muon (pin zero=1)": s.zero >= 2 and w.optimizer == "muon",
        "activations are not offloaded by an argument (pin offload=optimizer or none)": s.offload
        in ("activations", "both"),
        f"{w.precision} is not one of its formats (plan with --precision bf16)": w.precision
        == "nvfp4",
        "mxfp8 and nvfp4 need the distributed optimizer (pin zero=1)": w.precision == "mxfp8"
        and s.zero == 0,
        "sparse layers that alternate with dense ones cannot be counted by its moe-layer-freq": (
            model.mixture is not None and model.mixture.every > 1 and model.mixture.dense_first > 0
        ),
        "a network of experts and tensor parallelism need sequence parallelism there": (
            model.mixture is not None and s.tp > 1 and not s.sequence_parallel
        ),
        "partial recompute of a pipeline rank has no equal": bool(s.recompute_layers)
        and s.recompute == "full"
        and s.recompute_layers > min(job.chunks),
    }
    return [reason for reason, holds in found.items() if holds]


def arguments(job: TrainingJob, model: Architecture) -> Words:
    """All arguments, in the order in which a person reads them."""
    return [
        *_parallel(job),
        *_network(model),
        *_latent(model),
        *_mixture(job, model),
        *_training(job),
        *_precision(job),
        *_optimizer(job),
        *_recompute(job),
        *_surroundings(job, model),
    ]


def _parallel(job: TrainingJob) -> Words:
    s = job.strategy
    words = ["--tensor-model-parallel-size", str(s.tp)]
    words += ["--pipeline-model-parallel-size", str(s.pp)]
    if s.pp > 1:
        words += ["--pipeline-model-parallel-layout", layout(job)]
        if s.vpp > 1 and not s.overlap_pp:
            words += ["--no-overlap-p2p-communication"]
    if s.cp > 1:
        words += ["--context-parallel-size", str(s.cp)]
        words += ["--cp-comm-type", SCHEMES[s.context_scheme]]
    if s.sequence_parallel and s.tp > 1:
        words += ["--sequence-parallel"]
    if s.overlap_tp and s.tp > 1 and s.sequence_parallel:
        words += ["--tp-comm-overlap"]
    return words


def layout(job: TrainingJob) -> str:
    """Which layers lie on which chunk, as ``--pipeline-model-parallel-layout`` writes it."""
    question = job.plan.question
    mtp = question.model.mtp_layers if question.software.mtp else 0
    last = len(job.chunks) - 1
    stages = []
    for index, size in enumerate(job.chunks):
        stage = "E" if index == 0 else ""
        stage += f"t*{size}" if size > 1 else "t" * size
        if index == last:
            stage += "m" * mtp + "L"
        stages.append(stage)
    return "|".join(stages)


def _network(model: Architecture) -> Words:
    words = ["--num-layers", str(model.num_layers), "--hidden-size", str(model.hidden_size)]
    words += ["--ffn-hidden-size", str(model.width)]
    words += ["--num-attention-heads", str(model.num_heads)]
    if model.num_kv_heads != model.num_heads and model.latent is None:
        words += ["--group-query-attention", "--num-query-groups", str(model.num_kv_heads)]
    if model.latent is None and model.head_dim * model.num_heads != model.hidden_size:
        words += ["--kv-channels", str(model.head_dim)]
    words += ["--normalization", "RMSNorm" if model.rms_norm else "LayerNorm"]
    words += ["--norm-epsilon", f"{model.norm_eps:g}"]
    if model.gated:
        words += ["--swiglu"]
    if not model.linear_bias:
        words += ["--disable-bias-linear"]
    if model.qkv_bias and not model.linear_bias:
        words += ["--add-qkv-bias"]
    if model.qk_norm or model.latent is not None:
        words += ["--qk-layernorm"]
    if not model.tied:
        words += ["--untie-embeddings-and-output-weights"]
    return words + _positions(model)


def _positions(model: Architecture) -> Words:
    if model.rope_theta is None:
        return ["--position-embedding-type", "learned_absolute"]
    words = ["--position-embedding-type", "rope", "--rotary-base", f"{model.rope_theta:.0f}"]
    if model.rope_scaling.get("rope_type") == "llama3":
        words += ["--use-rope-scaling"]
        words += ["--rope-scaling-factor", f"{float(model.rope_scaling['factor']):g}"]
    return words


def _latent(model: Architecture) -> Words:
    latent = model.latent
    if latent is None:
        return []
    words = ["--multi-latent-attention", "--kv-lora-rank", str(latent.key_rank)]
    if latent.query_rank:
        words += ["--q-lora-rank", str(latent.query_rank)]
    words += ["--qk-head-dim", str(latent.plain_dim)]
    words += ["--qk-pos-emb-head-dim", str(latent.rotary_dim)]
    return [*words, "--v-head-dim", str(latent.value_dim)]


def _mixture(job: TrainingJob, model: Architecture) -> Words:
    experts, s = model.mixture, job.strategy
    if experts is None:
        return []
    words = ["--num-experts", str(experts.num_experts)]
    words += ["--moe-router-topk", str(experts.top_k)]
    words += ["--moe-ffn-hidden-size", str(experts.width), "--moe-grouped-gemm"]
    if experts.shared_width:
        words += ["--moe-shared-expert-intermediate-size", str(experts.shared_width)]
    if experts.shared_gate:
        words += ["--moe-shared-expert-gate"]
    if experts.dense_first or experts.every > 1:
        words += [
            "--moe-layer-freq",
            _frequency(model.num_layers, experts.dense_first, experts.every),
        ]
    words += ["--moe-router-score-function", experts.score]
    if experts.score == "softmax" and not experts.normalised:
        words += ["--moe-router-pre-softmax"]
    if experts.groups > 1:
        words += ["--moe-router-num-groups", str(experts.groups)]
        words += ["--moe-router-group-topk", str(experts.top_groups)]
    if experts.scale != 1.0:
        words += ["--moe-router-topk-scaling-factor", f"{experts.scale:g}"]
    if experts.bias:
        words += ["--moe-router-enable-expert-bias"]
        words += ["--moe-router-load-balancing-type", "seq_aux_loss"]
    else:
        words += ["--moe-router-load-balancing-type", "aux_loss"]
    words += ["--moe-aux-loss-coeff", f"{experts.balance:g}"]
    words += ["--expert-model-parallel-size", str(s.ep)]
    words += ["--expert-tensor-parallel-size", str(s.etp)]
    return words + _dispatcher(job)


def _frequency(num_layers: int, dense_first: int, every: int) -> str:
    """Which layers have experts, as ``--moe-layer-freq`` writes it.

    >>> _frequency(61, 3, 1), _frequency(48, 0, 2)
    ('[0]*3+[1]*58', '([0]*1+[1]*1)*24')
    """
    if every > 1:
        return f"([0]*{every - 1}+[1]*1)*{num_layers // every}"
    return f"[0]*{dense_first}+[1]*{num_layers - dense_first}"


def _dispatcher(job: TrainingJob) -> Words:
    """How tokens reach experts; `deepep` is Megatron's flex dispatcher with that backend."""
    if job.plan.question.software.dispatch == "deepep" and job.strategy.ep > 1:
        words = ["--moe-token-dispatcher-type", "flex", "--moe-flex-dispatcher-backend", "deepep"]
        return [*words, "--moe-router-dtype", "fp32"]
    words = ["--moe-token-dispatcher-type", "alltoall"]
    if job.strategy.overlap_ep and job.strategy.ep > 1:
        words += ["--moe-shared-expert-overlap"] if _shares(job) else []
    return words


def _shares(job: TrainingJob) -> bool:
    return any(
        b.experts is not None and b.experts.shared_width for b in job.plan.question.model.blocks
    )


def _training(job: TrainingJob) -> Words:
    w = job.workload
    words = ["--micro-batch-size", str(job.strategy.micro_batch)]
    words += ["--global-batch-size", str(w.global_batch)]
    words += ["--seq-length", str(w.sequence_length)]
    positions = int(job.plan.question.config.get("max_position_embeddings") or w.sequence_length)
    words += ["--max-position-embeddings", str(max(positions, w.sequence_length))]
    words += ["--train-iters", str(job.length), "--lr-decay-iters", str(job.length)]
    words += ["--lr-decay-style", "cosine", "--lr-warmup-iters", "${WARMUP}"]
    if not w.dropout:
        words += ["--attention-dropout", "0.0", "--hidden-dropout", "0.0"]
    return words


def _precision(job: TrainingJob) -> Words:
    precision = job.workload.precision
    if precision in ("fp32", "tf32"):
        return []
    words = ["--fp16" if precision == "fp16" else "--bf16"]
    if precision in RECIPES:
        recipe = "blockwise" if job.plan.question.software.block_scaled else RECIPES[precision]
        words += ["--fp8-format", "e4m3" if recipe != "delayed" else "hybrid"]
        words += ["--fp8-recipe", recipe]
    return words


def _optimizer(job: TrainingJob) -> Words:
    s, w = job.strategy, job.workload
    words = ["--optimizer", w.optimizer]
    if w.optimizer == "adam":
        words += ["--adam-beta1", f"{BETAS[0]:g}", "--adam-beta2", f"{BETAS[1]:g}"]
    if w.gradient_bytes == 2.0 and w.precision not in ("fp32", "tf32", "fp16"):
        words += ["--grad-reduce-in-bf16"]
    if s.zero >= 1:
        words += ["--use-distributed-optimizer"]
        if w.state_bytes != 4.0:
            states = STATES[w.state_bytes]
            words += ["--use-precision-aware-optimizer"]
            words += ["--exp-avg-dtype", states, "--exp-avg-sq-dtype", states]
    if s.zero >= 2:
        words += ["--use-megatron-fsdp", "--data-parallel-sharding-strategy", SHARDING[s.zero]]
        words += ["--no-gradient-accumulation-fusion", "--ckpt-format", "fsdp_dtensor"]
        words += ["--init-model-with-meta-device"]
    if s.overlap_dp and s.dp * s.cp > 1:
        words += ["--overlap-grad-reduce"]
        words += ["--overlap-param-gather"] if s.zero >= 1 else []
    if 0 < s.shard_group < s.dp * s.cp:
        words += ["--num-distributed-optimizer-instances", str(s.dp * s.cp // s.shard_group)]
    if s.offload == "optimizer":
        words += ["--optimizer-cpu-offload", "--optimizer-offload-fraction", "1.0"]
        words += (
            []
            if "--use-precision-aware-optimizer" in words
            else ["--use-precision-aware-optimizer"]
        )
    if w.optimizer != "sgd":
        words += ["--weight-decay", f"{WEIGHT_DECAY:g}"]
    return [*words, "--lr", "${LR}", "--min-lr", "${MIN_LR}", "--clip-grad", f"{CLIP:g}"]


def _recompute(job: TrainingJob) -> Words:
    s = job.strategy
    if s.recompute == "none":
        return []
    if s.recompute == "selective":
        words = ["--recompute-granularity", "selective"]
        if job.plan.question.software.selective == "mlp":
            words += ["--recompute-modules", "core_attn", "layernorm", "mlp"]
        return words
    method = "block" if s.recompute_layers else "uniform"
    layers = s.recompute_layers or 1
    words = ["--recompute-granularity", "full", "--recompute-method", method]
    return [*words, "--recompute-num-layers", str(layers)]


def _surroundings(job: TrainingJob, model: Architecture) -> Words:
    """Data, tokenizer, checkpoints and logs: what the folder's variables name."""
    words = ["--data-path", "${DATA_PATH}", "--tokenizer-type", "HuggingFaceTokenizer"]
    words += ["--tokenizer-model", "${TOKENIZER}", "--vocab-size", str(model.vocab_size)]
    words += ["--save", "${CHECKPOINTS}", "--load", "${CHECKPOINTS}"]
    words += ["--save-interval", "${SAVE_INTERVAL}", "--log-interval", "1", "--log-throughput"]
    words += ["--async-save"] if job.strategy.zero < 2 else []
    words += ["--timing-log-level", "1", "--timing-log-option", "minmax"]
    return words


def notes(job: TrainingJob, model: Architecture) -> Iterator[str]:
    """What differs from the plan, and what a person should look at."""
    if model.mixture is not None and "deepep" in _dispatcher(job):
        yield "Tokens reach experts by DeepEP, a library that must be installed besides"
    if model.assumed:
        yield (
            f"The configuration does not say {', '.join(model.assumed)}: that is the family's "
            f"default; plan from the model's own config.json to carry its values"
        )

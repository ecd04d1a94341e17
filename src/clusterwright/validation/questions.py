"""A published run as a question to the cost model, or the reason why it cannot be one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from clusterwright.errors import ClusterwrightError
from clusterwright.hardware import Cluster
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.software import Software
from clusterwright.strategy import Strategy
from clusterwright.validation.lookup import DeviceName, Lookup
from clusterwright.validation.machines import cluster_of
from clusterwright.validation.runs import Run
from clusterwright.validation.shapes import Shape, shape_of
from clusterwright.validation.strategies import MESH, strategy_of
from clusterwright.workload import Method, Precision, TrainingWorkload

_PRECISIONS: tuple[tuple[str, Precision], ...] = (
    (r"nvfp4|fp4", "nvfp4"),
    (r"mxfp8|fp8-mx|fp8_mx", "mxfp8"),
    (r"fp8|float8", "fp8"),
    (r"bf16|bfloat16", "bf16"),
    (r"fp16|float16", "fp16"),
    (r"tf32", "tf32"),
    (r"fp32|float32", "fp32"),
)
"""What sources write → the format of the large matrix products; the first that fits."""

_WHOLE_RUN = ("time_to_train_min", "accel_hours")
"""Metrics of a whole training run, which holds more than steps (evaluation, restarts)."""


class Question(Record, frozen=True, kw_only=True):
    """What `estimate_training` is asked for one run.

    ``filled`` lists what the row did not print, with the value and where it is from;
    ``recompute_open`` that recomputation is among it, so that a heavier one may be tried when the
    default does not fit; ``vpp_open`` that virtual stages are, so that the fastest are taken.
    """

    model: Model
    cluster: Cluster
    workload: TrainingWorkload
    strategy: Strategy
    software: Software
    filled: tuple[str, ...] = ()
    recompute_open: bool = False
    vpp_open: bool = False


class Unasked(Record, frozen=True, kw_only=True):
    """A run that cannot be asked: ``unsupported`` (why) or ``incomplete`` (what is missing)."""

    status: str
    reason: str

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"


def question_of(run: Run, lookup: Lookup) -> Question | Unasked:
    """Turn a run into a question.

    Parameters
    ----------
    lookup
        The catalogue, indexed once for the whole table.
    """
    if run.measured_metric in _WHOLE_RUN:
        return _unsupported("a whole training run, with evaluation and restarts, is not a step")
    device = lookup.device_of(run.accelerator)
    if device is None:
        return _unsupported(f"accelerator {run.accelerator!r} is not in the catalogue")
    if device.unsupported:
        return _unsupported(device.unsupported)
    gaps = _gaps(run)
    if gaps:
        return _incomplete(gaps)
    try:
        return _asked(run, device, lookup)
    except ClusterwrightError as error:
        return _unsupported(str(error))


def _asked(run: Run, device: DeviceName, lookup: Lookup) -> Question | Unasked:
    """Assemble the question of a run whose mesh and batch are printed."""
    filled: list[str] = []
    cluster = cluster_of(run, device, lookup.facts, filled)
    software = lookup.software_of(run, cluster.accelerator.vendor)
    if software is None:
        return _incomplete(("framework",))
    if "" in software.match and not any(m and m in run.framework.lower() for m in software.match):
        filled.append(f"framework={software.id} ({run.framework or 'not printed'})")
    shape = shape_of(run, lookup.model_of(run.model_name), mtp=software.mtp)
    if shape.model is None:
        return _without_shape(run, shape)
    filled.extend(shape.filled)
    software = _as_noted(software, run)
    workload = _workload(run, software, cluster, filled)
    if workload is None:
        return _unsupported(f"precision {run.precision!r} is not one that can be asked for")
    lora = workload.method != "full"
    strategy = strategy_of(run, software, filled, lora=lora)
    wrong = _contradiction(strategy, cluster, workload)
    if wrong:
        return _unsupported(wrong)
    return Question(
        model=shape.model,
        cluster=cluster,
        workload=workload,
        strategy=strategy,
        software=software,
        filled=tuple(filled),
        recompute_open=not run.recompute,
        vpp_open=run.vpp is None and strategy.pp > 1,
    )


def _gaps(run: Run) -> tuple[str, ...]:
    """Return the columns without which no question can be asked."""
    names = [name for name in ("n_accel", "seq_len", *MESH) if getattr(run, name) is None]
    if run.global_batch_seqs is None and (run.global_batch_tokens is None or run.seq_len is None):
        names.append("global_batch_seqs")
    return tuple(names)


def _contradiction(strategy: Strategy, cluster: Cluster, workload: TrainingWorkload) -> str:
    """Return why the printed mesh cannot be, or an empty string."""
    if strategy.accelerators != cluster.count:
        return (
            f"tp × pp × cp × dp is {strategy.accelerators}, but the run has {cluster.count} devices"
        )
    step = strategy.dp * strategy.micro_batch
    if workload.global_batch % step:
        return f"a batch of {workload.global_batch} is not a multiple of dp × micro-batch = {step}"
    ranks = strategy.dp * strategy.cp * strategy.tp
    if ranks % (strategy.ep * strategy.etp):
        return f"ep × etp = {strategy.ep * strategy.etp} does not divide dp × cp × tp = {ranks}"
    return ""


def _workload(
    run: Run, software: Software, cluster: Cluster, filled: list[str]
) -> TrainingWorkload | None:
    """Return what is trained, or None where its precision cannot be asked for."""
    precision = _precision(run, cluster, filled)
    if precision is None:
        return None
    sequence = run.seq_len or 1
    batch = run.global_batch_seqs or (run.global_batch_tokens or 0) // sequence
    flash = run.flash_attention
    if flash is None:
        flash = software.flash_attention
        filled.append(f"flash_attention={int(flash)} ({software.id}'s default)")
    gradient = software.gradient_bytes
    if precision == "fp16" and software.gradient_bytes_fp16 is not None:
        gradient = software.gradient_bytes_fp16
    method, rank = _method(run, software, filled)
    return TrainingWorkload(
        sequence_length=sequence,
        global_batch=batch,
        precision=precision,
        state_bytes=software.state_bytes,
        gradient_bytes=_gradient_bytes(run, gradient),
        master_weights=software.master_weights,
        method=method,
        lora_rank=rank,
        expert_imbalance=_imbalance(run, filled),
        flash_attention=flash,
        dropout=software.dropout,
    )


def _precision(run: Run, cluster: Cluster, filled: list[str]) -> Precision | None:
    """Return the format of the large products; 16 bits of the accelerator's kind when blank."""
    text = run.precision.lower()
    if not text.strip(" ?"):
        default: Precision = "bf16" if cluster.accelerator.peaks.get("bf16") else "fp16"
        filled.append(f"precision={default} (not printed)")
        return default
    head = text.partition("(")[0]
    return next((name for pattern, name in _PRECISIONS if re.search(pattern, head)), None)


def _gradient_bytes(run: Run, default: float) -> float:
    """Return the format that gradients are reduced in: as noted, else the framework's. [B]"""
    text = run.sharding_notes.lower()
    if re.search(r"bf16 (?:grad|reduce)|bf16 params and bf16 reduce", text):
        return 2.0
    if re.search(r"fp32 (?:grad|reduce)", text):
        return 4.0
    return default


def _method(run: Run, software: Software, filled: list[str]) -> tuple[Method, int]:
    """Return whether low-rank adapters are trained on a frozen base, and their rank."""
    name = f"{run.model_name} {run.id}".lower()
    if "lora" not in name and "lora fine-tun" not in run.notes.lower():
        return "full", software.lora_rank
    method: Method = "qlora" if "qlora" in name else "lora"
    told = re.search(r"rank[ =]?(\d+)", f"{run.model_name} {run.notes}", re.IGNORECASE)
    if told:
        return method, int(told.group(1))
    filled.append(f"lora_rank={software.lora_rank} ({software.id}'s default)")
    return method, software.lora_rank


def _imbalance(run: Run, filled: list[str]) -> float:
    """Return tokens of the busiest expert rank over the mean: 1, since no source prints it."""
    if run.n_experts and "natural routing" in run.notes:
        filled.append("expert_imbalance=1 (natural routing; the imbalance is not printed)")
    return 1.0


def _as_noted(software: Software, run: Run) -> Software:
    """Apply what the notes say of graphs, compilation and the dispatch of tokens to experts."""
    text = f"{run.sharding_notes} {run.notes}".lower()
    graphs = re.search(r"cuda_graph (\w+)(?: ([\w/]+))?", text)
    changes: dict[str, bool | str] = {}
    dispatcher = re.search(r"dispatcher (\w+)|(deepep|hybridep)", text)
    if dispatcher:
        once = (dispatcher[1] or dispatcher[2]) in ("deepep", "hybridep")
        changes["dispatch"] = "deepep" if once else "all-to-all"
    if graphs:
        changes["graphs"] = graphs.group(1) not in ("none", "off", "false")
        # Scopes are named; experts without a fixed capacity are never among them.
        changes["graphs_experts"] = not graphs.group(2)
    if "torch.compile" in text:
        changes["fused"] = True
    return msgspec.structs.replace(software, **changes) if changes else software


def _without_shape(run: Run, shape: Shape) -> Unasked:
    hybrid = re.search(r"mamba|hybrid|ssm", f"{run.model_name} {run.notes}", re.IGNORECASE)
    missing = _listed(shape.missing)
    if hybrid:
        return _unsupported(f"{run.model_name} is a hybrid that the catalogue does not hold")
    return Unasked(status="incomplete", reason=f"{missing} of {run.model_name}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _incomplete(missing: Sequence[str]) -> Unasked:
    return Unasked(status="incomplete", reason=_listed(missing))


def _unsupported(why: str) -> Unasked:
    return Unasked(status="unsupported", reason=why)

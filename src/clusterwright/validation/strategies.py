"""How a published run was cut: its printed mesh, its notes, and documented defaults for the rest.

Notes are read by general patterns (a flag, ``FSDP group 8``, ``recompute of 5 layers``), never by
source. Every value that a row does not give is put in `filled` with where it comes from.
"""

from __future__ import annotations

import re
from typing import cast

from clusterwright.software import Software
from clusterwright.strategy import ContextScheme, Offload, Recompute, Schedule, Strategy
from clusterwright.validation.runs import Run

LIGHTEST_FIRST: tuple[Recompute, ...] = ("none", "selective", "full")

MESH = ("tp", "pp", "dp")
"""The axes without which a run cannot be placed; ``cp`` and ``ep`` are 1 when blank."""

_GROUP = (
    r"FSDP group (\d+)|FSDP over (\d+) (?:GPUs|chips) x|FSDP (\d+)\b|\bz(\d{1,4})\b"
    r"|(?:shard(?:ing)?|zero-?1?)[ -](?:group|size)(?: size| of)?[ =:]*(\d+)|zero1[ =:]+(\d+)\b"
    r"|groups of (\d+)"
)
_SOME_LAYERS = r"block recompute of (\d+) layers?|recompute (?:of )?(\d+) of \d+ layers"
_STATES = r"optimizer (?:cpu )?offload(?! false)|cpu ?adam|offload(?:ed)? optimizer"
_KEPT = r"activations? (?:cpu )?offload(?:ing)?(?! false)|'offload'|offload(?:ed)? activations"
_OVERLAP_DP = r"overlap-grad-reduce|overlapped grad|optimizer with overlap|\boverlapped\b"
_OVERLAP_TP = r"tp-comm-overlap|use-mc2|use-ascend-coc|async(?:hronous)? (?:tp|tensor)"
_OVERLAP_EP = r"ep overlap on|a2a overlap true|moe-alltoall-overlap|permutation-async-comm"
_NO_OVERLAP_EP = r"ep overlap off|a2a overlap false"
_NOT = r"(?:no|without|disable[sd]?|not) (?:[a-z-]+ ){0,2}"


def strategy_of(run: Run, software: Software, filled: list[str], *, lora: bool = False) -> Strategy:
    """Return the strategy of a run whose mesh is printed.

    Parameters
    ----------
    filled
        What was not printed is added to it.
    lora
        The base is frozen: sharding states is immaterial and not asked for.
    """
    text = f"{run.sharding_notes}; {run.framework}; {run.notes}"
    tp, vpp = run.tp or 1, _given(run.vpp, 1, "vpp", filled)
    zero = run.zero_stage
    if zero is None:
        zero = software.zero if (run.dp or 1) > 1 and not lora else 0
        filled.append(f"zero={zero} ({software.id}'s default)")
    sequence_parallel = _sequence_parallel(run, software, filled)
    recompute, layers = _recompute(run, software, text, filled)
    overlap = _overlaps(text, software, sequence_parallel=sequence_parallel, vpp=vpp)
    return Strategy(
        tp=tp,
        cp=run.cp or 1,
        pp=run.pp or 1,
        vpp=vpp,
        dp=run.dp or 1,
        ep=run.ep or 1,
        etp=_expert_tensor(run, text, filled),
        micro_batch=_given(run.micro_batch, 1, "micro_batch", filled),
        zero=zero,
        shard_group=_shard_group(run),
        sequence_parallel=sequence_parallel,
        recompute=recompute,
        recompute_layers=layers,
        schedule=_schedule(text, vpp),
        context_scheme=_context_scheme(text, software),
        offload=_offload(text),
        **overlap,
    )


def _given(value: int | None, default: int, name: str, filled: list[str]) -> int:
    if value is None:
        filled.append(f"{name}={default} (not printed)")
        return default
    return value


def _sequence_parallel(run: Run, software: Software, filled: list[str]) -> bool:
    if run.sequence_parallel is not None:
        return run.sequence_parallel
    if (run.tp or 1) > 1:
        filled.append(
            f"sequence_parallel={int(software.sequence_parallel)} ({software.id}'s default)"
        )
    return software.sequence_parallel and (run.tp or 1) > 1


def _recompute(run: Run, software: Software, text: str, filled: list[str]) -> tuple[Recompute, int]:
    """Return what is recomputed, and in how many layers of a stage (0: in all)."""
    told = run.recompute
    if not told:
        modules = re.search(r"(?<!no )recompute (?:core_attn|modules)", text)
        told = "selective" if modules else software.recompute
        origin = "from the notes" if modules else f"{software.id}'s default"
        filled.append(f"recompute={told} ({origin})")
    kept = re.search(r"remat keep/offload (\{.*?\})", text)
    if kept and "mlpwi" not in kept.group(1) and told == "selective":
        filled.append("recompute=full (what is kept has the model's width alone)")
        return "full", 0
    some = re.search(_SOME_LAYERS, text)
    if some and told != "none":
        return "full", int(some.group(1) or some.group(2))
    return cast("Recompute", told), 0


def _expert_tensor(run: Run, text: str, filled: list[str]) -> int:
    if not run.n_experts:
        return 1
    told = re.search(r"expert tensor parallel(?:ism)? (\d+)|\betp ?=? ?(\d+)", text, re.IGNORECASE)
    if told:
        return int(told.group(1) or told.group(2))
    if (run.tp or 1) > 1:
        filled.append("etp=1 (not printed)")
    return 1


def _shard_group(run: Run) -> int:
    """Return over how many ranks states or weights are sharded (0: all)."""
    text = run.sharding_notes
    ranks = (run.dp or 1) * (run.cp or 1)
    axes = [int(n) for n in re.findall(r"(?:ici_fsdp(?:_transpose)?(?:_parallelism)?)=(\d+)", text)]
    open_axis = re.search(r"ici_fsdp_parallelism=-1", text)
    told = re.search(_GROUP, text, re.IGNORECASE)
    group = 0
    if told:
        group = next(int(value) for value in told.groups() if value)
    elif axes and not open_axis:
        group = 1
        for axis in axes:
            group *= axis
    elif re.search(r"shard(?:ed)? inside (?:a )?node|FSDP inside (?:a )?node", text):
        group = run.accel_per_node or 0
    return group if 1 < group < ranks and ranks % group == 0 else 0


def _schedule(text: str, vpp: int) -> Schedule:
    low = text.lower()
    if "dualpipe" in low:
        return "dualpipe"
    if re.search(r"zero[- ]bubble|\bzb-?(?:h1|h2|v)\b|\bzbv?\b|\bzbb\b", low):
        return "zero-bubble"
    if re.search(r"\bgpipe\b|all[- ]forward[- ]all[- ]backward|\bafab\b", low):
        return "gpipe"
    return "interleaved" if vpp > 1 else "1f1b"


def _context_scheme(text: str, software: Software) -> ContextScheme:
    low = text.lower()
    if "ulysses" in low or "a2a cp" in low or "all-to-all cp" in low:
        return "all-to-all"
    if "megatron_cp_algo" in low or "ring attention" in low:
        return "ring"
    return software.context_scheme


def _offload(text: str) -> Offload:
    low = text.lower()
    states, kept = re.search(_STATES, low), re.search(_KEPT, low)
    if states and kept:
        return "both"
    return "optimizer" if states else "activations" if kept else "none"


def _overlaps(
    text: str, software: Software, *, sequence_parallel: bool, vpp: int
) -> dict[str, bool]:
    """Return which axis's traffic hides: the notes' explicit word, else the framework's default."""
    low = text.lower()
    data, tensor, expert = (_said(low, p) for p in (_OVERLAP_DP, _OVERLAP_TP, _OVERLAP_EP))
    if re.search(_NO_OVERLAP_EP, low):
        expert = False
    return {
        "overlap_tp": (software.overlap_tp if tensor is None else tensor) and sequence_parallel,
        "overlap_dp": software.overlap_dp if data is None else data,
        "overlap_ep": software.overlap_ep if expert is None else expert,
        "overlap_pp": software.overlap_pp and (vpp > 1 or not software.overlap_pp_needs_vpp),
    }


def _said(text: str, pattern: str) -> bool | None:
    """Whether the notes name the option, deny it, or say nothing of it."""
    if re.search(_NOT + f"(?:{pattern})", text):
        return False
    return True if re.search(pattern, text) else None

"""Refuse a strategy whose sizes do not multiply out, before anything is estimated."""

from __future__ import annotations

from clusterwright.errors import InputError
from clusterwright.hardware import Cluster
from clusterwright.model.records import Model
from clusterwright.strategy import Strategy
from clusterwright.workload import TrainingWorkload


def check_strategy(
    model: Model, cluster: Cluster, workload: TrainingWorkload, strategy: Strategy
) -> None:
    """Refuse a strategy whose sizes do not multiply out, with the arithmetic and the nearest mend.

    Raises
    ------
    InputError
        One sentence: the rule, the numbers, what would be right.
    """
    _check_sizes(model, workload, strategy)
    used = strategy.accelerators
    if used > cluster.count:
        cut = strategy.tp * strategy.cp * strategy.pp
        raise InputError(
            f"tp({strategy.tp}) * cp({strategy.cp}) * pp({strategy.pp}) * dp({strategy.dp}) = "
            f"{used} but {cluster.id} has {cluster.count} accelerators; "
            f"{_most_dp(cluster.count, cut)}"
        )
    per_step = strategy.dp * strategy.micro_batch
    if workload.global_batch % per_step:
        nearest = max(1, round(workload.global_batch / per_step)) * per_step
        raise InputError(
            f"a global batch of {workload.global_batch} sequences does not divide into "
            f"dp({strategy.dp}) * micro-batch({strategy.micro_batch}) = {per_step}; "
            f"the nearest batch that does is {nearest}"
        )
    for block in model.blocks:
        for core in block.cores:
            if core.num_heads % strategy.tp:
                raise InputError(
                    f"{core.num_heads} attention heads do not divide into tp({strategy.tp}); "
                    f"tp can be {_divisors_near(core.num_heads, strategy.tp)}"
                )
        if block.experts and block.experts.num_experts % strategy.ep:
            raise InputError(
                f"{block.experts.num_experts} experts do not divide into ep({strategy.ep}); "
                f"ep can be {_divisors_near(block.experts.num_experts, strategy.ep)}"
            )
    ranks = strategy.dp * strategy.cp * strategy.tp
    if ranks % (strategy.ep * strategy.etp):
        raise InputError(
            f"ep({strategy.ep}) * etp({strategy.etp}) does not divide dp * cp * tp = {ranks}; "
            f"ep * etp can be {_divisors_near(ranks, strategy.ep * strategy.etp)}"
        )
    if strategy.pp * strategy.vpp > model.num_layers + 2:
        raise InputError(
            f"pp({strategy.pp}) * vpp({strategy.vpp}) = {strategy.pp * strategy.vpp} chunks but "
            f"{model.name} has {model.num_layers} layers; vpp can be at most "
            f"{max(1, (model.num_layers + 2) // strategy.pp)}"
        )


def _check_sizes(model: Model, workload: TrainingWorkload, strategy: Strategy) -> None:
    """Refuse sizes that mean nothing, whatever the machine."""
    for name in ("tp", "cp", "pp", "vpp", "dp", "ep", "etp", "micro_batch"):
        if getattr(strategy, name) < 1:
            raise InputError(
                f"{name} is {getattr(strategy, name)}, but must be a whole number of at least 1"
            )
    for name in ("shard_group", "recompute_layers"):
        if getattr(strategy, name) < 0:
            raise InputError(f"{name} is {getattr(strategy, name)}, but must be 0 (all) or more")
    if strategy.recompute_layers and strategy.recompute != "full":
        raise InputError(
            f"recompute_layers({strategy.recompute_layers}) needs recompute full, not "
            f"{strategy.recompute}"
        )
    if strategy.recompute_layers > model.num_layers:
        raise InputError(
            f"recompute_layers is {strategy.recompute_layers} but {model.name} has "
            f"{model.num_layers} layers in all"
        )
    ranks = strategy.dp * strategy.cp
    if strategy.shard_group and ranks % strategy.shard_group:
        raise InputError(
            f"shard_group({strategy.shard_group}) does not divide dp * cp = {ranks}; it can be "
            f"{_divisors_near(ranks, strategy.shard_group)}, or 0 for all"
        )
    if workload.sequence_length % strategy.cp:
        raise InputError(
            f"a sequence of {workload.sequence_length} tokens does not divide into "
            f"cp({strategy.cp}); cp can be "
            f"{_divisors_near(workload.sequence_length, strategy.cp)}"
        )
    if strategy.ep * strategy.etp > 1 and not any(block.experts for block in model.blocks):
        raise InputError(
            f"{model.name} has no experts to cut: leave ep({strategy.ep}) and "
            f"etp({strategy.etp}) at 1"
        )
    if strategy.pp > model.num_layers:
        raise InputError(
            f"pp({strategy.pp}) stages but {model.name} has {model.num_layers} layers; "
            f"pp can be at most {model.num_layers}"
        )


def _most_dp(count: int, cut: int) -> str:
    """What dp may be at most, or that tp, cp and pp alone are too many."""
    if cut > count:
        return f"tp * cp * pp alone are {cut}"
    return f"dp can be at most {count // cut}"


def _divisors_near(number: int, wanted: int) -> str:
    """The divisors of ``number`` on either side of ``wanted``, in words."""
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    below = max((d for d in divisors if d <= wanted), default=None)
    above = min((d for d in divisors if d >= wanted), default=None)
    return " or ".join(str(d) for d in dict.fromkeys((below, above)) if d is not None)

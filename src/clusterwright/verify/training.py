"""A training step of each kind by PyTorch's own means: DDP, FSDP2, tensor parallel, pipelining."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from clusterwright.calibrate.measure import layers
from clusterwright.calibrate.measure.bench import Bench
from clusterwright.verify.cases import Case
from clusterwright.verify.transformer import transformer

Step = Callable[[], Any]
Module = Any
RATE = 1e-4


def step_of(case: Case, bench: Bench) -> Step:
    """Return what one step of a case does on this process.

    Parameters
    ----------
    case
        What to train, and how it is cut.
    bench
        This process's device.
    """
    return WAYS[case.way](case, bench)


def _model(case: Case, bench: Bench, **part: int) -> Module:
    made = transformer(bench.torch, case.shape, case.length, **part)
    return made.to(device=bench.device, dtype=bench.dtype)


def _tokens(case: Case, bench: Bench, sequences: int) -> Any:  # noqa: ANN401 - a tensor
    shape = (sequences, case.length)
    return bench.torch.randint(0, case.shape.vocabulary, shape, device=bench.device)


def _optimizer(bench: Bench, *groups: Iterable[Any]) -> Any:  # noqa: ANN401 - an optimizer
    listed = [{"params": list(group)} for group in groups]
    return bench.torch.optim.AdamW([one for one in listed if one["params"]], lr=RATE, fused=True)


def _whole_step(
    case: Case,
    bench: Bench,
    model: Module,
    optimizer: Module,
    sequences: int,
) -> Step:
    """Forward, backward and update of a model that takes tokens and gives logits."""
    tokens = _tokens(case, bench, sequences)

    def step() -> None:
        optimizer.zero_grad()
        layers.loss(bench.torch, model(tokens), tokens).backward()
        optimizer.step()

    return step


def _data(case: Case, bench: Bench) -> Step:
    """Replicas whose gradients are all-reduced in buckets."""
    model = bench.torch.nn.parallel.DistributedDataParallel(
        _model(case, bench), gradient_as_bucket_view=True
    )
    optimizer = _optimizer(bench, model.parameters())
    return _whole_step(case, bench, model, optimizer, case.batch // bench.processes)


def _fsdp(case: Case, bench: Bench) -> Step:
    """Weights, gradients and states sharded, gathered layer by layer (FSDP2)."""
    from torch.distributed.fsdp import fully_shard

    model, mesh = _model(case, bench), _mesh(bench)
    for block in model.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    optimizer = _optimizer(bench, model.parameters())
    return _whole_step(case, bench, model, optimizer, case.batch // bench.processes)


def _mesh(bench: Bench) -> Any:  # noqa: ANN401 - a device mesh
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(bench.kind, (bench.processes,))


def _tensor(case: Case, bench: Bench) -> Step:
    """Every product cut over the processes, the vocabulary's too.

    What enters attention and the network is marked once as whole, so that the gradients of the
    products that share it are summed before they are all-reduced, not each by itself.
    """
    from torch.distributed.tensor import DTensor, Replicate, Shard
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        PrepareModuleInput,
        RowwiseParallel,
        loss_parallel,
        parallelize_module,
    )

    model, mesh = _model(case, bench), _mesh(bench)
    columns = ("attention.q", "attention.k", "attention.v", "network.gate", "network.up")
    one, three = (Replicate(),), (Replicate(), None, None)
    plan: dict[str, Any] = {name: ColwiseParallel() for name in columns}
    plan["attention"] = PrepareModuleInput(input_layouts=three, desired_input_layouts=three)
    plan["network"] = PrepareModuleInput(input_layouts=one, desired_input_layouts=one)
    plan |= {name: RowwiseParallel() for name in ("attention.o", "network.down")}
    for block in model.blocks:
        parallelize_module(block, mesh, plan)
    head = ColwiseParallel(output_layouts=Shard(-1), use_local_output=False)
    embedding = RowwiseParallel(input_layouts=Replicate())
    parallelize_module(model, mesh, {"embedding": embedding, "head": head})
    cut = [one for one in model.parameters() if isinstance(one, DTensor)]
    whole = [one for one in model.parameters() if not isinstance(one, DTensor)]
    optimizer = _optimizer(bench, cut, whole)
    plain = _whole_step(case, bench, model, optimizer, case.batch)

    def step() -> None:
        with loss_parallel():
            plain()

    return step


def _pipeline(case: Case, bench: Bench) -> Step:
    """Consecutive layers on each process, micro-batches one forward, one backward."""
    from torch.distributed.pipelining import PipelineStage, Schedule1F1B

    rank, parts = bench.rank, bench.processes
    model = _model(case, bench, part=rank, parts=parts)
    stage = PipelineStage(model, rank, parts, bench.torch.device(bench.device))
    schedule = Schedule1F1B(
        stage,
        case.micro_batches,
        loss_fn=lambda logits, targets: layers.loss(bench.torch, logits, targets),
    )
    optimizer = _optimizer(bench, model.parameters())
    tokens = _tokens(case, bench, case.batch)
    arguments = (tokens,) if rank == 0 else ()
    named = {"target": tokens} if rank == parts - 1 else {}

    def step() -> None:
        optimizer.zero_grad()
        schedule.step(*arguments, **named)
        optimizer.step()

    return step


WAYS: dict[str, Callable[[Case, Bench], Step]] = {
    "data": _data,
    "fsdp": _fsdp,
    "tensor": _tensor,
    "pipeline": _pipeline,
}
"""By the ways of `cases.Way` that train."""

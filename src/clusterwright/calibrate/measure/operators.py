"""Each family of operators as something to run: products, attention, streams, the host, traffic."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from clusterwright.calibrate.measure.bench import Bench, Run
from clusterwright.calibrate.measure.layers import COLD_BYTES, LAYER_OPERATORS, decode_operators
from clusterwright.calibrate.measure.tasks import Task

MOST_COPIES = 256
CHAIN = 200
"""Tiny operators of one run on the host."""


def run_of(task: Task, bench: Bench) -> tuple[Run, float]:
    """Return what one run of a task does, and by how much its time is divided.

    Parameters
    ----------
    task
        What to time.
    bench
        Where.
    """
    return FAMILIES[task.family](task, bench)


def _product(task: Task, bench: Bench) -> tuple[Run, float]:
    """Products as a training step makes them.

    What was made just before is warm (the input of a layer, the gradient of its output), what lies
    longer is cold: weights, and the inputs that the forward pass has left for the gradients of
    weights. Results go where nothing was written lately.
    """
    m, n, k = (int(task.sizes[name]) for name in "mnk")
    functional = bench.torch.nn.functional
    if task.way == "tn":
        warm, cold = bench.tensor(k, m), _in_turn(bench, k, n)
        return _kept(lambda: warm.t() @ next(cold), m * n * bench.element_bytes), 1.0
    rows = bench.tensor(m, k)
    if task.way == "nt":
        weights = _in_turn(bench, n, k)
        return _kept(
            lambda: functional.linear(rows, next(weights)), m * n * bench.element_bytes
        ), 1.0
    weights = _in_turn(bench, k, n)
    return _kept(lambda: rows @ next(weights), m * n * bench.element_bytes), 1.0


def _copies(num_bytes: float) -> int:
    """How many tensors of a size fill the caches and more."""
    return int(min(MOST_COPIES, max(1.0, COLD_BYTES / num_bytes)))


def _in_turn(bench: Bench, *shape: int) -> Iterator[Any]:
    """Tensors of a shape, so many that each is cold when its turn comes again."""
    copies = _copies(math.prod(shape) * bench.element_bytes)
    return cycle([bench.tensor(*shape) for _ in range(copies)])


def _kept(run: Run, num_bytes: float) -> Run:
    """The same, with results held for a while: the next ones are written elsewhere."""
    held: deque[Any] = deque(maxlen=_copies(num_bytes))
    return lambda: held.append(run())


def _attention(task: Task, bench: Bench) -> tuple[Run, float]:
    """Causal attention; the backward pass alone, from a graph that is kept."""
    size = {name: int(value) for name, value in task.sizes.items()}
    shape = (size["batch"], size["heads"], size["length"], size["width"])
    keys = (size["batch"], size["kv_heads"], size["length"], size["width"])
    backward = task.way == "backward"
    query = bench.tensor(*shape, grad=backward)
    key, value = (bench.tensor(*keys, grad=backward) for _ in range(2))
    attend = bench.torch.nn.functional.scaled_dot_product_attention
    grouped = size["heads"] != size["kv_heads"]

    def forward() -> Any:  # noqa: ANN401 - a tensor
        return attend(query, key, value, is_causal=True, enable_gqa=grouped)

    if not backward:
        held = math.prod(shape) * bench.element_bytes
        return _kept(forward, held), 1.0
    result = forward()
    gradient = bench.torch.ones_like(result)
    inputs = (query, key, value)
    return (
        lambda: bench.torch.autograd.grad(result, inputs, gradient, retain_graph=True),
        1.0,
    )


def _decode(task: Task, bench: Bench) -> tuple[Run, float]:
    """One query of each sequence over its cache, layer after layer."""
    size = {name: int(value) for name, value in task.sizes.items()}
    query = bench.tensor(size["batch"], size["heads"], 1, size["width"])
    shape = (size["batch"], size["kv_heads"], size["keys"], size["width"])
    keys, values = _in_turn(bench, *shape), _in_turn(bench, *shape)
    attend = bench.torch.nn.functional.scaled_dot_product_attention
    grouped = size["heads"] != size["kv_heads"]

    def run() -> None:
        attend(query, next(keys), next(values), enable_gqa=grouped)

    return run, 1.0


def _stream(task: Task, bench: Bench) -> tuple[Run, float]:
    elements = task.sizes["elements"]
    one, two = bench.tensor(elements), bench.tensor(elements)
    if task.way == "copy":
        return lambda: two.copy_(one), 1.0
    return lambda: one + two, 1.0


def _operator(task: Task, bench: Bench) -> tuple[Run, float]:
    """A layer's small operators, forward and backward, as a plain model writes them."""
    tokens, width = int(task.sizes["tokens"]), int(task.sizes["width"])
    if task.way in ("layer", "products"):
        return decode_operators(bench, tokens, width, between=task.way == "layer"), 1.0
    inputs, forward = LAYER_OPERATORS[task.way](bench, tokens, width)
    gradient = bench.torch.ones_like(forward())
    both = _kept(
        lambda: bench.torch.autograd.grad(forward(), inputs, gradient),
        gradient.numel() * bench.element_bytes if gradient.ndim else inputs[0].nbytes,
    )
    return both, 1.0


def _host(task: Task, bench: Bench) -> tuple[Run, float]:
    """Operators too small to take any time but that of calling them."""
    size = task.sizes["elements"]
    one = bench.tensor(size)
    if task.way == "operator":
        return lambda: [one + one for _ in range(CHAIN)], CHAIN
    start = bench.tensor(size, grad=True)

    def chain() -> None:
        end = start
        for _ in range(CHAIN):
            end = end + one
        end.sum().backward()

    return chain, CHAIN


def _optimizer(task: Task, bench: Bench) -> tuple[Run, float]:
    """AdamW in one kernel a tensor, over tensors of a layer's size."""
    each, count = 1e6, int(max(1.0, task.sizes["parameters"] / 1e6))
    weights = [bench.tensor(each, grad=True) for _ in range(count)]
    for weight in weights:
        weight.grad = bench.torch.ones_like(weight)
    optimizer = bench.torch.optim.AdamW(weights, lr=1e-5, fused=True)
    return optimizer.step, 1.0


def _collective(task: Task, bench: Bench) -> tuple[Run, float]:
    """A collective of a buffer of so many bytes, or a message there and back."""
    dist, ranks = bench.torch.distributed, bench.processes
    elements = max(ranks, int(task.sizes["bytes"] / bench.element_bytes) // ranks * ranks)
    whole, share = bench.tensor(elements), bench.tensor(elements // ranks)
    if task.way == "all_reduce":
        whole.zero_()
        return lambda: dist.all_reduce(whole), 1.0
    if task.way == "all_gather":
        return lambda: dist.all_gather_into_tensor(whole, share), 1.0
    if task.way == "reduce_scatter":
        return lambda: dist.reduce_scatter_tensor(share, whole), 1.0
    return lambda: _there_and_back(bench, whole), 2.0


def _there_and_back(bench: Bench, buffer: Any) -> None:  # noqa: ANN401 - a tensor
    """Send a buffer from the first rank to the second and back; the others look on."""
    dist = bench.torch.distributed
    if bench.rank == 0:
        dist.send(buffer, 1)
        dist.recv(buffer, 1)
    elif bench.rank == 1:
        dist.recv(buffer, 0)
        dist.send(buffer, 0)


def _overlap(task: Task, bench: Bench) -> tuple[Run, float]:
    """Products alone, and the same with an all-reduce beside them."""
    buffer = bench.tensor(task.sizes["bytes"] / bench.element_bytes)
    buffer.zero_()
    grow = 4 if bench.large else 1
    rows, weights = bench.tensor(512 * grow, 1024 * grow), bench.tensor(1024 * grow, 1024 * grow)
    count = max(1, int(task.sizes["bytes"] / 2.0**22))

    def products() -> None:
        for _ in range(count):
            _ = rows @ weights

    if task.way == "alone":
        return products, 1.0

    def both() -> None:
        work = bench.torch.distributed.all_reduce(buffer, async_op=True)
        products()
        work.wait()

    return both, 1.0


FAMILIES: dict[str, Callable[[Task, Bench], tuple[Run, float]]] = {
    "product": _product,
    "attention": _attention,
    "decode": _decode,
    "stream": _stream,
    "operator": _operator,
    "host": _host,
    "optimizer": _optimizer,
    "collective": _collective,
    "overlap": _overlap,
}
"""By the names of `tasks.Family`."""

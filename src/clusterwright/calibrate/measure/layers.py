"""What stands between a transformer's products, written as PyTorch users write it.

The sweep times these; the models of `clusterwright.verify` are made of the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

from clusterwright.calibrate.measure.bench import Bench

Tensor = Any
Both = tuple[tuple[Tensor, ...], Callable[[], Tensor]]
"""What gradients are asked of, and the forward pass."""
HEAD = 64
"""Width of a head in the sweep of the rotary embedding. [1]"""
EPSILON = 1e-5
PRODUCTS = 7
"""Of a layer: queries, keys, values, output, gate, up, down. [1]"""
COLD_BYTES = 256e6
"""Weights are taken in turn from so many bytes of them, as a model's layers take theirs: nothing of
the same weights is left in a cache. [B]"""


def norm(torch: Any, rows: Tensor, weight: Tensor) -> Tensor:  # noqa: ANN401
    """Root-mean-square norm."""
    return torch.nn.functional.rms_norm(rows, (rows.shape[-1],), weight, EPSILON)


def rotary(torch: Any, heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:  # noqa: ANN401
    """Turn queries or keys by their position."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat((-second, first), dim=-1) * sine


def activation(torch: Any, gate: Tensor, up: Tensor) -> Tensor:  # noqa: ANN401
    """Gated activation of a feed-forward network."""
    return torch.nn.functional.silu(gate) * up


def loss(torch: Any, logits: Tensor, targets: Tensor) -> Tensor:  # noqa: ANN401
    """Cross entropy, in 32 bits."""
    flat = logits.flatten(0, -2).float()
    return torch.nn.functional.cross_entropy(flat, targets.flatten())


def turns(torch: Any, length: int, width: int, **where: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401
    """Return cosine and sine of every position's angles, (length, width)."""
    steps = torch.arange(0, width, 2, dtype=torch.float32) / width
    angles = torch.outer(torch.arange(length, dtype=torch.float32), 10000.0**-steps)
    both = torch.cat((angles, angles), dim=-1)
    return both.cos().to(**where), both.sin().to(**where)


def _norm(bench: Bench, tokens: int, width: int) -> Both:
    """A norm with the residual addition beside it, whose two gradients are added as well."""
    rows, weight = bench.tensor(tokens, width, grad=True), bench.tensor(width, grad=True)
    return (rows, weight), lambda: rows + norm(bench.torch, rows, weight)


def _rotary(bench: Bench, tokens: int, width: int) -> Both:
    heads = bench.tensor(1, width // HEAD, tokens, HEAD, grad=True)
    cosine, sine = turns(bench.torch, tokens, HEAD, device=bench.device, dtype=bench.dtype)
    return (heads,), lambda: rotary(bench.torch, heads, cosine, sine)


def _activation(bench: Bench, tokens: int, width: int) -> Both:
    gate, up = (bench.tensor(tokens, width, grad=True) for _ in range(2))
    return (gate, up), lambda: activation(bench.torch, gate, up)


def _loss(bench: Bench, tokens: int, width: int) -> Both:
    logits = bench.tensor(tokens, width, grad=True)
    targets = bench.torch.randint(0, width, (tokens,), device=bench.device)
    return (logits,), lambda: loss(bench.torch, logits, targets)


def decode_operators(bench: Bench, rows: int, width: int, *, between: bool) -> Callable[[], None]:
    """Return a layer's products while decoding, and ``between`` them all else that it runs.

    Small operators take longer after a product has filled the caches with its weights than they
    take in a row, so that they are timed as the difference of both.
    """
    torch = bench.torch
    hidden, weight, heads = bench.tensor(rows, width), bench.tensor(width), width // HEAD
    copies = max(1, int(COLD_BYTES / (width * width * bench.element_bytes)))
    weights = cycle([bench.tensor(width, width) for _ in range(copies)])
    cosine, sine = turns(torch, 1, HEAD, device=bench.device, dtype=bench.dtype)
    cache = bench.tensor(rows, heads, 2, HEAD)
    linear = torch.nn.functional.linear

    def turned(projected: Tensor) -> Tensor:
        split = projected.view(rows, 1, heads, HEAD).transpose(1, 2)
        return rotary(torch, split, cosine, sine)

    def products() -> None:
        for _ in range(PRODUCTS):
            linear(hidden, next(weights))

    def layer() -> None:
        inside = norm(torch, hidden, weight)
        turned(linear(inside, next(weights)))
        cache[:, :, 1:2] = turned(linear(inside, next(weights)))
        cache[:, :, 1:2] = linear(inside, next(weights)).view(rows, heads, 1, HEAD)
        after = hidden + linear(inside, next(weights))
        inside = norm(torch, after, weight)
        gate, up = linear(inside, next(weights)), linear(inside, next(weights))
        _ = after + linear(activation(torch, gate, up), next(weights))

    return layer if between else products


LAYER_OPERATORS: dict[str, Callable[[Bench, int, int], Both]] = {
    "norm": _norm,
    "rotary": _rotary,
    "activation": _activation,
    "loss": _loss,
}
"""By the ways of the family ``operator``: from tokens and width to inputs and what runs forward."""

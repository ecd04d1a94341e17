"""What stands between a transformer's products, written as PyTorch users write it.

The sweep times these; the models of `clusterwright.verify` are made of the same functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusterwright.calibrate.measure.bench import Bench

Tensor = Any
Both = tuple[tuple[Tensor, ...], Callable[[], Tensor]]
"""What gradients are asked of, and the forward pass."""
HEAD = 64
"""Width of a head in the sweep of the rotary embedding. [1]"""
EPSILON = 1e-5


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


def decode_operators(bench: Bench, rows: int, width: int) -> Callable[[], None]:
    """Return all that a layer runs between its products while decoding, forward alone."""
    torch = bench.torch
    hidden, up = bench.tensor(rows, width), bench.tensor(rows, width)
    weight, heads = bench.tensor(width), bench.tensor(rows, width // HEAD, 1, HEAD)
    cosine, sine = turns(torch, 1, HEAD, device=bench.device, dtype=bench.dtype)
    cache = bench.tensor(rows, width // HEAD, 2, HEAD)

    def run() -> None:
        for _ in range(2):
            _ = hidden + norm(torch, hidden, weight)
            cache[:, :, 1:2] = rotary(torch, heads, cosine, sine)
        activation(torch, hidden, up)

    return run


LAYER_OPERATORS: dict[str, Callable[[Bench, int, int], Both]] = {
    "norm": _norm,
    "rotary": _rotary,
    "activation": _activation,
    "loss": _loss,
}
"""By the ways of the family ``operator``: from tokens and width to the inputs and what runs forward."""

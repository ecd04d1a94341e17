"""A plain transformer in PyTorch, of the shapes that the planner reads from its ``config.json``.

Classes are made inside functions, as PyTorch may be absent where this file is read.
"""

from __future__ import annotations

from typing import Any

from clusterwright.calibrate.measure import layers
from clusterwright.verify.cases import Shape

Module = Any
Tensor = Any


def _norm(torch: Any, width: int) -> Module:  # noqa: ANN401 - the module
    class Norm(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(width))

        def forward(self, rows: Tensor) -> Tensor:
            return layers.norm(torch, rows, self.weight)

    return Norm()


def _attention(torch: Any, shape: Shape) -> Module:  # noqa: ANN401 - the module
    width = shape.hidden // shape.heads

    class Attention(torch.nn.Module):  # type: ignore[misc]
        """Heads are counted from what the projections give: a rank of several has a part."""

        def __init__(self) -> None:
            super().__init__()
            for name, heads in (("q", shape.heads), ("k", shape.kv_heads), ("v", shape.kv_heads)):
                setattr(self, name, torch.nn.Linear(shape.hidden, heads * width, bias=False))
            self.o = torch.nn.Linear(shape.heads * width, shape.hidden, bias=False)

        def forward(self, rows: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
            batch, length, _ = rows.shape
            query, key, value = (
                projection(rows).view(batch, length, -1, width).transpose(1, 2)
                for projection in (self.q, self.k, self.v)
            )
            query = layers.rotary(torch, query, cosine, sine)
            key = layers.rotary(torch, key, cosine, sine)
            grouped = query.shape[1] != key.shape[1]
            seen = torch.nn.functional.scaled_dot_product_attention(
                query, key, value, is_causal=True, enable_gqa=grouped
            )
            return self.o(seen.transpose(1, 2).reshape(batch, length, -1))

    return Attention()


def _network(torch: Any, shape: Shape) -> Module:  # noqa: ANN401 - the module
    class Network(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gate = torch.nn.Linear(shape.hidden, shape.inner, bias=False)
            self.up = torch.nn.Linear(shape.hidden, shape.inner, bias=False)
            self.down = torch.nn.Linear(shape.inner, shape.hidden, bias=False)

        def forward(self, rows: Tensor) -> Tensor:
            return self.down(layers.activation(torch, self.gate(rows), self.up(rows)))

    return Network()


def _block(torch: Any, shape: Shape) -> Module:  # noqa: ANN401 - the module
    class Block(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.before = _norm(torch, shape.hidden)
            self.attention = _attention(torch, shape)
            self.between = _norm(torch, shape.hidden)
            self.network = _network(torch, shape)

        def forward(self, rows: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
            rows = rows + self.attention(self.before(rows), cosine, sine)
            return rows + self.network(self.between(rows))

    return Block()


def transformer(
    torch: Any,  # noqa: ANN401 - the module
    shape: Shape,
    length: int,
    *,
    part: int = 0,
    parts: int = 1,
) -> Module:
    """Return the model, or one of the consecutive parts that a pipeline cuts it into.

    Parameters
    ----------
    torch
        The imported module.
    shape
        Of the model.
    length
        Tokens of a sequence.
    part, parts
        Which of how many; the first has the embedding, the last the norm and the head.
    """
    each = shape.layers // parts

    class Transformer(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            nn = torch.nn
            first, last = part == 0, part == parts - 1
            self.embedding = nn.Embedding(shape.vocabulary, shape.hidden) if first else None
            self.blocks = nn.ModuleList(_block(torch, shape) for _ in range(each))
            self.norm: Any = _norm(torch, shape.hidden) if last else None
            self.head: Any = nn.Linear(shape.hidden, shape.vocabulary, bias=False) if last else None
            turns = layers.turns(torch, length, shape.hidden // shape.heads)
            for name, table in zip(("cosine", "sine"), turns, strict=True):
                self.register_buffer(name, table, persistent=False)

        def forward(self, rows: Tensor) -> Tensor:
            if self.embedding is not None:
                rows = self.embedding(rows)
            for block in self.blocks:
                rows = block(rows, self.cosine, self.sine)
            return rows if self.head is None else self.head(self.norm(rows))

    return Transformer()

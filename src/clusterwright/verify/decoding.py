"""Inference of a plain transformer: prompts, then a token at a time over cached keys and values."""

from __future__ import annotations

import time
from typing import Any

from clusterwright.calibrate.measure import layers
from clusterwright.calibrate.measure.bench import Bench
from clusterwright.verify.cases import Case

Tensor = Any


class Decoder:
    """Weights, caches, and the pass through them that prompts and decoding share.

    Parameters
    ----------
    case
        Model, sequences and length.
    bench
        Where.
    """

    def __init__(self, case: Case, bench: Bench) -> None:
        self.bench, self.shape = bench, case.shape
        self.width = case.shape.hidden // case.shape.heads
        longest = case.length + case.tokens
        turns = layers.turns(
            bench.torch, longest, self.width, device=bench.device, dtype=bench.dtype
        )
        self.cosine, self.sine = turns
        self.embedding = self._weight(case.shape.vocabulary, case.shape.hidden)
        self.head = self._weight(case.shape.vocabulary, case.shape.hidden)
        self.norm = bench.tensor(case.shape.hidden)
        self.blocks = [self._block() for _ in range(case.shape.layers)]
        room = (case.batch, case.shape.kv_heads, longest, self.width)
        self.caches = [(bench.tensor(*room), bench.tensor(*room)) for _ in self.blocks]

    def _weight(self, outputs: int, inputs: int) -> Tensor:
        return self.bench.tensor(outputs, inputs) * inputs**-0.5

    def _block(self) -> dict[str, Tensor]:
        shape, hidden = self.shape, self.shape.hidden
        keys = shape.kv_heads * self.width
        sizes = {
            "q": (shape.heads * self.width, hidden),
            "k": (keys, hidden),
            "v": (keys, hidden),
            "o": (hidden, shape.heads * self.width),
            "gate": (shape.inner, hidden),
            "up": (shape.inner, hidden),
            "down": (hidden, shape.inner),
        }
        found = {name: self._weight(*size) for name, size in sizes.items()}
        return found | {name: self.bench.tensor(hidden) for name in ("before", "between")}

    def forward(self, tokens: Tensor, start: int) -> Tensor:
        """Return the next token of each sequence; ``start``: tokens that are cached already."""
        torch = self.bench.torch
        end = start + tokens.shape[1]
        linear = torch.nn.functional.linear
        rows = self.embedding[tokens]
        for block, cache in zip(self.blocks, self.caches, strict=True):
            inside = layers.norm(torch, rows, block["before"])
            rows = rows + linear(self._attend(block, cache, inside, start, end), block["o"])
            inside = layers.norm(torch, rows, block["between"])
            gate, up = linear(inside, block["gate"]), linear(inside, block["up"])
            rows = rows + linear(layers.activation(torch, gate, up), block["down"])
        last = layers.norm(torch, rows[:, -1:], self.norm)
        return linear(last, self.head).argmax(dim=-1)

    def _attend(
        self,
        block: dict[str, Tensor],
        cache: tuple[Tensor, Tensor],
        rows: Tensor,
        start: int,
        end: int,
    ) -> Tensor:
        torch = self.bench.torch
        batch, length, _ = rows.shape
        query, key, value = (
            torch.nn.functional.linear(rows, block[name])
            .view(batch, length, -1, self.width)
            .transpose(1, 2)
            for name in ("q", "k", "v")
        )
        cosine, sine = self.cosine[start:end], self.sine[start:end]
        query = layers.rotary(torch, query, cosine, sine)
        keys, values = cache
        keys[:, :, start:end] = layers.rotary(torch, key, cosine, sine)
        values[:, :, start:end] = value
        seen = torch.nn.functional.scaled_dot_product_attention(
            query,
            keys[:, :, :end],
            values[:, :, :end],
            is_causal=length > 1,
            enable_gqa=query.shape[1] != keys.shape[1],
        )
        return seen.transpose(1, 2).reshape(batch, length, -1)


def measured_step(case: Case, bench: Bench, repeats: int) -> list[float]:
    """Return seconds of every prompt pass, or of every token decoded, of a case."""
    torch = bench.torch
    decoder = Decoder(case, bench)
    prompt = torch.randint(0, case.shape.vocabulary, (case.batch, case.length), device=bench.device)
    times: list[float] = []
    with torch.no_grad():
        for _ in range(repeats + 1):
            start = _now(bench)
            token = decoder.forward(prompt, 0)
            middle = _now(bench)
            if case.way == "prefill":
                times.append(middle - start)
                continue
            for place in range(case.tokens):
                before = _now(bench)
                token = decoder.forward(token, case.length + place)
                times.append(_now(bench) - before)
    warm = 1 if case.way == "prefill" else case.tokens
    return times[warm:]


def _now(bench: Bench) -> float:
    """The time when all that was asked of the device is done. [s]"""
    if bench.kind == "cuda":
        bench.torch.cuda.synchronize()
    return time.perf_counter()

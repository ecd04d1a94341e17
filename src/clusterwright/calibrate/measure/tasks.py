"""What to sweep, as plain tables of shapes: the first of each are what a quick sweep measures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from clusterwright.records import Record

Family = Literal[
    "product",
    "attention",
    "decode",
    "stream",
    "operator",
    "host",
    "optimizer",
    "collective",
    "overlap",
]

TURNS = (1, 2)
"""Everything is measured in two turns, minutes apart."""
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
QUICK_ROWS = (1, 8, 64, 256, 1024)
WEIGHTS = (
    (512, 512),
    (1024, 1024),
    (2048, 512),
    (512, 2048),
    (3072, 768),
    (768, 3072),
    (16384, 768),
    (4096, 1024),
    (1024, 4096),
    (256, 1024),
    (8192, 1024),
    (384, 384),
)
"""Outputs and inputs of weights: square, widening, narrowing, a vocabulary, a few thin ones."""
QUICK_WEIGHTS = 8
LARGE = 4
"""On an accelerator with much memory and speed all sizes are this many times as large."""

HEADS = ((8, 8, 64), (16, 16, 64), (8, 2, 128), (12, 4, 64))
"""Query heads, key heads and head sizes."""
LENGTHS = (128, 256, 512, 1024, 2048)
DECODING = (1, 2, 4, 8, 16)
KEYS = (64, 256, 1024, 2048)

ELEMENTS = (1e3, 1e4, 1e5, 3e5, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6, 64e6)
"""Of a stream that adds two tensors."""
WIDTHS = ((256, 512), (512, 768), (1024, 512), (512, 1024), (1024, 1024))
"""Tokens and width of a layer's small operators."""
VOCABULARY = 8192
PARAMETERS = (1e6, 8e6, 32e6)
BUFFERS = tuple(float(2**power) for power in range(10, 27, 2))
COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "message")


class Task(Record, frozen=True, kw_only=True):
    """One thing to time: which operator, in which way, at which sizes.

    ``way``: the layout of a product, the direction of attention, the name of a stream, of an
    operator, of a collective. ``quick``: whether a quick sweep measures it. ``turn``: which time it
    is measured; the quickest turn counts, so that a busy spell of the machine spoils none.
    """

    family: Family
    way: str
    sizes: Mapping[str, float]
    quick: bool = False
    turn: int = 1

    @property
    def key(self) -> str:
        """A name that is the same in every run."""
        return f"{self.what} #{self.turn}"

    @property
    def what(self) -> str:
        """The same without the turn."""
        sizes = " ".join(f"{name}={value:g}" for name, value in self.sizes.items())
        return f"{self.family} {self.way} {sizes}"


def sweep(*, processes: int, large: bool = False, quick: bool = False) -> tuple[Task, ...]:
    """All tasks in the order in which they are measured: quick ones first, families mixed.

    A drift of the machine then falls on all families alike, and a sweep that runs out of minutes
    has measured a little of everything.

    Parameters
    ----------
    processes
        That compute, and communicate, at once.
    large
        For a device with much memory and speed.
    quick
        Only what a quick sweep measures, once.
    """
    found = [*_products(large), *_attention(large), *_decoding(), *_streams(large), *_operators()]
    found += [*_host(), *_optimizer(large)]
    if processes > 1:
        found += _collectives()
    chosen = [task for task in found if task.quick or not quick]
    turns = TURNS[:1] if quick else TURNS
    again = [msgspec.structs.replace(task, turn=turn) for turn in turns for task in chosen]
    return tuple(sorted(again, key=lambda task: (task.turn, not task.quick, _shuffled(task.key))))


def _shuffled(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _products(large: bool) -> Iterator[Task]:
    """Forward (nt), gradient of the input (nn), gradient of the weights (tn)."""
    grow = LARGE if large else 1
    for index, (outputs, inputs) in enumerate(WEIGHTS):
        for rows in ROWS:
            sizes = {"m": rows * (grow if rows > 1 else 1), "n": outputs * grow, "k": inputs * grow}
            quick = index < QUICK_WEIGHTS and rows in QUICK_ROWS
            yield Task(family="product", way="nt", sizes=sizes, quick=quick)
            if rows >= 128:
                m, n, k = sizes["m"], sizes["n"], sizes["k"]
                quick = quick and rows == 256
                yield Task(family="product", way="nn", sizes={"m": m, "n": k, "k": n}, quick=quick)
                yield Task(family="product", way="tn", sizes={"m": n, "n": k, "k": m}, quick=quick)


def _attention(large: bool) -> Iterator[Task]:
    lengths = [length * (2 if large else 1) for length in LENGTHS]
    for index, (heads, kv_heads, width) in enumerate(HEADS):
        for place, length in enumerate(lengths):
            for batch in (1, 4) if length <= lengths[-2] else (1,):
                sizes = _heads(batch, heads, kv_heads, width) | {"length": length}
                quick = index == 0 or (index == 2 and place in (1, 2, 3))
                for way in ("forward", "backward"):
                    yield Task(family="attention", way=way, sizes=sizes, quick=quick)


def _decoding() -> Iterator[Task]:
    for index, (heads, kv_heads, width) in enumerate(HEADS):
        for batch in DECODING:
            for keys in KEYS:
                sizes = _heads(batch, heads, kv_heads, width) | {"keys": keys}
                quick = index in (0, 2) and batch in (1, 4, 16)
                yield Task(family="decode", way="cached", sizes=sizes, quick=quick)


def _heads(batch: int, heads: int, kv_heads: int, width: int) -> dict[str, float]:
    return {"batch": batch, "heads": heads, "kv_heads": kv_heads, "width": width}


def _streams(large: bool) -> Iterator[Task]:
    for elements in ELEMENTS:
        sizes = {"elements": elements * (LARGE if large else 1)}
        yield Task(family="stream", way="add", sizes=sizes, quick=True)
        yield Task(family="stream", way="copy", sizes=sizes)


def _operators() -> Iterator[Task]:
    """What stands between products, forward and backward, as the framework runs it."""
    for index, (tokens, width) in enumerate(WIDTHS):
        for way in ("norm", "rotary", "activation", "loss"):
            sizes = {"tokens": tokens, "width": VOCABULARY if way == "loss" else width}
            if way != "loss" or index < 3:
                yield Task(family="operator", way=way, sizes=sizes, quick=index in (1, 2))
    for rows in (1, 8):
        sizes = {"tokens": rows, "width": 512}
        for way in ("layer", "products"):
            yield Task(family="operator", way=way, sizes=sizes, quick=True)


def _host() -> Iterator[Task]:
    for way in ("operator", "autograd"):
        yield Task(family="host", way=way, sizes={"elements": 8}, quick=True)


def _optimizer(large: bool) -> Iterator[Task]:
    for parameters in PARAMETERS:
        sizes = {"parameters": parameters * (LARGE if large else 1)}
        yield Task(family="optimizer", way="adamw", sizes=sizes, quick=parameters == 8e6)


def _collectives() -> Iterator[Task]:
    for way in COLLECTIVES:
        for index, num_bytes in enumerate(BUFFERS):
            quick = index % 2 == 0
            yield Task(family="collective", way=way, sizes={"bytes": num_bytes}, quick=quick)
    for way in ("alone", "beside"):
        for num_bytes in (2.0**24, 2.0**26):
            yield Task(family="overlap", way=way, sizes={"bytes": num_bytes}, quick=True)

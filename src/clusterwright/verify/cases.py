"""The small runs that are verified: models, batches and how each is cut over processes."""

from __future__ import annotations

from typing import Any, Literal

from clusterwright.errors import InputError, nearest_names
from clusterwright.model.config import load_config
from clusterwright.model.records import Model
from clusterwright.records import Record

Way = Literal["data", "fsdp", "tensor", "pipeline", "decode", "prefill"]
TRAINING: tuple[Way, ...] = ("data", "fsdp", "tensor", "pipeline")


class Shape(Record, frozen=True, kw_only=True):
    """A small llama-like transformer."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    vocabulary: int
    positions: int = 4096

    def config(self) -> dict[str, Any]:
        """Return its ``config.json``."""
        return {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.inner,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.positions,
            "tie_word_embeddings": False,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
        }


class Case(Record, frozen=True, kw_only=True):
    """One run.

    ``batch``: sequences of a step on all processes together, of ``length`` tokens each; while
    decoding, sequences at once and the tokens of their prompts. ``micro_batches``: into which a
    pipeline cuts them. ``tokens``: decoded after the prompt.
    """

    name: str
    way: Way
    shape: Shape
    batch: int
    length: int
    micro_batches: int = 1
    tokens: int = 32

    @property
    def trains(self) -> bool:
        """Whether it is a training step."""
        return self.way in TRAINING

    def model(self) -> Model:
        """Return the model as the planner reads it."""
        return load_config(self.shape.config(), name=self.name)

    def strategy(self, processes: int) -> dict[str, Any]:
        """Return how it is cut, as the planner names it."""
        if self.way == "tensor":
            return {"tp": processes, "dp": 1, "micro_batch": self.batch, **PLAIN}
        if self.way == "pipeline":
            micro = self.batch // self.micro_batches
            return {"pp": processes, "dp": 1, "micro_batch": micro, **PLAIN}
        sharded = {"zero": 3 if self.way == "fsdp" else 0}
        return {"dp": processes, "micro_batch": self.batch // processes, **PLAIN, **sharded}


PLAIN: dict[str, Any] = {"zero": 0, "sequence_parallel": False, "recompute": "none"}

NARROW = Shape(hidden=512, layers=4, heads=8, kv_heads=8, inner=1536, vocabulary=8192)
GROUPED = Shape(hidden=768, layers=6, heads=12, kv_heads=4, inner=2048, vocabulary=16384)
WIDE = Shape(hidden=1024, layers=4, heads=16, kv_heads=8, inner=2816, vocabulary=8192)
DEEP = Shape(hidden=512, layers=8, heads=8, kv_heads=4, inner=1408, vocabulary=16384)

CASES = (
    Case(name="data-narrow", way="data", shape=NARROW, batch=8, length=256),
    Case(name="data-grouped", way="data", shape=GROUPED, batch=2, length=512),
    Case(name="fsdp-narrow", way="fsdp", shape=NARROW, batch=4, length=512),
    Case(name="fsdp-wide", way="fsdp", shape=WIDE, batch=2, length=1024),
    Case(name="tensor-grouped", way="tensor", shape=GROUPED, batch=2, length=512),
    Case(name="tensor-wide", way="tensor", shape=WIDE, batch=4, length=256),
    Case(name="pipeline-deep", way="pipeline", shape=DEEP, batch=8, length=256, micro_batches=8),
    Case(name="pipeline-wide", way="pipeline", shape=WIDE, batch=4, length=512, micro_batches=4),
    Case(name="decode-deep", way="decode", shape=DEEP, batch=1, length=256),
    Case(name="decode-grouped", way="decode", shape=GROUPED, batch=8, length=512),
)
"""The ten that are verified unless others are asked for."""

BESIDE = (
    Case(name="prefill-deep", way="prefill", shape=DEEP, batch=1, length=512),
    Case(name="prefill-grouped", way="prefill", shape=GROUPED, batch=1, length=1024),
)
"""Others that can be asked for."""


def chosen_cases(names: tuple[str, ...]) -> tuple[Case, ...]:
    """Return cases by name or by way; the ten where none is named.

    Raises
    ------
    InputError
        There is none of that name; offers the nearest.
    """
    if not names:
        return CASES
    found: list[Case] = []
    for name in names:
        named = [case for case in (*CASES, *BESIDE) if name in (case.name, case.way)]
        if not named:
            known = [case.name for case in (*CASES, *BESIDE)]
            near = nearest_names(name, known)
            offer = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(known)}"
            raise InputError(f"no case called {name!r}: {offer}")
        found += [case for case in named if case not in found]
    return tuple(found)

"""A transformer as the cost model sees it: distinct blocks, and which layer uses which.

Everything here is a number of *elements* or a *count*; bytes and FLOPs are the formulas' business.
A `Model` holds enough to count parameters exactly and to know the shape of every matrix product.
"""

from __future__ import annotations

from typing import Literal

from clusterwright.records import Record

Split = Literal["column", "row", "replicated"]
"""How tensor parallelism cuts a weight: by outputs, by inputs, or not at all."""


class Projection(Record, frozen=True, kw_only=True):
    """One matrix product of a token mixer, ``inputs → outputs``, without its bias."""

    name: str
    inputs: int
    outputs: int
    split: Split = "column"


class Core(Record, frozen=True, kw_only=True):
    """The part of a token mixer without weights: attention scores and values, or a state update.

    ``kind="softmax"``: scores over ``query_key_dim`` per head, values over ``value_dim`` per head;
    ``window`` tokens are visible (``None``: all), ``causal`` halves the work.
    ``kind="linear"``: a recurrent state of ``state_dim × value_dim`` per head (Mamba-2, gated delta
    rule, lightning attention); its cost is linear in the sequence.
    ``stride``: keys are compressed, one for so many tokens (1: every token has its own);
    ``value_dim=0``: scores alone, as an indexer computes to choose what attention will see.
    """

    kind: Literal["softmax", "linear"] = "softmax"
    num_heads: int
    num_kv_heads: int
    query_key_dim: int
    value_dim: int
    window: int | None = None
    causal: bool = True
    state_dim: int = 0
    stride: int = 1


def heads_here(heads: int, ranks: int) -> float:
    """Heads on the busiest of the ranks that they are dealt to, whole ones.

    >>> heads_here(40, 32), heads_here(8, 64)
    (2.0, 1.0)
    """
    return float(-(-heads // ranks))


class Mlp(Record, frozen=True, kw_only=True):
    """A feed-forward network ``hidden → width → hidden``; ``gated`` has two matrices going up."""

    width: int
    gated: bool


class Experts(Record, frozen=True, kw_only=True):
    """A mixture of experts: ``num_experts`` networks of ``width``, ``top_k`` of them per token.

    ``shared_width`` is the summed width of the experts that every token visits (0: none);
    ``shared_gated`` tells whether those are gated networks. ``inputs``: the width that routed
    experts read and write where it is not the model's (latent experts). ``vector_parameters``:
    biases of one routed expert. ``num_groups``, ``top_groups``: groups that the router sorts the
    experts into, and how many of them a token may use (0: all).
    """

    num_experts: int
    top_k: int
    width: int
    gated: bool
    shared_width: int = 0
    shared_gated: bool = True
    inputs: int | None = None
    vector_parameters: int = 0
    num_groups: int = 1
    top_groups: int = 0


class Block(Record, frozen=True, kw_only=True):
    """One kind of layer. ``vector_parameters``: norms, biases, gates … replicated over tp."""

    projections: tuple[Projection, ...] = ()
    cores: tuple[Core, ...] = ()
    mlp: Mlp | None = None
    experts: Experts | None = None
    vector_parameters: int = 0


class Model(Record, frozen=True, kw_only=True):
    """A transformer: embedding, ``layout`` of layers over distinct ``blocks``, head.

    ``layout[i]`` is the index in ``blocks`` of layer *i*; an encoder–decoder lists its
    ``encoder_layers`` encoder layers first. ``embedding_parameters`` counts token and position
    tables; ``head_parameters`` is 0 when the head is tied to the embedding (its matrix product
    still happens). ``other_parameters``: final norm and what fits nowhere else.
    ``mtp_layers``: multi-token-prediction layers, each a copy of the last block with its own
    projection of ``2·hidden → hidden``, not counted in ``layout``. ``shared_parameters``: weights
    that several layers use together (Zamba), which the blocks count at each use and the total
    takes off again.
    """

    name: str
    family: str
    hidden_size: int
    vocab_size: int
    blocks: tuple[Block, ...]
    layout: tuple[int, ...]
    embedding_parameters: int
    head_parameters: int
    other_parameters: int = 0
    shared_parameters: int = 0
    encoder_layers: int = 0
    mtp_layers: int = 0
    max_positions: int | None = None
    unknown_keys: tuple[str, ...] = ()

    @property
    def num_layers(self) -> int:
        """Layers in the pipeline, encoder included, multi-token-prediction layers not."""
        return len(self.layout)

    @property
    def count_of(self) -> tuple[int, ...]:
        """How many layers use each block."""
        return tuple(self.layout.count(index) for index in range(len(self.blocks)))

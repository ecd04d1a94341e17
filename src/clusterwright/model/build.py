"""Parts of a transformer and how they are put together into a `Model`.

A layer is the `join` of small blocks: an attention, a feed-forward network, some vectors. Nothing
here knows a file format; the readers in `families` and the callers of `decoder` do.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from clusterwright.errors import ConfigError
from clusterwright.model.records import Block, Core, Experts, Mlp, Model, Projection, Split


def join(*parts: Block) -> Block:
    """Return one block that does what all the parts do.

    Two plain networks of one kind become one of the summed width: the same parameters and work.

    >>> join(vectors(3), vectors(4)).vector_parameters
    7
    """
    mlps = [part.mlp for part in parts if part.mlp is not None]
    experts = [part.experts for part in parts if part.experts is not None]
    if len(experts) > 1 or len({mlp.gated for mlp in mlps}) > 1:
        raise ValueError("a block holds one mixture of experts and one kind of network")
    return Block(
        projections=tuple(p for part in parts for p in part.projections),
        cores=tuple(core for part in parts for core in part.cores),
        mlp=Mlp(width=sum(m.width for m in mlps), gated=mlps[0].gated) if mlps else None,
        experts=experts[0] if experts else None,
        vector_parameters=sum(part.vector_parameters for part in parts),
    )


def vectors(parameters: int) -> Block:
    """Return a block of nothing but small parameters: norms, biases, gates."""
    return Block(vector_parameters=parameters)


def project(
    name: str, inputs: int, outputs: int, split: Split = "column", *, bias: bool = False
) -> Block:
    """Return a block of one matrix product; its bias goes among the vectors."""
    made = Projection(name=name, inputs=inputs, outputs=outputs, split=split)
    return Block(projections=(made,), vector_parameters=outputs if bias else 0)


def attention(
    *,
    hidden: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    value_dim: int | None = None,
    window: int | None = None,
    causal: bool = True,
    qkv_bias: bool = False,
    out_bias: bool = False,
    gate: bool = False,
    outputs: int | None = None,
) -> Block:
    """Return softmax attention with its fused query–key–value and its output projection.

    Parameters
    ----------
    hidden
        Width that goes in; ``outputs`` is what comes out (the same by default).
    heads, kv_heads
        Query heads, and key–value heads shared among them (1: multi-query).
    head_dim, value_dim
        Width of one query and key; width of one value (``head_dim`` by default).
    window
        Visible tokens; None for all.
    gate
        A further projection, without bias, as wide as the heads' output that gates it.
    """
    value_dim = value_dim or head_dim
    width = heads * head_dim + kv_heads * (head_dim + value_dim)
    gated = heads * value_dim if gate else 0
    core = Core(
        num_heads=heads,
        num_kv_heads=kv_heads,
        query_key_dim=head_dim,
        value_dim=value_dim,
        window=window,
        causal=causal,
    )
    return join(
        project("qkv", hidden, width + gated),
        vectors(width if qkv_bias else 0),
        Block(cores=(core,)),
        project("out", heads * value_dim, outputs or hidden, "row", bias=out_bias),
    )


def cross_attention(
    *,
    hidden: int,
    heads: int,
    head_dim: int,
    kv_heads: int | None = None,
    source: int | None = None,
    bias: bool = False,
) -> Block:
    """Return attention of a decoder over what the encoder said (``source``: its width)."""
    kv_heads = kv_heads or heads
    core = Core(
        num_heads=heads,
        num_kv_heads=kv_heads,
        query_key_dim=head_dim,
        value_dim=head_dim,
        causal=False,
    )
    return join(
        project("cross_q", hidden, heads * head_dim, bias=bias),
        project("cross_kv", source or hidden, 2 * kv_heads * head_dim, bias=bias),
        Block(cores=(core,)),
        project("cross_out", heads * head_dim, hidden, "row", bias=bias),
    )


def latent_attention(
    *,
    hidden: int,
    heads: int,
    query_rank: int | None,
    kv_rank: int,
    nope_dim: int,
    rope_dim: int,
    value_dim: int,
    window: int | None = None,
    bias: bool = False,
) -> Block:
    """Return multi-head latent attention (DeepSeek-V2), norms of the latents among the vectors.

    In training the latents are expanded, so that every head has its own keys and values.
    ``query_rank=None``: queries are not compressed. ``bias`` is that of both compressions and of
    the output.
    """
    query_dim = nope_dim + rope_dim
    if query_rank:
        query = join(
            project("q_a", hidden, query_rank, "replicated", bias=bias),
            vectors(query_rank),
            project("q_b", query_rank, heads * query_dim),
        )
    else:
        query = project("q", hidden, heads * query_dim)
    core = Core(
        num_heads=heads,
        num_kv_heads=heads,
        query_key_dim=query_dim,
        value_dim=value_dim,
        window=window,
    )
    return join(
        query,
        project("kv_a", hidden, kv_rank + rope_dim, "replicated", bias=bias),
        vectors(kv_rank),
        project("kv_b", kv_rank, heads * (nope_dim + value_dim)),
        Block(cores=(core,)),
        project("out", heads * value_dim, hidden, "row", bias=bias),
    )


def network(hidden: int, width: int, *, gated: bool, bias: bool = False) -> Block:
    """Return a feed-forward network ``hidden → width → hidden``."""
    biases = width * (2 if gated else 1) + hidden if bias else 0
    return Block(mlp=Mlp(width=width, gated=gated), vector_parameters=biases)


def mixture(
    *,
    num_experts: int,
    top_k: int,
    width: int,
    gated: bool = True,
    shared_width: int = 0,
    shared_gated: bool | None = None,
    hidden: int | None = None,
    expert_vectors: int = 0,
    groups: tuple[int, int] = (1, 0),
) -> Block:
    """Return a mixture of experts with its router.

    ``hidden``: what experts see, if not all; ``groups``: how many there are, and how many of them
    a token may use (0: all).
    """
    experts = Experts(
        num_experts=num_experts,
        top_k=top_k,
        width=width,
        gated=gated,
        shared_width=shared_width,
        shared_gated=gated if shared_gated is None else shared_gated,
        inputs=hidden,
        vector_parameters=expert_vectors,
        num_groups=groups[0],
        top_groups=groups[1],
    )
    return Block(experts=experts)


def assemble(
    *,
    name: str,
    family: str,
    hidden: int,
    vocab: int,
    layers: Sequence[Block],
    tied: bool,
    positions: int = 0,
    embedding: int | None = None,
    head: int | None = None,
    other: int = 0,
    shared: int = 0,
    encoder_layers: int = 0,
    mtp_layers: int = 0,
    max_positions: int | None = None,
) -> Model:
    """Return the model of these layers, equal ones kept once.

    Parameters
    ----------
    positions
        Rows of the learned position table.
    embedding, head
        Their parameters where they are not ``hidden`` wide tables of ``vocab`` rows.
    other
        Final norm and what fits nowhere else.
    shared
        Parameters that several layers use together, to be counted once (see `Model`).
    """
    blocks = tuple(dict.fromkeys(layers))
    index = {block: number for number, block in enumerate(blocks)}
    table = vocab * hidden if embedding is None else embedding
    untied = vocab * hidden if head is None else head
    return Model(
        name=name,
        family=family,
        hidden_size=hidden,
        vocab_size=vocab,
        blocks=blocks,
        layout=tuple(index[block] for block in layers),
        embedding_parameters=table + positions * hidden,
        head_parameters=0 if tied else untied,
        other_parameters=other,
        shared_parameters=shared,
        encoder_layers=encoder_layers,
        mtp_layers=mtp_layers,
        max_positions=max_positions,
    )


def with_tables(model: Model, *, embedding: int, blocks: tuple[Block, ...] | None = None) -> Model:
    """Return the model with another count of embedding parameters (and other blocks)."""
    return msgspec.structs.replace(
        model, embedding_parameters=embedding, blocks=blocks or model.blocks
    )


def with_shared(model: Model, *, shared: int) -> Model:
    """Return the model with so many parameters that its layers use together."""
    return msgspec.structs.replace(model, shared_parameters=shared)


def head_width(hidden: int, heads: int, *, where: str = "model") -> int:
    """Return ``hidden / heads``.

    Raises
    ------
    ConfigError
        The heads do not divide the width and no ``head_dim`` was given.
    """
    if hidden % heads:
        raise ConfigError(
            f"{where}: hidden_size {hidden} is not divisible by num_attention_heads {heads}; "
            f"give head_dim, or a number of heads that divides {hidden}."
        )
    return hidden // heads


def check_groups(heads: int, kv_heads: int, *, where: str = "model") -> None:
    """Refuse key–value heads that do not divide the heads.

    Raises
    ------
    ConfigError
        As said.
    """
    if kv_heads > heads or heads % kv_heads:
        right = [n for n in range(1, heads + 1) if heads % n == 0]
        near = min(right, key=lambda n: abs(n - kv_heads))
        raise ConfigError(
            f"{where}: num_key_value_heads {kv_heads} does not divide num_attention_heads "
            f"{heads}; the nearest number that does is {near}."
        )

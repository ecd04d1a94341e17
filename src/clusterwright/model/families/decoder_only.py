"""The common decoder: attention, a network or experts, norms; with the seams where families differ.

`read_decoder` reads all of it. A family says in `Traits` what its configuration leaves unsaid, and
may bring its own mixer (latent attention, a state space) or its own network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from clusterwright.model import build
from clusterwright.model.families.common import (
    Norm,
    Shape,
    layer_keys,
    norm,
    read_experts,
    read_shape,
    read_sparse_layers,
    read_windows,
    tied,
)
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Model
from clusterwright.records import Record

Says = bool | str
"""A fact, or the key that says so (``"!key"``: true where the key is missing)."""


class Traits(Record, frozen=True, kw_only=True):
    """What a family does without its configuration saying so.

    ``norms``: norms per layer over the hidden width; ``norms_if``: a flag that makes them so many.
    ``qk_norm``: norms of queries and keys over one ``head``'s width or over ``all`` heads together.
    ``gate``: attention output gated by a projection as wide (``full``) or one number per head
    (``head``). ``sinks``: one learned logit per head. ``full_every``: one layer in so many sees
    everything. ``shared_gate``: shared experts are gated by ``hidden → 1``. ``router_bias``,
    ``expert_bias``: trained numbers per expert, biases in its network. ``hidden_vectors``,
    ``width_vectors``, ``head_vectors``, ``scalars``: further elements per layer, as many times the
    hidden width, the network's, the head's, or one; ``heads_vectors``: per query head.
    """

    norm: Norm = "rms"
    norms: int = 2
    norms_if: tuple[str, int] | None = None
    final_norm: bool = True
    qk_norm: Literal["", "head", "all"] = ""
    qk_norm_if: Says = True
    qk_norm_kind: Norm = "rms"
    qkv_bias: Says = "attention_bias"
    out_bias: Says = "attention_bias"
    mlp_bias: Says = "mlp_bias"
    head_bias: Says = False
    gated: bool = True
    tied: bool = False
    gate: Literal["", "full", "head"] = ""
    gate_bias: Says = False
    sinks: bool = False
    head_dim: int | None = None
    full_every: int = 0
    shared_gate: bool = False
    default_shared: int = 0
    router_bias: Says = False
    expert_bias: bool = False
    hidden_vectors: int = 0
    width_vectors: int = 0
    head_vectors: int = 0
    heads_vectors: int = 0
    scalars: int = 0


class Layer(Record, frozen=True, kw_only=True):
    """Where a mixer or a network is being built: which layer, of which shape, seeing how far."""

    number: int
    shape: Shape
    window: int | None
    traits: Traits


Part = Callable[[Keys, Layer], Block]
"""A function that builds the mixer or the network of one layer."""


def read_decoder(
    keys: Keys,
    name: str,
    traits: Traits,
    *,
    mixer: Part | None = None,
    network: Part | None = None,
    other: int = 0,
    embedding: int | None = None,
    head: int | None = None,
) -> Model:
    """Read a decoder-only model.

    Parameters
    ----------
    mixer, network
        What takes the place of grouped-query attention and of the dense network or experts.
    other, embedding, head
        Parameters outside the layers: further ones; and tables that are not ``vocab × hidden``.
    """
    shape = read_shape(keys, head_dim=traits.head_dim)
    windows = read_windows(keys, shape.layers, full_every=traits.full_every)
    feed = network or feed_forward(keys, shape.layers)
    norms = traits.norms
    if traits.norms_if and says(traits.norms_if[0], keys):
        norms = traits.norms_if[1]
    layers = []
    for number, own in enumerate(layer_keys(keys, shape.layers)):
        at = Layer(
            number=number,
            shape=shape if own is keys else read_shape(own, head_dim=traits.head_dim),
            window=windows[number],
            traits=traits,
        )
        small = norm(traits.norm, shape.hidden, times=norms) + _small(traits, at.shape)
        layers.append(
            build.join((mixer or attention)(own, at), feed(own, at), build.vectors(small))
        )
    extra = norm(traits.norm if traits.final_norm else "none", shape.hidden)
    return build.assemble(
        name=name,
        family=keys.word("model_type", default="decoder"),
        hidden=shape.hidden,
        vocab=shape.vocab,
        layers=layers,
        tied=tied(keys, default=traits.tied),
        embedding=embedding,
        head=head,
        other=extra + other + (shape.vocab if says(traits.head_bias, keys) else 0),
        mtp_layers=keys.count("num_nextn_predict_layers", default=0, least=0),
        max_positions=shape.max_positions,
    )


def attention(keys: Keys, at: Layer) -> Block:
    """Return grouped-query attention with everything that hangs on it."""
    traits, shape = at.traits, at.shape
    small = 0
    if traits.qk_norm and says(traits.qk_norm_if, keys):
        heads = 2 if traits.qk_norm == "head" else shape.heads + shape.kv_heads
        small += norm(traits.qk_norm_kind, heads * shape.head_dim)
    if traits.sinks:
        small += shape.heads
    if traits.gate == "full" and says(traits.gate_bias, keys):
        small += shape.heads * shape.head_dim
    if traits.gate == "head":
        small += shape.hidden * shape.heads
    mixer = build.attention(
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        window=at.window,
        qkv_bias=says(traits.qkv_bias, keys),
        out_bias=says(traits.out_bias, keys),
        gate=traits.gate == "full",
    )
    return build.join(mixer, build.vectors(small))


def feed_forward(keys: Keys, layers: int) -> Part:
    """Return what builds the network of each layer: experts where the pattern says so."""
    keys.ignore("intermediate_size", "moe_intermediate_size", "num_experts_per_tok")
    sparse = read_sparse_layers(keys, layers)

    def build_it(own: Keys, at: Layer) -> Block:
        return mixture(own, at) if own.has("num_experts") and sparse[at.number] else dense(own, at)

    return build_it


def dense(keys: Keys, at: Layer) -> Block:
    """Return the dense network of one layer."""
    width = keys.count("intermediate_size")
    made = build.network(
        at.shape.hidden, width, gated=at.traits.gated, bias=says(at.traits.mlp_bias, keys)
    )
    return build.join(made, build.vectors(at.traits.width_vectors * width))


def mixture(keys: Keys, at: Layer) -> Block:
    """Return the experts of one layer, with what their router carries."""
    traits, hidden = at.traits, at.shape.hidden
    made = read_experts(
        keys, gated=traits.gated, default_shared=traits.default_shared, bias=traits.expert_bias
    )
    if made is None or made.experts is None:
        return dense(keys, at)
    shared = made.experts.shared_width
    small = made.experts.num_experts if says(traits.router_bias, keys) else 0
    if traits.shared_gate:
        small += hidden
    if shared and says(traits.mlp_bias, keys):
        small += (2 if traits.gated else 1) * shared + hidden
    return build.join(made, build.vectors(small))


def says(trait: Says, keys: Keys) -> bool:
    """Return a trait that is a fact, or what the key that it names says.

    >>> says("use_bias", Keys({"use_bias": True}, where="example"))
    True
    """
    if isinstance(trait, bool):
        return trait
    return keys.flag(trait.lstrip("!"), default=trait.startswith("!"))


def _small(traits: Traits, shape: Shape) -> int:
    return (
        traits.hidden_vectors * shape.hidden
        + traits.head_vectors * shape.head_dim
        + traits.heads_vectors * shape.heads
        + traits.scalars
    )

"""Decoders of 2026 with ideas of their own: residual streams, convolutions, tables of n-grams."""

from __future__ import annotations

from msgspec.structs import replace

from clusterwright.model import build
from clusterwright.model.families.common import Reader, read_shape
from clusterwright.model.families.decoder_only import (
    Layer,
    Traits,
    attention,
    dense,
    mixture,
    read_decoder,
)
from clusterwright.model.families.hybrid import QWEN_NEXT, delta_rule, recurrent_layers
from clusterwright.model.keys import Keys
from clusterwright.model.parameters import count_block
from clusterwright.model.records import Block, Core, Model

PLAIN = Traits(qkv_bias=False, out_bias=False, mlp_bias=False)


class _Sides:
    """Inkling's two shapes of attention: for layers that see everything and those with a window."""

    def __init__(self, keys: Keys) -> None:
        self.layers = keys.count("num_hidden_layers")
        shape = read_shape(keys)
        self.rank = keys.count("d_rel", default=16)
        self.extent = keys.count("rel_extent", default=1024)
        self.window = keys.count("sliding_window_size", default=512)
        self.full = (shape.heads, shape.kv_heads, shape.head_dim)
        self.near = (
            keys.count("swa_num_attention_heads", default=shape.heads),
            keys.count("swa_num_key_value_heads", default=shape.kv_heads),
            keys.count("swa_head_dim", default=shape.head_dim),
        )
        listed = keys.indices("local_layer_ids")
        kinds = keys.words("layer_types", length=self.layers)
        if kinds is not None:
            self.sliding = [kind == "hybrid_sliding" for kind in kinds]
        elif listed is not None:
            self.sliding = [number in listed for number in range(self.layers)]
        else:
            self.sliding = [(number + 1) % 6 != 0 for number in range(self.layers)]

    def attention(self, at: Layer, *, gate: bool) -> Block:
        """Return attention with relative positions that every token computes for itself."""
        near = self.sliding[at.number]
        heads, groups, width = self.near if near else self.full
        window = self.window if near else None
        made = build.attention(
            hidden=at.shape.hidden,
            heads=heads,
            kv_heads=groups,
            head_dim=width,
            window=window,
            gate=gate,
        )
        relative = build.project("relative", at.shape.hidden, heads * self.rank)
        table = self.rank * (self.window if near else self.extent)
        return build.join(made, relative, build.vectors(table))


def _taps(keys: Keys) -> int:
    """Return the taps of the short convolutions, under either of their names."""
    return keys.count("conv_kernel_size", default=keys.count("sconv_kernel_size", default=4))


def read_inkling(keys: Keys, name: str) -> Model:
    """Read Inkling: short convolutions after keys, values, attention and network."""
    sides = _Sides(keys)
    hidden = keys.count("hidden_size")
    kernel = _taps(keys)
    shared = keys.count("n_shared_experts", default=2, least=0)
    kinds = keys.words("mlp_layer_types", length=sides.layers)
    first = keys.count("dense_mlp_idx", default=0, least=0)
    kinds = kinds or ["dense" if n < first else "sparse" for n in range(sides.layers)]
    widths: dict[str, object] = {}
    if keys.has("dense_intermediate_size"):
        widths["moe_intermediate_size"] = keys.count("intermediate_size")
        widths["intermediate_size"] = keys.count("dense_intermediate_size")
    keys.ignore("shared_expert_sink", "chain_hidden_post_norm", "mtp_hidden_states_first")
    keys.ignore("number_of_conv_states", "intermediate_size", "use_embed_norm")

    def mixer(_own: Keys, at: Layer) -> Block:
        _, groups, width = sides.near if sides.sliding[at.number] else sides.full
        small = 2 * width + kernel * (2 * groups * width + 2 * hidden)
        return build.join(sides.attention(at, gate=False), build.vectors(small))

    def network(own: Keys, at: Layer) -> Block:
        if kinds[at.number] == "dense":
            return build.join(dense(own, at), build.vectors(1))
        # The router scores the shared experts as well.
        return build.join(mixture(own, at), build.vectors(shared * hidden + 1))

    return read_decoder(
        keys.merged(widths), name, PLAIN, mixer=mixer, network=network, other=hidden
    )


def read_inkling2(keys: Keys, name: str) -> Model:
    """Read Inkling 2: attention over earlier layers in place of a sum, gates and sinks by token."""
    sides = _Sides(keys)
    hidden, kernel = keys.count("hidden_size"), _taps(keys)
    keys.ignore("unpadded_vocab_size", "qk_l2_clip_threshold", "rel_l2_clip_threshold")
    keys.ignore("n_layers_per_attn_res_block", "scoring_func", "number_of_conv_states")

    def mixer(_own: Keys, at: Layer) -> Block:
        near = sides.sliding[at.number]
        heads, groups, width = sides.near if near else sides.full
        small = heads * (width + sides.rank) + hidden * heads + 2 * kernel * hidden
        small += 2 * hidden  # the norm after attention, and what the network asks earlier layers
        queries = 1 if near else 3
        small += queries * hidden * (2 if at.number else 1)
        convolutions = 2 * kernel * groups * width
        if not near:
            convolutions += 2 * hidden * groups * kernel
        return build.join(sides.attention(at, gate=True), build.vectors(small + convolutions))

    traits = Traits(qkv_bias=False, out_bias=False, mlp_bias=False, norms=0)
    return read_decoder(keys, name, traits, mixer=mixer, network=mixture, other=2 * hidden)


def _gated_residual(keys: Keys, hidden: int, *, inject: bool = True) -> Block:
    """Return the mixing of residual streams of low rank before a part of a layer."""
    wide = keys.count("hc_count", default=4) * hidden
    rank = keys.count("hc_lowrank", default=320)
    small = wide + (wide * (wide // hidden) if inject else 0)
    return build.join(
        build.project("mix_in", wide, rank, "replicated"),
        build.project("mix_out", rank, wide, "replicated"),
        build.vectors(small),
    )


def _next_primes(start: int, count: int) -> list[int]:
    """Return the first primes from ``start`` on.

    >>> _next_primes(10, 3)
    [11, 13, 17]
    """
    found: list[int] = []
    number = max(start, 2)
    while len(found) < count:
        if all(number % d for d in range(2, int(number**0.5) + 1)):
            found.append(number)
        number += 1
    return found


def _gram_tables(keys: Keys, hidden: int, places: int) -> list[int]:
    """Return the parameters of the table of n-grams in each of so many layers."""
    heads = (keys.count("ngram_size", default=3) - 1) * keys.count("heads_per_ngram", default=8)
    width = keys.count("ple_embed_dim", default=hidden) // heads
    divisor = keys.count("make_ngram_vocab_size_divisible_by", default=128)
    sizes = _next_primes(keys.count("ngram_vocab_size_base", default=20_000_000), heads * places)
    rows = [sum(sizes[heads * place : heads * (place + 1)]) for place in range(places)]
    return [-(-row // divisor) * divisor * width for row in rows]


def _gram_layer(keys: Keys, hidden: int) -> Block:
    streams = keys.count("hc_count", default=4)
    width = keys.count("ple_embed_dim", default=hidden)
    kernel = keys.count("ple_conv_kernel_size", default=4)
    return build.join(
        build.project("gram_keys", width, streams * hidden, "replicated"),
        build.project("gram_values", width, hidden, "replicated"),
        build.vectors((3 + kernel) * streams * hidden),
    )


def _block_choice(keys: Keys, hidden: int) -> Block:
    """Return the indexer that chooses blocks of keys, where there is one."""
    heads = keys.optional("indexer_n_heads")
    if heads is None:
        return build.vectors(0)
    width, groups = keys.count("indexer_head_dim"), keys.count("indexer_kv_heads", default=1)
    core = Core(
        num_heads=heads,
        num_kv_heads=groups,
        query_key_dim=width,
        value_dim=0,
        stride=keys.count("indexer_compress_ratio", default=1),
    )
    return build.join(
        build.project("index_qk", hidden, (heads + groups) * width, "replicated"),
        Block(cores=(core,), vector_parameters=2 * width),
    )


def read_qwen4(keys: Keys, name: str) -> Model:
    """Read the experimental Qwen 4: Qwen3-Next over residual streams, with tables of n-grams."""
    layers, hidden = keys.count("num_hidden_layers"), keys.count("hidden_size")
    states = recurrent_layers(keys, layers, full_every=4)
    places = sorted(keys.indices("ple_layer_ids") or ())
    tables = _gram_tables(keys, hidden, len(places))
    keys.ignore("split_ngram_parts", "output_gate_type")

    def mixer(own: Keys, at: Layer) -> Block:
        streams = [_gated_residual(own, hidden), _gated_residual(own, hidden)]
        gram = _gram_layer(own, hidden) if at.number + 1 in places else build.vectors(0)
        if states[at.number]:
            return build.join(delta_rule(own, at), gram, *streams)
        return build.join(attention(own, at), _block_choice(own, hidden), gram, *streams)

    last = count_block(_gated_residual(keys, hidden, inject=False), hidden).total
    traits = replace(QWEN_NEXT, norms=0, final_norm=False)
    whole = keys.count("vocab_size") * hidden + sum(tables)
    return read_decoder(
        keys, name, traits, mixer=mixer, network=mixture, other=last, embedding=whole
    )


def read_zaya(keys: Keys, name: str) -> Model:
    """Read ZAYA: convolutions over queries and keys, a router of several layers."""
    hidden, count = keys.count("hidden_size"), keys.count("num_experts", default=16)
    router = keys.count("router_hidden_size", default=256)
    taps = keys.count("cca_time0", default=2), keys.count("cca_time1", default=2)

    def mixer(own: Keys, at: Layer) -> Block:
        shape = at.shape
        channels = (shape.heads + shape.kv_heads) * shape.head_dim
        small = channels * (taps[0] + taps[1] * shape.head_dim + 2) + shape.kv_heads
        return build.join(attention(own, at), build.vectors(small))

    def network(own: Keys, at: Layer) -> Block:
        # One class more than experts: to skip them all.
        true = (hidden + 1) * router + router + 2 * (router + 1) * router + router * (count + 1)
        small = true - hidden * count + (router if at.number else 0)
        return build.join(mixture(own, at), build.vectors(small))

    traits = Traits(mlp_bias=False, tied=True, hidden_vectors=8, head_bias="lm_head_bias")
    return read_decoder(keys, name, traits, mixer=mixer, network=network, other=2 * hidden)


def read_hrm(keys: Keys, name: str) -> Model:
    """Read HRM-Text: two stacks of layers, each run many times with the same weights."""
    stack = keys.optional("num_layers_per_stack") or keys.count("num_hidden_layers")
    cycles = keys.count("H_cycles", default=2) * (keys.count("L_cycles", default=3) + 1)
    keys.ignore("num_hidden_layers", "prefix_lm", "L_bp_cycles", "embedding_scale")
    hidden = keys.count("hidden_size")
    traits = Traits(norm="none", gate="full", gate_bias="attention_bias", head_dim=128)
    model = read_decoder(
        keys.merged({"num_hidden_layers": stack * cycles}), name, traits, other=hidden
    )
    one = count_block(model.blocks[0], hidden).total
    return build.with_shared(model, shared=(stack * cycles - 2 * stack) * one)


READERS: dict[str, Reader] = {
    "hrm_text": read_hrm,
    "inkling2_text": read_inkling2,
    "inkling_text": read_inkling,
    "qwen4_exp_text": read_qwen4,
    "zaya": read_zaya,
}

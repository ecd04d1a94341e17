"""Encoder–decoders after T5: relative positions, norms of one weight, no biases."""

from __future__ import annotations

from clusterwright.model import build
from clusterwright.model.families.common import Reader, read_shape, read_windows, tied
from clusterwright.model.families.encoder_decoder import decoder_layer, encoder_layer
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Model


def _gated(keys: Keys) -> bool:
    """Whether networks have two matrices going up, from either of the two keys that say."""
    keys.ignore("dense_act_fn")
    said = keys.word("feed_forward_proj", default="relu").startswith("gated")
    return keys.flag("is_gated_act", default=said)


def read_t5(keys: Keys, name: str, *, every_layer: bool = False) -> Model:
    """Read T5 and its kin; ``every_layer``: each layer has its own table of relative positions."""
    hidden, heads = keys.count("hidden_size"), keys.count("num_attention_heads")
    first = keys.count("num_hidden_layers")
    second = keys.count("num_decoder_layers", default=first)
    width = keys.count("d_kv", default=64)
    table = keys.count("relative_attention_num_buckets", default=32) * heads
    keys.ignore("relative_attention_max_distance", "n_positions", "expert_capacity")
    keys.ignore("encoder_sparse_step", "decoder_sparse_step", "add_cross_attention")
    local = keys.count("local_radius", default=127)
    window = 2 * local + 1 if keys.has("encoder_attention_type") else None
    relative = table if every_layer else 0
    layers = [
        encoder_layer(
            hidden,
            heads,
            _network(keys, number, first, "encoder"),
            norms=2 * hidden + relative,
            bias=False,
            head_dim=width,
            window=window,
        )
        for number in range(first)
    ]
    layers += [
        decoder_layer(
            hidden,
            heads,
            _network(keys, number, second, "decoder"),
            norms=3 * hidden + relative,
            bias=False,
            head_dim=width,
        )
        for number in range(second)
    ]
    outside = 0 if every_layer else 2 * table
    if keys.word("encoder_attention_type") == "transient-global":
        # Summaries of blocks have relative positions and a norm of their own.
        layers[:first] = [build.join(layer, build.vectors(hidden)) for layer in layers[:first]]
        outside += table
    keys.ignore("global_block_size")
    return build.assemble(
        name=name,
        family=keys.word("model_type"),
        hidden=hidden,
        vocab=keys.count("vocab_size"),
        layers=layers,
        tied=tied(keys, default=True),
        other=2 * hidden + outside,
        encoder_layers=first,
    )


def _network(keys: Keys, number: int, layers: int, side: str) -> Block:
    """Return the network of one layer, experts in the sparse layers of Switch Transformers."""
    hidden, width = keys.count("hidden_size"), keys.count("intermediate_size")
    gated = _gated(keys)
    sparse = keys.count(f"num_sparse_{side}_layers", default=0, least=0)
    if not sparse:
        return build.network(hidden, width, gated=gated)
    step = keys.count(f"{side}_sparse_step", default=max(layers // sparse, 1))
    holds = number % step == 1 if step > 1 else step == 1
    count = keys.count("num_experts", default=8)
    if not holds:
        return build.network(hidden, width, gated=gated)
    bias = count if keys.flag("router_bias", default=False) else 0
    made = build.mixture(num_experts=count, top_k=1, width=width, gated=gated)
    return build.join(made, build.vectors(bias))


def read_umt5(keys: Keys, name: str) -> Model:
    """Read UMT5: relative positions in every layer."""
    return read_t5(keys, name, every_layer=True)


def _gemma_layers(keys: Keys, *, causal: bool, cross: bool, qk_norm: bool) -> list[Block]:
    shape = read_shape(keys, head_dim=256)
    hidden = shape.hidden
    bias = keys.flag("attention_bias", default=False)
    small = (6 if cross else 4) * hidden + (2 * shape.head_dim if qk_norm else 0)
    network = build.network(hidden, keys.count("intermediate_size"), gated=True)
    layers = []
    for window in read_windows(keys, shape.layers, full_every=2):
        attention = build.attention(
            hidden=hidden,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_dim=shape.head_dim,
            window=window,
            causal=causal,
            qkv_bias=bias,
            out_bias=bias,
        )
        made = build.join(attention, network, build.vectors(small))
        if cross:
            source = keys.count("cross_attention_hidden_size", default=hidden)
            made = build.join(
                made,
                build.cross_attention(
                    hidden=hidden,
                    heads=shape.heads,
                    kv_heads=shape.kv_heads,
                    head_dim=shape.head_dim,
                    source=source,
                    bias=bias,
                ),
            )
        layers.append(made)
    return layers


def read_t5gemma(keys: Keys, name: str) -> Model:
    """Read T5Gemma: Gemma 2 on both sides, cross-attention in the decoder."""
    encoder, decoder = keys.part("encoder"), keys.part("decoder")
    if encoder is None or decoder is None:
        raise keys.missing("encoder", "an object with the numbers of the encoder, and one decoder")
    decoder.ignore("is_decoder", "cross_attention_hidden_size")
    wide = encoder.count("hidden_size")
    first = _gemma_layers(encoder, causal=False, cross=False, qk_norm=False)
    told = decoder.merged({"cross_attention_hidden_size": wide})
    second = _gemma_layers(told, causal=True, cross=True, qk_norm=False)
    hidden, vocab = decoder.count("hidden_size"), decoder.count("vocab_size")
    encoder.ignore("vocab_size", "max_position_embeddings")
    keys.ignore("vocab_size")
    return build.assemble(
        name=name,
        family="t5gemma",
        hidden=hidden,
        vocab=vocab,
        layers=first + second,
        tied=tied(keys, default=True),
        embedding=encoder.count("vocab_size") * wide + vocab * hidden,
        other=wide + hidden,
        encoder_layers=len(first),
        max_positions=decoder.optional("max_position_embeddings"),
    )


def read_t5gemma2(keys: Keys, name: str) -> Model:
    """Read the text part of T5Gemma 2: Gemma 3 on both sides, one attention over both sources."""
    encoder, decoder = keys.part("encoder"), keys.part("decoder")
    if encoder is None or decoder is None:
        raise keys.missing("encoder", "an object with the numbers of the encoder, and one decoder")
    text = encoder.part("text_config") or encoder
    for other in ("vision_config", "eoi_token_index", "image_token_index", "mm_tokens_per_image"):
        encoder.ignore(other)
        keys.ignore(other)
    keys.note("encoder.vision_config (not counted: only the text part is read)")
    first = _gemma_layers(text, causal=False, cross=False, qk_norm=True)
    second = _gemma_layers(decoder, causal=True, cross=False, qk_norm=True)
    hidden = decoder.count("hidden_size")
    text.ignore("vocab_size", "max_position_embeddings")
    keys.ignore("vocab_size")
    return build.assemble(
        name=name,
        family="t5gemma2",
        hidden=hidden,
        vocab=decoder.count("vocab_size"),
        layers=first + second,
        tied=tied(keys, default=True),
        other=3 * hidden,
        encoder_layers=len(first),
        max_positions=decoder.optional("max_position_embeddings"),
    )


READERS: dict[str, Reader] = {
    "longt5": read_t5,
    "mt5": read_t5,
    "switch_transformers": read_t5,
    "t5": read_t5,
    "t5gemma": read_t5gemma,
    "t5gemma2": read_t5gemma2,
    "umt5": read_umt5,
}

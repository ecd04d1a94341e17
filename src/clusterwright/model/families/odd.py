"""Decoders that resemble no other: CPM-Ant, TrOCR's decoder, XLNet, Llama 3.2 with pictures."""

from __future__ import annotations

from clusterwright.model import build
from clusterwright.model.families.common import Reader, norm, tied
from clusterwright.model.families.decoder_only import Layer, Traits, attention, read_decoder
from clusterwright.model.families.encoder_decoder import decoder_layer
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Core, Model


def read_cpmant(keys: Keys, name: str) -> Model:
    """Read CPM-Ant: relative positions shared by all layers, prompts and segments in tables."""
    hidden, vocab = keys.count("hidden_size"), keys.count("vocab_size")
    heads, width = keys.count("num_attention_heads"), keys.count("dim_head", default=128)
    prompts = keys.count("prompt_types", default=32) * keys.count("prompt_length", default=32)
    kinds = keys.count("segment_types", default=32)
    buckets = keys.count("position_bias_num_buckets", default=512)
    keys.ignore("position_bias_max_distance", "dropout_p")
    layer = build.join(
        build.attention(hidden=hidden, heads=heads, kv_heads=heads, head_dim=width),
        build.network(hidden, keys.count("dim_ff"), gated=True),
        build.vectors(2 * hidden),
    )
    rows = vocab + prompts
    return build.assemble(
        name=name,
        family="cpmant",
        hidden=hidden,
        vocab=vocab,
        layers=[layer] * keys.count("num_hidden_layers"),
        # The head has rows for words alone, so that it cannot be the embedding.
        tied=False,
        embedding=(rows + kinds) * hidden,
        other=hidden + (kinds * kinds + buckets) * heads,
    )


def read_trocr(keys: Keys, name: str) -> Model:
    """Read TrOCR's decoder: that of BART, over an image encoder that is not counted."""
    hidden, vocab = keys.count("hidden_size"), keys.count("vocab_size")
    width = keys.count("decoder_ffn_dim")
    rows = keys.count("max_position_embeddings") + 2
    learned = keys.flag("use_learned_position_embeddings", default=True)
    normed = keys.flag("layernorm_embedding", default=True)
    source = keys.count("cross_attention_hidden_size", default=hidden)
    heads = keys.count("decoder_attention_heads")
    layer = decoder_layer(
        hidden,
        heads,
        build.network(hidden, width, gated=False, bias=True),
        norms=norm("layer", hidden, times=3) + 2 * (source - hidden) * hidden,
    )
    keys.note("the image encoder (not counted: only the decoder is read)")
    return build.assemble(
        name=name,
        family="trocr",
        hidden=hidden,
        vocab=vocab,
        layers=[layer] * keys.count("decoder_layers"),
        tied=tied(keys, default=True),
        positions=rows if learned else 0,
        other=norm("layer", hidden) if normed else 0,
        max_positions=keys.optional("max_position_embeddings"),
    )


def read_xlnet(keys: Keys, name: str) -> Model:
    """Read XLNet: attention with projected relative positions and segments."""
    hidden, vocab = keys.count("hidden_size"), keys.count("vocab_size")
    heads = keys.count("num_attention_heads")
    width = keys.count("d_head", default=build.head_width(hidden, heads, where=keys.where))
    inner = heads * width
    core = Core(num_heads=heads, num_kv_heads=heads, query_key_dim=width, value_dim=width)
    for key in ("attn_type", "mem_len", "use_mems_eval", "use_mems_train", "bi_data", "clamp_len"):
        keys.ignore(key)
    keys.ignore("same_length", "start_n_top", "end_n_top", "ff_activation", "untie_r", "reuse_len")
    layer = build.join(
        build.project("qkv", hidden, 3 * inner),
        build.project("positions", hidden, inner),
        Block(cores=(core,), vector_parameters=5 * inner + norm("layer", hidden, times=2)),
        build.project("out", inner, hidden, "row"),
        build.network(hidden, keys.count("d_inner"), gated=False, bias=True),
    )
    return build.assemble(
        name=name,
        family="xlnet",
        hidden=hidden,
        vocab=vocab,
        layers=[layer] * keys.count("num_hidden_layers"),
        tied=tied(keys, default=True),
        other=hidden + vocab,
    )


def read_mllama(keys: Keys, name: str) -> Model:
    """Read the text part of Llama 3.2 Vision: some layers look at the picture, not at the text."""
    listed = keys.indices("cross_attention_layers")
    layers = keys.count("num_hidden_layers")
    seen = listed if listed is not None else frozenset(range(3, layers, 5))

    def mixer(own: Keys, at: Layer) -> Block:
        if at.number not in seen:
            return attention(own, at)
        shape = at.shape
        cross = build.cross_attention(
            hidden=shape.hidden,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_dim=shape.head_dim,
        )
        # Two gates and the norms of queries and keys.
        return build.join(cross, build.vectors(2 * shape.head_dim + 2))

    hidden = keys.count("hidden_size")
    traits = Traits(qkv_bias=False, out_bias=False, mlp_bias=False)
    table = (keys.count("vocab_size") + 8) * hidden
    return read_decoder(keys, name, traits, mixer=mixer, embedding=table)


READERS: dict[str, Reader] = {
    "cpmant": read_cpmant,
    "mllama_text_model": read_mllama,
    "trocr": read_trocr,
    "xlnet": read_xlnet,
}

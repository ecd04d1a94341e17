"""Encoder–decoders after BART and Marian: one table per vocabulary, plain networks with biases."""

from __future__ import annotations

from functools import partial

from clusterwright.model import build
from clusterwright.model.families.common import Reader, norm, tied
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Model
from clusterwright.records import Record


class Side(Record, frozen=True, kw_only=True):
    """The numbers of the encoder or of the decoder."""

    layers: int
    heads: int
    width: int


class Habits(Record, frozen=True, kw_only=True):
    """What a family does without its configuration saying so.

    ``positions``: learned rows beyond those of the configuration (None: no tables).
    ``outer_norms``: norms outside the layers, of embeddings and at the ends, both sides together.
    ``encoder_norms``: per encoder layer. ``attention_bias``: a fact or the key that says.
    ``global_attention``: further queries, keys and values for the tokens that see everything
    (Longformer).
    """

    positions: int | None = 2
    outer_norms: int = 2
    encoder_norms: int = 2
    attention_bias: bool | str = True
    encoder_out_bias: bool = True
    global_attention: bool = False


def read_side(keys: Keys, side: str) -> Side:
    """Read one side; ``side`` is ``encoder`` or ``decoder``."""
    return Side(
        layers=keys.count(f"{side}_layers"),
        heads=keys.count(f"{side}_attention_heads"),
        width=keys.count(f"{side}_ffn_dim"),
    )


def encoder_layer(
    hidden: int,
    heads: int,
    network: Block,
    *,
    norms: int,
    bias: bool = True,
    head_dim: int | None = None,
    window: int | None = None,
) -> Block:
    """Return a layer in which every token sees every other."""
    attention = build.attention(
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=head_dim or build.head_width(hidden, heads),
        causal=False,
        window=window,
        qkv_bias=bias,
        out_bias=bias,
    )
    return build.join(attention, network, build.vectors(norms))


def decoder_layer(
    hidden: int,
    heads: int,
    network: Block,
    *,
    norms: int,
    bias: bool = True,
    head_dim: int | None = None,
) -> Block:
    """Return a layer that sees what it has written, and all that the encoder has read."""
    width = head_dim or build.head_width(hidden, heads)
    attention = build.attention(
        hidden=hidden, heads=heads, kv_heads=heads, head_dim=width, qkv_bias=bias, out_bias=bias
    )
    cross = build.cross_attention(hidden=hidden, heads=heads, head_dim=width, bias=bias)
    return build.join(attention, cross, network, build.vectors(norms))


def read_bart(keys: Keys, name: str, *, habits: Habits) -> Model:
    """Read BART and its kin."""
    hidden, vocab = keys.count("hidden_size"), keys.count("vocab_size")
    encoder, decoder = read_side(keys, "encoder"), read_side(keys, "decoder")
    keys.ignore("num_hidden_layers", "normalize_before", "normalize_embedding", "static_position")
    keys.ignore("add_final_layer_norm", "add_bias_logits", "num_random_blocks")
    keys.ignore("stagger_local_blocks", "attention_type")
    flag = habits.attention_bias
    bias = keys.flag(flag, default=False) if isinstance(flag, str) else flag
    first = encoder_layer(
        hidden,
        encoder.heads,
        build.network(hidden, encoder.width, gated=False, bias=True),
        norms=norm("layer", hidden, times=habits.encoder_norms),
        bias=bias,
        window=_window(keys, encoder.layers),
    )
    if habits.global_attention:
        first = build.join(first, build.project("global_qkv", hidden, 3 * hidden, bias=bias))
    second = decoder_layer(
        hidden,
        decoder.heads,
        build.network(hidden, decoder.width, gated=False, bias=True),
        norms=norm("layer", hidden, times=3),
        bias=bias,
    )
    extra = keys.count("num_global_tokens", default=0, least=0) * hidden
    return build.assemble(
        name=name,
        family=keys.word("model_type"),
        hidden=hidden,
        vocab=vocab,
        layers=[first] * encoder.layers + [second] * decoder.layers,
        tied=tied(keys, default=True),
        positions=_positions(keys, habits),
        other=norm("layer", hidden, times=habits.outer_norms) + extra,
        encoder_layers=encoder.layers,
        max_positions=keys.optional("max_position_embeddings"),
    )


def _window(keys: Keys, layers: int) -> int | None:
    """Return what an encoder token sees, where the encoder looks at its surroundings alone."""
    found = keys.values.get("attention_window")
    if found is not None:
        return max(keys.counts("attention_window", length=layers))
    size = keys.optional("block_size")
    if size is None:
        return None
    # Block-sparse attention: the own block and both neighbours, random blocks left aside.
    return (
        3 * size if keys.word("attention_type", default="block_sparse") != "original_full" else None
    )


def _positions(keys: Keys, habits: Habits) -> int:
    if habits.positions is None:
        return 0
    if keys.has("max_encoder_position_embeddings"):
        return keys.count("max_encoder_position_embeddings") + keys.count(
            "max_decoder_position_embeddings"
        )
    return 2 * (keys.count("max_position_embeddings") + habits.positions)


def read_marian(keys: Keys, name: str) -> Model:
    """Read Marian: two vocabularies where they are not shared."""
    habits = Habits(positions=0, outer_norms=0)
    model = read_bart(keys, name, habits=habits)
    hidden, vocab = model.hidden_size, model.vocab_size
    second = keys.count("decoder_vocab_size", default=vocab)
    if keys.flag("share_encoder_decoder_embeddings", default=True):
        return model
    return build.with_tables(model, embedding=model.embedding_parameters + second * hidden)


def read_fsmt(keys: Keys, name: str) -> Model:
    """Read FSMT: two vocabularies with a table each, and a head."""
    source, target = keys.count("src_vocab_size"), keys.count("tgt_vocab_size")
    keys.ignore("langs", "decoder")
    tie = keys.flag("tie_word_embeddings", default=False)
    told = keys.merged({"vocab_size": target, "tie_word_embeddings": tie})
    model = read_bart(told, name, habits=Habits(positions=2, outer_norms=0))
    own = 0 if tie else source
    table = model.embedding_parameters + own * model.hidden_size
    return build.with_tables(model, embedding=table)


def read_mvp(keys: Keys, name: str) -> Model:
    """Read MVP: BART, with prompts for every layer where it is told so."""
    model = read_bart(keys, name, habits=Habits())
    hidden, middle = model.hidden_size, keys.count("prompt_mid_dim", default=800)
    length = keys.count("prompt_length", default=100)
    if not keys.flag("use_prompt", default=False):
        return model
    # Two prompts in the decoder: for its own attention and for that over the encoder.
    layers = 2 * (model.num_layers - model.encoder_layers)
    prompts = 2 * (length * hidden + (hidden + 1) * middle) + layers * 2 * hidden * (middle + 1)
    return build.with_tables(model, embedding=model.embedding_parameters + prompts)


def read_nllb_moe(keys: Keys, name: str) -> Model:
    """Read NLLB-MoE: experts in one layer of so many on both sides, with biases."""
    hidden, vocab = keys.count("hidden_size"), keys.count("vocab_size")
    layers: list[Block] = []
    count = keys.count("num_experts", default=128)
    routed = count if keys.flag("router_bias", default=False) else 0
    sides = {side: read_side(keys, side) for side in ("encoder", "decoder")}
    for side, own in sides.items():
        step = keys.count(f"{side}_sparse_step", default=4, least=0)
        dense = build.network(hidden, own.width, gated=False, bias=True)
        mixed = build.mixture(
            num_experts=count,
            top_k=2,
            width=own.width,
            gated=False,
            expert_vectors=own.width + hidden,
        )
        sparse = build.join(mixed, build.vectors(routed))
        make, norms = (encoder_layer, 2) if side == "encoder" else (decoder_layer, 3)
        for number in range(own.layers):
            holds = step > 0 and (number + 1) % step == 0
            small = norm("layer", hidden, times=norms)
            layers.append(make(hidden, own.heads, sparse if holds else dense, norms=small))
    keys.ignore("num_hidden_layers", "expert_capacity", "second_expert_policy")
    keys.ignore("batch_prioritized_routing", "moe_eval_capacity_token_fraction")
    keys.ignore("normalize_router_prob_before_dropping", "moe_token_dropout")
    return build.assemble(
        name=name,
        family=keys.word("model_type"),
        hidden=hidden,
        vocab=vocab,
        layers=layers,
        tied=tied(keys, default=True),
        other=norm("layer", hidden, times=2),
        encoder_layers=sides["encoder"].layers,
        max_positions=keys.optional("max_position_embeddings"),
    )


def read_prophetnet(keys: Keys, name: str) -> Model:
    """Read ProphetNet: relative positions in every decoder layer, a stream per predicted token."""
    names = {
        "encoder_layers": keys.count("num_encoder_layers"),
        "encoder_attention_heads": keys.count("num_encoder_attention_heads"),
        "decoder_layers": keys.count("num_decoder_layers"),
        "decoder_attention_heads": keys.count("num_decoder_attention_heads"),
    }
    renamed = keys.merged(dict(names))
    hidden = keys.count("hidden_size")
    buckets = keys.count("num_buckets", default=32) * names["decoder_attention_heads"]
    keys.ignore("add_cross_attention", "disable_ngram_loss", "relative_max_distance")
    model = read_bart(renamed, name, habits=Habits(positions=0))
    relative = build.vectors((hidden + 1) * buckets)
    blocks = tuple(
        build.join(block, relative) if len(block.cores) > 1 else block for block in model.blocks
    )
    streams = keys.count("ngram", default=2) * hidden
    return build.with_tables(model, embedding=model.embedding_parameters + streams, blocks=blocks)


HABITS: dict[str, Habits] = {
    "bart": Habits(),
    "bigbird_pegasus": Habits(positions=0, attention_bias="use_bias"),
    "blenderbot": Habits(positions=0),
    "blenderbot-small": Habits(positions=0),
    "led": Habits(positions=0, global_attention=True),
    "m2m_100": Habits(positions=None),
    "mbart": Habits(outer_norms=4),
    "pegasus": Habits(positions=0),
    "pegasus_x": Habits(positions=None, attention_bias=False, encoder_norms=3),
    "plbart": Habits(),
}

READERS: dict[str, Reader] = {
    "fsmt": read_fsmt,
    "marian": read_marian,
    "mvp": read_mvp,
    "nllb-moe": read_nllb_moe,
    "prophetnet": read_prophetnet,
    **{family: partial(read_bart, habits=habits) for family, habits in HABITS.items()},
}

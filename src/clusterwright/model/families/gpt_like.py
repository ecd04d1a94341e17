"""The older decoders: learned positions or ALiBi, layer norms with biases, plain networks."""

from __future__ import annotations

from clusterwright.model import build
from clusterwright.model.families.common import Norm, Reader, Shape, norm, read_shape, tied
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Model
from clusterwright.records import Record


class Plan(Record, frozen=True, kw_only=True):
    """How an older decoder is made: which biases, how many norms, what stands outside the layers.

    ``positions``: learned rows beyond those of the configuration (None: no table).
    """

    qkv_bias: bool = True
    out_bias: bool = True
    mlp_bias: bool = True
    norms: int = 2
    norm_bias: bool = True
    final_norms: int = 1
    cross_attention: bool = False
    head_bias: bool = False
    tied: bool = True
    positions: int | None = None


def read_plan(
    keys: Keys,
    name: str,
    plan: Plan,
    *,
    shape: Shape | None = None,
    width: int | None = None,
    windows: list[int | None] | None = None,
    **outside: int | None,
) -> Model:
    """Read a decoder of this plan; ``outside`` goes to `build.assemble`."""
    shape = shape or read_shape(keys)
    width = width or keys.count("intermediate_size", default=4 * shape.hidden)
    kind: Norm = "layer" if plan.norm_bias else "rms"
    seen = windows or [None] * shape.layers
    network = build.network(shape.hidden, width, gated=False, bias=plan.mlp_bias)
    small = build.vectors(norm(kind, shape.hidden, times=plan.norms))
    rows = 0
    if plan.positions is not None:
        rows = keys.count("max_position_embeddings") + plan.positions
    bias = shape.vocab if plan.head_bias else 0
    return build.assemble(
        name=name,
        family=keys.word("model_type", default="decoder"),
        hidden=shape.hidden,
        vocab=shape.vocab,
        layers=[build.join(_attention(plan, shape, window), network, small) for window in seen],
        tied=tied(keys, default=plan.tied),
        positions=rows,
        embedding=outside.get("embedding"),
        head=outside.get("head"),
        other=norm(kind, shape.hidden, times=plan.final_norms) + bias + (outside.get("other") or 0),
        max_positions=shape.max_positions,
    )


def _attention(plan: Plan, shape: Shape, window: int | None) -> Block:
    own = build.attention(
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        window=window,
        qkv_bias=plan.qkv_bias,
        out_bias=plan.out_bias,
    )
    if not plan.cross_attention:
        return own
    cross = build.cross_attention(
        hidden=shape.hidden, heads=shape.heads, head_dim=shape.head_dim, bias=plan.qkv_bias
    )
    return build.join(own, cross, build.vectors(norm("layer", shape.hidden)))


def read_gpt2(keys: Keys, name: str) -> Model:
    """Read GPT-2 and its namesakes: learned positions, biases everywhere, tied head."""
    cross = keys.flag("add_cross_attention", default=False)
    return read_plan(keys, name, Plan(positions=0, cross_attention=cross))


def read_biogpt(keys: Keys, name: str) -> Model:
    """Read BioGPT: GPT-2 with two more learned positions."""
    return read_plan(keys, name, Plan(positions=2))


def read_xglm(keys: Keys, name: str) -> Model:
    """Read XGLM: GPT-2 with computed positions."""
    heads = keys.count("attention_heads")
    shape = read_shape(keys.merged({"num_attention_heads": heads}))
    cross = keys.flag("add_cross_attention", default=False)
    return read_plan(keys, name, Plan(cross_attention=cross), shape=shape)


def read_ctrl(keys: Keys, name: str) -> Model:
    """Read CTRL: computed positions, a head with a bias."""
    return read_plan(keys, name, Plan(head_bias=True), width=keys.count("dff"))


def read_openai_gpt(keys: Keys, name: str) -> Model:
    """Read GPT-1: norms after the sums, so that none is left at the end."""
    return read_plan(keys, name, Plan(positions=0, final_norms=0))


def read_bigcode(keys: Keys, name: str) -> Model:
    """Read StarCoder: GPT-2 with one key–value head."""
    groups = 1 if keys.flag("multi_query", default=True) else keys.count("num_attention_heads")
    shape = read_shape(keys.merged({"num_key_value_heads": groups}))
    return read_plan(keys, name, Plan(positions=0), shape=shape)


def read_gptj(keys: Keys, name: str) -> Model:
    """Read GPT-J and CodeGen: rotary, one norm per layer, a head with a bias."""
    plan = Plan(qkv_bias=False, out_bias=False, norms=1, head_bias=True, tied=False)
    return read_plan(keys, name, plan)


def read_gpt_neo(keys: Keys, name: str) -> Model:
    """Read GPT-Neo: layers alternate between all tokens and a window."""
    shape = read_shape(keys)
    size = keys.count("window_size", default=256)
    keys.ignore("attention_types")
    kinds = keys.words("attention_layers", length=shape.layers)
    kinds = kinds or _expand_attention_types(keys, shape.layers)
    windows = [size if kind == "local" else None for kind in kinds]
    return read_plan(keys, name, Plan(qkv_bias=False, positions=0), shape=shape, windows=windows)


def _expand_attention_types(keys: Keys, layers: int) -> list[str]:
    """Return the kind of each layer from the form ``[[["global", "local"], 12]]``."""
    result: list[str] = []
    for entry in keys.items("attention_types") or []:
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], list)):
            raise keys.wrong("attention_types", entry, 'a form like [[["global", "local"], 12]]')
        result += [str(kind) for kind in entry[0]] * int(entry[1])
    return result if len(result) == layers else ["global"] * layers


def read_neox(keys: Keys, name: str) -> Model:
    """Read GPT-NeoX and Pythia: rotary, two norms, untied."""
    bias = keys.flag("attention_bias", default=True)
    return read_plan(keys, name, Plan(qkv_bias=bias, out_bias=bias, tied=False))


def read_neox_japanese(keys: Keys, name: str) -> Model:
    """Read GPT-NeoX-Japanese: no biases but one, in the attention of the last layer."""
    plan = Plan(qkv_bias=False, out_bias=False, mlp_bias=False)
    shape = read_shape(keys)
    width = keys.count("intermediate_multiple_size", default=4) * shape.hidden
    return read_plan(keys, name, plan, shape=shape, width=width, other=shape.hidden)


def read_bloom(keys: Keys, name: str) -> Model:
    """Read BLOOM: ALiBi, a norm after the embedding."""
    return read_plan(keys, name, Plan(final_norms=2))


def read_falcon(keys: Keys, name: str) -> Model:
    """Read Falcon: multi-query or grouped, parallel or not, by three flags."""
    heads = keys.count("num_attention_heads")
    new = keys.flag("new_decoder_architecture", default=False)
    multi = keys.flag("multi_query", default=True)
    parallel = keys.flag("parallel_attn", default=True)
    keys.ignore("num_key_value_heads", "num_ln_in_parallel_attn", "alibi")
    groups = keys.count("num_key_value_heads", default=heads) if new else (1 if multi else heads)
    norms = keys.count("num_ln_in_parallel_attn", default=2) if new else (1 if parallel else 2)
    bias = keys.flag("bias", default=False)
    plan = Plan(qkv_bias=bias, out_bias=bias, mlp_bias=bias, norms=norms)
    shape = read_shape(keys.merged({"num_key_value_heads": groups, "head_dim": None}))
    return read_plan(keys, name, plan, shape=shape)


def read_mpt(keys: Keys, name: str) -> Model:
    """Read MPT: ALiBi, no biases, norms of one weight."""
    shape = read_shape(keys)
    width = int(keys.number("expansion_ratio", default=4) * shape.hidden)
    keys.ignore("no_bias", "learned_pos_emb", "attn_config")
    plan = Plan(qkv_bias=False, out_bias=False, mlp_bias=False, norm_bias=False)
    return read_plan(keys, name, plan, shape=shape, width=width)


def read_opt(keys: Keys, name: str) -> Model:
    """Read OPT: two more learned positions; the smaller embedding of the 350 M model."""
    shape = read_shape(keys)
    bias = keys.flag("enable_bias", default=True)
    affine = keys.flag("layer_norm_elementwise_affine", default=True)
    before = keys.flag("do_layer_norm_before", default=True)
    last = before and not keys.flag("_remove_final_layer_norm", default=False)
    narrow = keys.count("word_embed_proj_dim", default=shape.hidden)
    table = shape.vocab * narrow
    return read_plan(
        keys,
        name,
        Plan(
            qkv_bias=bias,
            out_bias=bias,
            mlp_bias=bias,
            norms=2 if affine else 0,
            final_norms=1 if last and affine else 0,
            positions=2,
        ),
        shape=shape,
        embedding=table,
        head=table,
        other=0 if narrow == shape.hidden else 2 * narrow * shape.hidden,
    )


READERS: dict[str, Reader] = {
    "biogpt": read_biogpt,
    "ctrl": read_ctrl,
    "xglm": read_xglm,
    "bloom": read_bloom,
    "codegen": read_gptj,
    "falcon": read_falcon,
    "gpt-sw3": read_gpt2,
    "gpt2": read_gpt2,
    "gpt_bigcode": read_bigcode,
    "gpt_neo": read_gpt_neo,
    "gpt_neox": read_neox,
    "gpt_neox_japanese": read_neox_japanese,
    "gptj": read_gptj,
    "mpt": read_mpt,
    "openai-gpt": read_openai_gpt,
    "opt": read_opt,
}

"""What most families share: the shape of attention, windows, experts and the layers with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from clusterwright.errors import ConfigError
from clusterwright.model import build
from clusterwright.model.keys import Keys
from clusterwright.model.records import Block, Model
from clusterwright.records import Record

Reader = Callable[[Keys, str], Model]
"""A function from a configuration and a name to a model."""

Norm = Literal["rms", "layer", "none"]
"""``rms``: a weight; ``layer``: weight and bias; ``none``: neither."""

WINDOWED = ("sliding", "local", "chunked", "hybrid_sliding", "swa")
"""How layer types that see a window begin."""


class Shape(Record, frozen=True, kw_only=True):
    """The numbers that every decoder has."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    max_positions: int | None


def read_shape(keys: Keys, *, head_dim: int | None = None, kv_heads: int | None = None) -> Shape:
    """Read the numbers that every decoder has.

    Parameters
    ----------
    head_dim, kv_heads
        What the family takes where the configuration is silent (``hidden / heads``, ``heads``).
    """
    hidden, heads = keys.count("hidden_size"), keys.count("num_attention_heads")
    keys.ignore("num_key_value_heads", "head_dim")
    groups = keys.count("num_key_value_heads", default=kv_heads or heads)
    build.check_groups(heads, groups, where=keys.where)
    width = keys.optional("head_dim") or head_dim
    return Shape(
        hidden=hidden,
        layers=keys.count("num_hidden_layers"),
        heads=heads,
        kv_heads=groups,
        head_dim=width or build.head_width(hidden, heads, where=keys.where),
        vocab=keys.count("vocab_size"),
        max_positions=keys.optional("max_position_embeddings"),
    )


def layer_keys(keys: Keys, layers: int) -> list[Keys]:
    """Return the configuration of each layer where ``per_layer_config`` overrides some keys.

    Its names are layer numbers, written ``"02"`` or ``"2"``.
    """
    found = keys.values.get("per_layer_config")
    keys.ignore("per_layer_config")
    if not isinstance(found, dict):
        return [keys] * layers
    result = []
    for number in range(layers):
        extra = found.get(f"{number:02d}", found.get(str(number)))
        result.append(keys.merged(extra) if isinstance(extra, dict) else keys)
    return result


def norm(kind: Norm, width: int, *, times: int = 1) -> int:
    """Return the parameters of so many norms over ``width`` elements.

    >>> norm("layer", 8, times=2)
    32
    """
    return times * width * {"rms": 1, "layer": 2, "none": 0}[kind]


def read_windows(keys: Keys, layers: int, *, full_every: int = 0) -> list[int | None]:
    """Return the tokens that each layer sees, None for all.

    ``layer_types`` decides where it is given; then a pattern of one full layer in so many
    (``full_every`` is the family's own); then ``max_window_layers``; else all layers are alike.
    """
    size = None
    for name in ("sliding_window", "sliding_window_size", "attention_chunk_size"):
        size = size or keys.optional(name, least=0)
    types = keys.words("layer_types", length=layers)
    used = keys.flag("use_sliding_window", default=True)
    pattern = _pattern(keys)
    first_windowed = keys.count("max_window_layers", default=0, least=0)
    if not size:
        return [None] * layers
    if types is not None:
        return [size if kind.startswith(WINDOWED) else None for kind in types]
    if not used:
        return [None] * layers
    every = pattern or full_every
    if every:
        return [None if (number + 1) % every == 0 else size for number in range(layers)]
    if keys.has("use_sliding_window") and keys.has("max_window_layers"):
        return [size if number >= first_windowed else None for number in range(layers)]
    return [size] * layers


def read_sparse_layers(keys: Keys, layers: int) -> list[bool]:
    """Return which layers hold experts, from whichever of the known patterns is given."""
    kinds = keys.words("mlp_layer_types", length=layers)
    listed = keys.indices("moe_layers")
    dense = keys.indices("mlp_only_layers") or frozenset()
    first = keys.optional("first_k_dense_replace", least=0)
    first = first if first is not None else keys.count("num_dense_layers", default=0, least=0)
    frequency = _frequency(keys, layers)
    step = keys.optional("decoder_sparse_step") or keys.optional("interleave_moe_layer_step")
    if kinds is not None:
        return [kind != "dense" for kind in kinds]
    if listed is not None:
        return [number in listed for number in range(layers)]
    if isinstance(frequency, list):
        return frequency
    if step:
        return [number not in dense and (number + 1) % step == 0 for number in range(layers)]
    return [
        number >= first and number % frequency == 0 and number not in dense
        for number in range(layers)
    ]


def _pattern(keys: Keys) -> int | None:
    """Return how many layers one full layer comes in, from a number or a word such as ``LLLG``."""
    for name in ("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers"):
        if isinstance(keys.values.get(name), str):
            return len(keys.word(name)) or None
        if keys.has(name):
            return keys.count(name)
    return None


def _frequency(keys: Keys, layers: int) -> int | list[bool]:
    if isinstance(keys.values.get("moe_layer_freq"), list | tuple):
        return [n > 0 for n in keys.counts("moe_layer_freq", length=layers)]
    return keys.count("moe_layer_freq", default=1)


def read_experts(
    keys: Keys, *, gated: bool = True, default_shared: int = 0, bias: bool = False
) -> Block | None:
    """Return the mixture of experts, or None where the configuration has none.

    Parameters
    ----------
    default_shared
        Shared experts where the configuration is silent.
    bias
        Whether the networks of the experts have biases.
    """
    keys.ignore("num_experts", "num_experts_per_tok", "moe_intermediate_size")
    count = keys.count("num_experts", default=0, least=0)
    if not count:
        return None
    top_k = keys.count("num_experts_per_tok")
    if top_k > count:
        raise ConfigError(
            f"{keys.where}: num_experts_per_tok {top_k} is more than num_experts {count}; "
            f"a token visits at most {count}."
        )
    width = keys.optional("moe_intermediate_size") or keys.count("intermediate_size")
    biases = (2 if gated else 1) * width + keys.count("hidden_size") if bias else 0
    return build.mixture(
        num_experts=count,
        top_k=top_k,
        width=width,
        gated=gated,
        shared_width=_shared_width(keys, width, default_shared),
        expert_vectors=biases,
        groups=_groups(keys),
    )


def _groups(keys: Keys) -> tuple[int, int]:
    """Return how many groups the router sorts experts into, and how many a token may use."""
    groups, used = keys.optional("n_group"), keys.optional("topk_group")
    if groups is None or used is None:
        return 1, 0
    if used > groups:
        raise ConfigError(
            f"{keys.where}: topk_group {used} is more than n_group {groups}; "
            f"a token uses at most {groups} groups."
        )
    return groups, used


def _shared_width(keys: Keys, width: int, default: int) -> int:
    """Return the summed width of the shared experts: given itself, or as a number of experts."""
    keys.ignore("num_shared_experts")
    for name in (
        "shared_expert_intermediate_size",
        "shared_experts_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
    ):
        if keys.has(name):
            return keys.count(name, least=0)
    return width * keys.count("num_shared_experts", default=default, least=0)


def tied(keys: Keys, *, default: bool) -> bool:
    """Whether the head is the embedding."""
    return keys.flag("tie_word_embeddings", default=default)

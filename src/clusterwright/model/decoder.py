"""A plain decoder from bare numbers, for tables of published runs and for what-if questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from clusterwright.errors import ConfigError
from clusterwright.model import build
from clusterwright.model.records import Block, Model
from clusterwright.records import Record

Norm = Literal["rmsnorm", "layernorm", "none"]


class Latent(Record, frozen=True, kw_only=True):
    """The ranks and widths of multi-head latent attention (DeepSeek-V2)."""

    kv_rank: int
    query_rank: int | None = None
    nope_dim: int
    rope_dim: int
    value_dim: int


class Sparse(Record, frozen=True, kw_only=True):
    """A mixture of experts and the layers that have it.

    ``every``: of the layers 0, 1, 2 … those divisible by it are sparse (1: all, 2: every other);
    ``first_dense`` layers at the start are dense in any case.
    """

    num_experts: int
    top_k: int
    width: int
    shared_width: int = 0
    shared_gate: bool = False
    first_dense: int = 0
    every: int = 1

    def holds(self, layer: int) -> bool:
        """Whether this layer has experts."""
        return layer >= self.first_dense and layer % self.every == 0


def norm_parameters(norm: Norm, width: int) -> int:
    """Return the parameters of one norm over ``width`` elements.

    >>> norm_parameters("rmsnorm", 10), norm_parameters("layernorm", 10)
    (10, 20)
    """
    return {"rmsnorm": width, "layernorm": 2 * width, "none": 0}[norm]


def decoder(
    *,
    layers: int,
    hidden: int,
    heads: int,
    vocab: int,
    ffn: int | None = None,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    gated: bool = True,
    tied: bool = False,
    norm: Norm = "rmsnorm",
    attention_bias: bool = False,
    mlp_bias: bool = False,
    qk_norm: bool = False,
    parallel_block: bool = False,
    learned_positions: int = 0,
    windows: Sequence[int | None] | int | None = None,
    latent: Latent | None = None,
    sparse: Sparse | None = None,
    mtp_layers: int = 0,
    max_positions: int | None = None,
    name: str = "decoder",
    family: str = "clusterwright-decoder",
) -> Model:
    """Return a decoder-only transformer of the given shape.

    Parameters
    ----------
    ffn
        Width of the dense network; 4 × ``hidden`` if it has two matrices, and 8/3 × ``hidden``
        (rounded up to a multiple of 256) if it is ``gated``.
    kv_heads, head_dim
        ``heads`` and ``hidden / heads`` by default.
    windows
        Visible tokens of all layers or of each; None for all of the sequence.
    latent, sparse
        Multi-head latent attention instead of grouped-query attention; a mixture of experts.
    parallel_block
        Attention and network side by side: one norm per layer instead of two.

    Raises
    ------
    ConfigError
        A count below one, heads that do not divide, windows that are not one per layer.

    >>> from clusterwright.model.parameters import count_parameters
    >>> gpt3 = decoder(
    ...     layers=96,
    ...     hidden=12288,
    ...     heads=96,
    ...     vocab=50257,
    ...     gated=False,
    ...     tied=True,
    ...     norm="layernorm",
    ...     attention_bias=True,
    ...     mlp_bias=True,
    ...     learned_positions=2048,
    ... )
    >>> count_parameters(gpt3).total
    174604259328
    """
    _check_counts(layers=layers, hidden=hidden, heads=heads, vocab=vocab, ffn=ffn)
    kv_heads = heads if kv_heads is None else kv_heads
    build.check_groups(heads, kv_heads, where=name)
    width = ffn or default_width(hidden, gated=gated)
    head_dim = head_dim or (build.head_width(hidden, heads, where=name) if not latent else 0)
    seen = _per_layer(windows, layers, name)
    small = build.vectors((1 if parallel_block else 2) * norm_parameters(norm, hidden))
    dense = build.network(hidden, width, gated=gated, bias=mlp_bias)
    experts = _experts(sparse, hidden, gated) if sparse else None

    def layer(number: int) -> Block:
        if latent:
            mixer = _latent(latent, hidden, heads, seen[number], attention_bias)
        else:
            mixer = build.attention(
                hidden=hidden,
                heads=heads,
                kv_heads=kv_heads,
                head_dim=head_dim,
                window=seen[number],
                qkv_bias=attention_bias,
                out_bias=attention_bias,
            )
        if qk_norm and not latent:
            mixer = build.join(mixer, build.vectors(2 * norm_parameters(norm, head_dim)))
        is_sparse = sparse is not None and experts is not None and sparse.holds(number)
        return build.join(mixer, experts if is_sparse and experts else dense, small)

    return build.assemble(
        name=name,
        family=family,
        hidden=hidden,
        vocab=vocab,
        layers=[layer(number) for number in range(layers)],
        tied=tied,
        positions=learned_positions,
        other=norm_parameters(norm, hidden),
        mtp_layers=mtp_layers,
        max_positions=max_positions or learned_positions or None,
    )


def default_width(hidden: int, *, gated: bool) -> int:
    """Return the customary width of the network: 4 × hidden, or 8/3 × hidden when gated.

    >>> default_width(4096, gated=True), default_width(4096, gated=False)
    (11008, 16384)
    """
    return -(-8 * hidden // 3 // 256) * 256 if gated else 4 * hidden


def _latent(latent: Latent, hidden: int, heads: int, window: int | None, bias: bool) -> Block:
    return build.latent_attention(
        hidden=hidden,
        heads=heads,
        query_rank=latent.query_rank,
        kv_rank=latent.kv_rank,
        nope_dim=latent.nope_dim,
        rope_dim=latent.rope_dim,
        value_dim=latent.value_dim,
        window=window,
        bias=bias,
    )


def _experts(sparse: Sparse, hidden: int, gated: bool) -> Block:
    mixed = build.mixture(
        num_experts=sparse.num_experts,
        top_k=sparse.top_k,
        width=sparse.width,
        gated=gated,
        shared_width=sparse.shared_width,
    )
    return build.join(mixed, build.vectors(hidden if sparse.shared_gate else 0))


def _per_layer(
    windows: Sequence[int | None] | int | None, layers: int, name: str
) -> Sequence[int | None]:
    if windows is None or isinstance(windows, int):
        return [windows] * layers
    if len(windows) != layers:
        raise ConfigError(f"{name}: {len(windows)} windows for {layers} layers; give one each.")
    return windows


def _check_counts(**counts: int | None) -> None:
    for key, value in counts.items():
        if value is not None and value < 1:
            raise ConfigError(f"decoder: {key} is {value}, but at least 1 is needed.")

"""Token mixers whose cost is linear in the sequence: state spaces, delta rules, short convolutions.

All matrices are projections, what is updated per token is a `Core` of kind ``linear``, and what
acts on each channel alone (convolutions, decays, gates, norms) is counted among the vectors.
"""

from __future__ import annotations

from clusterwright.model.build import join, project, vectors
from clusterwright.model.records import Block, Core


def state_update(*, heads: int, key_dim: int, value_dim: int, groups: int | None = None) -> Block:
    """Return a recurrent state of ``key_dim × value_dim`` in each of ``heads``."""
    core = Core(
        kind="linear",
        num_heads=heads,
        num_kv_heads=groups or heads,
        query_key_dim=key_dim,
        value_dim=value_dim,
        state_dim=key_dim,
    )
    return Block(cores=(core,))


def mamba1(
    *,
    hidden: int,
    inner: int,
    state: int,
    step_rank: int,
    kernel: int,
    bias: bool = False,
    kernel_bias: bool = True,
    norms: int = 0,
) -> Block:
    """Return a selective state space (Mamba): every channel has a state of its own.

    Parameters
    ----------
    inner, state, step_rank
        Channels; elements of state per channel; rank of the projection that gives step sizes.
    kernel
        Taps of the convolution over time.
    norms
        Elements of further norms.
    """
    small = inner * (state + 1) + inner * kernel + (inner if kernel_bias else 0) + norms
    return join(
        project("in", hidden, 2 * inner, bias=bias),
        project("parameters", inner, step_rank + 2 * state, "row"),
        project("step", step_rank, inner, bias=True),
        state_update(heads=inner, key_dim=state, value_dim=1, groups=1),
        project("out", inner, hidden, "row", bias=bias),
        vectors(small),
    )


def mamba2(
    *,
    hidden: int,
    inner: int,
    heads: int,
    groups: int,
    state: int,
    kernel: int,
    bias: bool = False,
    out_bias: bool | None = None,
    kernel_bias: bool = True,
    norm: bool = True,
) -> Block:
    """Return a state space with one decay per head (Mamba-2); ``groups`` share keys and queries."""
    mixed = inner + 2 * groups * state
    small = 3 * heads + mixed * kernel + (mixed if kernel_bias else 0) + (inner if norm else 0)
    return join(
        project("in", hidden, inner + mixed + heads, bias=bias),
        state_update(heads=heads, key_dim=state, value_dim=max(inner // heads, 1), groups=groups),
        project("out", inner, hidden, "row", bias=bias if out_bias is None else out_bias),
        vectors(small),
    )


def gated_delta(
    *,
    hidden: int,
    key_heads: int,
    value_heads: int,
    key_dim: int,
    value_dim: int,
    kernel: int,
) -> Block:
    """Return the gated delta rule (Qwen3-Next): queries, keys, values, gate, two numbers a head."""
    keys, values = key_heads * key_dim, value_heads * value_dim
    mixed = 2 * keys + values
    return join(
        project("in", hidden, mixed + values),
        project("rates", hidden, 2 * value_heads),
        state_update(heads=value_heads, key_dim=key_dim, value_dim=value_dim, groups=key_heads),
        project("out", values, hidden, "row"),
        vectors(2 * value_heads + mixed * kernel + value_dim),
    )


def channel_delta(
    *, hidden: int, heads: int, head_dim: int, kernel: int, gate_rank: int | None
) -> Block:
    """Return Kimi delta attention: the gated delta rule with a decay for every channel.

    ``gate_rank``: rank of the projections for decay and output gate; None where they are full.
    """
    width = heads * head_dim
    if gate_rank is None:
        gates = project("gates", hidden, 2 * width)
    else:
        gates = join(
            project("gates_a", hidden, 2 * gate_rank, "replicated"),
            project("decay_b", gate_rank, width),
            project("gate_b", gate_rank, width),
        )
    return join(
        project("qkv", hidden, 3 * width),
        gates,
        project("rates", hidden, heads),
        state_update(heads=heads, key_dim=head_dim, value_dim=head_dim),
        project("out", width, hidden, "row"),
        vectors(3 * width * kernel + width + heads + head_dim),
    )


def lightning(*, hidden: int, heads: int, head_dim: int) -> Block:
    """Return lightning attention (MiniMax-01): a fixed decay per head, a gated output."""
    width = heads * head_dim
    return join(
        project("qkv", hidden, 3 * width),
        project("gate", hidden, width),
        state_update(heads=heads, key_dim=head_dim, value_dim=head_dim),
        project("out", width, hidden, "row"),
        vectors(width),
    )


def short_convolution(*, hidden: int, kernel: int, bias: bool = False) -> Block:
    """Return a gated convolution over a few tokens (LFM2)."""
    return join(
        project("in", hidden, 3 * hidden, bias=bias),
        state_update(heads=hidden, key_dim=kernel, value_dim=1),
        project("out", hidden, hidden, "row", bias=bias),
        vectors(hidden * kernel + (hidden if bias else 0)),
    )


def gated_lru(*, hidden: int, width: int, heads: int, kernel: int) -> Block:
    """Return the real-gated linear recurrent unit (RecurrentGemma): gates within each head."""
    gate = heads * (width // heads) ** 2
    return join(
        project("in", hidden, 2 * width, bias=True),
        state_update(heads=width, key_dim=1, value_dim=1),
        project("out", width, hidden, "row", bias=True),
        vectors(2 * gate + 2 * width + width + width * kernel + width),
    )


def matrix_lstm(*, hidden: int, heads: int, key_width: int, value_width: int, bias: bool) -> Block:
    """Return the matrix memory of xLSTM: gates of one number per head, a gated output."""
    return join(
        project("qkv", hidden, 2 * key_width + value_width, bias=bias),
        project("gate", hidden, value_width, bias=bias),
        project("rates", hidden, 2 * heads, bias=True),
        state_update(heads=heads, key_dim=key_width // heads, value_dim=value_width // heads),
        project("out", value_width, hidden, "row", bias=bias),
        vectors((2 if bias else 1) * value_width),
    )

r"""Bytes that training keeps on one accelerator: model states and activations.

Symbols: :math:`T` tokens of one micro-batch on this rank (before tensor parallelism), :math:`h`
hidden size, :math:`t` tensor-parallel size, :math:`t_s` the shards of what lies between
tensor-parallel regions (:math:`t` with sequence parallelism, else 1).
"""

from __future__ import annotations

from typing import Any

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def optimizer_state_bytes_per_parameter(
    *, num_moments: Floats, moment_bytes: Floats, master_bytes: Floats, update_bytes: Floats = 0.0
) -> Floats:
    r"""Optimizer states of one parameter. [B]

    .. math:: b = k\,b_m + b_w + b_g

    Parameters
    ----------
    num_moments
        Moments kept: 2 for Adam, 1 for Muon and momentum SGD, :math:`k`. [1]
    moment_bytes
        Bytes of one moment, :math:`b_m`. [B]
    master_bytes
        Bytes of the master copy of the weight (0: none), :math:`b_w`. [B]
    update_bytes
        Bytes of the wide gradient that the update makes of a narrow one (0: none),
        :math:`b_g`. [B]

    Leaves out: the scales of 8-bit states (below 1 %).

    References
    ----------
    .. [1] S. Rajbhandari et al., "ZeRO: memory optimizations toward training trillion parameter
       models," SC20, section 3.1: K = 12 for mixed-precision Adam.
    .. [2] Megatron-LM, docs, "Distributed optimizer": 20 B with 16-bit gradients, of which 4 B are
       the gradient in fp32.

    >>> optimizer_state_bytes_per_parameter(num_moments=2, moment_bytes=4.0, master_bytes=4.0)
    12.0
    """
    return num_moments * moment_bytes + master_bytes + update_bytes


def sharded_bytes(parameters: Floats, *, bytes_per_parameter: Floats, shards: Floats) -> Floats:
    r"""Bytes of a state that is cut evenly over ``shards`` ranks. [B]

    .. math:: M = N b / s

    Parameters
    ----------
    parameters
        Parameters of the rank before sharding, :math:`N`. [1]
    bytes_per_parameter
        :math:`b`. [B]
    shards
        Ranks that share it (1: each has all), :math:`s`. [1]

    Leaves out: padding to equal shards.

    References
    ----------
    .. [1] Rajbhandari et al. 2020, figure 1.

    >>> sharded_bytes(7.5e9, bytes_per_parameter=12.0, shards=64) / 1e9
    1.40625
    """
    return parameters * bytes_per_parameter / shards


def score_activation_bytes(
    sequences: Floats, sequence_length: Floats, key_length: Floats, num_heads: Floats
) -> Floats:
    r"""What unfused attention keeps of its scores: softmax output, dropout mask and output. [B]

    .. math:: M = 5\,a\,b\,s_q s_k

    Parameters
    ----------
    sequences
        Sequences of the micro-batch, :math:`b`. [1]
    sequence_length, key_length
        Queries and keys, :math:`s_q, s_k`. [1]
    num_heads
        Query heads on this rank, :math:`a`. [1]

    Leaves out: flash attention keeps none of this; causal masking does not shrink it.

    References
    ----------
    .. [1] Korthikanti et al. 2023, section 4.1: the term 5as/h.

    >>> score_activation_bytes(1, 2048, 2048, 96) / 2**30
    1.875
    """
    return 5.0 * num_heads * sequences * sequence_length * key_length


def mixer_activation_bytes(
    tokens: Floats,
    *,
    hidden_size: Floats,
    projected_width: Floats,
    core_width: Floats,
    tensor_shards: Floats,
    sequence_shards: Floats,
    linear_input_bytes: Floats,
    mask_bytes: Floats,
) -> Floats:
    r"""What the backward pass needs of one attention or state-space half layer, fused. [B]

    .. math:: M = T\left(\frac{(2 + b + b_d)\,h}{t_s} + \frac{2 w_p + b\,w_c}{t}\right)

    norm input, norm output (the projections' input), dropout mask; projected queries, keys and
    values, :math:`w_p`; the core's output, :math:`w_c`. With :math:`b=2, b_d=1, w_p=3h, w_c=h` this
    is the :math:`11\,sbh` of [1]_ plus half of its layer norms' :math:`4\,sbh`.

    Parameters
    ----------
    tokens
        :math:`T`. [1]
    hidden_size, projected_width, core_width
        :math:`h, w_p, w_c`, whole model. [1]
    tensor_shards, sequence_shards
        :math:`t, t_s`. [1]
    linear_input_bytes
        Bytes of an element kept as a matrix product's input (2: bf16, 1: fp8), :math:`b`. [B]
    mask_bytes
        1 with dropout, else 0, :math:`b_d`. [B]

    Leaves out: softmax statistics (4 bytes per token and head).

    References
    ----------
    .. [1] Korthikanti et al. 2023, section 4.1, equation (1).

    >>> float(
    ...     mixer_activation_bytes(
    ...         1.0,
    ...         hidden_size=1.0,
    ...         projected_width=3.0,
    ...         core_width=1.0,
    ...         tensor_shards=1,
    ...         sequence_shards=1,
    ...         linear_input_bytes=2.0,
    ...         mask_bytes=1.0,
    ...     )
    ... )
    13.0
    """
    between = (2.0 + linear_input_bytes + mask_bytes) * hidden_size / sequence_shards
    inside = (2.0 * projected_width + linear_input_bytes * core_width) / tensor_shards
    return tokens * (between + inside)


def mlp_activation_bytes(
    tokens: Floats,
    *,
    hidden_size: Floats,
    width: Floats,
    num_up: Floats,
    tensor_shards: Floats,
    sequence_shards: Floats,
    linear_input_bytes: Floats,
    mask_bytes: Floats,
) -> Floats:
    r"""What the backward pass needs of one feed-forward half layer. [B]

    .. math:: M = T\left(\frac{(2 + b + b_d)\,h}{t_s} + \frac{(2 u + b)\,w}{t}\right)

    norm input and output, dropout mask; :math:`u` matrices going up (2: gated), the activation
    function's output. With :math:`b=2, b_d=1, u=1, w=4h`: :math:`19\,sbh` plus half of the layer
    norms' :math:`4\,sbh`, as in [1]_.

    Parameters
    ----------
    tokens
        :math:`T`. [1]
    hidden_size, width
        :math:`h, w`, whole model. [1]
    num_up
        1 plain, 2 gated, :math:`u`. [1]
    tensor_shards, sequence_shards
        :math:`t, t_s`. [1]
    linear_input_bytes, mask_bytes
        :math:`b, b_d`. [B]

    Leaves out: kernels that recompute the activation function instead of keeping its output.

    References
    ----------
    .. [1] Korthikanti et al. 2023, section 4.1.

    >>> float(
    ...     mlp_activation_bytes(
    ...         1.0,
    ...         hidden_size=1.0,
    ...         width=4.0,
    ...         num_up=1,
    ...         tensor_shards=1,
    ...         sequence_shards=1,
    ...         linear_input_bytes=2.0,
    ...         mask_bytes=1.0,
    ...     )
    ... )
    21.0
    """
    between = (2.0 + linear_input_bytes + mask_bytes) * hidden_size / sequence_shards
    inside = (2.0 * num_up + linear_input_bytes) * width / tensor_shards
    return tokens * (between + inside)


def expert_activation_bytes(
    routed_tokens: Floats,
    *,
    hidden_size: Floats,
    width: Floats,
    num_up: Floats,
    expert_shards: Floats,
    linear_input_bytes: Floats,
) -> Floats:
    r"""What the backward pass needs of the routed experts of one layer. [B]

    .. math:: M = T_r\left((b + 2)\,h + \frac{(2u + b)\,w}{t_e}\right)

    the tokens as they arrive and as they leave for the combine, and the experts' inner values.

    Parameters
    ----------
    routed_tokens
        Token copies that reach this rank's experts, :math:`T_r`. [1]
    hidden_size, width
        :math:`h`, width of one expert :math:`w`. [1]
    num_up
        1 plain, 2 gated, :math:`u`. [1]
    expert_shards
        Expert tensor parallelism, :math:`t_e`. [1]
    linear_input_bytes
        :math:`b`. [B]

    Leaves out: router probabilities and indices (a few bytes per token).

    References
    ----------
    .. [1] Megatron-Core, mixture-of-experts documentation (2025): permuted input, fc1, act, fc2.

    >>> float(
    ...     expert_activation_bytes(
    ...         1.0, hidden_size=1.0, width=2.0, num_up=2, expert_shards=1, linear_input_bytes=2.0
    ...     )
    ... )
    16.0
    """
    inner = (2.0 * num_up + linear_input_bytes) * width / expert_shards
    return routed_tokens * ((linear_input_bytes + 2.0) * hidden_size + inner)


def logit_bytes(
    tokens: Floats, vocab_size: Floats, *, tensor_shards: Floats, bytes_per_logit: Floats
) -> Floats:
    r"""Logits of one micro-batch on the last stage, in all the copies that the loss holds. [B]

    .. math:: M = b\,T V / t

    Parameters
    ----------
    tokens
        :math:`T`. [1]
    vocab_size
        :math:`V`. [1]
    tensor_shards
        :math:`t`. [1]
    bytes_per_logit
        16-bit output, fp32 copy, gradient: 8; 16 when every operation keeps its own; 2 when the
        loss is fused and works in place, :math:`b`. [B]

    Leaves out: losses computed chunk by chunk, which keep none of it.

    References
    ----------
    .. [1] Korthikanti et al. 2023, section 4.3: 4sbv/t for fp32 logits.

    >>> float(logit_bytes(8192, 128256, tensor_shards=8, bytes_per_logit=8.0)) / 2**30
    0.978515625
    """
    return bytes_per_logit * tokens * vocab_size / tensor_shards

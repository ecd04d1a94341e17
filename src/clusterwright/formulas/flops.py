r"""Floating-point operations of one training step, in the conventions that people publish.

Model FLOPs are what the mathematics needs; hardware FLOPs also count what is computed twice
(activation recomputation). Sources differ further in whether causal attention is counted in full
or by half, whether the output head is counted, and whether the embedding is among the parameters:
always say which. Symbols: :math:`B` sequences of :math:`s` tokens, :math:`L` layers of width
:math:`h`, :math:`V` words, :math:`N` parameters, :math:`T` tokens.
"""

from __future__ import annotations

from typing import Any

Floats = Any
"""A scalar, an array, or anything with their arithmetic; shapes broadcast."""


def parameter_flops(parameters: Floats, tokens: Floats, *, passes: Floats = 3.0) -> Floats:
    r"""FLOPs of the matrix products with weights: 6 N T for training. [FLOP]

    .. math:: F = 2\,k\,N\,T

    A forward pass multiplies and adds once per weight and token (:math:`k = 1`); the backward pass
    does it for the inputs and for the weights (:math:`k = 3` in all) [1]_. Recomputing the forward
    pass makes it 4 (the 8 N T of hardware counts), frozen weights 2 (low-rank adapters).

    Parameters
    ----------
    parameters
        Weights that a token is multiplied with, :math:`N`; of experts the chosen ones. [1]
    tokens
        Tokens of the step, :math:`T`. [1]
    passes
        Products per weight and token, :math:`k`. [1]

    Leaves out: attention scores, norms, activations, the optimizer.

    References
    ----------
    .. [1] J. Kaplan et al., "Scaling laws for neural language models," arXiv:2001.08361, sec. 2.1.

    GPT-3, 174.6B parameters and 300B tokens (arXiv:2005.14165 table D.1 prints 3.14e23):

    >>> f"{parameter_flops(174.6e9, 300e9):.2e}"
    '3.14e+23'
    """
    return 2.0 * passes * parameters * tokens


def attention_flops(
    sequences: Floats,
    sequence_length: Floats,
    *,
    num_layers: Floats,
    attention_width: Floats,
    visible_share: Floats = 1.0,
    passes: Floats = 3.0,
) -> Floats:
    r"""FLOPs of attention scores and values: 12 L h s per token for training, in full. [FLOP]

    .. math:: F = 4\,k\,a\,B\,L\,s^2\,w

    Parameters
    ----------
    sequences, sequence_length
        :math:`B` sequences of :math:`s` tokens. [1]
    num_layers
        Layers that attend, :math:`L`. [1]
    attention_width
        Heads times the mean of query–key and value width, :math:`w`; often equal to :math:`h`. [1]
    visible_share
        Share of the scores that is counted, :math:`a`: 1 in full, ½ for the causal half. [1]
    passes
        :math:`k`; as in `parameter_flops`. [1]

    Leaves out: softmax, masks, dropout.

    References
    ----------
    .. [1] A. Chowdhery et al., "PaLM," arXiv:2204.02311, appendix B: 12 L H Q T per token.

    PaLM 540B, 238.3 thousand tokens/s on 6,144 chips of 275 TFLOP/s, prints an MFU of 46.2 %
    (45.7 % without attention):

    >>> per_token = attention_flops(
    ...     1, 2048, num_layers=118, attention_width=48 * 256
    ... ) / 2048 + parameter_flops(540.35e9, 1)
    >>> round(100 * per_token * 238.3e3 / (6144 * 275e12), 1)
    46.2
    """
    scores = sequences * num_layers * sequence_length**2 * attention_width
    return 4.0 * passes * visible_share * scores


def scan_flops(
    tokens: Floats,
    *,
    num_heads: Floats,
    state_dim: Floats,
    value_dim: Floats,
    chunk_length: Floats = 0.0,
) -> Floats:
    r"""Forward FLOPs of linear attention or of a state-space core. [FLOP]

    .. math:: F = 2\,T\,a \left(2\,d_s d_v + c\,(d_s + d_v)\right)

    A token updates each head's state and reads it; in a chunked scan it also attends to the
    :math:`c` tokens of its own chunk, in full [1]_.

    Parameters
    ----------
    tokens
        :math:`T`. [1]
    num_heads
        :math:`a`. [1]
    state_dim, value_dim
        Size of a head's state :math:`d_s \times d_v`. [1]
    chunk_length
        :math:`c`; 0 counts the recurrence alone, as model FLOPs do. [1]

    Leaves out: the pass between chunks, decay, gates, the short convolution.

    References
    ----------
    .. [1] T. Dao and A. Gu, "Transformers are SSMs," arXiv:2405.21060, section 6.

    A chunk as long as the state is wide doubles the work of the recurrence:

    >>> scan_flops(1, num_heads=1, state_dim=64, value_dim=64)
    16384.0
    >>> scan_flops(1, num_heads=1, state_dim=64, value_dim=64, chunk_length=64)
    32768.0
    """
    recurrence = 2.0 * state_dim * value_dim
    within = chunk_length * (state_dim + value_dim)
    return 2.0 * tokens * num_heads * (recurrence + within)


def gpt_model_flops(
    sequences: Floats,
    sequence_length: Floats,
    *,
    num_layers: Floats,
    hidden_size: Floats,
    vocab_size: Floats,
) -> Floats:
    r"""Model FLOPs of a step of a GPT: attention in full, head counted. [FLOP]

    .. math:: F = 72\,B\,s\,L\,h^2 \left(1 + \frac{s}{6h} + \frac{V}{12 L h}\right)

    For multi-head attention and a network of width 4 h without a gate [1]_.

    Parameters
    ----------
    sequences, sequence_length
        :math:`B` sequences of :math:`s` tokens. [1]
    num_layers, hidden_size, vocab_size
        :math:`L`, :math:`h`, :math:`V`. [1]

    Leaves out: the causal mask, norms, activation functions, the optimizer.

    References
    ----------
    .. [1] V. Korthikanti et al., "Reducing activation recomputation in large transformer models,"
       arXiv:2205.05198, appendix A, equation (7).

    The 1T row of its table 5, 71.49 s per step of 512 sequences on 512 A100, prints 56.3 % MFU:

    >>> step = gpt_model_flops(512, 2048, num_layers=128, hidden_size=25600, vocab_size=51200)
    >>> round(100 * step / (71.49 * 512 * 312e12), 1)
    56.3
    """
    dense = 72.0 * sequences * sequence_length * num_layers * hidden_size**2
    attention = sequence_length / (6.0 * hidden_size)
    head = vocab_size / (12.0 * num_layers * hidden_size)
    return dense * (1.0 + attention + head)


def gpt_hardware_flops(
    sequences: Floats,
    sequence_length: Floats,
    *,
    num_layers: Floats,
    hidden_size: Floats,
    vocab_size: Floats,
) -> Floats:
    r"""Hardware FLOPs of a step of a GPT with full activation recomputation. [FLOP]

    .. math:: F = 96\,B\,s\,L\,h^2 \left(1 + \frac{s}{6h} + \frac{V}{16 L h}\right)

    Every layer runs forward twice; the head does not [1]_. 145.6B at 148 TFLOP/s per accelerator
    is therefore 113 in model FLOPs.

    Parameters
    ----------
    sequences, sequence_length
        :math:`B` sequences of :math:`s` tokens. [1]
    num_layers, hidden_size, vocab_size
        :math:`L`, :math:`h`, :math:`V`. [1]

    Leaves out: the causal mask, norms, activation functions, the optimizer.

    References
    ----------
    .. [1] D. Narayanan et al., "Efficient large-scale language model training on GPU clusters using
       Megatron-LM," SC21, arXiv:2104.04473, equation (3).

    Its 1T row, 163 TFLOP/s on each of 3,072 A100: how long a step takes, and how long the 450B
    tokens that the paper calls "about 3 months":

    >>> step = gpt_hardware_flops(3072, 2048, num_layers=128, hidden_size=25600, vocab_size=51200)
    >>> step_time = step / (3072 * 163e12)
    >>> round(step_time, 1), round(450e9 / (3072 * 2048) * step_time / 86400)
    (102.6, 85)
    """
    dense = 96.0 * sequences * sequence_length * num_layers * hidden_size**2
    attention = sequence_length / (6.0 * hidden_size)
    head = vocab_size / (16.0 * num_layers * hidden_size)
    return dense * (1.0 + attention + head)


def utilization(
    step_flops: Floats, step_time: Floats, *, num_accelerators: Floats, peak_flops: Floats
) -> Floats:
    r"""Share of the peak that a step delivers: MFU of model FLOPs, HFU of hardware FLOPs. [1]

    .. math:: u = \frac{F}{t\,n\,P}

    Parameters
    ----------
    step_flops
        FLOPs of one step over all accelerators, :math:`F`; say in which convention. [FLOP]
    step_time
        :math:`t`. [s]
    num_accelerators
        :math:`n`. [1]
    peak_flops
        Dense peak rate of each, :math:`P`. [FLOP/s]

    Leaves out: time between steps (evaluation, checkpoints, restarts), which goodput counts.

    >>> utilization(4e15, 2.0, num_accelerators=8, peak_flops=500e12)
    0.5
    """
    return step_flops / (step_time * num_accelerators * peak_flops)


def newton_schulz_flops(
    parameters: Floats, *, hidden_size: Floats, num_iterations: Floats = 5.0
) -> Floats:
    r"""FLOPs of orthogonalising Muon's update of some weights. [FLOP]

    .. math:: F = i\,(4 h + 2 h^2 / w)\,N \approx 6\,i\,h\,N

    A weight of :math:`h \times w` (:math:`w \ge h`) takes, in each iteration, the products
    :math:`X X^\top` and :math:`B X`, :math:`2 h^2 w` each, and one :math:`h \times h` square
    between; square weights (:math:`w = h`) are taken for all.

    Parameters
    ----------
    parameters
        Weights updated, :math:`N`. [1]
    hidden_size
        Their smaller side, :math:`h`. [1]
    num_iterations
        Newton–Schulz iterations, :math:`i`. [1]

    Leaves out: gathering a weight that is cut over ranks before its products.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks," 2024.

    >>> newton_schulz_flops(4096.0 * 4096.0, hidden_size=4096.0) / 1e12
    2.06158430208
    """
    return 6.0 * num_iterations * hidden_size * parameters

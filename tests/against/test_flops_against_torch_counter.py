"""Forward FLOPs of a token against PyTorch's own counter, on models without weights.

`FlopCounterMode` counts the matrix products that a forward pass really asks for. With eager
attention it sees the whole score matrix, masked or not, so our count is taken with
``causal_half=False`` and must be *equal*: both count projections, feed-forward networks, routers,
the chosen experts, scores and values, and the head for every token; neither counts look-ups, norms,
activation functions, softmax or rotations.

One difference is of substance: a sliding window is a mask to eager attention, which computes what
it then hides. Sequences here are shorter than every window, but for the last test, which shows the
difference to be exactly the hidden scores.
"""

from __future__ import annotations

from typing import Any

import pytest

from clusterwright.model.config import load_config
from clusterwright.training.flops import forward_flops_per_token

pytestmark = pytest.mark.against

SEQUENCE = 96

DENSE = [
    "bloom",
    "cohere2",
    "falcon",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "gptj",
    "llama",
    "opt",
    "phi3",
    "qwen3",
]
EXPERTS = [
    "deepseek_v3",
    "ernie4_5_moe",
    "glm4_moe_lite",
    "gpt_oss",
    "granitemoeshared",
    "mixtral",
    "qwen3_moe",
]


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed: FLOPs NOT compared")


@pytest.fixture(scope="module")
def transformers(torch) -> Any:
    found = pytest.importorskip(
        "transformers", reason="transformers is not installed: FLOPs NOT compared"
    )
    found.logging.set_verbosity_error()
    return found


def counted_flops(torch, transformers, config: Any, sequence_length: int) -> int:
    """FLOPs of one sequence forward, by PyTorch's counter; nothing is allocated or computed."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        tokens = torch.zeros((1, sequence_length), dtype=torch.long)
        # A mask that is given spares the model the look at the values that tells padding.
        mask = torch.ones_like(tokens)
    if any("experts" in name for name, _ in model.named_modules()):
        # Weights of the chosen experts side by side: the one form that needs no values to count.
        model.set_experts_implementation("batched_mm")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(input_ids=tokens, attention_mask=mask, use_cache=False)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("family", [*DENSE, *EXPERTS])
def test_a_forward_pass_has_the_flops_that_torch_counts(torch, transformers, family):
    config = transformers.CONFIG_MAPPING[family]()
    model = load_config(config.to_dict())
    ours = forward_flops_per_token(model, SEQUENCE, causal_half=False) * SEQUENCE
    assert ours == counted_flops(torch, transformers, config, SEQUENCE)


@pytest.mark.parametrize("sequence_length", [16, 1024, 4096])
def test_attention_grows_with_the_sequence_as_torch_counts(torch, transformers, sequence_length):
    config = transformers.CONFIG_MAPPING["llama"](
        num_key_value_heads=8, max_position_embeddings=8192
    )
    model = load_config(config.to_dict())
    ours = forward_flops_per_token(model, sequence_length, causal_half=False) * sequence_length
    assert ours == counted_flops(torch, transformers, config, sequence_length)


def test_beyond_the_window_torch_counts_the_scores_that_the_mask_hides(torch, transformers):
    window, length = 64, 256
    config = transformers.CONFIG_MAPPING["gemma2"](sliding_window=window)
    model = load_config(config.to_dict())
    ours = forward_flops_per_token(model, length, causal_half=False) * length
    cores = [model.blocks[index].cores[0] for index in model.layout]
    sliding = [core for core in cores if core.window]
    assert 0 < len(sliding) < len(cores)
    per_score = sum(2 * c.num_heads * (c.query_key_dim + c.value_dim) for c in sliding)
    hidden = per_score * length * (length - window)
    assert ours + hidden == counted_flops(torch, transformers, config, length)

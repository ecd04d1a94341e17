"""What training keeps, against the papers that the formulas come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.formulas import memory

PLAIN = {"linear_input_bytes": 2.0, "mask_bytes": 1.0}
"""Korthikanti et al.: 16-bit activations and one-byte dropout masks."""

GPT = {
    "22B": {"a": 64, "h": 6144, "s": 2048, "b": 4},
    "175B": {"a": 96, "h": 12288, "s": 2048, "b": 1},
    "530B": {"a": 128, "h": 20480, "s": 2048, "b": 1},
    "1T": {"a": 160, "h": 25600, "s": 2048, "b": 1},
}
"""Table 3 of Korthikanti et al. (arXiv:2205.05198)."""


def layer_bytes(a, h, s, b, *, tensor=1, sequence=1):
    """One GPT layer, without its scores."""
    shards = {"hidden_size": h, "tensor_shards": tensor, "sequence_shards": sequence, **PLAIN}
    mixer = memory.mixer_activation_bytes(s * b, projected_width=3 * h, core_width=h, **shards)
    return mixer + memory.mlp_activation_bytes(s * b, width=4 * h, num_up=1, **shards)


def scores(a, h, s, b, *, tensor=1):
    return memory.score_activation_bytes(b, s, s, a / tensor)


@pytest.mark.parametrize("name", GPT)
def test_a_gpt_layer_keeps_34_sbh_and_5_a_s_s_b(name):
    gpt = GPT[name]
    sbh = gpt["s"] * gpt["b"] * gpt["h"]
    # Equation (1): s b h (34 + 5 a s / h).
    assert layer_bytes(**gpt) == pytest.approx(34 * sbh)
    whole = layer_bytes(**gpt) + scores(**gpt)
    assert whole == pytest.approx(sbh * (34 + 5 * gpt["a"] * gpt["s"] / gpt["h"]))


@pytest.mark.parametrize("name", GPT)
@pytest.mark.parametrize("tensor", [2, 8])
def test_tensor_parallelism_cuts_24_of_34_and_with_sequence_parallelism_all(name, tensor):
    gpt = GPT[name]
    sbh = gpt["s"] * gpt["b"] * gpt["h"]
    # Table 2: s b h (10 + 24/t), and with sequence parallelism s b h 34/t.
    assert layer_bytes(**gpt, tensor=tensor) == pytest.approx(sbh * (10 + 24 / tensor))
    both = layer_bytes(**gpt, tensor=tensor, sequence=tensor)
    assert both == pytest.approx(34 * sbh / tensor)


@pytest.mark.parametrize(("name", "share"), [("175B", 80.0), ("530B", 64.0)])
def test_the_scores_are_the_share_that_the_paper_prints(name, share):
    # Section 5: 5 a s / h is 80 for GPT-3 and 64 for MT-NLG.
    gpt = GPT[name]
    assert scores(**gpt) / (gpt["s"] * gpt["b"] * gpt["h"]) == pytest.approx(share, abs=0.5)


@pytest.mark.parametrize(("name", "saved"), [("175B", 0.70), ("530B", 0.65)])
def test_selective_recompute_saves_what_the_paper_prints(name, saved):
    # Section 5: "saves 70 % … for GPT-3 and 65 % for MT-NLG" of the activations.
    gpt = GPT[name]
    whole = layer_bytes(**gpt) + scores(**gpt)
    assert scores(**gpt) / whole == pytest.approx(saved, abs=0.01)


def test_adam_in_mixed_precision_is_16_bytes_a_parameter():
    # ZeRO, section 3.1: 2 + 2 + 12; figure 1: 7.5B parameters over 64 ranks.
    state = memory.optimizer_state_bytes_per_parameter(
        num_moments=2, moment_bytes=4.0, master_bytes=4.0
    )
    assert state == 12.0
    sizes = [
        memory.sharded_bytes(7.5e9, bytes_per_parameter=2.0 + 2.0 + state, shards=1),
        7.5e9 * 4 + memory.sharded_bytes(7.5e9, bytes_per_parameter=state, shards=64),
        7.5e9 * 2 + memory.sharded_bytes(7.5e9, bytes_per_parameter=2 + state, shards=64),
        memory.sharded_bytes(7.5e9, bytes_per_parameter=4 + state, shards=64),
    ]
    assert [round(size / 1e9, 1) for size in sizes] == [120.0, 31.4, 16.6, 1.9]


@pytest.mark.parametrize(
    ("moments", "moment_bytes", "master", "expected"),
    [(2, 1.0, 4.0, 6.0), (2, 2.0, 0.0, 4.0), (1, 4.0, 4.0, 8.0)],
)
def test_other_optimizers(moments, moment_bytes, master, expected):
    found = memory.optimizer_state_bytes_per_parameter(
        num_moments=moments, moment_bytes=moment_bytes, master_bytes=master
    )
    assert found == expected


def test_a_gated_network_keeps_both_products_that_go_up():
    # Llama 3 8B, no dropout, bf16: norm in and out (4 h), gate and up (4 w), the product (2 w).
    found = memory.mlp_activation_bytes(
        1.0,
        hidden_size=4096.0,
        width=14336.0,
        num_up=2,
        tensor_shards=1,
        sequence_shards=1,
        linear_input_bytes=2.0,
        mask_bytes=0.0,
    )
    assert found == 4 * 4096 + 6 * 14336


def test_one_expert_that_sees_every_token_is_a_gated_network_without_its_norm():
    width = {"hidden_size": 512.0, "width": 2048.0, "num_up": 2, "linear_input_bytes": 2.0}
    alone = memory.expert_activation_bytes(100.0, expert_shards=1, **width)
    plain = memory.mlp_activation_bytes(
        100.0, tensor_shards=1, sequence_shards=1, mask_bytes=0.0, **width
    )
    assert alone == plain


def test_fp32_logits_are_4_sbv_over_t():
    # Section 4.3 of Korthikanti et al.
    found = memory.logit_bytes(2048.0, 51200.0, tensor_shards=8, bytes_per_logit=4.0)
    assert found == 4 * 2048 * 51200 / 8


sizes = st.integers(1, 2**14).map(float)


@given(tokens=sizes, hidden=sizes, width=sizes, shards=st.sampled_from([1.0, 2.0, 8.0]))
def test_more_shards_keep_no_more_and_more_tokens_no_less(tokens, hidden, width, shards):
    def kept(tokens, shards):
        return memory.mlp_activation_bytes(
            tokens,
            hidden_size=hidden,
            width=width,
            num_up=2,
            tensor_shards=shards,
            sequence_shards=shards,
            **PLAIN,
        )

    assert kept(tokens, 2 * shards) == pytest.approx(kept(tokens, shards) / 2)
    assert kept(2 * tokens, shards) == pytest.approx(2 * kept(tokens, shards))
    assert kept(tokens, shards) > 0

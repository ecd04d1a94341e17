"""Parameter counts against transformers, which builds every model it knows without weights.

For each causal and each encoder–decoder type: the default configuration, then the same with flags
turned and numbers changed, so that agreement is no accident. Counts must be *equal*: the sum of
`numel()` over distinct parameters, tied ones once. Of models that also see or hear, the text model
and its head are compared. The configurations of the catalogue are compared as they are.

``CLUSTERWRIGHT_EXHAUSTIVE=1`` changes, and leaves out, every key there is (about ten minutes). A
key that is left out must be refused or read as transformers reads it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from against.reference_configs import (
    CAUSAL_HALVES,
    CHANGES,
    NOT_COMPARED,
    PICTURE_PARTS,
    QUIRKS,
)

from clusterwright.errors import ConfigError
from clusterwright.model.config import load_config
from clusterwright.model.irrelevant import is_irrelevant
from clusterwright.model.parameters import count_parameters

pytestmark = pytest.mark.against

CATALOGUE = Path(__file__).parents[2] / "catalogue" / "models" / "configs"
EXHAUSTIVE = bool(os.environ.get("CLUSTERWRIGHT_EXHAUSTIVE"))

CHANGED = frozenset(
    [
        "adapter_rank",
        "d_ff",
        "d_inner",
        "d_kv",
        "dim_ff",
        "dff",
        "encoder_ffn_dim",
        "decoder_ffn_dim",
        "expert_ffn_hidden_size",
        "ffn_dim",
        "ffn_hidden_size",
        "first_k_dense_replace",
        "head_dim",
        "index_head_dim",
        "intermediate_size",
        "kv_lora_rank",
        "linear_num_value_heads",
        "mamba_d_state",
        "moe_intermediate_size",
        "moe_num_experts",
        "n_groups",
        "n_routed_experts",
        "n_shared_experts",
        "num_experts",
        "num_key_value_heads",
        "num_kv_heads",
        "num_kv_shared_layers",
        "num_local_experts",
        "num_shared_experts",
        "q_lora_rank",
        "shared_intermediate_size",
        "state_size",
        "v_head_dim",
        "vocab_size",
    ]
)
"""The numbers that are changed when not every one is."""


def known_types() -> list[tuple[str, bool]]:
    """Return every type to compare, and whether it is an encoder–decoder."""
    try:
        from transformers.models.auto import modeling_auto as auto
    except ImportError:
        return [("transformers", False)]
    causal = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    pairs = auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    chosen = [(name, False) for name in causal if name not in CAUSAL_HALVES]
    chosen += [(name, True) for name in pairs]
    return [(name, pair) for name, pair in chosen if name not in NOT_COMPARED]


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch is not installed: counts NOT compared")


@pytest.fixture(scope="module")
def transformers(torch) -> Any:
    found = pytest.importorskip(
        "transformers", reason="transformers is not installed: counts NOT compared"
    )
    found.logging.set_verbosity(found.logging.CRITICAL)
    return found


class Reference:
    """Builds one type from a dictionary and counts what it has built."""

    def __init__(self, torch: Any, transformers: Any, name: str, *, pair: bool) -> None:
        self.torch = torch
        self.cls = transformers.CONFIG_MAPPING[name]
        self.auto = (
            transformers.AutoModelForSeq2SeqLM if pair else transformers.AutoModelForCausalLM
        )
        self.base = self.cls(**CHANGES.get(name, {})).to_dict()

    def count(self, values: dict[str, Any]) -> int:
        """Return the distinct parameters; of models with senses, those of text and head."""
        config = self.cls.from_dict(dict(values))
        with self.torch.device("meta"):
            model = self.auto.from_config(config)
        text = (
            config.get_text_config(decoder=True) is not config
            and not model.config.is_encoder_decoder
        )
        parts = [model.get_decoder(), model.get_output_embeddings()] if text else [model]
        found = {
            id(weight): weight
            for part in parts
            if part is not None
            for name, weight in part.named_parameters()
            if not any(word in name for word in PICTURE_PARTS)
        }
        return sum(weight.numel() for weight in found.values())


def variations(base: dict[str, Any], quirks: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield configurations near the given one, one key changed in each."""
    for key, value in base.items():
        if key in quirks or key in ("model_type", "is_encoder_decoder") or is_irrelevant(key):
            continue
        if isinstance(value, bool):
            yield {**base, key: not value}
        elif isinstance(value, int) and (EXHAUSTIVE or key in CHANGED):
            if key != "num_key_value_heads" or EXHAUSTIVE:
                yield {**base, key: value * 2 or 1}
            if value > 1 and value % 2 == 0:
                yield {**base, key: value // 2}
        if EXHAUSTIVE:
            yield {other: kept for other, kept in base.items() if other != key}


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration as a file would hold it."""
    found: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return found


def corrected(name: str, values: dict[str, Any], count: int) -> int:
    """Return the reference's count without what no checkpoint holds.

    LongCat-Flash: rows of ``gate_up_proj`` for experts that do nothing, never stored or read.
    """
    if name == "longcat_flash":
        rows = values["num_layers"] * values["zero_expert_num"]
        count -= rows * 2 * values["expert_ffn_hidden_size"] * values["hidden_size"]
    return count


@pytest.mark.parametrize(("name", "pair"), known_types())
def test_counts_are_those_of_transformers(torch, transformers, name, pair):
    reference = Reference(torch, transformers, name, pair=pair)
    base = reference.base
    ours = count_parameters(load_config(plain(base), name=name)).total
    assert ours == corrected(name, base, reference.count(base))
    wrong = []
    for values in variations(base, QUIRKS.get(name, {})):
        try:
            theirs = corrected(name, values, reference.count(values))
        except Exception:  # noqa: BLE001 (transformers refuses in many ways)
            continue
        try:
            ours = count_parameters(load_config(plain(values), name=name)).total
        except ConfigError:
            continue
        if ours != theirs:
            changed = [key for key in base if values.get(key, "missing") != base[key]]
            wrong.append((changed, [values.get(key, "missing") for key in changed], ours - theirs))
    assert wrong == []


@pytest.mark.parametrize("path", sorted(CATALOGUE.glob("*.json")), ids=lambda path: path.stem)
def test_counts_of_the_catalogue_are_those_of_transformers(torch, transformers, path):
    values = json.loads(path.read_text(encoding="utf-8"))
    family = values.get("model_type", "")
    if family not in transformers.CONFIG_MAPPING:
        pytest.skip(f"transformers has no {family}")
    config = transformers.CONFIG_MAPPING[family].from_dict(values)
    with torch.device("meta"):
        auto = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else None
        model = (auto or transformers.AutoModelForCausalLM).from_config(config)
    theirs = sum(weight.numel() for weight in model.parameters())
    ours = count_parameters(load_config(path)).total
    assert ours == corrected(family, values, theirs)

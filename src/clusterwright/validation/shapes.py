"""The model of a published run: its printed shape, and the catalogue for what is not printed.

A row prints widths and counts; whether embeddings are tied, positions are learned or ``d_ff`` is
the width of one expert is rarely said. Where the row prints its number of parameters, the reading
whose count comes nearest is taken (one rule for every source); everything that was not printed is
listed in ``filled``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

import msgspec

from clusterwright.errors import ConfigError
from clusterwright.model.decoder import Latent, Sparse, decoder
from clusterwright.model.parameters import count_parameters
from clusterwright.model.records import Model
from clusterwright.records import Record
from clusterwright.validation.runs import Run

SHAPE = ("n_layers", "d_model", "n_heads", "d_ff")
"""The columns without which a decoder cannot be built."""

_TOLERANCE = 0.02
"""Readings whose parameter counts differ by less than this share are not told apart."""
_NOT_THE_MODEL = r"lora|qlora|sft|dpo|peft|replica|pretrain|full|proxy|training|model"


class Shape(Record, frozen=True, kw_only=True):
    """A model, what of it was not printed, and which columns of its shape are missing."""

    model: Model | None = None
    filled: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def plain_name(name: str) -> str:
    """Reduce a printed model name to what identifies the model.

    >>> plain_name("LLAMA3.1_405B"), plain_name("meta-llama/Llama-3.1-405B (30-layer proxy)")
    ('llama3.1405b', 'llama3.1405b')
    >>> plain_name("Llama-3-70B LoRA")
    'llama370b'
    """
    short = re.sub(r"\(.*?\)|\[.*?\]", " ", name.lower()).split("/")[-1]
    short = re.sub(rf"\b(?:{_NOT_THE_MODEL})\b", " ", short.replace("_", " "))
    return re.sub(r"[^a-z0-9.]", "", short)


def shape_of(run: Run, known: Model | None, *, mtp: bool = False) -> Shape:
    """Return the model of a run.

    Parameters
    ----------
    known
        The model of the same name in the catalogue, if there is one. It is used as it stands when
        every printed number agrees with it, and for what is not printed otherwise.
    mtp
        Whether the framework trains multi-token-prediction layers when the row does not say.
    """
    missing = tuple(name for name in SHAPE if getattr(run, name) is None)
    if known is not None and (missing or agrees(run, known)):
        blank = [f"{', '.join(missing)} from the catalogue's {known.name}"] if missing else []
        return Shape(model=_with_mtp(known, run, mtp), filled=tuple(blank))
    if known is not None and run.attention == "MLA" and run.n_layers != known.num_layers:
        return Shape(model=_cut(known, run), filled=(f"blocks of the catalogue's {known.name}",))
    if missing and missing != ("n_heads",):
        return Shape(missing=missing)
    try:
        return _built(run, known, mtp)
    except ConfigError as error:
        return Shape(missing=(f"a shape that can exist ({error})",))


def agrees(run: Run, model: Model) -> bool:
    """Whether every number of the shape that the row prints is that of the model."""
    block = model.blocks[model.layout[-1]]
    core = block.cores[0] if block.cores else None
    experts, mlp = block.experts, block.mlp
    pairs: list[tuple[int | None, int | None]] = [
        (run.n_layers, model.num_layers),
        (run.d_model, model.hidden_size),
        (run.n_heads, core.num_heads if core else None),
        (run.n_kv_heads, core.num_kv_heads if core else None),
        (run.n_experts, experts.num_experts if experts else None),
        (run.top_k, experts.top_k if experts else None),
        (run.d_ff, experts.width if experts else mlp.width if mlp else None),
    ]
    near_vocab = run.vocab is None or abs(run.vocab - model.vocab_size) <= 0.02 * model.vocab_size
    return near_vocab and all(a == b for a, b in pairs if a is not None and b is not None)


def _cut(model: Model, run: Run) -> Model:
    """Return the first layers of a model (a depth-cut proxy)."""
    return msgspec.structs.replace(model, layout=model.layout[: run.n_layers], mtp_layers=0)


def _with_mtp(model: Model, run: Run, mtp: bool) -> Model:
    """Keep the model's multi-token-prediction layers only where they were trained."""
    layers = _mtp_layers(run, model.mtp_layers, mtp)
    if layers == model.mtp_layers:
        return model
    return msgspec.structs.replace(model, mtp_layers=layers)


def _mtp_layers(run: Run, published: int, by_default: bool) -> int:
    """How many multi-token-prediction layers the run trained.

    A note such as ``MTP unless "w/o MTP"`` speaks of the whole table: the row itself says so in
    brackets.
    """
    if "(w/o mtp)" in run.notes.lower():
        return 0
    counted = re.search(r"plus (\d+) MTP layer", run.notes)
    if counted:
        return int(counted.group(1))
    told = re.search(r"\bMTP\b", run.notes) is not None
    return max(published, 1) if told else published if by_default else 0


def _built(run: Run, known: Model | None, mtp: bool) -> Shape:
    """Build the decoder from the printed numbers."""
    filled: list[str] = []
    heads = run.n_heads or _customary_heads(run, filled)
    vocab = run.vocab or _vocabulary(run, known, filled)
    readings = [
        decoder(
            layers=run.n_layers or 1,
            hidden=run.d_model or 1,
            heads=heads,
            kv_heads=_kv_heads(run, known, heads, filled),
            vocab=vocab,
            head_dim=_head_dim(run, known, heads, filled),
            latent=_latent(run),
            name=run.model_name,
            family="published-run",
            mtp_layers=_mtp_layers(run, known.mtp_layers if known else 0, mtp),
            **reading,  # type: ignore[arg-type]
        )
        for reading in _readings(run, filled)
    ]
    return Shape(model=_nearest(readings, run), filled=tuple(dict.fromkeys(filled)))


def _readings(run: Run, filled: list[str]) -> Iterable[dict[str, object]]:
    """Yield the ways in which the row may be meant, the customary one first."""
    gated = run.gated_ffn
    if gated is None:
        gated = False
        filled.append("gated_ffn=0 (not printed)")
    tied = not gated
    styles: list[dict[str, object]] = []
    for is_tied in (tied, not tied):
        style: dict[str, object] = {"gated": gated, "tied": is_tied}
        if not gated:
            style |= {"norm": "layernorm", "attention_bias": True, "mlp_bias": True}
            style["learned_positions"] = run.seq_len or 0
        styles.append(style)
    for style, part in itertools.product(styles, _networks(run)):
        yield style | part


def _networks(run: Run) -> Iterable[dict[str, object]]:
    """Yield the readings of ``d_ff``: of one network, of one expert, or of all chosen experts."""
    width = run.d_ff or 1
    if not run.n_experts:
        yield {"ffn": width}
        return
    top_k = run.top_k or 1
    first, every, dense = _sparse_layers(run)
    for one in dict.fromkeys((width, max(1, width // top_k))):
        shared = (run.shared_experts or 0) * one
        sparse = Sparse(
            num_experts=run.n_experts,
            top_k=top_k,
            width=one,
            shared_width=shared,
            first_dense=first,
            every=every,
        )
        yield {"ffn": dense or width, "sparse": sparse}


def _sparse_layers(run: Run) -> tuple[int, int, int | None]:
    """Return how many layers come before the first sparse one, the period, the dense width."""
    text = f"{run.moe_layer_freq}; {run.sharding_notes}"
    first = re.search(r"first (\d+)(?: layers?)? dense", text)
    every = re.search(r"^\s*(\d+)\s*(?:;|$)|then (\d+)|every (\d+)", run.moe_layer_freq)
    period = next((int(g) for g in every.groups() if g), 1) if every else 1
    dense = re.search(r"dense[^;]*?d_ff (\d+)", run.sharding_notes) or re.search(
        r"d_ff (\d+)", run.moe_layer_freq
    )
    return (int(first.group(1)) if first else 0, period, int(dense.group(1)) if dense else None)


def _nearest(readings: Sequence[Model], run: Run) -> Model:
    """Return the reading nearest to the printed parameters; the first one unless clearly worse."""
    if run.params_total_b is None:
        return readings[0]
    printed = run.params_total_b * 1e9
    distance = [abs(count_parameters(m).total / printed - 1) for m in readings]
    best = min(distance)
    return next(m for m, d in zip(readings, distance, strict=True) if d <= best + _slack(run))


def _slack(run: Run) -> float:
    """How far apart counts must be to decide: half of the printed number's last digit."""
    digits = f"{run.params_total_b:g}".partition(".")[2]
    printed = run.params_total_b or 1.0
    return min(_TOLERANCE, 0.5 * 10.0 ** -len(digits) / printed)


def _kv_heads(run: Run, known: Model | None, heads: int, filled: list[str]) -> int:
    if run.n_kv_heads:
        return run.n_kv_heads
    if run.attention in ("MHA", "MLA"):
        return heads
    if run.attention == "MQA":
        return 1
    core = _core_of(known)
    value = core if core and heads % core == 0 else heads
    filled.append(f"n_kv_heads={value} ({'catalogue' if core else 'not printed'})")
    return value


def _core_of(known: Model | None) -> int | None:
    """Return the key–value heads of the catalogue's model."""
    cores = [core for block in known.blocks for core in block.cores] if known else []
    return cores[0].num_kv_heads if cores else None


def _customary_heads(run: Run, filled: list[str]) -> int:
    """Return heads of 128 elements, or the nearest number that tensor parallelism divides."""
    hidden, ranks = run.d_model or 1, run.tp or 1
    divisors = [n for n in range(ranks, hidden + 1, ranks) if hidden % n == 0] or [1]
    heads = min(divisors, key=lambda n: (abs(hidden / n - 128), n))
    filled.append(f"n_heads={heads} (heads of {hidden // heads}; not printed)")
    return heads


def _vocabulary(run: Run, known: Model | None, filled: list[str]) -> int:
    """Return a vocabulary: that of the notes, the catalogue's, or a customary one."""
    told = re.search(r"\bvocab(?:ulary)?(?: of)? (\d{4,6})\b", run.notes)
    if told:
        return int(told.group(1))
    if known is not None:
        filled.append(f"vocab={known.vocab_size} (catalogue)")
        return known.vocab_size
    vocab = 32000 if run.gated_ffn else 51200
    filled.append(f"vocab={vocab} (not printed; Llama's, or GPT-2's padded)")
    return vocab


def _head_dim(run: Run, known: Model | None, heads: int, filled: list[str]) -> int | None:
    """Return the width of a head: printed in the notes, the catalogue's, or d_model / heads."""
    told = re.search(r"head_dim (\d+)|heads? (?:\d+ )?x (?:head )?(\d+)\b", run.notes)
    if told:
        return int(told.group(1) or told.group(2))
    hidden = run.d_model or 1
    if known is not None and run.attention != "MLA":
        cores = [core for block in known.blocks for core in block.cores]
        if cores and cores[0].num_heads == heads and cores[0].query_key_dim * heads != hidden:
            filled.append(f"head_dim={cores[0].query_key_dim} (catalogue)")
            return cores[0].query_key_dim
    return None if hidden % heads == 0 else max(1, round(hidden / heads))


def _latent(run: Run) -> Latent | None:
    """Return the dimensions of multi-head latent attention from the notes."""
    if run.attention != "MLA":
        return None
    ranks = re.search(r"kv_lora (\d+)", run.notes)
    dims = re.search(r"nope (\d+) \+ rope (\d+), v (\d+)", run.notes)
    query = re.search(r"q_lora (\d+)", run.notes)
    if ranks and dims:
        nope, rope, value = (int(g) for g in dims.groups())
        return Latent(
            kv_rank=int(ranks.group(1)),
            query_rank=int(query.group(1)) if query else None,
            nope_dim=nope,
            rope_dim=rope,
            value_dim=value,
        )
    raise ConfigError("the dimensions of multi-head latent attention are not printed")

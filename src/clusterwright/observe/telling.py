"""What lines of any training log say beside its steps: the time of day, settings, incidents."""

from __future__ import annotations

import calendar
import math
import re
from typing import Any, NamedTuple

from clusterwright.observe.records import MarkKind

_CLOCK = re.compile(r"(?<!\d)(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?!\d)")
_WITHIN = 200
"""Characters of a line in which the time of day is looked for."""

NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d+|0,\d+)(?:[eE][-+]?\d+)?")

_STAMPS = re.compile(
    r"^(?:\s*(?:\[[^\]]{0,80}\]|\d{4}-\d\d-\d\d[ T][\d:.,]+Z?|INFO|WARNING)"
    r"(?:\s*[-:|](?=\s))?)+ ?"
)


def unstamped(text: str) -> str:
    """A line without times of day and the like before it; its own indentation stays.

    >>> unstamped("[2026-01-01 12:00:00,123] [INFO]     optimizer .....: 3.2")
    '    optimizer .....: 3.2'
    """
    return _STAMPS.sub("", text)


class Incident(NamedTuple):
    """What a line says: its sort, how long it took [s], how often, and the step it belongs to."""

    kind: MarkKind
    time: float
    times: float
    iteration: int


_INCIDENTS: tuple[tuple[MarkKind, str], ...] = (
    ("checkpoint",
     r"Global Checkpoint Save.*?Iteration: (?P<step>\d+).*?duration: (?P<time>[\d.]+)\s*s"),
    ("checkpoint", r"Finished saving the checkpoint in (?P<time>[\d.]+) seconds"),
    ("checkpoint", r"successfully saved checkpoint (?:from|at) iteration\s+(?P<step>\d+)"),
    ("checkpoint", r"Saving the checkpoint \(or staging"),
    ("load", (r"(?<!successfully )load(?:ing|ed) (?:the )?checkpoint .*?"
             r"(?:at iteration|at step)\s+(?P<step>\d+)")),
    ("load", r"Global Checkpoint Load.*?load_checkpoint: (?P<time>[\d.]+)\s*s"),
    ("start", r"\[before the start of training step\]|Starting job: |Training starts at step"),
    ("evaluation", r"validation loss at iteration\s+(?P<step>\d+)|validate step:"),
    ("profile", r"Dumping (?:profiler )?traces at step (?P<step>\d+)"),
    ("collection", r"Pe?r?forming periodical GC collection\.? (?P<time>[\d.]+) seconds"),
    ("retry", r"(?P<count>\d+) pytorch allocator cache flushes since last step"),
    ("retry", r"(?P<count>\d+) \w+ memory allocation retries"),
    ("error", r"out of memory|OutOfMemoryError"),
    ("error", r"Watchdog caught collective operation timeout|NCCL WARN|ChildFailedError"),
    ("error", r"^Traceback \(most recent call last\)|SIGTERM|SIGKILL|\bXid\b"),
)  # fmt: skip
_COMPILED = [(kind, re.compile(text)) for kind, text in _INCIDENTS]
_HINT = re.compile(
    r"heckpoint|Training starts|before the start|Starting job|valid|traces|GC|flushes|retries"
    r"|memory|WARN|Watchdog|ChildFailed|Traceback|SIG|Xid"
)
"""A word that every incident has: most lines are passed over by this alone."""


def clock_of(text: str) -> float:
    """Seconds since 1970 at which a line says that it was written, or nan. [s]

    >>> clock_of("[2024-04-06 02:59:41] iteration 44") - clock_of("2024-04-06T02:59:36,500 x")
    4.5
    """
    found = _CLOCK.search(text, 0, _WITHIN)
    if not found:
        return math.nan
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    try:
        whole = calendar.timegm((year, month, day, hour, minute, second))
    except (ValueError, OverflowError):
        return math.nan
    return whole + float(f"0.{found[7] or 0}")


def incident_of(text: str) -> Incident | None:
    """What a line reports beside steps, if anything."""
    if not _HINT.search(text):
        return None
    for kind, pattern in _COMPILED:
        found = pattern.search(text)
        if found:
            said = found.groupdict()
            return Incident(
                kind,
                number(said.get("time") or ""),
                float(said.get("count") or 1),
                int(said.get("step") or -1),
            )
    return None


_NO_NUMBER = re.compile(r"loss['\"]?\s*[:=]\s*[-+]?(?:nan|inf)\b", re.IGNORECASE)


def no_loss(text: str) -> bool:
    """Whether a line of a step says that its loss is not a number.

    >>> no_loss("iteration 7/9 | lm loss: NAN |"), no_loss("step: 7  loss: 2.1  grad_norm: nan")
    (True, False)
    """
    return _NO_NUMBER.search(text) is not None


def number(text: str) -> float:
    """Read the first number in a text, thousands separated or not, or nan.

    A comma that does not part thousands is a decimal one, as some languages write it.

    >>> number(" 10,050"), number("5.444E+03/5512.0"), number("112.9TFLOPS"), number("22145,3")
    (10050.0, 5444.0, 112.9, 22145.3)
    """
    found = re.search(NUMBER, text)
    if not found:
        return math.nan
    apart = _DECIMAL_COMMA.fullmatch(found[0])
    value = float(found[0].replace(",", "." if apart else ""))
    return value if math.isfinite(value) else math.nan


_SETTINGS = {
    "world_size": "world_size",
    "num_processes": "world_size",
    "tensor_model_parallel_size": "tp",
    "tensor_parallel_degree": "tp",
    "model_parallel_size": "tp",
    "context_parallel_size": "cp",
    "context_parallel_degree": "cp",
    "pipeline_model_parallel_size": "pp",
    "pipeline_parallel_degree": "pp",
    "pipe_parallel_size": "pp",
    "virtual_pipeline_model_parallel_size": "vpp",
    "data_parallel_size": "dp",
    "expert_model_parallel_size": "ep",
    "expert_parallel_degree": "ep",
    "expert_tensor_parallel_size": "etp",
    "zero_optimization_stage": "zero",
    "zero_stage": "zero",
    "micro_batch_size": "micro_batch",
    "train_micro_batch_size_per_gpu": "micro_batch",
    "local_batch_size": "micro_batch",
    "global_batch_size": "global_batch",
    "train_batch_size": "global_batch",
    "seq_length": "sequence_length",
    "seq_len": "sequence_length",
    "encoder_seq_length": "sequence_length",
}
_SHAPE = {
    "num_layers": "n_layers",
    "n_layers": "n_layers",
    "hidden_size": "d_model",
    "dim": "d_model",
    "num_attention_heads": "n_heads",
    "n_heads": "n_heads",
    "num_query_groups": "n_kv_heads",
    "num_key_value_heads": "n_kv_heads",
    "n_kv_heads": "n_kv_heads",
    "ffn_hidden_size": "d_ff",
    "padded_vocab_size": "vocab",
    "vocab_size": "vocab",
    "num_experts": "n_experts",
    "moe_router_topk": "top_k",
}
_NAMES = "|".join(sorted({*_SETTINGS, *_SHAPE}, key=len, reverse=True))
_DUMPED = re.compile(rf"^\s*[|'\"]?(?P<name>{_NAMES})['\"]?\s*(?:\.{{2,}}|:|=)\s*(?P<value>\d+)\b")
_ON_A_LINE = re.compile(rf"(?:--|\b)(?P<name>{_NAMES})(?:=|\s+)(?P<value>\d+)(?![\d.])")
_USING = re.compile(
    r"(?P<name>(?:world|data-parallel|context-parallel|tensor-model-parallel|"
    r"pipeline-model-parallel|expert-model-parallel)[- ]size): (?P<value>\d+)"
)
_PRECISIONS = (
    ((r"^\s*(?:fp8|float8)\s*\.{2,}\s*(?:e4m3|hybrid|True)|--fp8-format|"
     r"Float8 (?:training )?active"), "fp8"),
    ((r"^\s*(?:bf16|bfloat16_enabled)\s*\.{2,}\s*True|(?<!\w)--bf16\b|"
     r"precision[=:]\s*'?bf16"), "bf16"),
    (r"^\s*(?:fp16|fp16_enabled)\s*\.{2,}\s*True|(?<!\w)--fp16\b|precision[=:]\s*'?16", "fp16"),
)  # fmt: skip
_RECOMPUTE = re.compile(
    r"recompute_granularity\s*(?:\.{2,}|[:=])\s*'?(?P<a>None|null|full|selective)"
    r"|--recompute-granularity[ =](?P<b>full|selective)"
    r"|Applied (?P<c>full|selective) activation checkpointing"
)


def settings_in(text: str) -> dict[str, Any]:
    """Settings that a line tells, by the fields of `RunSettings`; of the model under ``shape``.

    >>> settings_in("  tensor_model_parallel_size ...................... 8")
    {'tp': 8}
    >>> settings_in("using world size: 64, data-parallel size: 8, tensor-model-parallel size: 8")
    {'world_size': 64, 'dp': 8, 'tp': 8}
    """
    found: dict[str, Any] = {}
    if "_" in text or "--" in text:
        _named(text, found)
    if "using world size" in text:
        for said in _USING.finditer(text):
            name = said["name"].replace("-", "_").replace(" ", "_")
            found[_SETTINGS[name]] = int(said["value"])
    if "16" in text or "8" in text:
        bare = unstamped(text)
        for pattern, precision in _PRECISIONS:
            if re.search(pattern, bare):
                found["precision"] = precision
                break
    again = _RECOMPUTE.search(text) if "ctivation" in text or "ecompute" in text else None
    if again is not None:
        word = again["a"] or again["b"] or again["c"]
        found["recompute"] = "none" if word in ("None", "null") else word
    return found


def _named(text: str, found: dict[str, Any]) -> None:
    """Names with values: dumped one a line, or options of a command."""
    dumped = _DUMPED.match(unstamped(text))
    options = text.replace("-", "_") if "--" in text else ""
    for said in [dumped] if dumped else _ON_A_LINE.finditer(options):
        name, value = said["name"], int(said["value"])
        if name in _SETTINGS:
            found[_SETTINGS[name]] = value
        elif value > 0:
            found.setdefault("shape", {})[_SHAPE[name]] = value

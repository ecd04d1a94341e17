"""Results of load generators: vLLM's and SGLang's (JSON, or what they print), genai-perf."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from clusterwright.observe.opening import Line
from clusterwright.observe.records import Percentiles, ServingRun
from clusterwright.observe.telling import number

TITLE = re.compile(r"=+ Serving Benchmark Result =+")
_PRINTED = re.compile(r"^\s*(?P<name>[A-Za-z][^:]*?):\s+(?P<value>\S.*?)\s*$")
_STATISTIC = re.compile(
    r"^(?P<which>Mean|Median|P(?P<percentile>\d{1,2}(?:\.\d+)?)) "
    r"(?P<what>TTFT|TPOT|ITL|E2EL|E2E Latency) \(ms\)$"
)
_WHAT = {"TTFT": "ttft", "TPOT": "tpot", "ITL": "itl", "E2EL": "latency", "E2E Latency": "latency"}
_JSON_WHAT = {"ttft": "ttft", "tpot": "tpot", "itl": "itl", "e2el": "latency",
              "e2e_latency": "latency"}  # fmt: skip
_NAMES = {
    "Successful requests": "requests",
    "Failed requests": "failed",
    "Benchmark duration (s)": "duration",
    "Total input tokens": "prompt_tokens",
    "Total generated tokens": "output_tokens",
    "Request throughput (req/s)": "served",
    "Output token throughput (tok/s)": "output_rate",
    "Total Token throughput (tok/s)": "total_rate",
    "Total token throughput (tok/s)": "total_rate",
    "Traffic request rate": "rate",
    "Request rate configured (RPS)": "rate",
    "Max request concurrency": "most_users",
    "Max reqeuest concurrency": "most_users",  # as SGLang spelt it until 2025
    "Maximum request concurrency": "most_users",
    "Concurrency": "concurrency",
}
_KEYS = {
    "completed": "requests",
    "failed": "failed",
    "duration": "duration",
    "total_input_tokens": "prompt_tokens",
    "total_output_tokens": "output_tokens",
    "request_throughput": "served",
    "output_throughput": "output_rate",
    "total_token_throughput": "total_rate",
    "request_rate": "rate",
    "max_concurrency": "most_users",
    "concurrency": "concurrency",
}


def read_printed(lines: Iterable[Line], path: str) -> list[ServingRun]:
    """What ``vllm bench serve`` and ``sglang.bench_serving`` print; one run after another."""
    found: list[ServingRun] = []
    said: dict[str, str] | None = None
    for line in lines:
        if TITLE.search(line.text):
            if said:
                found.append(_printed(said, path))
            said = {}
        elif said is not None:
            piece = _PRINTED.match(line.text)
            if piece:
                said.setdefault(piece["name"], piece["value"])
    if said:
        found.append(_printed(said, path))
    return found


def _printed(said: Mapping[str, str], path: str) -> ServingRun:
    values = {_NAMES[name]: _number(value) for name, value in said.items() if name in _NAMES}
    latencies: dict[str, dict[str, float]] = {}
    for name, value in said.items():
        found = _STATISTIC.match(name)
        if found:
            which = "mean" if found["which"] == "Mean" else "p50"
            if found["percentile"]:
                which = f"p{found['percentile']}"
            latencies.setdefault(_WHAT[found["what"]], {})[which] = 1e-3 * _number(value)
    backend = said.get("Backend", "")
    tool = "SGLang bench_serving" if backend else "vllm bench serve"
    return _run(values, latencies, tool=tool, engine=backend, model="", path=path)


def _number(text: str) -> float:
    return math.inf if text.strip().lower() == "inf" else number(text)


def is_bench(document: Any) -> bool:  # noqa: ANN401 - whatever stands in the file
    """Whether a JSON object is a result of one of the two."""
    return (
        isinstance(document, dict)
        and "request_throughput" in document
        and any(
            f"mean_{what}_ms" in document for what in ("ttft", "tpot", "itl", "e2el", "e2e_latency")
        )
    )


def is_genai_perf(document: Any) -> bool:  # noqa: ANN401 - whatever stands in the file
    """Whether a JSON object is a summary of genai-perf or AIPerf."""
    if not isinstance(document, dict):
        return False
    inner = document.get("records")
    held = inner if isinstance(inner, dict) else document
    latency = held.get("request_latency")
    return isinstance(latency, dict) and "unit" in latency


def read_bench(document: Mapping[str, Any], path: str) -> ServingRun:
    """One result of vLLM's (``--save-result``) or SGLang's (``--output-file``) generator."""
    values = {_KEYS[name]: _plain(value) for name, value in document.items() if name in _KEYS}
    latencies: dict[str, dict[str, float]] = {}
    for key, what in _JSON_WHAT.items():
        for which, name in (("mean", "mean"), ("median", "p50"), ("p50", "p50"), ("p90", "p90"),
                            ("p95", "p95"), ("p99", "p99")):  # fmt: skip
            value = _plain(document.get(f"{which}_{key}_ms"))
            if math.isfinite(value):
                latencies.setdefault(what, {})[name] = 1e-3 * value
    engine = str(document.get("backend") or document.get("endpoint_type") or "")
    sglang = "dataset_name" in document and "median_e2e_latency_ms" in document
    tool = "SGLang bench_serving" if sglang else "vllm bench serve"
    model = str(document.get("model_id") or document.get("model") or "")
    return _run(values, latencies, tool=tool, engine=engine, model=model, path=path)


def read_genai_perf(document: Mapping[str, Any], path: str) -> ServingRun:
    """A summary of genai-perf (``profile_export_genai_perf.json``) or AIPerf."""
    held = document.get("records") if isinstance(document.get("records"), dict) else document
    assert held is not None

    def statistic(name: str, which: str = "avg") -> float:
        entry = held.get(name)
        if not isinstance(entry, dict):
            return math.nan
        scale = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}.get(str(entry.get("unit")), 1.0)
        return scale * _plain(entry.get(which))

    names = {
        "ttft": "time_to_first_token",
        "tpot": "inter_token_latency",
        "latency": "request_latency",
    }
    latencies = {
        what: {
            held_as: statistic(name, which)
            for held_as, which in (("mean", "avg"), ("p50", "p50"), ("p90", "p90"), ("p95", "p95"),
                                   ("p99", "p99"))
        }
        for what, name in names.items()
    }  # fmt: skip
    count = statistic("request_count")
    values = {
        "requests": count,
        "served": statistic("request_throughput"),
        "output_rate": statistic("output_token_throughput"),
        "prompt_tokens": count * statistic("input_sequence_length"),
        "output_tokens": count * statistic("output_sequence_length"),
        "rate": math.nan,
        "failed": statistic("error_request_count"),
        **_asked(document),
    }
    return _run(values, latencies, tool="genai-perf", engine="", path=path,
                model=_named_model(document))  # fmt: skip


def _asked(document: Mapping[str, Any]) -> dict[str, float]:
    """What genai-perf was asked to do, where the summary holds it."""
    config = document.get("input_config")
    stimulus = (
        config.get("perf_analyzer", {}).get("stimulus", {}) if isinstance(config, dict) else {}
    )
    found = {}
    if isinstance(stimulus, dict):
        for name, field in (("concurrency", "most_users"), ("request_rate", "rate")):
            if name in stimulus:
                found[field] = _plain(stimulus[name])
    return found


def _named_model(document: Mapping[str, Any]) -> str:
    config = document.get("input_config")
    names = config.get("model_names") if isinstance(config, dict) else None
    return str(names[0]) if isinstance(names, list) and names else ""


def _plain(value: Any) -> float:  # noqa: ANN401 - whatever stands in the file
    if value == "inf":
        return math.inf
    return float(value) if isinstance(value, int | float) else math.nan


def documents_in(raw: bytes) -> list[Any]:
    """JSON documents of a file: one, or one a line; those that are cut off are left out.

    Python's writer puts ``Infinity`` and ``NaN``, which JSON has not.
    """
    texts = [raw] if raw.lstrip()[:1] == b"{" and raw.count(b"\n{") == 0 else raw.splitlines()
    found = []
    for text in texts:
        mended = re.sub(rb"(?<=[:,\[])\s*-?(?:Infinity|NaN)\b", _mend, text)
        try:
            found.append(msgspec.json.decode(mended))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def _mend(found: re.Match[bytes]) -> bytes:
    return b' "inf"' if b"Inf" in found[0] else b" null"


def _run(
    values: Mapping[str, float],
    latencies: Mapping[str, Mapping[str, float]],
    *,
    tool: str,
    engine: str,
    model: str,
    path: str,
) -> ServingRun:
    """Put a run together; a mean of exactly 0 was not measured."""
    told = {what: _percentiles(held) for what, held in latencies.items()}
    notes = [
        f"{what.upper()} is printed as 0: it was not measured (was streaming off?)"
        for what, held in latencies.items()
        if held.get("mean") == 0.0 and what in ("ttft", "itl")
    ]
    count = values.get("requests", math.nan)
    lengths = {}
    for name, total in (("prompt", "prompt_tokens"), ("output", "output_tokens")):
        if count > 0:
            lengths[name] = values.get(total, math.nan) / count
    run = ServingRun(tool=tool, paths=(path,), model=model, engine=engine, notes=tuple(notes))
    return msgspec.structs.replace(run, **{**values, **lengths, **told})


def _percentiles(held: Mapping[str, float]) -> Percentiles:
    known = {name: held[name] for name in ("mean", "p50", "p90", "p95", "p99") if name in held}
    if known.get("mean") == 0.0:
        return Percentiles()
    return Percentiles(**known)

"""Which tool wrote a file, told from what is in it, and all files of a run put together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from clusterwright.errors import InputError
from clusterwright.observe import (
    deepspeed,
    kineto,
    megatron,
    nemo,
    prometheus,
    serving_bench,
    tensorboard,
    torchtitan,
)
from clusterwright.observe.joining import join_runs
from clusterwright.observe.kineto_events import is_trace
from clusterwright.observe.opening import Line, Opened, lines_of, looks_binary, open_file
from clusterwright.observe.records import ServingRun, TraceSummary, TrainingRun
from clusterwright.records import Record

READABLE = (
    "logs of Megatron-LM, torchtitan, DeepSpeed and NeMo, TensorBoard event files, PyTorch "
    "profiler traces (.json, .json.gz), results of vllm bench serve, SGLang bench_serving and "
    "genai-perf, and Prometheus text of vLLM and SGLang"
)
_LOGS: tuple[tuple[str, Callable[[str], object], Callable[[Iterable[Line], str], TrainingRun]], ...]
_LOGS = (
    ("NeMo", lambda text: nemo.ROW.search(text) or nemo.BAR.search(text), nemo.read),
    ("Megatron-LM", megatron.ROW.search, megatron.read),
    ("torchtitan", torchtitan.ROW.search, torchtitan.read),
    (
        "DeepSpeed",
        lambda text: (
            deepspeed.STEP.search(text) or deepspeed.SPEED.search(text) or "time (ms) | " in text
        ),
        deepspeed.read,
    ),
)
"""Tools in the order in which they are asked: those that wrap another come before it."""


class Read(Record, frozen=True, kw_only=True):
    """What all given files say: of training, of serving, and traces."""

    training: TrainingRun | None = None
    serving: tuple[ServingRun, ...] = ()
    traces: tuple[TraceSummary, ...] = ()


def read_files(paths: Sequence[Path]) -> Read:
    """Read files of one run: its ranks, restarts, traces and results.

    Raises
    ------
    InputError
        A file is of no tool that is known, holds no step, or the files do not go together.
    """
    if not paths:
        raise InputError("name at least one log, trace or result to read")
    logs: list[TrainingRun] = []
    served: list[ServingRun] = []
    traces: list[TraceSummary] = []
    scrapes: list[prometheus.Scrape] = []
    for path in dict.fromkeys(paths):
        found = read_file(path)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, TrainingRun):
                logs.append(one)
            elif isinstance(one, ServingRun):
                served.append(one)
            elif isinstance(one, TraceSummary):
                traces.append(one)
            else:
                scrapes.append(one)
    if scrapes:
        served.append(prometheus.read(scrapes))
    if served and (logs or traces):
        raise InputError("some files are of training and some of serving: diagnose one at a time")
    return Read(
        training=join_runs(logs) if logs else None, serving=tuple(served), traces=tuple(traces)
    )


Found = TrainingRun | TraceSummary | list[ServingRun] | prometheus.Scrape


def read_file(path: Path) -> Found:
    """Read one file, whatever wrote it.

    Raises
    ------
    InputError
        It is of no tool that is known, or holds nothing of a run.
    """
    opened = open_file(path)
    name = str(path)
    raw = opened.raw
    if tensorboard.is_event_file(raw):
        return tensorboard.read(raw, name)
    if raw[:4] == b"PK\x03\x04" or looks_binary(raw):
        raise InputError(
            f"{name!r} is a binary file of no known tool; what can be read: {READABLE}"
        )
    start = raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"["):
        found = _json(opened, name)
        if found is not None:
            return found
    return _text(opened, name)


def _json(opened: Opened, name: str) -> TraceSummary | list[ServingRun] | None:
    """A trace, or results of load generators."""
    raw = opened.raw
    if is_trace(raw):
        return kineto.read(raw, name, whole=opened.whole)
    documents = serving_bench.documents_in(raw)
    runs = [
        serving_bench.read_bench(one, name)
        if serving_bench.is_bench(one)
        else serving_bench.read_genai_perf(one, name)
        for one in documents
        if serving_bench.is_bench(one) or serving_bench.is_genai_perf(one)
    ]
    if runs:
        return runs
    if any(isinstance(one, dict) and {"question", "best"} <= set(one) for one in documents):
        raise InputError(f"{name!r} is a saved plan and no log: give it with --plan, beside a log")
    if not documents and re.match(rb"\s*{\s*\"", raw):  # what begins by {' is Python's, in a log
        raise InputError(
            f"{name!r} is JSON that is damaged or cut off: write it anew; what can be read: "
            f"{READABLE}"
        )
    return None


def _text(opened: Opened, name: str) -> Found:
    """A log: of the first tool of `_LOGS` that has lines of steps in it."""
    lines = list(lines_of(opened.raw))
    if any(serving_bench.TITLE.search(line.text) for line in lines):
        runs = serving_bench.read_printed(lines, name)
        if runs:
            return runs
    if any(prometheus.is_metrics(line.text.strip()) for line in lines):
        return prometheus.scrape(lines, name)
    for tool, is_row, read in _LOGS:
        if any(is_row(line.text) for line in lines):
            run = read(lines, name)
            if run.iteration:
                return _with_notes(run, opened, lines)
            raise InputError(f"{name!r} is a log of {tool} that ends before its first step")
    runs = [run for line in lines if "request_throughput" in line.text
            for run in _embedded(line.text, name)]  # fmt: skip
    if runs:
        return runs
    raise InputError(f"{name!r} {_of_what(lines)}; what can be read: {READABLE}")


def _with_notes(run: TrainingRun, opened: Opened, lines: Sequence[Line]) -> TrainingRun:
    """The run of a log, and what of the file is not in it."""
    name = run.paths[0]
    notes = [] if opened.whole else [f"{name} breaks off: it was read as far as it goes"]
    for tool, is_row, _ in _LOGS:
        if tool not in _WITHIN.get(run.tool, (run.tool,)):
            count = sum(1 for line in lines if is_row(line.text))
            if count:
                notes.append(f"{name} has {count:,} lines of {tool} as well, which were not read")
    return msgspec.structs.replace(run, notes=(*run.notes, *notes)) if notes else run


_WITHIN = {"Megatron-LM": ("Megatron-LM", "DeepSpeed"), "NeMo": ("NeMo", "Megatron-LM")}
"""Tools whose lines stand in another's log where that one wraps them."""


def _embedded(text: str, name: str) -> list[ServingRun]:
    """Results that stand as JSON on a line of other output."""
    found = re.search(r"\{.*\}", text)
    documents = serving_bench.documents_in(found[0].encode()) if found else []
    return [serving_bench.read_bench(one, name) for one in documents if serving_bench.is_bench(one)]


def _of_what(lines: Sequence[Line]) -> str:
    """Why a text is nothing that can be read."""
    titles = ("torchtitan", "[titan]", "megatron", "deepspeed", "nemo")
    text = "\n".join(line.text for line in lines[:2000]).lower()
    near = next((title for title in titles if title in text), "")
    if near:
        return f"names {near}, but has no line that reports a step: did the run fail before it?"
    return "is of no known tool"

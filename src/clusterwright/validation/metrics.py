"""What a source measured, as the time of one step and back.

Step times and token rates convert exactly. FLOP rates and utilisations depend on how a source
counts: whether attention is counted in full or by its causal half, whether recomputation is
counted, and which peak is divided by. That is read from the row's ``tflops_formula`` by general
patterns; where it says nothing, model FLOPs with attention in full (the convention of PaLM and
Megatron) over the peak of the row's precision.
"""

from __future__ import annotations

import re

from clusterwright.formulas.flops import utilization
from clusterwright.hardware import Accelerator, peak_rate
from clusterwright.model.parameters import count_parameters
from clusterwright.records import Record
from clusterwright.training.flops import forward_flops_per_token
from clusterwright.validation.questions import Question
from clusterwright.validation.runs import Run

TERA = 1e12
_FULL = r"not (?:causal-)?halved|not halved for caus|12\*l\*|12lhq|12\*n_layers|non-causal|72b|96b"
_HALF = r"(?:causal-|is |caus\w* )halved|6\*l\*h\*s|half of (?:the )?attention|causal half"
_NO_ATTENTION = r"8\*n\*tokens|\b6n only|without attention\b|6\*n\*tokens$"
_HARDWARE = r"^hardware|incl(?:\.|uding) recompute|96b|8\*n\*tokens|^hfu"
_PASSES_FULL, _PASSES_FROZEN = 3.0, 2.0


class FlopCount(Record, frozen=True, kw_only=True):
    """How a source counts.

    ``attention``: share of the scores counted (1 in full, ½ the causal half, 0 none).
    ``recompute``: whether a second forward pass of the layers is counted. ``frozen``: no weight
    gradients of the base (low-rank adapters). ``total_parameters``: 6N with all parameters, the
    embedding among them, rather than the matrix products. ``peak``: what a utilisation is divided
    by; None for the accelerator's own. [FLOP/s]
    """

    attention: float = 1.0
    recompute: bool = False
    frozen: bool = False
    total_parameters: bool = False
    peak: float | None = None


def flop_count_of(run: Run, question: Question) -> FlopCount:
    """Read from the row's own words how its FLOPs are counted."""
    text = run.tflops_formula.lower()
    attention = 0.5 if question.software.causal_flops else 1.0
    if re.search(_NO_ATTENTION, text):
        attention = 0.0
    elif re.search(_FULL, text):
        attention = 1.0
    elif re.search(_HALF, text):
        attention = 0.5
    return FlopCount(
        attention=attention,
        recompute=run.measured_metric != "mfu" and re.search(_HARDWARE, text) is not None,
        frozen=question.workload.method != "full",
        total_parameters=re.search(r"6n|8\*n|6\*numparams", text) is not None,
        peak=_printed_peak(text, question.workload.precision),
    )


def step_flops(question: Question, count: FlopCount) -> float:
    """Return the FLOPs of one step in a source's convention. [FLOP]"""
    model, work = question.model, question.workload
    tokens = float(work.sequence_length * work.global_batch)
    cores = forward_flops_per_token(
        model, work.sequence_length, causal_half=count.attention == 0.5, cores_only=True
    )
    products = forward_flops_per_token(model, work.sequence_length) - forward_flops_per_token(
        model, work.sequence_length, cores_only=True
    )
    if count.total_parameters:
        products = 2.0 * count_parameters(model).active
    head = 2.0 * model.vocab_size * model.hidden_size
    passes = _PASSES_FROZEN if count.frozen else _PASSES_FULL
    layers = products - head + (cores if count.attention else 0.0)
    return tokens * (passes * (layers + head) + (layers if count.recompute else 0.0))


def time_of(run: Run, question: Question, value: float) -> float:
    """Return the time of a step for a value of the run's metric. [s]"""
    tokens, flops, chips, peak = _quantities(run, question)
    match run.measured_metric:
        case "step_time_s":
            return value
        case "tokens_per_s_per_accel":
            return tokens / (value * chips)
        case "tflops_per_accel":
            return flops / (value * TERA * chips)
        case "mfu":
            return flops / (value * peak * chips)
        case other:
            raise ValueError(f"{other} is not the metric of a step")


def value_of(run: Run, question: Question, step_time: float) -> float:
    """Return the run's metric for a time of a step [s]; the inverse of `time_of`."""
    tokens, flops, chips, peak = _quantities(run, question)
    match run.measured_metric:
        case "step_time_s":
            return step_time
        case "tokens_per_s_per_accel":
            return tokens / (step_time * chips)
        case "tflops_per_accel":
            return flops / (step_time * TERA * chips)
        case "mfu":
            return float(utilization(flops, step_time, num_accelerators=chips, peak_flops=peak))
        case other:
            raise ValueError(f"{other} is not the metric of a step")


def flat_time(question: Question) -> float:
    """Return the time of a step by the one-line formula that any model has to beat. [s]

    Half of the dense peak of the row's precision; model FLOPs, a third more when everything is
    recomputed; the textbook bubble (p − 1)/(v m). Attention counts in full, as most sources print
    it; the formula comes out nearer to the measurements so than with its causal half.
    """
    strategy, work = question.strategy, question.workload
    count = FlopCount(attention=1.0, frozen=work.method != "full")
    flops = step_flops(question, count)
    if strategy.recompute == "full":
        flops *= 4.0 / 3.0 if not count.frozen else 3.0 / 2.0
    num_micro = work.global_batch / (strategy.dp * strategy.micro_batch)
    bubble = (strategy.pp - 1) / (strategy.vpp * num_micro)
    peak = peak_rate(question.cluster.accelerator, work.precision)
    return flops / (0.5 * peak * question.cluster.count) * (1.0 + bubble)


def _quantities(run: Run, question: Question) -> tuple[float, float, float, float]:
    """Return tokens per step, FLOPs per step, chips, and the peak of one chip."""
    work = question.workload
    tokens = float(work.sequence_length * work.global_batch)
    chips = float(run.n_accel or question.cluster.count)
    count = flop_count_of(run, question)
    peak = count.peak or _chip_peak(question.cluster.accelerator, question, chips)
    return tokens, step_flops(question, count), chips, peak


def _chip_peak(accelerator: Accelerator, question: Question, chips: float) -> float:
    """Return the peak of a chip as sold, which may be several framework devices. [FLOP/s]"""
    devices = question.cluster.count / chips
    return peak_rate(accelerator, question.workload.precision) * devices


def _printed_peak(text: str, precision: str) -> float | None:
    """Return the peak that the row's words divide by. [FLOP/s]"""
    word = "fp8" if "fp8" in precision else precision
    own = re.search(rf"\b(\d{{3,4}}(?:\.\d+)?) {word}\b", text) if "peak" in text else None
    any_one = re.search(r"(?:/ ?|\bpeak |\buses )(\d{3,4}(?:\.\d+)?)(?:e12)?\b", text)
    found = own or any_one
    return float(found.group(1)) * TERA if found else None

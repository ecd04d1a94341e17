"""MLPerf Inference results of Llama 2 70B and Llama 3.1 405B against predictions of serving.

Audited runs that no factor was fitted on, each tuned by the vendor of its chip. Rates are those of
``mlperf_log_summary.txt`` of the closed division, and outputs are tokens over samples a second of
the same logs. Prompts are not in them: 9,400 tokens of 405B is what others quote of MLCommons [1];
for 70B nobody published a mean, and 221 is what others counted in the benchmark's 24,576 prompts.
Lengths of 70B spread by 0.66: the 50 % and 90 % quantiles of latencies at a steady time per token,
in the Server log of B200 (35.1 and 75.9 s at 150 ms), are those of a log-normal of that spread. How
405B was cut is not printed: the quickest cut stands for it, as a submitter would choose.

What lies outside its 80 % interval is marked with how far, and in ``dev/BARS.md``.

References
----------
.. [1] https://mlcommons.org/2025/04/llm-inference-v5
.. [2] https://github.com/mlcommons/inference_results_v5.0, closed/NVIDIA/results
.. [3] https://github.com/mlcommons/inference_results_v5.1, closed/AMD/results
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clusterwright.asking_serving import ask_serving
from clusterwright.inference import Deployment
from clusterwright.planner_serving import estimate_serving
from clusterwright.serving.plan import ServingEstimate

OPEN_ORCA = {"prompt": 221, "spread": 0.66}
LONG = {"prompt": 9400}
FULL = {"llama-2-70b": 2048, "llama-3.1-405b": 300}
"""Requests that one replica is never short of: more than it has room for."""


@dataclass(frozen=True)
class System:
    """Who ran which model, on what, cut how; several ``tp``: not printed."""

    model: str
    chip: str
    accelerators: int
    weights: str
    tp: tuple[int, ...]
    output: int
    engine: str = "trtllm"

    def estimates(self, users: int = 0, rate: float = 0.0) -> list[ServingEstimate]:
        """One replica under its share of a load, for each cut."""
        lengths = OPEN_ORCA if self.model == "llama-2-70b" else LONG
        found = []
        for tp in self.tp:
            load = {"users": users} if users else {"rate": rate * tp / self.accelerators}
            question = ask_serving(
                self.model, accelerator=self.chip, accelerators=tp, engine=self.engine,
                weights=self.weights, cache="fp8", output=self.output, **lengths, **load,
            )  # fmt: skip
            one = Deployment(tp=tp, weights=self.weights, cache="fp8")
            found.append(estimate_serving(question, one))
        return found


H100_70B = System("llama-2-70b", "h100", 8, "fp8", (2,), 292)
H200_70B = System("llama-2-70b", "h200", 8, "fp8", (1,), 292)
B200_70B = System("llama-2-70b", "b200", 8, "nvfp4", (1,), 272)
MI300X_70B = System("llama-2-70b", "mi300x", 8, "fp8", (1,), 301, engine="vllm")
H200_405B = System("llama-3.1-405b", "h200", 8, "fp8", (8,), 649)
B200_405B = System("llama-3.1-405b", "b200", 8, "nvfp4", (4, 8), 657)
GB200_405B = System("llama-3.1-405b", "gb200", 72, "nvfp4", (4, 8), 656)


def outside(ratio: float) -> pytest.MarkDecorator:
    """Mark what is known to lie outside its interval; ``ratio``: measured over predicted."""
    return pytest.mark.xfail(reason=f"measured {ratio} times what is predicted", strict=True)


def interval(found: ServingEstimate, sort: str, predicted: float) -> tuple[float, float]:
    """The 80 % interval of a prediction."""
    [one] = [one for one in found.intervals if one.sort == sort]
    return predicted * one.low, predicted * one.high


@pytest.mark.parametrize(
    ("system", "measured"),
    [
        pytest.param(H100_70B, 31_306.8, id="H100 70B [2]"),
        pytest.param(H200_70B, 35_385.1, id="H200 70B [2]"),
        pytest.param(B200_70B, 98_858.0, id="B200 70B [2]"),
        pytest.param(MI300X_70B, 27_803.9, id="MI300X 70B [3]"),
        pytest.param(H200_405B, 560.651, id="H200 405B [2]"),
        pytest.param(B200_405B, 1_526.29, id="B200 405B [2]"),
        pytest.param(GB200_405B, 13_886.4, id="GB200 405B [2]"),
    ],
)
def test_offline_tokens_a_second_lie_in_the_interval(system, measured):
    each = [
        (found.output_rate / found.accelerators, found)
        for found in system.estimates(users=FULL[system.model])
    ]
    rate, found = max(each, key=lambda pair: pair[0])
    low, high = interval(found, "throughput", rate * system.accelerators)
    assert low <= measured <= high


@pytest.mark.parametrize(
    ("system", "rate", "tpot", "ttft"),
    [
        pytest.param(H200_405B, 0.45, 0.0539, 1.83, id="H200 [2]", marks=outside(0.77)),
        pytest.param(B200_405B, 1.29, 0.0870, 1.86, id="B200 [2]", marks=outside(1.46)),
        pytest.param(GB200_405B, 13.46, 0.1100, 1.65, id="GB200 [2]", marks=outside(1.54)),
    ],
)
def test_mean_times_per_token_and_to_the_first_of_the_server_scenario_do(system, rate, tpot, ttft):
    found = min(system.estimates(rate=rate), key=lambda one: one.tpot.mean)
    low, high = interval(found, "TPOT dense", found.tpot.mean)
    assert low <= tpot <= high
    low, high = interval(found, "TTFT", found.ttft.mean)
    assert low <= ttft <= high


def test_the_slowest_chip_of_each_model_is_the_slowest_and_the_fastest_the_fastest():
    rates = {}
    for system in (H100_70B, H200_70B, B200_70B, H200_405B, B200_405B):
        found = system.estimates(users=FULL[system.model])
        rates[system] = max(one.output_rate / one.accelerators for one in found)
    assert rates[H100_70B] < rates[H200_70B] < rates[B200_70B]
    assert rates[B200_405B] > 2.0 * rates[H200_405B]

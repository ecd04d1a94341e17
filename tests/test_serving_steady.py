"""What replicas take by closed form, held against what they do when more is asked than that."""

from __future__ import annotations

import numpy as np
import pytest
from serving_cases import asked, server

from clusterwright.inference import Deployment
from clusterwright.planner_serving import deployment_of, estimate_serving
from clusterwright.serving.playing import kinds_of, play, saturation_of
from clusterwright.serving.server import Pool
from clusterwright.serving.steady import prefill_rate, prompt_time

TOO_MUCH = 10.0
"""Of what a closed form says replicas take: all wait that could share a step."""
CASES = {
    "one accelerator": ("llama-3.1-8b", "h100", "vllm", Deployment()),
    "prompts first": ("llama-3.1-8b", "h100", "sglang", Deployment()),
    "a pipeline": ("llama-3.1-8b", "h100", "vllm", Deployment(tp=2, pp=4)),
    "lanes that share experts": ("qwen3-30b-a3b", "h100", "vllm", Deployment(dp=8, ep=8)),
    "speculation": (
        "llama-3.1-8b", "h100", "vllm", Deployment(drafted=3, accepted=2.0, drafter=""),
    ),
}  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def closed_and_played(case, pools, prompt, output):
    """Requests a second at most, by closed form and when far more is asked. [1/s]"""
    model, chip, engine, _ = case
    question = asked(model, chip, engine=engine, prompt=prompt, output=output)
    kinds = kinds_of(server(model, chip, engine), pools, question.workload, question.service)
    most = saturation_of(kinds, question.workload)
    done = np.sort(play(question, kinds, TOO_MUCH * most).finish)
    count = len(done)
    return most, (count // 2) / (done[3 * count // 4] - done[count // 4])


@every_case
@pytest.mark.parametrize("prompt", [64, 1000, 20_000])
def test_replicas_take_what_the_closed_form_says(case, prompt):
    pools = (Pool(role="both", deployment=case[-1]),)
    closed, played = closed_and_played(case, pools, prompt, 20)
    assert closed == pytest.approx(played, rel=0.15)


@every_case
@pytest.mark.parametrize("prompt", [16, 300, 20_000])
def test_replicas_for_prompts_alone_take_what_the_closed_form_says(case, prompt):
    pools = (
        Pool(role="prefill", deployment=case[-1]),
        Pool(role="decode", count=16, deployment=case[-1]),
    )
    closed, played = closed_and_played(case, pools, prompt, 4)
    assert closed == pytest.approx(played, rel=0.15)


def test_a_prompt_longer_than_a_step_takes_its_tokens_and_no_whole_steps():
    kind = server().replica(Pool(role="prefill", deployment=Deployment()), 30_000.0)
    nobody = np.zeros(1)
    short, long = (
        float(prompt_time(kind, nobody, kind.budget + more, nobody)[0]) for more in (0.0, 64.0)
    )
    assert short < long < 1.2 * short
    assert prefill_rate(kind, 1.0) > prefill_rate(kind, 1000.0)


def test_users_who_wait_for_answers_never_ask_more_at_once_than_there_are():
    question = asked("deepseek-v2-lite", rate=None, users=8, prompt=5936, output=6, spread=3.0)
    assert 1.0 < estimate_serving(question, deployment_of(question)).concurrency <= 8.0

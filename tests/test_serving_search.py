"""What a search may never do: miss what another question of the same kind finds."""

from __future__ import annotations

import pytest
from serving_cases import planned

from clusterwright.planner_serving import estimate_serving

FEW = {"model": "gpt-oss-120b", "chip": "mi300x", "rate": 1.13, "prompt": 424, "output": 15}
FEW_PROMISED = {**FEW, "ttft": "2.961s", "tpot": "16.8ms"}
SHORT = {"chip": "a100-80", "rate": 3.98, "prompt": 37, "output": 56, "spread": 1.0}
SHORT_PROMISED = {**SHORT, "ttft": "364ms", "tpot": "18.8ms"}


@pytest.mark.parametrize("question", [FEW_PROMISED, SHORT_PROMISED], ids=["experts", "dense"])
def test_replicas_of_their_own_for_prompts_do_not_crowd_out_one_that_is_enough(question):
    one, either = (planned(split=split, **question).best for split in ("no", "auto"))
    assert either.accelerators == one.accelerators == 1


def test_a_looser_promise_of_few_requests_takes_no_more():
    loose = {**FEW_PROMISED, "tpot": "25.2ms", "split": "no"}
    assert planned(**loose).best.accelerators == 1


def test_few_units_are_each_tried_so_that_what_is_found_is_what_was_played():
    plan = planned(rate=200, ttft="300ms", tpot="15ms")
    again = estimate_serving(plan.question, plan.best.pools)
    assert plan.best.meets
    assert again.meets
    assert again.verdict == "keeps up"

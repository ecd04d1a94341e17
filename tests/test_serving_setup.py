"""How a deployment is set up and run: speculation, adapters, cut caches, common beginnings, plans
that are saved, services that fail and scale."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from serving_cases import asked, planned, server

from clusterwright.asking_load import make_base, make_load, make_service
from clusterwright.asking_serving import played_plan
from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.formulas.speculation import accepted_tokens
from clusterwright.inference import Deployment, Outage
from clusterwright.planner_serving import (
    deployment_of,
    estimate_serving,
    load_of,
    load_serving_plan,
    plan_serving,
    replay_serving,
)
from clusterwright.saving import save_plan
from clusterwright.serving.attending import attention_costs
from clusterwright.serving.estimating import limits_of, verdict_of
from clusterwright.serving.plan import ServingEstimate
from clusterwright.serving.server import Pool, most_copies
from clusterwright.serving.steady import decode_step, most_sequences
from clusterwright.traces import read_sample

ONE = Deployment(weights="fp8", cache="fp8")


def changed(**changes: Any) -> Deployment:
    return msgspec.structs.replace(ONE, **changes)


def estimated(question: Any = None, deployment: Deployment = ONE, **more: Any) -> ServingEstimate:
    return estimate_serving(question or asked(), deployment, **more)


def step(deployment: Deployment, sequences: float = 8.0, context: float = 1000.0) -> float:
    """Time of a step that decodes. [s]"""
    kind = server().replica(Pool(deployment=deployment), 2000.0)
    return float(decode_step(kind, np.array([sequences]), context)[0])


# Speculation.


@pytest.mark.parametrize(("drafted", "kept"), [(0, 0.0), (1, 0.5), (2, 0.75), (3, 0.875)])
def test_tokens_kept_are_a_geometric_sum(drafted, kept):
    assert accepted_tokens(drafted, 0.5) == kept


def test_all_kept_is_all_drafted():
    assert accepted_tokens(4, 1.0) == 4.0


def test_a_drafted_token_makes_steps_longer_and_users_faster():
    spec = changed(drafted=2, accepted=accepted_tokens(2, 0.8), drafter="layer")
    assert 1.0 < step(spec) / step(ONE) < 1.5
    gain = estimated().tpot.mean / estimated(deployment=spec).tpot.mean
    assert 1.3 < gain < 1.0 + spec.accepted


def test_what_nobody_keeps_is_lost_time():
    idle = changed(drafted=3, accepted=0.0, drafter="layer")
    assert estimated(deployment=idle).tpot.mean > estimated().tpot.mean


def test_drafters_cost_in_the_order_of_their_size():
    some = {"drafted": 2, "accepted": 1.0}
    question = msgspec.structs.replace(asked(), draft=asked("llama-3.2-1b").model)
    times = [
        estimated(question, changed(**some, drafter=kind)).tpot.mean
        for kind in ("", "layer", "model")
    ]
    assert times == sorted(times)
    weights = [
        estimated(question, changed(**some, drafter=kind)).memory.weights
        for kind in ("", "layer", "model")
    ]
    assert weights == sorted(weights)
    # A byte a parameter, but two for the table of tokens.
    assert weights[2] - weights[0] == pytest.approx(0.973e9 + 2 * 0.263e9, rel=0.01)


def test_drafting_is_a_part_of_the_step():
    spec = changed(drafted=2, accepted=1.0, drafter="layer")
    found = {part.name: part.time for part in estimated(deployment=spec).parts}
    assert 0.0 < found["drafting"] < 0.2 * sum(found.values())


def test_a_plan_speculates_only_where_it_pays():
    promise = {"tpot": "12ms", "rate": 20}
    good = make_base(drafted=3, acceptance=0.9)
    bad = make_base(drafted=3, acceptance=0.0)
    assert plan_serving(asked(base=good, **promise)).best.pools[0].deployment.drafted == 3
    assert plan_serving(asked(base=bad, **promise)).best.pools[0].deployment.drafted == 0


# Adapters.


def test_adapters_take_memory_and_time():
    with_them = changed(adapters=32, adapter_rank=64)
    assert step(with_them) > step(ONE)
    more = estimated(deployment=with_them).memory.weights - estimated().memory.weights
    # Rank 64 beside all products of Llama 3.1 8B has 168 million weights.
    assert more == pytest.approx(32 * 167.8e6 * 2, rel=0.01)


def test_one_sequence_reads_one_adapter():
    few, many = changed(adapters=1), changed(adapters=64)
    assert step(few, 1.0) == pytest.approx(step(many, 1.0))
    assert step(few, 64.0) < step(many, 64.0)


# Caches cut over ranks.


@pytest.mark.parametrize(
    ("model", "tp", "copies"),
    [("llama-3.1-8b", 8, 1), ("llama-3.1-8b", 4, 1), ("qwen3-235b-a22b", 8, 2),
     ("deepseek-v3", 8, 8)],
)  # fmt: skip
def test_ranks_have_the_same_keys_where_there_are_fewer_heads(model, tp, copies):
    assert most_copies(asked(model).model, tp) == copies


def test_a_cut_cache_holds_as_many_times_more_and_reads_as_much_less():
    whole, cut = (
        Deployment(tp=8, cp=cp, weights="fp8-block", expert_weights="fp8-block", cache="fp8")
        for cp in (1, 8)
    )
    machine = server("deepseek-v3", "h200")
    rooms = [machine.memory(deployment, 20_000.0).cache_tokens for deployment in (whole, cut)]
    assert rooms[1] / rooms[0] == pytest.approx(8.0, rel=0.01)
    for sequences, gain in ((1.0, 1.5), (64.0, 1.5)):
        times = [
            float(attention_costs(machine.served(one), np.array([sequences]), np.array([64e3]))[0])
            for one in (whole, cut)
        ]
        assert times[0] > gain * times[1]


@pytest.mark.parametrize(
    ("model", "cut", "words"),
    [
        ("deepseek-v3", {"tp": 8, "cp": 3}, "cp 3 must divide tp 8"),
        ("llama-3.1-8b", {"tp": 4, "cp": 2}, "be 1 at most"),
        ("llama-3.1-8b", {"cp": 0}, "cp is 0"),
    ],
)
def test_cuts_of_the_cache_that_cannot_be_are_refused(model, cut, words):
    with pytest.raises(InputError, match=words):
        estimated(asked(model), Deployment(**cut))


def test_an_engine_that_cannot_cut_a_sequence_says_so():
    question = asked("deepseek-v3", "h200", engine="sglang")
    with pytest.raises(InputError, match="SGLang cannot cut a sequence over ranks"):
        estimated(question, Deployment(tp=8, cp=8))


# What the engine has printed.


def test_a_cache_that_the_engine_printed_is_taken():
    assert estimated(deployment=changed(cache_tokens=50_000.0)).memory.cache_tokens == 50_000.0


def test_limits_of_the_engine_are_taken():
    kind = server().replica(Pool(deployment=changed(budget=512, most=7)), 2000.0)
    assert (kind.budget, kind.most) == (512, 7)


# Common beginnings.


def test_a_common_beginning_is_computed_once():
    plain, alike = estimated(asked()), estimated(asked(prefix=800))
    assert alike.reused == pytest.approx(0.8, abs=0.01)
    assert plain.reused == 0.0
    assert alike.ttft.mean < 0.8 * plain.ttft.mean
    assert alike.saturation > 1.5 * plain.saturation


def test_without_reuse_beginnings_are_computed_anew():
    service = make_service(reuse=False)
    found = estimated(asked(prefix=800, service=service))
    assert found.reused == 0.0
    assert found.ttft == estimated(asked()).ttft


def test_a_common_beginning_is_in_the_cache_once():
    kind = server().replica(Pool(deployment=ONE), 2000.0)
    kind = type(kind)(**{**vars(kind), "blocks": 1000.0, "block": 16})
    assert most_sequences(kind, 1000.0, 100.0) == pytest.approx(16_000 / 1060)
    assert most_sequences(kind, 1000.0, 100.0, 800.0) == pytest.approx((16_000 - 800) / 260)


def test_lengths_that_vary_keep_the_beginning_and_the_mean():
    found = estimated(asked(prefix=800, spread=0.5, rate=2))
    assert found.reused == pytest.approx(0.8, abs=0.05)


def test_a_trace_with_contents_is_played_with_them():
    trace = read_sample("mooncake")
    question = asked(**{"rate": None, "prompt": None, "output": None, **load_of(trace)})
    share = trace.repeated_share
    assert share is not None
    found = estimated(question, trace=trace)
    assert 0.5 * share < found.reused <= share
    assert estimated(question, trace=trace, replicas=4).reused > 0.4 * share


# Services.


def test_a_failure_sends_requests_again_and_is_felt():
    down = make_service(outages=["5s+10s"])
    calm, hit = estimated(asked(rate=20)), estimated(asked(rate=20, service=down))
    assert calm.lost == 0.0 < hit.lost
    assert hit.ttft.p99 > 2.0 * calm.ttft.p99


def test_a_scaler_pays_for_fewer_replicas():
    service = make_service(scale=4.0, load_time="1s")
    found = estimated(asked(rate=20, service=service, price="$2"), replicas=6)
    always = estimated(asked(rate=20, price="$2"), replicas=6)
    assert found.up < 0.9 < always.up == 1.0
    assert found.cost == pytest.approx(found.up * always.cost)


def test_an_unsaid_load_time_is_assumed_and_said():
    question = asked(service=make_service(scale=4.0))
    assert question.service.load_time > 0.0 < question.service.load_rate
    assert any("a replica starts in" in words for words in question.assumed)


def test_gaps_lie_about_the_time_per_token():
    found = estimated(asked(rate=20))
    assert found.itl.p50 <= found.tpot.mean <= found.itl.p99
    assert found.itl.mean == pytest.approx(found.tpot.mean, rel=0.1)


@pytest.mark.parametrize(
    ("words", "outage"),
    [
        ("60s+5min", Outage(at=60.0, lasts=300.0)),
        ("0+1s@2", Outage(at=0.0, lasts=1.0, replica=2)),
    ],
)
def test_outages_are_read(words, outage):
    assert make_service(outages=[words]).outages == (outage,)


# Near the edge.


def test_the_verdict_is_by_what_runs_alike_could_take():
    found = estimated(asked(rate=20))
    low, high = found.limits
    assert low < found.saturation < high
    verdicts = [verdict_of(rate, found.limits) for rate in (0.9 * low, found.saturation, 2 * high)]
    assert verdicts == ["keeps up", "unsure", "falls behind"]
    assert limits_of(5.0, ()) == (5.0, 5.0)


def test_what_is_asked_beyond_saturation_is_no_throughput():
    found = estimated(asked(rate=300))
    assert found.verdict == "falls behind"
    assert found.output_rate == pytest.approx(200.0 * found.saturation, rel=0.15)
    assert found.output_rate < 0.5 * 200.0 * found.rate


def test_users_who_wait_never_fall_behind():
    assert estimated(asked(rate=None, users=500)).verdict == "keeps up"


# Plans that are saved.


def test_a_plan_comes_back_the_same(tmp_path):
    path = tmp_path / "plan.json"
    plan = planned(rate=30)
    save_plan(plan, path)
    saved = load_serving_plan(path)
    assert saved == plan
    assert replay_serving(saved)[1]


def test_a_saved_plan_is_played_under_another_load():
    plan = planned(rate=30)
    load = {"rate": 10, "prompt": 500, "output": 50}
    question, pools = played_plan(plan, load=load, service=make_service(scale=9.0))
    assert pools == plan.best.pools
    assert question.workload == make_load(**load)
    assert any("a replica starts" in words for words in question.assumed)
    assert played_plan(plan)[0] == plan.question


def test_a_plan_is_for_replicas_that_are_up():
    for service in (make_service(scale=3.0), make_service(outages=["1s+1s"])):
        with pytest.raises(InputError, match="leave out --scale and --outage"):
            plan_serving(asked(service=service))


def test_commands_save_play_and_replay(tmp_path, capsys):
    path = str(tmp_path / "plan.json")
    load = ["--rate", "30", "--input", "1000", "--output", "200"]
    place = ["--accelerator", "h100", "--accelerators", "8"]
    assert main(["plan", "serve", "llama-3.1-8b", *place, *load, "--save", path]) == 0
    assert main(["simulate", "serve", "--plan", path, "--outage", "1s+2s"]) == 0
    assert "began again after a failure" in capsys.readouterr().out
    assert main(["replay", path]) == 0
    assert "same bytes as saved" in capsys.readouterr().out
    assert main(["estimate", "serve", "--plan", path, "--tp", "2"]) != 0
    assert "--plan has its model" in capsys.readouterr().err
    assert main(["estimate", "serve", *place, *load]) != 0
    assert "name a model" in capsys.readouterr().err


# What makes no sense.


@pytest.mark.parametrize(
    ("make", "changes", "words"),
    [
        (make_base, {"drafted": 3}, "--draft 3 needs --acceptance"),
        (make_base, {"drafted": 3, "acceptance": 1.2}, "between 0 and 1"),
        (make_base, {"acceptance": 0.5}, "say how many"),
        (make_base, {"memory_share": 1.5}, "--memory-share is 1.5"),
        (make_base, {"adapters": -1}, "--adapters"),
        (make_service, {"router": "random"}, "--router is 'random'"),
        (make_service, {"scale": 0.0}, "--scale is 0"),
        (make_service, {"outages": ["5s"]}, "when and for how long"),
        (make_service, {"outages": ["5s+1s@x"]}, "when and for how long"),
        (make_service, {"load_time": "-3s"}, "--load-time"),
    ],
)
def test_setups_that_make_no_sense_are_refused(make, changes, words):
    with pytest.raises(InputError, match=words):
        make(**changes)


def test_a_beginning_as_long_as_the_prompt_is_refused():
    with pytest.raises(InputError, match="every prompt needs a token of its own"):
        asked(prefix=1000)


def test_more_replicas_are_left_up_than_there_are():
    question = asked(service=make_service(scale=3.0, least=5))
    with pytest.raises(InputError, match="--least 5 replicas are to stay up, but there are 2"):
        estimated(question, replicas=2)


def test_a_cut_takes_what_the_question_has_in_common():
    question = asked(base=make_base(drafted=1, acceptance=0.8, adapters=4))
    found = deployment_of(question, tp=2)
    assert (found.tp, found.drafted, found.accepted, found.adapters) == (2, 1, 0.8, 4)


# Batches in two halves.


def halves(**changes: Any) -> Any:
    return asked(
        "deepseek-v3", base=make_base(overlap=True), weights="fp8-block", rate=200, **changes
    )


def test_what_two_halves_hide_is_a_part_of_the_step():
    deployment = Deployment(dp=32, ep=32, weights="fp8-block", overlap=True)
    busy = halves(output=1000)
    parts = {one.name: one.time for one in estimated(busy, deployment).parts}
    assert 0.0 < -parts["hidden"] <= parts["exchange"]


def test_a_plan_takes_two_halves_where_there_is_traffic_to_hide():
    found = plan_serving(halves(tpot="100ms", split="no"))
    for one in (found.best, *found.alternatives):
        for pool in one.pools:
            assert pool.deployment.overlap == (pool.deployment.dp > 1)


def test_two_halves_need_an_engine_that_makes_them_and_traffic_to_hide():
    with pytest.raises(InputError, match="does not work on batches in two halves"):
        halves(engine="llama-cpp")
    with pytest.raises(InputError, match="between the data-parallel ranks"):
        estimated(halves(), Deployment(tp=8, weights="fp8-block", overlap=True))

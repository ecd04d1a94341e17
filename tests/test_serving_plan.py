"""Serving plans: promises kept, loads in proportion, and refusals that say what is reachable."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_cases import asked, planned

from clusterwright.asking_load import make_load
from clusterwright.asking_serving import ask_serving
from clusterwright.errors import InfeasibleError, InputError, UnitError, UnknownNameError
from clusterwright.inference import Deployment
from clusterwright.planner_serving import estimate_serving, plan_serving, server_of
from clusterwright.serving.estimating import with_room
from clusterwright.serving.intervals import ServingInterval
from clusterwright.serving.loads import traffic_of
from clusterwright.serving.plan import ServingEstimate, ServingPlan
from clusterwright.serving.playing import kinds_of, play
from clusterwright.serving.search import _ratio
from clusterwright.workload import ServingWorkload

PROMISE = {"ttft": "1s", "tpot": "25ms"}
FEW = settings(max_examples=5)
QUESTIONS = {
    "usual": {"rate": 50, **PROMISE},
    "nothing promised": {"rate": 50},
    "an answer of two tokens": {"rate": 50, "output": 2, "ttft": "500ms"},
    "strict": {"rate": 20, "ttft": "200ms", "tpot": "8ms", "percentile": 99.0},
    "spread": {"rate": 30, "spread": 1.0, **PROMISE},
    "another vendor": {"chip": "mi300x", "rate": 50, **PROMISE},
    "another engine": {"engine": "sglang", "rate": 50, **PROMISE},
    "small machine": {"accelerators": 4, "rate": 60, **PROMISE},
    "apart": {"split": "only", "rate": 30, **PROMISE},
    "experts": {"model": "qwen3-30b-a3b", "chip": "h200", "rate": 20, "tpot": "30ms"},
    "energy": {"objective": "energy", "rate": 50, **PROMISE},
    "throughput": {"objective": "throughput", "rate": 50, **PROMISE},
    "cost": {"objective": "cost", "price": "$2", "rate": 50, **PROMISE},
}
every_question = pytest.mark.parametrize("name", QUESTIONS)


def estimates(plan: ServingPlan) -> tuple[ServingEstimate, ...]:
    return (plan.best, *plan.alternatives)


def needed(**changes: object) -> int:
    """Accelerators of the best plan where replicas do both."""
    return planned(split="no", **{**PROMISE, **changes}).best.accelerators


# What a plan is


@every_question
def test_a_plan_and_its_alternatives_keep_the_promise(name):
    asked_for = planned(**QUESTIONS[name]).question.workload
    for one in estimates(planned(**QUESTIONS[name])):
        assert one.meets
        job = with_room(asked_for, one.intervals)
        if job.percentile == 90.0:
            assert one.ttft.p90 <= job.latest
            assert one.tpot.p90 <= job.slowest
        if job.percentile == 99.0:
            assert one.ttft.p99 <= job.latest
            assert one.tpot.p99 <= job.slowest


def test_what_is_planned_for_leaves_room_for_the_error_of_the_prediction():
    intervals = (
        ServingInterval(sort="TTFT", low=0.5, high=2.0),
        ServingInterval(sort="TPOT sparse", low=0.8, high=1.25),
        ServingInterval(sort="throughput", low=0.7, high=1.5),
    )
    job = ServingWorkload(prompt=1.0, output=1.0, ttft=1.0, tpot=0.05)
    planned_for = with_room(job, intervals)
    assert (planned_for.ttft, planned_for.tpot) == pytest.approx((0.5, 0.04))
    assert with_room(job, ()) == job
    free = msgspec.structs.replace(job, ttft=None, tpot=None)
    assert with_room(free, intervals) == free


def test_a_promise_that_only_the_bare_prediction_keeps_is_not_made():
    best = planned(rate=1, tpot="25ms", split="no", output=200).best
    promise = 1.02 * best.tpot.p90  # less room than the interval has
    [end] = [one.high for one in best.intervals if one.sort == "TPOT dense"]
    assert end > 1.02
    other = planned(rate=1, tpot=promise, split="no", output=200).best
    assert other.tpot.p90 * end <= promise


@every_question
def test_a_plan_takes_the_load_on_the_machine_there_is(name):
    plan = planned(**QUESTIONS[name])
    job = plan.question.workload
    for one in estimates(plan):
        assert one.rate == pytest.approx(job.rate)
        assert one.rate <= one.saturation
        assert one.accelerators == sum(pool.accelerators for pool in one.pools)
        assert one.accelerators <= plan.question.cluster.count
        assert one.output_rate == pytest.approx(job.rate * job.output, rel=0.2)


@every_question
def test_the_best_comes_first_and_each_alternative_is_cut_in_another_way(name):
    plan = planned(**QUESTIONS[name])
    found = estimates(plan)
    if plan.question.objective == "energy":
        values = [one.energy for one in found]
    elif plan.question.objective == "cost":
        values = [one.cost for one in found]
    elif plan.question.objective == "throughput":
        values = [-one.saturation / one.accelerators for one in found]
    else:
        values = [one.accelerators for one in found]
    assert values == sorted(values)
    assert len({one.pools for one in found}) == len(found)


@every_question
def test_no_point_of_the_front_beats_another(name):
    plan = planned(**QUESTIONS[name])
    users = [point.user_rate for point in plan.front]
    shares = [point.accelerator_rate for point in plan.front]
    assert len(users) > 1
    assert users == sorted(set(users), reverse=True)
    assert shares == sorted(set(shares))
    for point in plan.front:
        at_once = point.accelerator_rate * point.deployment.accelerators / point.user_rate
        assert at_once == pytest.approx(point.sequences)


@pytest.mark.parametrize("name", ["spread", "apart"])
def test_a_question_asked_twice_is_answered_in_the_same_bytes(name):
    again = plan_serving(asked(**QUESTIONS[name]))
    assert msgspec.json.encode(again) == msgspec.json.encode(planned(**QUESTIONS[name]))


def test_replicas_apart_have_roles_in_a_small_ratio():
    first, second = planned(**QUESTIONS["apart"]).best.pools
    assert (first.role, second.role) == ("prefill", "decode")
    assert 1 / 6 <= first.count / second.count <= 6


@FEW
@given(st.floats(0.01, 100.0))
def test_a_ratio_of_roles_is_the_nearest_of_small_whole_numbers(wanted):
    ahead, behind = _ratio(wanted)
    off = abs(math.log(ahead / behind / wanted))
    others = [abs(math.log(a / b / wanted)) for a in range(1, 7) for b in range(1, 7)]
    assert off <= min(others) + 1e-8


# An estimate of what was planned


def test_one_unit_of_a_plan_estimated_again_is_the_same():
    plan = planned(rate=5)
    assert sum(pool.count for pool in plan.best.pools) == 1
    assert estimate_serving(plan.question, plan.best.pools) == plan.best


def test_many_units_estimated_together_are_about_the_same_as_one_played_for_all():
    # The plan plays one of the replicas, the estimate all of them behind a router.
    plan = planned(rate=150, split="no", **PROMISE)
    again, best = estimate_serving(plan.question, plan.best.pools), plan.best
    assert best.pools[0].count > 3
    for name in ("pools", "accelerators", "meets", "memory", "energy", "cost"):
        assert getattr(again, name) == getattr(best, name), name
    for name in ("rate", "saturation", "output_rate"):
        assert getattr(again, name) == pytest.approx(getattr(best, name)), name
    for name in ("tpot", "latency"):
        assert getattr(again, name).p50 == pytest.approx(getattr(best, name).p50, rel=0.1), name
    assert again.ttft.p50 == pytest.approx(best.ttft.p50, rel=0.25)


def test_cost_and_energy_are_those_of_the_accelerators_over_the_tokens():
    question = asked(price="$3.60", rate=10, output=100)
    found = estimate_serving(question, Deployment(tp=2), replicas=2)
    assert found.accelerators == 4
    assert found.output_rate == pytest.approx(1000.0)
    assert found.cost == pytest.approx(4 * 1e-3 / 1000 * 1e6)
    assert found.energy == pytest.approx(4 * question.cluster.accelerator.board_power / 1000)


def test_an_estimate_beyond_what_can_be_served_says_so_and_is_no_error():
    one = Deployment(weights="fp8", cache="fp8")
    within, beyond = (
        estimate_serving(asked(rate=rate, ttft="500ms", tpot="25ms"), one) for rate in (5, 200)
    )
    assert (within.meets, beyond.meets) == (True, False)
    assert within.rate < within.saturation == beyond.saturation < beyond.rate
    assert beyond.ttft.p50 > 5 * within.ttft.p50  # queues grow while requests keep coming


# What more of anything does


@pytest.mark.parametrize("chip", ["h100", "mi300x"])
def test_more_requests_never_need_fewer_accelerators(chip):
    found = [needed(chip=chip, rate=rate) for rate in (1, 10, 40, 100)]
    assert found == sorted(found)
    assert found[0] == 1
    assert found[-1] > 2


def test_tokens_that_may_take_longer_never_need_more_accelerators():
    found = [needed(rate=100, tpot=tpot) for tpot in ("7ms", "12ms", "40ms")]
    assert found == sorted(found, reverse=True)
    assert found[0] > 2 * found[-1]


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ({"prompt": 4000}, {"prompt": 1000}),
        ({"output": 400}, {"output": 200}),
        ({"weights": "bf16", "cache": "bf16"}, {"weights": "fp8", "cache": "fp8"}),
        ({"percentile": 99.0}, {"percentile": 50.0}),
        ({"ttft": "120ms"}, {"ttft": "5s"}),
        ({"chip": "a100"}, {"chip": "h200"}),
    ],
)
def test_a_harder_question_needs_no_fewer_accelerators(more, less):
    assert needed(rate=150, **more) >= needed(rate=150, **less)


@FEW
@given(st.floats(0.5, 200.0), st.sampled_from(["h100", "h200"]))
def test_any_rate_is_planned_and_replicas_are_not_idle(rate, chip):
    best = planned(rate=rate, chip=chip, split="no", **PROMISE).best
    assert best.meets
    assert best.verdict == "keeps up"
    # One replica less would be beyond what nine in ten alike take, or past the promise.
    used = best.rate / best.limits[0]
    count = best.pools[0].count
    assert count == 1 or used * count / (count - 1) > 0.75


def test_replicas_apart_are_not_looked_for_when_they_are_not_wanted():
    roles = {pool.role for one in estimates(planned(split="no", rate=50)) for pool in one.pools}
    apart = {pool.role for one in estimates(planned(split="only", rate=50)) for pool in one.pools}
    assert (roles, apart) == ({"both"}, {"prefill", "decode"})


def test_answers_of_one_token_are_planned(recwarn):
    plan = planned(output=1, ttft="1s", tpot=None)
    assert plan.best.meets
    assert not recwarn.list


def test_a_plan_is_read_back_as_it_was_saved():
    plan = planned(ttft=None, tpot=None)
    again = msgspec.json.decode(msgspec.json.encode(plan), type=ServingPlan)
    assert again == plan


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        ({"tp": 0}, "tp is 0, but must be 1 or more"),
        ({"tp": 2, "ep": 3}, r"ep 3 does not divide the tp\(2\) \* dp\(1\) ranks"),
        ({"ep": 2, "tp": 2}, "llama-3.1-8b has no experts to spread"),
        ({"dp": 2}, "has no experts for data-parallel ranks to share: leave out --dp"),
        ({"pp": 64}, "pp is 64, but llama-3.1-8b has 32 layers"),
        ({"cache": "int4"}, "the cache is 'int4', but must be bf16"),
    ],
)
def test_a_cut_that_cannot_be_is_refused(cut, said):
    with pytest.raises(InputError, match=said):
        estimate_serving(asked(), Deployment(**cut))


def test_no_more_tokens_are_asked_for_than_the_model_takes():
    with pytest.raises(InputError, match=r"takes 131,072 tokens, but .* have 2,000,200: ask for"):
        asked(prompt=2_000_000)


# What cannot be


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tpot": "0.1ms"}, r"a token every 100 us: the best reachable is [\d.]+ ms, for one user"),
        ({"ttft": "1ms"}, r"within 1\.00 ms: a prompt of 1,000 tokens takes [\d.]+ ms at best"),
        (
            {"ttft": "45ms", "tpot": "4.2ms", "split": "no"},
            r"no deployment keeps a first token within .* for 90 % .*each can be kept alone",
        ),
        (
            {"rate": 5000, "accelerators": 1},
            r"\d+ accelerators for 5,000 requests/s, .* are 1: ",
        ),
        (
            {"chip": "a10g", "weights": "bf16", "prompt": 120_000, "accelerators": 1},
            r"one request of 120,200 tokens does not fit .* there is room for [\d,]+; take more",
        ),
        (
            {"split": "only", "accelerators": 1},
            r"takes \d+ accelerators for a start, but there are 1: take more, or promise less",
        ),
        (
            {"model": "deepseek-v3", "accelerators": 4},
            r"deepseek-v3 in fp8-block does not fit 4 x nv-h100-sxm: weights [\d.]+ GB .* narrower",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_by_what_can(changes, said):
    with pytest.raises(InfeasibleError, match=said):
        plan_serving(asked(**changes))


def test_the_best_reachable_time_per_token_can_be_promised():
    with pytest.raises(InfeasibleError) as refused:
        plan_serving(asked(tpot="0.1ms", rate=0.1))
    reachable = str(refused.value).split("best reachable is ")[1].split(" ms")[0]
    assert plan_serving(asked(tpot=f"{1.1 * float(reachable)}ms", rate=0.1, split="no")).best.meets


@pytest.mark.parametrize("rate", [0, "0/s", -1, "-3/min", "nan", "inf", "", "fast", "5/fortnight"])
def test_a_rate_is_above_zero(rate):
    with pytest.raises((InputError, UnitError), match="--rate"):
        asked(rate=rate)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"percentile": 0.0}, "--percentile is 0, but must be 1 or more and below 100"),
        ({"percentile": 100.0}, "--percentile is 100, but must"),
        ({"percentile": math.nan}, "--percentile is nan"),
        ({"spread": -0.1}, "--spread is -0.1"),
        ({"spread": 6.0}, "--spread is 6"),
        ({"prompt": 0}, "--input is '0', but must be a whole number of at least 1"),
        ({"output": "1.5"}, "--output is '1.5'"),
        ({"ttft": "0s"}, "--ttft is '0s', but must be above 0"),
        ({"tpot": -1.0}, "--tpot is -1"),
        ({"price": "free"}, "--price is 'free', but must be dollars an hour"),
        ({"price": "-2"}, "--price is '-2', but must be above 0"),
        ({"cache": "int8"}, "--cache is 'int8', but must be bf16 or fp8"),
        ({"accelerators": 0}, "--accelerators is '0'"),
        ({"engine": "vllm-tpu"}, "vLLM on TPU runs on Google, not on NVIDIA H100"),
        ({"engine": "vllm-tpu", "chip": "mi300x"}, "not on AMD .* leave out --engine for vllm"),
        ({"chip": "enflame-t20"}, "nobody published the memory bandwidth of enflame-t20"),
        ({"chip": "tpu-8t"}, "nobody published a rate of tpu-8t"),
    ],
)
def test_a_question_that_cannot_be_asked_says_what_would_be_right(changes, said):
    with pytest.raises(InputError, match=said):
        plan_serving(asked(**changes))


@pytest.mark.parametrize("text", ["5 parsecs", "5", "soon"])
def test_a_promise_has_a_unit_of_time(text):
    with pytest.raises(UnitError, match="--tpot"):
        asked(tpot=text)


@pytest.mark.parametrize(
    ("changes", "near"),
    [
        ({"engine": "vlm"}, "did you mean vllm"),
        ({"weights": "fp9"}, "did you mean fp8"),
        ({"chip": "h1000"}, "did you mean h100"),
        ({"model": "lama-3.1-8b"}, "did you mean llama-3.1-8b"),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_near_ones(changes, near):
    with pytest.raises(UnknownNameError, match=near):
        asked(**changes)


def test_a_machine_is_named_once():
    with pytest.raises(InputError, match="name the machine"):
        ask_serving("llama-3.1-8b", rate=1, prompt=10, output=10)
    with pytest.raises(InputError, match="both name the machine"):
        asked(cluster="meta-24k")


def test_what_was_not_said_is_listed_and_what_was_is_not():
    assert "engine: vllm" in asked().assumed
    assert "weights: fp8" in asked().assumed
    said = " ".join(asked(engine="sglang", weights="bf16", accelerators=8).assumed)
    assert "engine" not in said
    assert "weights" not in said
    assert "as many accelerators" not in said
    assert asked(chip="b200").formats == (("fp8", "fp8"), ("nvfp4", "nvfp4"))
    assert asked(model="qwen3-30b-a3b").formats == (("fp8-block", "fp8-block"),)
    assert (asked(chip="a100").formats, asked(chip="a100").caches) == (
        (("bf16", "bf16"),),
        ("bf16",),
    )


@pytest.mark.parametrize(
    ("rate", "per_second"),
    [(5, 5.0), ("500/s", 500.0), ("30k/min", 500.0), ("36/h", 0.01), ("2M/day", 2e6 / 86400)],
)
def test_rates_are_read_in_any_unit(rate, per_second):
    assert make_load(rate=rate, prompt=1, output=1).rate == pytest.approx(per_second)


def test_a_large_batch_is_played_until_its_load_stays():
    # 45 requests a second of 20 s each: 400 requests would be over before the batch has filled.
    question = ask_serving(
        "llama-2-70b", accelerator="b200", accelerators=1, engine="trtllm", weights="nvfp4",
        cache="fp8", rate=30, prompt=221, output=273,
    )  # fmt: skip
    found = estimate_serving(question, Deployment(weights="nvfp4", cache="fp8"))
    kinds = kinds_of(server_of(question), found.pools, question.workload, question.service)
    engine = question.engine
    traffic = traffic_of(
        question.workload, 40_000, 30.0, entry=engine.entry_time, block=engine.block
    )
    played = play(question, kinds, 30.0, traffic)
    assert found.tpot.mean == pytest.approx(played.tpot[20_000:].mean(), rel=0.1)


def test_latents_are_cached_in_the_format_that_the_engine_reads_quickly():
    # On Hopper vLLM has no quick kernel for latents of 8 bits; TensorRT-LLM has one.
    caches = {
        engine: plan_serving(
            asked("deepseek-v3", "h200", engine=engine, rate=20, tpot="50ms", split="no")
        )
        for engine in ("vllm", "trtllm-pytorch-2025")
    }
    found = {name: plan.best.pools[-1].deployment.cache for name, plan in caches.items()}
    assert found == {"vllm": "bf16", "trtllm-pytorch-2025": "fp8"}
    assert asked("deepseek-v3", "h200", cache="fp8").caches == ("fp8",)


def test_pools_that_hand_caches_over_keep_them_in_one_format():
    found = plan_serving(asked("deepseek-v3", "h200", rate=20, tpot="50ms", split="only"))
    for one in (found.best, *found.alternatives):
        assert len({pool.deployment.cache for pool in one.pools}) == 1
    early, late = found.best.pools
    other = msgspec.structs.replace(late.deployment, cache="fp8")
    mixed = (early, msgspec.structs.replace(late, deployment=other))
    with pytest.raises(InputError, match="give all pools one format of the cache"):
        estimate_serving(found.question, mixed)

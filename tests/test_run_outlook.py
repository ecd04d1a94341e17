"""How a long run is likely to go: what always holds, what is refused, what is printed."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_cases import a_run, looked
from scipy.stats import t as student

from clusterwright.asking_run import ask_run
from clusterwright.cli import main
from clusterwright.errors import CatalogueError, InfeasibleError, InputError
from clusterwright.facts import shipped
from clusterwright.fleet.facts import pooled_rate
from clusterwright.fleet.goodput import (
    TIERS,
    checkpoints,
    failure_rate,
    goodput,
    intervals_for,
    planned_share,
)
from clusterwright.fleet.outlook import look_ahead
from clusterwright.fleet.playing import play, spares_for
from clusterwright.fleet.records import RunOutlook
from clusterwright.formulas.pooling import further_reach, further_spread
from clusterwright.planner import load_plan
from clusterwright.report.run_text import outlook_text
from clusterwright.uncertain import draw, likely

ALL = (*TIERS, "replica")
SLOWER = ("detection", "restart", "exchange", "regroup", "checkpoint_bytes", "silent_latency")
QUICKER = ("storage_bandwidth", "host_bandwidth", "network_bandwidth", "disk_bandwidth")


def useful(question, tier, x) -> float:
    """Goodput by closed form with the best intervals for these inputs."""
    plan = intervals_for(question, tier, x)
    return float(goodput(question, tier, plan, x)["goodput"])


# What always holds, by closed form


@given(st.sampled_from(ALL), st.integers(1, 16), st.integers(1, 6))
def test_more_accelerators_never_have_more_goodput(tier, blocks, times):
    few, many = (
        a_run(count, replica=2048, tier=tier)
        for count in (8192 * blocks, 8192 * blocks * (1 + times))
    )
    x = likely(few.inputs) | {"storage_bandwidth": 4e12}
    # A copy of the state is smaller on more of them: all else is held.
    x |= {"host_bandwidth": 1e15, "network_bandwidth": 1e15, "disk_bandwidth": 1e15}
    if tier != "replica":  # more of these lose less by one that is away
        assert useful(many, tier, x) <= useful(few, tier, x) + 1e-12


@given(st.sampled_from(ALL), st.sampled_from(SLOWER), st.floats(1.01, 20.0))
def test_what_takes_longer_never_helps(tier, name, factor):
    run = a_run(65_536, replica=2048, tier=tier)
    x = likely(run.inputs)
    assert useful(run, tier, {**x, name: x[name] * factor}) <= useful(run, tier, x) + 1e-4


@given(st.sampled_from(ALL), st.sampled_from(QUICKER), st.floats(1.01, 20.0))
def test_faster_storage_and_links_never_hurt(tier, name, factor):
    run = a_run(65_536, replica=2048, tier=tier)
    x = likely(run.inputs)
    assert useful(run, tier, {**x, name: x[name] * factor}) >= useful(run, tier, x) - 1e-4


@given(st.sampled_from(TIERS), st.floats(0.3, 3.0))
def test_no_interval_does_better_than_the_one_chosen(tier, factor):
    # Where nothing but stalls and failures bound it: storage may be as busy as it likes.
    run = a_run(16_384)
    x = likely(run.inputs) | {"step_time": 1e-3, "storage_share": 1.0, "storage_bandwidth": 1e11}
    chosen, slow = intervals_for(run, tier, x)
    if not slow and checkpoints(run, tier, x).lag < chosen:
        best = float(goodput(run, tier, (chosen, slow), x)["goodput"])
        assert float(goodput(run, tier, (factor * chosen, slow), x)["goodput"]) <= best + 1e-9


@pytest.mark.parametrize("tier", ALL)
def test_arrays_are_many_numbers(tier):
    run = a_run(16_384, replica=2048, tier=tier)
    plan = intervals_for(run, tier, likely(run.inputs))
    drawn = draw(run.inputs, 16)
    every = goodput(run, tier, plan, drawn)["goodput"]
    for place in (0, 7, 15):
        one = {name: float(v[place]) if np.ndim(v) else v for name, v in drawn.items()}
        assert float(goodput(run, tier, plan, one)["goodput"]) == pytest.approx(every[place])


# Played


@pytest.mark.parametrize("tier", ALL)
@pytest.mark.parametrize("accelerators", [16_384, 131_072])
def test_what_is_played_is_the_closed_form(tier, accelerators):
    """Within 1.5 %: restarts of unequal length, the end of the run, 200 runs' chance."""
    run = a_run(accelerators, replica=2048, tier=tier, days="60d", draws=200, spares=2000)
    x = likely(run.inputs)
    found = look_ahead(run, depth=False)
    plan = (found.chosen.interval, found.chosen.slow_interval)
    closed = float(goodput(run, tier, plan, x)["goodput"])
    assert found.chosen.tier == tier
    assert found.lost[0].share == pytest.approx(closed, rel=0.015)


@pytest.mark.parametrize("accelerators", [16_384, 131_072])
def test_the_interval_is_that_of_runs_played_in_drawn_worlds(accelerators):
    """Every input drawn and played, 96 worlds of 32 runs: within 5 points at either end."""
    found = looked(accelerators)
    run = msgspec.structs.replace(a_run(accelerators), spares=found.spares)
    drawn = draw(run.inputs, 96, seed=11)
    reached = []
    for place in range(96):
        x = {name: float(v[place]) if np.ndim(v) else v for name, v in drawn.items()}
        rates = np.full(32, float(failure_rate(run, x)))
        rest = 1.0 - float(planned_share(run, found.chosen.tier, x))
        reached.append(play(run, found.chosen, x, found.spares, rates).goodput * rest)
    ends = np.quantile(np.concatenate(reached), (0.1, 0.5, 0.9))
    ours = found.goodput
    assert [ours.low, ours.middle, ours.high] == pytest.approx(list(ends), abs=0.05)


@settings(max_examples=8)
@given(st.sampled_from(["12d", "40d"]), st.sampled_from(["remote", "memory"]), st.integers(0, 9))
def test_shares_sum_to_one_and_intervals_are_in_order(days, tier, seed):
    found = look_ahead(a_run(days=days, tier=tier, seed=seed, draws=50), depth=False)
    assert sum(part.share for part in found.lost) == pytest.approx(1.0)
    assert all(part.share >= 0.0 for part in found.lost)
    for one in (found.goodput, found.between, found.interruptions, found.closed_form):
        assert 0.0 < one.low <= one.middle <= one.high
    counted = sum(cause.count for cause in found.causes)
    assert counted == pytest.approx(86400 * int(days[:-1]) / found.between.middle, rel=0.1)


def share(found: RunOutlook, name: str) -> float:
    return next(part.share for part in found.lost if part.name == name)


def test_more_spares_never_wait_longer():
    waits = [share(looked(spares=spares, draws=100), "waiting") for spares in (0, 3, 6, 12, 24)]
    assert waits == sorted(waits, reverse=True)
    assert waits[0] > 0.5
    assert waits[-1] < 1e-3


def test_going_on_with_fewer_replicas_is_better_than_waiting():
    fixed, elastic = (
        looked(replica=1024, elastic=elastic, spares=0, draws=100) for elastic in (False, True)
    )
    assert share(elastic, "waiting") == 0.0 < share(elastic, "slowed")
    assert elastic.goodput.low > fixed.goodput.high


def test_replicas_that_restart_alone_stop_the_others_for_less():
    together, alone = (
        looked(98_304, tier=tier, replica=8192, draws=100) for tier in ("memory", "replica")
    )
    assert alone.goodput.middle > together.goodput.middle
    assert share(alone, "restart") < 0.4 * share(together, "restart")
    assert share(alone, "slowed") > share(together, "slowed") == 0.0


def test_work_takes_longer_than_it_would():
    found = looked(work="20d")
    low, high = found.duration.low / 86400, found.duration.high / 86400
    assert 20.0 < low < high
    assert found.duration.middle * found.goodput.middle == pytest.approx(20 * 86400, rel=1e-6)


def test_the_same_seed_gives_the_same_bytes_and_json_comes_back():
    one, two, other = (
        msgspec.json.encode(look_ahead(a_run(seed=seed, draws=50), depth=False))
        for seed in (4, 4, 5)
    )
    assert one == two != other
    assert msgspec.json.encode(msgspec.json.decode(one, type=RunOutlook)) == one


def test_spares_are_enough_for_nine_rates_of_ten():
    found = looked()
    assert found.spares == spares_for(found.question, found.failure_rate.high)
    assert found.spares > spares_for(found.question, found.failure_rate.low)


# Rates of studies


def test_a_further_study_reaches_by_students_distribution():
    for count in (2, 3, 5, 7, 8, 12, 40):
        rates = [float(2**k) for k in range(count)]
        exact = np.exp(student.ppf(0.9, count - 1) * further_spread(rates))
        assert further_reach(rates) == pytest.approx(float(exact), rel=0.02)


def test_a_family_of_one_study_has_its_rate_and_the_spread_of_all():
    tpu, gpu = (pooled_rate(shipped(), "large", family=family) for family in ("tpu", "gpu"))
    assert tpu.value == shipped().entry("failure_rates", "tpu-v4").require("node_rate").value
    assert tpu.high / tpu.value > gpu.high / gpu.value > 1.5


def test_too_few_studies_are_refused():
    with pytest.raises(InputError, match="too few studies of failures of small jobs"):
        pooled_rate(shipped(), "small", without=("rsc-1-8", "rsc-1-1024"))


# What makes no progress


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"restart": "10d"}, "half of the time would be work"),
        ({"interval": "30d"}, "take one every"),
        ({"interval": "1ns"}, "take one every"),
        ({"parameters": 1e25}, "fewer accelerators, or faster storage"),
        ({"storage": "1 MB/s"}, "fewer accelerators, or faster storage"),
    ],
)
def test_no_progress_is_said_with_what_would_help(options, words):
    with pytest.raises(InfeasibleError, match=words):
        look_ahead(a_run(100_000, **options), depth=False)


def test_what_would_be_half_is_half():
    found = looked(1_048_576, draws=20, days="5d")
    assert found.goodput.middle < 0.2
    stops = {"detect": "0s", "exchange": "0s", "restart": f"{found.half}s"}
    quick = looked(1_048_576, draws=20, days="5d", tier=found.chosen.tier, **stops)
    assert share(quick, "useful") == pytest.approx(0.5, abs=0.04)
    assert f"be half   work must go on {found.half:.1f} s" in outlook_text(found)


# Text and command


def test_the_text_says_what_matters():
    text = outlook_text(look_ahead(a_run(days="54d", spares=3)))
    assert "16,384 accelerators, 2,048 nodes" in text
    assert "with every input at its likely value" in text
    assert "spares       3 nodes (0.1%), as asked for" in text
    for words in ("Where the time goes", "checkpoints to", "cause (as in Llama 3)", "what moves"):
        assert words in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_one_accelerator_is_one_and_no_failure_divides_nothing():
    text = outlook_text(look_ahead(a_run(1, parameters="1B", days="1s", draws=5)))
    assert "1 accelerator, 1 node\n" in text


def test_the_command_and_its_exit_codes(capsys):
    assert main(["fleet", "colossus", "--days", "2d", "--draws", "20", "--json"]) == 0
    answer = msgspec.json.decode(capsys.readouterr().out)
    assert answer["question"]["accelerators"] == 100_000
    assert main(["fleet", "colossus", "--restart", "10d"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("error: no progress: ")
    assert error.count("\n") == 1
    assert main(["fleet", "colossus", "--tier", "mem"]) == 2


# Asking


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"days": "0"}, "has no unit"),
        ({"days": "0d"}, "--days is .*, but must be above zero"),
        ({"rate": "3.8e-3"}, "--rate: '3.8e-3' has no unit"),
        ({"rate": "-1/d"}, "--rate: '-1/d' is negative"),
        ({"rate": "0/d"}, "must be above zero"),
        ({"storage": "0 GB/s"}, "--storage is '0"),
        ({"interval": "0s"}, "--interval is '0"),
        ({"spares": "-1"}, "--spares: '-1' is negative"),
        ({"spares": "1e30"}, "100,000,000 at most"),
        ({"replica": 7}, "whole nodes of 8"),
        ({"replica": 10**9}, "16,384 at most"),
        ({"elastic": True}, "give --replica"),
        ({"tier": "replica"}, "give --replica"),
        ({"tier": "replica", "replica": 16_384}, "give --replica 8192"),
        ({"elastic": True, "replica": 3000}, "give --replica 2048"),
        ({"tier": "mem"}, "choose from auto, remote-sync"),
        ({"draws": "0"}, "whole number of at least 1"),
        ({"draws": 10**9}, "100,000 at most"),
        ({"seed": -3}, "--seed is -3"),
        ({"model": "gpt-3-175b"}, "--model and --parameters both"),
        ({"detect": "5"}, "--detect: '5' has no unit"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(InputError, match=words):
        a_run(**options)


def test_one_accelerator_needs_no_spare_and_says_so(capsys):
    assert main(["fleet", "--accelerator", "h100", "--accelerators", "1", "--draws", "20"]) == 0
    assert "none needed: nodes fail too seldom" in capsys.readouterr().out


def test_a_study_in_which_nothing_ever_failed_is_named(tmp_path):
    study = """
        [[failure_rate]]
        id = "never"
        name = "Never"
        node_rate = "0/d"
        accelerators_per_node = 8
        scale = "1000"
        regime = "large"
        family = "gpu"
        scope = "all"
        source = "own"
        seen_via = "own"
        confidence = "D"
        checked = 2026-11-22
    """
    (tmp_path / "own.toml").write_text(study, encoding="utf-8")
    with pytest.raises(CatalogueError, match="failure rate 'never' is 0/s"):
        pooled_rate(shipped().with_files([tmp_path / "own.toml"]), "large")


def test_a_run_needs_a_machine():
    with pytest.raises(InputError, match="name a saved plan or a cluster"):
        ask_run()
    with pytest.raises(InputError, match="--days watches a run for a time and --work"):
        ask_run("colossus", days="2d", work="1d")
    with pytest.raises(InputError, match="there is no file"):
        ask_run("nosuch.json")


def test_too_many_failures_to_play_are_refused():
    with pytest.raises(InputError, match="watch the run for less"):
        look_ahead(a_run(days="10000y"))
    with pytest.raises(InputError, match="how often it fails"):
        look_ahead(a_run(rate="1e9/d"))


def test_pods_and_racks_fail_by_the_host():
    assert a_run(8960, "tpu-v5p").node_size == 4
    assert a_run(7200, "gb200").node_size == 4
    assert a_run(64, "trn2").node_size == 16


def test_the_model_that_nobody_names_fits():
    small = ask_run(accelerator="h100", accelerators=8)
    assert small.assumed[0] == "a model of 24.5B parameters"
    assert "405B" in ask_run(accelerator="h100", accelerators=16_384).assumed[0]
    with pytest.raises(InputError, match="how large is the model"):
        ask_run(accelerator="snapdragon-8-elite", accelerators=8)


def test_tpus_have_their_own_rate_of_failures():
    assert "TPU" in a_run(8960, "tpu-v5p").inputs["large_rate"].why


def test_a_saved_plan_brings_its_machine_steps_and_time(tmp_path, capsys):
    path = str(tmp_path / "plan.json")
    words = "plan train llama-3.1-8b --accelerator h100 --accelerators 64 --tokens 100B --save"
    assert main([*words.split(), path]) == 0
    run = ask_run(path, tier="replica")
    plan = load_plan(tmp_path / "plan.json")
    assert run.work == plan.totals.duration
    assert run.inputs["step_time"].value == plan.best.step_time
    assert run.replicas == 64 / run.replica >= 2
    assert look_ahead(run, depth=False).duration.low > plan.totals.duration
    with pytest.raises(InputError, match="leave out --accelerator and --accelerators"):
        ask_run(path, accelerators=8)
    with pytest.raises(InputError, match="leave out --accelerator and --accelerators"):
        ask_run(path, accelerator="h100")
    capsys.readouterr()
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    assert main(["fleet", path]) == 2
    assert "is not a saved plan" in capsys.readouterr().err


def test_stragglers_slow_the_work_and_nothing_else():
    even, uneven = (
        look_ahead(ask_run("meta-24k", accelerators=2048, stragglers=slower), depth=False)
        for slower in (0.0, 0.1)
    )
    assert uneven.closed_form.middle == pytest.approx(even.closed_form.middle / 1.1, rel=0.01)
    slowed = {part.name: part.share for part in uneven.lost}["slowed"]
    useful = {part.name: part.share for part in uneven.lost}["useful"]
    assert slowed == pytest.approx(0.1 * useful, rel=0.1)
    with pytest.raises(InputError, match=r"--stragglers is -0\.1"):
        ask_run("meta-24k", stragglers=-0.1)


def test_the_spread_of_the_goodput_is_that_of_its_interval():
    outlook = looked()
    worst_to_best = np.asarray(outlook.spread)
    assert len(worst_to_best) == 20
    assert (np.diff(worst_to_best) >= 0.0).all()
    assert worst_to_best[1] < outlook.goodput.low < worst_to_best[2]
    assert worst_to_best[9] < outlook.goodput.middle < worst_to_best[10]
    assert worst_to_best[17] < outlook.goodput.high < worst_to_best[18]

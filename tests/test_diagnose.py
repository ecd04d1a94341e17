"""Diagnosing runs: a planted cause is named first, and a run as planned is called so."""

from __future__ import annotations

import json

import msgspec
import pytest
from doctored_runs import (
    Spent,
    bench_of,
    deepspeed_log,
    megatron_log,
    metrics_of,
    nemo_log,
    other_estimate,
    serving_plan,
    sharded_plan,
    terms_of,
    torchtitan_log,
    training_plan,
    written,
)
from doctored_traces import event_file, step_trace

from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.observe.api import diagnose
from clusterwright.planner_serving import estimate_serving
from clusterwright.report.diagnosis_text import diagnosis_text
from clusterwright.saving import save_plan


def megatron(folder, plan=None, *, spent=None, **planted):
    plan = plan or training_plan()
    kinds = {"steps", "settings", "checkpoints", "restart", "timers", "prefix", "every"}
    text = megatron_log(
        plan,
        spent or Spent(plan, **{n: v for n, v in planted.items() if n not in kinds}),
        **{n: v for n, v in planted.items() if n in kinds},
    )
    return plan, [written(folder, "train.log", text)]


def other_cut(folder):
    plan = training_plan()
    spent = Spent(plan, estimate=other_estimate(plan, tp=8, dp=4, recompute="full"))
    told = {
        "tensor_model_parallel_size": 8,
        "data_parallel_size": 4,
        "recompute_granularity": "full",
    }
    return megatron(folder, spent=spent, settings=told)


def titan(folder, **planted):
    return sharded_plan(), [written(folder, "titan.log", torchtitan_log(sharded_plan(), **planted))]


def deepspeed(folder, **planted):
    return sharded_plan(), [written(folder, "ds.log", deepspeed_log(sharded_plan(), **planted))]


def traced(folder, *, packed=True, **planted):
    raw = step_trace(sharded_plan(), **planted).raw(packed=packed)
    return sharded_plan(), [written(folder, "rank0.pt.trace.json.gz", raw)]


def two_traces(folder):
    """Rank 1 computes longer; rank 0 waits for it in its collectives."""
    plan = sharded_plan()
    slow = step_trace(plan, slow=1.3, rank=1)
    fast = step_trace(plan, rank=0, dp=0.3 * sum(
        terms_of(plan.best)[n] for n in ("ideal", "extra work", "kernels", "recompute")
    ) / plan.best.step_time)  # fmt: skip
    return plan, [written(folder, f"rank{t.rank}.json", t.raw()) for t in (fast, slow)]


def boards(folder, *, data=0.0):
    plan = sharded_plan()
    step = plan.best.step_time * (1.0 + data)
    rows = [
        (number, 1.7e9 + number * step,
         {"time_metrics/end_to_end(s)": step, "time_metrics/data_loading(s)": 0.001 + data * step,
          "loss_metrics/global_avg_loss": 3.0, "throughput(tps)": 5000.0})
        for number in range(10, 200, 10)
    ]  # fmt: skip
    return plan, [written(folder, "events.out.tfevents.1", event_file(rows))]


def loaded(folder, *, metrics=None, **planted):
    plan = serving_plan()
    paths = [written(folder, "bench.json", bench_of(plan, **planted))]
    if metrics is not None:
        paths.append(written(folder, "metrics.prom", metrics_of(plan, **metrics)))
    return plan, paths


def overloaded(folder):
    """As played: more requests than can be answered, and full batches."""
    plan = serving_plan()
    rate = 1.5 * plan.best.saturation
    job = msgspec.structs.replace(plan.question.workload, rate=rate)
    question = msgspec.structs.replace(plan.question, workload=job)
    found = estimate_serving(question, plan.best.pools)
    text = bench_of(plan, estimate=found, rate=rate, served=plan.best.saturation)
    return plan, [written(folder, "bench.json", text)]


def longer(folder):
    plan = serving_plan()
    job = msgspec.structs.replace(plan.question.workload, prompt=3000, output=600)
    question = msgspec.structs.replace(plan.question, workload=job)
    found = estimate_serving(question, plan.best.pools)
    text = bench_of(plan, estimate=found, prompt=3000, output=600, sglang=True)
    return plan, [written(folder, "sglang.jsonl", text)]


def unshared(folder):
    plan = serving_plan()
    job = msgspec.structs.replace(plan.question.workload, prefix=50)
    question = msgspec.structs.replace(plan.question, workload=job)
    found = estimate_serving(question, plan.best.pools)
    return plan, [written(folder, "m.prom", metrics_of(plan, estimate=found, reused=0.05))]


PLANTED = {
    "kernels: clocks throttled": (lambda f: megatron(f, slow=1.25), "kernels"),
    "dp: gradients exposed": (lambda f: megatron(f, dp=0.15), "dp"),
    "straggler: a slow rank": (lambda f: megatron(f, straggler=1.15), "straggler"),
    "pipeline: larger bubble": (lambda f: megatron(f, waiting=0.12), "pipeline"),
    "optimizer: unsharded": (lambda f: megatron(f, optimizer=0.1), "optimizer"),
    "input: slow storage": (lambda f: megatron(f, data=0.1), "input"),
    "restarts: lost steps": (
        lambda f: megatron(f, restart=(60, 20, 900.0), steps=100), "restarts"),
    "checkpoints: synchronous": (
        lambda f: megatron(f, checkpoints=(20, 90.0), steps=100), "checkpoints"),
    "settings: another cut and recompute": (other_cut, "settings"),
    "memory: allocator retries": (
        lambda f: titan(f, retry_rows=(3, 6, 9, 12), memory=0.985), "memory"),
    "hiccups: single slow steps": (lambda f: titan(f, slow_rows=(4, 8)), "hiccups"),
    "dp: all-reduce, DeepSpeed": (lambda f: deepspeed(f, allreduce=0.2), "dp"),
    "kernels: DeepSpeed": (lambda f: deepspeed(f, slow=1.5), "kernels"),
    "host: launch gaps": (lambda f: traced(f, gaps=0.2), "host"),
    "dp: exposed, trace": (lambda f: traced(f, dp=0.2), "dp"),
    "kernels: slow, trace": (lambda f: traced(f, slow=1.3), "kernels"),
    "input: data loader, trace": (lambda f: traced(f, data=0.15, packed=False), "input"),
    "straggler: traces of two ranks": (two_traces, "straggler"),
    "input: event file": (lambda f: boards(f, data=0.2), "input"),
    "queueing: load above saturation": (
        lambda f: loaded(f, rate=1.5 * serving_plan().best.saturation,
                         served=serving_plan().best.saturation, ttft=200.0), "queueing"),
    "queueing: as played": (overloaded, "queueing"),
    "preemptions: cache full": (
        lambda f: loaded(f, tpot=1.8, metrics={"preemptions": 500, "cache": 0.995, "tpot": 1.8}),
        "preemptions"),
    "decode: slow kernels": (lambda f: loaded(f, tpot=1.6), "decode"),
    "prefix: cache misses": (unshared, "prefix"),
    "lengths: other than planned": (longer, "lengths"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANTED)
def test_the_planted_cause_is_named_first(case, tmp_path):
    make, cause = PLANTED[case]
    plan, paths = make(tmp_path)
    found = diagnose(paths, plan=plan)
    named = [(one.cause, round(one.share, 3)) for one in found.findings]
    assert named, found.said
    assert named[0][0] == cause, named


AS_PLANNED = {
    "Megatron-LM": megatron,
    "Megatron-LM without timers": lambda f: megatron(f, timers=False),
    "torchtitan": titan,
    "DeepSpeed": deepspeed,
    "trace": traced,
    "event file": boards,
    "NeMo": lambda f: (sharded_plan(), [written(f, "nemo.log", nemo_log(sharded_plan()))]),
    "vllm bench serve": loaded,
    "vllm with metrics": lambda f: loaded(f, metrics={}),
}


@pytest.mark.parametrize("case", AS_PLANNED)
def test_a_run_as_planned_is_called_so(case, tmp_path):
    plan, paths = AS_PLANNED[case](tmp_path)
    found = diagnose(paths, plan=plan)
    assert not [one for one in found.findings if one.share > 0.05], found.findings
    assert found.verdict == "as planned", found.said


SIZES = {
    "kernels": lambda f, size: megatron(f, slow=1.0 + size),
    "dp": lambda f, size: megatron(f, dp=size),
    "straggler": lambda f, size: megatron(f, straggler=1.0 + size),
    "pipeline": lambda f, size: megatron(f, waiting=size),
    "input": lambda f, size: megatron(f, data=size),
    "host": lambda f, size: traced(f, gaps=size),
}


@pytest.mark.parametrize("size", [0.04, 0.08, 0.5])
@pytest.mark.parametrize("cause", SIZES)
def test_small_causes_are_found_as_well_as_large_ones(cause, size, tmp_path):
    plan, paths = SIZES[cause](tmp_path, size)
    assert diagnose(paths, plan=plan).findings[0].cause == cause


def test_of_two_planted_causes_the_larger_is_named_first(tmp_path):
    plan, paths = megatron(tmp_path, dp=0.2, data=0.08, straggler=1.04)
    named = [one.cause for one in diagnose(paths, plan=plan).findings]
    assert named == ["dp", "input", "straggler"]


def test_the_planted_seconds_come_back(tmp_path):
    plan, paths = megatron(tmp_path, dp=0.15)
    (first, *_) = diagnose(paths, plan=plan).findings
    assert first.time == pytest.approx(0.15 * plan.best.step_time, rel=0.03)
    assert first.share == pytest.approx(0.15, rel=0.03)


def test_measured_terms_stand_beside_planned_ones(tmp_path):
    plan, paths = megatron(tmp_path, slow=1.2)
    terms = {term.name: term for term in diagnose(paths, plan=plan).terms}
    assert terms["step time"].planned == plan.best.step_time
    assert terms["step time"].low == plan.best.step_time_interval[0]
    share = terms["step time"].planned / terms["step time"].measured
    assert terms["MFU"].measured == pytest.approx(plan.best.mfu * share)


def test_without_timers_what_is_left_is_called_unexplained_with_what_would_tell(tmp_path):
    plan = sharded_plan()
    log = written(tmp_path, "nemo.log", nemo_log(plan, factor=2.0))
    found = diagnose([log], plan=plan)
    assert found.verdict == "slower"
    assert [one.cause for one in found.findings] == ["unexplained"]
    assert found.findings[0].sure == "little"
    assert "trace" in found.findings[0].advice


def test_a_difference_within_the_interval_is_called_neither_a_cause_nor_as_planned(tmp_path):
    plan = sharded_plan()
    found = diagnose([written(tmp_path, "nemo.log", nemo_log(plan, factor=1.15))], plan=plan)
    assert found.verdict == "within the plan's interval"
    assert not found.findings
    assert "No cause stands out" in diagnosis_text(found)


def test_other_settings_change_what_is_expected(tmp_path):
    plan, paths = other_cut(tmp_path)
    found = diagnose(paths, plan=plan)
    assert "tp 8 (planned: 4)" in found.findings[0].evidence
    step = next(term for term in found.terms if term.name == "step time")
    assert step.planned == pytest.approx(step.measured, rel=0.05)
    assert "expected of these settings" in found.said


def test_settings_that_cannot_be_run_are_named_without_a_size(tmp_path):
    plan, paths = megatron(tmp_path, settings={"pipeline_model_parallel_size": 7})
    finding = next(o for o in diagnose(paths, plan=plan).findings if o.cause == "settings")
    assert finding.time != finding.time
    assert "cannot be said" in finding.evidence


def test_restarts_over_several_files_are_one_run(tmp_path):
    plan = training_plan()
    spent = Spent(plan)
    whole = megatron_log(plan, spent, restart=(60, 20, 900.0), steps=100)
    cut = whole.index(" loading checkpoint")
    paths = [written(tmp_path, "b.log", whole[cut:]), written(tmp_path, "a.log", whole[:cut])]
    alone = diagnose([written(tmp_path, "all.log", whole)], plan=plan)
    both = diagnose(paths, plan=plan)
    assert both.findings[0].cause == alone.findings[0].cause == "restarts"
    assert both.findings[0].time == pytest.approx(alone.findings[0].time)
    assert "did 40 of 100 steps twice" in both.findings[0].evidence


def test_causes_are_named_without_a_plan_too(tmp_path):
    _, paths = megatron(tmp_path, restart=(60, 20, 900.0), steps=100)
    found = diagnose(paths)
    assert found.verdict == "no plan"
    assert found.findings[0].cause == "restarts"


def test_mfu_without_a_plan_needs_model_and_accelerator_from_log_or_options(tmp_path):
    plan = sharded_plan()
    log = written(tmp_path, "titan.log", torchtitan_log(plan))
    said = {f.name: f.said for f in diagnose([log], model="llama-3.1-8b").facts}
    assert float(said["MFU"].split("%")[0]) == pytest.approx(100 * plan.best.mfu, rel=0.01)
    assert "nv-h100-sxm" in said["MFU"]


def test_the_result_nearest_to_the_planned_load_is_looked_at(tmp_path):
    plan = serving_plan()
    lines = bench_of(plan, rate=2.0) + bench_of(plan) + bench_of(plan, rate=40.0)
    found = diagnose([written(tmp_path, "sweep.jsonl", lines)], plan=plan)
    assert "3 results: the one nearest to the planned load" in found.notes[-1]
    assert found.verdict == "as planned"


def test_a_plan_of_the_wrong_kind_is_refused(tmp_path):
    plan, paths = loaded(tmp_path)
    with pytest.raises(InputError, match="files are of serving and the plan is for training"):
        diagnose(paths, plan=training_plan())
    _, paths = megatron(tmp_path)
    with pytest.raises(InputError, match="files are of training and the plan is for serving"):
        diagnose(paths, plan=plan)


@pytest.fixture
def saved(tmp_path):
    """A saved plan and a log of it."""
    plan, (log,) = megatron(tmp_path, slow=1.25)
    save_plan(plan, tmp_path / "plan.json")
    return tmp_path / "plan.json", log


def test_the_command_prints_verdict_terms_causes_and_what_to_try(saved, capsys):
    plan, log = saved
    assert main(["diagnose", str(log), "--plan", str(plan)]) == 0
    shown = capsys.readouterr().out
    for words in ("Megatron-LM: train.log", "Against the plan", "1. slow kernels: +", "try: "):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_the_command_prints_json(saved, capsys):
    plan, log = saved
    assert main(["diagnose", str(log), "--plan", str(plan), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["findings"][0]["cause"] == "kernels"
    assert len(found["run"]["step_time"]) == 60


def test_a_run_is_added_to_a_table_that_validate_reads(saved, tmp_path, capsys):
    plan, log = saved
    table = tmp_path / "my-runs.csv"
    words = ["diagnose", str(log), "--plan", str(plan), "--add-to", str(table)]
    assert main(words) == 0
    assert "one row added to" in capsys.readouterr().out
    assert main(words) == 2
    assert "a run called 'train' already; give another --name" in capsys.readouterr().err
    assert main([*words, "--name", "second"]) == 0
    capsys.readouterr()
    assert main(["validate", str(table)]) == 0
    assert "2 runs: 2 predicted" in capsys.readouterr().out


def test_a_served_run_is_added_to_a_table_that_validate_reads(tmp_path, capsys):
    plan, paths = loaded(tmp_path)
    save_plan(plan, tmp_path / "plan.json")
    table = tmp_path / "served.csv"
    words = ["diagnose", *map(str, paths), "--plan", str(tmp_path / "plan.json"), "--add-to"]
    assert main([*words, str(table)]) == 0
    assert "3 rows added" in capsys.readouterr().out
    assert main(["validate", str(table)]) == 0
    assert "TTFT" in capsys.readouterr().out


def test_a_table_of_something_else_is_left_alone(saved, tmp_path, capsys):
    plan, log = saved
    table = written(tmp_path, "shopping.csv", "item,price\nmilk,1\n")
    words = ["diagnose", str(log), "--plan", str(plan), "--add-to", str(table)]
    assert main(words) == 2
    assert "no table of training runs" in capsys.readouterr().err
    assert table.read_text() == "item,price\nmilk,1\n"


def test_a_plan_given_as_a_log_and_options_that_a_plan_answers_are_refused(saved, capsys):
    plan, log = saved
    assert main(["diagnose", str(plan)]) == 2
    assert "is a saved plan and no log: give it with --plan" in capsys.readouterr().err
    assert main(["diagnose", str(log), "--plan", str(plan), "--model", "llama-3.1-8b"]) == 2
    assert "--model is for a run without a plan" in capsys.readouterr().err


def test_adding_needs_a_plan(saved, tmp_path, capsys):
    _, log = saved
    assert main(["diagnose", str(log), "--add-to", str(tmp_path / "t.csv")]) == 2
    assert "--add-to needs --plan" in capsys.readouterr().err

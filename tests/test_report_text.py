"""Plans as text: what a person decides on is there, aligned, whatever the size of the numbers."""

from __future__ import annotations

import re

import msgspec
import pytest
from test_planner import planned, question
from training_cases import sparse

from clusterwright.aligned import aligned
from clusterwright.asking import ask_training
from clusterwright.asking_account import with_account
from clusterwright.errors import InputError
from clusterwright.planner import estimate_question, plan_training
from clusterwright.report.comparing import comparison_text
from clusterwright.report.folding import WIDTH
from clusterwright.report.intervals import span
from clusterwright.report.labelled import labelled
from clusterwright.report.text import (
    estimate_text,
    memory_lines,
    plan_text,
    question_lines,
    strategy_words,
    waterfall_lines,
)
from clusterwright.strategy import Strategy
from clusterwright.training.estimate import StageMemory, Term
from clusterwright.training.plan import TrainingPlan
from clusterwright.uncertain import Interval

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def plan() -> TrainingPlan:
    return planned()


def test_a_plan_says_first_what_a_person_decides_on(plan):
    shown = plan_text(plan)
    best, totals = plan.best, plan.totals
    head = shown[: shown.index("Where the step goes")]
    assert f"fits: {best.memory_bytes / 2**30:.1f} of {best.memory_limit / 2**30:.1f} GiB" in head
    assert f"MFU          {best.mfu:.1%}" in head
    assert "80 % interval" in head
    assert "16 x NVIDIA H100 SXM5 80GB" in head
    assert "20B tokens" in head
    assert f"{totals.steps:,.0f} steps" in head
    assert "accelerator-hours" in head
    assert "failures not counted" in head
    assert strategy_words(best.strategy) in head
    for assumed in plan.question.assumed:
        assert assumed in head


def test_a_plan_then_gives_its_reasons(plan):
    shown = plan_text(plan)
    titles = ["Where the step goes", "Memory, GiB", "Runners-up", "Best step time for each value"]
    titles += ["Pareto front", "strategies estimated"]
    places = [shown.index(title) for title in titles]
    assert places == sorted(places)
    for rule, count in plan.rejected.items():
        assert (f"  {rule}  " in shown) == (count > 0)
    for point in plan.front:
        assert strategy_words(point.strategy) in shown


def test_lines_do_not_end_in_blanks_and_there_are_no_gaps(plan):
    shown = plan_text(plan)
    assert not re.search(r"[ \t]+$", shown, re.MULTILINE)
    assert "\n\n\n" not in shown
    assert "nan" not in shown.split()
    assert "e-" not in re.sub(r"[a-z]e-[a-z]", "", shown)


def test_without_tokens_the_plan_says_how_to_get_the_total(plan):
    assert "give --tokens" in plan_text(replace(plan, totals=None))


def test_the_waterfall_shows_every_term_that_counts(plan):
    best = plan.best
    shown = "\n".join(waterfall_lines(best))
    for term in best.waterfall:
        counts = abs(term.time) >= 5e-4 * best.step_time
        assert (f"  {term.name:<12} " in shown) == (counts or term.name == "ideal")
    shares = [float(x) for x in re.findall(r"([\d.]+)%", shown)]
    assert sum(shares) == pytest.approx(100.0, abs=1.0)


def columns(lines: list[str]) -> list[list[int]]:
    """Where the cells of each line end."""
    return [[found.end() for found in re.finditer(r"\S+", line)] for line in lines]


def test_memory_columns_are_aligned_and_add_up():
    found = estimate_question(question(), tp=2, pp=4, dp=2)
    lines = memory_lines(found.stages, found.memory_limit)
    body = [line for line in lines[1:] if line.strip()]
    ranks = [int(number) for number in re.findall(r"stage (\d+)", lines[0])]
    ends = {tuple(row[-len(ranks) :]) for row in columns(body)}
    assert len(ends) == 1
    heads = [match.end() for match in re.finditer(r"stage \d+", lines[0])]
    assert tuple(heads) == tuple(end for end in ends.pop())
    figures = [[float(cell) for cell in line.split()[-len(ranks) :]] for line in body]
    parts, total = figures[:-2], figures[-2]
    held = {stage.rank: stage.total / 2**30 for stage in found.stages}
    for i, (rank, whole) in enumerate(zip(ranks, total, strict=True)):
        assert sum(row[i] for row in parts) == pytest.approx(whole, abs=0.06 * len(parts))
        assert whole == pytest.approx(held[rank], abs=0.051)


def test_a_table_aligns_any_widths():
    rows = [["a", "1", "x"], ["longer name", "1,000,000", ""], ["", "5", "long cell"]]
    lines = aligned(["name", "n", "what"], rows, indent="  ")
    end = lines[2].index("1,000,000") + len("1,000,000")
    assert [line[end - 1] for line in lines] == ["n", "1", "0", "5"]
    assert {line[end : end + 2].strip() for line in lines} == {""}
    assert lines[1].startswith("  a ")
    assert max(map(len, lines)) == len(lines[3])


def test_an_estimate_that_does_not_fit_says_so():
    found = estimate_question(question(), micro_batch=4, dp=16)
    small = replace(found, memory_limit=1e9)
    assert "DOES NOT FIT" in estimate_text(question(), small)
    assert "DOES NOT FIT" not in estimate_text(question(), replace(found, memory_limit=1e15))


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-6, 1.0, 1e9, 1e30])
def test_tiny_and_huge_figures_are_written_without_a_traceback(plan, scale):
    best = plan.best
    stages = tuple(
        StageMemory(rank=s.rank, parts={k: v * scale for k, v in s.parts.items()})
        for s in best.stages
    )
    stretched = replace(
        best,
        step_time=best.step_time * scale,
        step_time_interval=tuple(t * scale for t in best.step_time_interval),
        tokens_per_second=best.tokens_per_second / scale,
        memory_bytes=best.memory_bytes * scale,
        stages=stages,
        waterfall=tuple(
            Term(name=t.name, time=t.time * scale, meaning=t.meaning) for t in best.waterfall
        ),
    )
    totals = replace(plan.totals, duration=plan.totals.duration * scale, tokens=1e20)
    shown = plan_text(replace(plan, best=stretched, totals=totals))
    assert f"{best.mfu:.1%}" in shown
    assert max(map(len, shown.splitlines())) < 1000
    assert estimate_text(plan.question, stretched).count("\n") > 10


def test_a_plan_without_runners_up_is_written(plan):
    shown = plan_text(replace(plan, alternatives=(), rejected={}, sweeps=()))
    assert "Runners-up" not in shown
    assert "0 turned away" in shown


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (Strategy(zero=0), "one accelerator, micro-batch 1, zero 0"),
        (Strategy(tp=8, pp=4, vpp=2), "tp 8, pp 4, vpp 2, micro-batch 1, zero 1"),
        (Strategy(cp=2, context_scheme="ring"), "cp 2, micro-batch 1, zero 1, cp by ring"),
        (
            Strategy(dp=2, recompute="full", recompute_layers=3),
            "dp 2, micro-batch 1, zero 1, recompute 3 layers per rank",
        ),
        (
            Strategy(pp=4, schedule="dualpipe", recompute="selective", offload="optimizer"),
            "pp 4, micro-batch 1, zero 1, recompute selective, dualpipe, offload optimizer",
        ),
        (Strategy(dp=8, zero=2, shard_group=4), "dp 8, micro-batch 1, zero 2 over 4 ranks"),
    ],
)
def test_a_strategy_in_words(strategy, words):
    assert strategy_words(strategy) == words


def test_experts_say_how_many_parameters_are_active():
    assert " active)" in question_lines(question(sparse()))[0]
    assert " active)" not in question_lines(question())[0]


def test_unknown_keys_of_the_configuration_are_shown():
    asked = question()
    odd = replace(asked, model=replace(asked.model, unknown_keys=("use_magic",)))
    assert "use_magic" in "\n".join(question_lines(odd))


def test_a_comparison_is_in_order_of_time_and_aligned(plan):
    slow = replace(plan, best=replace(plan.best, step_time=plan.best.step_time * 2))
    lines = comparison_text(["slow one", "quick"], [slow, plan]).splitlines()
    assert lines[1].split()[0] == "quick"
    assert lines[2].startswith("  slow one")
    assert len({len(line) for line in lines[:3]}) == 1
    bare = comparison_text(["quick"], [replace(plan, totals=None)])
    assert " - " in bare


def test_a_comparison_is_in_the_order_that_was_asked_for():
    plans = [
        plan_training(
            with_account(
                ask_training("llama-3.1-8b", accelerator=kind, accelerators=64, tokens="1T")
            )
        )
        for kind in ("a100-80", "gb200")
    ]
    account = plans[0].account
    cheap = replace(plans[0], account=replace(account, cost=replace(account.cost, middle=1.0)))
    names = ["old", "new"]
    for by, first in (("time", "new"), ("cost", "old"), ("energy", "new"), ("carbon", "new")):
        lines = comparison_text(names, [cheap, plans[1]], by).splitlines()
        assert lines[1].split()[0] == first
        assert max(map(len, lines)) <= WIDTH
    unpriced = replace(plans[0], account=replace(account, cost=None))
    shown = comparison_text(names, [unpriced, plans[1]], "cost").splitlines()
    assert shown[1].split()[0] == "new"
    with pytest.raises(InputError, match="nothing is known of the cost"):
        comparison_text(["old"], [unpriced], "cost")
    with pytest.raises(InputError, match="give --tokens"):
        comparison_text(["old"], [replace(plans[0], account=None, totals=None)], "energy")


def test_a_comparison_says_how_sure_it_is(plan):
    best, totals = plan.best, plan.totals
    (low, high), (soon, late) = best.step_time_interval, totals.duration_interval
    [said] = [line for line in comparison_text(["one"], [plan]).splitlines() if "80 %" in line]
    assert said == f"    80 %: step {span(low, high, 's')}, wall clock {span(soon, late, 's')}"
    found = plan_training(with_account(plan.question))
    account = found.account
    shown = comparison_text(["one"], [found]).splitlines()
    words = "".join(line.strip() + " " for line in shown[4:])
    assert span(account.cost.low, account.cost.high, "USD") in words
    assert span(account.energy.low, account.energy.high, "J") in words
    assert span(account.carbon.low, account.carbon.high, "kg") in words
    never = replace(found, account=replace(account, goodput=Interval(low=0, middle=0, high=0)))
    assert "wall clock" not in comparison_text(["one"], [never]).splitlines()[-1]


def test_machines_whose_intervals_overlap_are_not_said_to_be_told_apart(plan):
    def slower(factor: float):
        low, high = (factor * end for end in plan.best.step_time_interval)
        step = factor * plan.best.step_time
        return replace(
            plan, best=replace(plan.best, step_time=step, step_time_interval=(low, high))
        )

    said = "Not surely told apart by step: quick and next, as their 80 % intervals overlap"
    near = comparison_text(["far", "next", "quick"], [slower(9.0), slower(1.01), plan])
    assert said in near
    assert labelled(near) == ()
    far = comparison_text(["next", "quick"], [slower(9.0), plan])
    assert "told apart" not in far
    assert "told apart" not in comparison_text(["alone"], [plan])


def test_idle_accelerators_are_counted_and_the_batch_that_feeds_them_is_named():
    odd = ask_training("llama-3.1-8b", accelerator="h100", accelerators=1000, batch_sequences=256)
    plan = plan_training(odd)
    idle = 1000 - plan.best.accelerators
    assert idle > 0
    [said] = [line for line in plan_text(plan).splitlines() if " idle" in line]
    assert f"of 1,000 used, {idle} idle" in said
    batch = int(re.search(r"a batch of ([\d,]+) sequences", said)[1].replace(",", ""))
    fed = plan_training(
        ask_training("llama-3.1-8b", accelerator="h100", accelerators=1000, batch_sequences=batch)
    )
    assert fed.best.accelerators == 1000
    assert " idle" not in plan_text(fed)


def test_no_line_of_a_plan_is_wider_than_a_terminal():
    many = ask_training("mixtral-8x7b", accelerator="h100", accelerators=256)
    wide = max(plan_text(plan_training(many)).splitlines(), key=len)
    assert len(wide) <= WIDTH


def test_a_comparison_of_long_strategies_stays_within_a_terminal(plan):
    long = replace(plan.best.strategy, tp=16, cp=16, pp=16, vpp=16, ep=16, offload="optimizer")
    wide = replace(plan, best=replace(plan.best, strategy=long))
    shown = comparison_text(["one", "another"], [plan, wide])
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert f"another: {strategy_words(long)}" in shown

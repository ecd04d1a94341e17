"""Picks under a promise: made runs whose best configuration, loss and broken promises are known."""

from __future__ import annotations

import csv
import json
import math

import msgspec
import pytest
from serving_cases import STATIC, run_of

from clusterwright.cli import main
from clusterwright.serving.intervals import ServingInterval, at_worst
from clusterwright.validation.serving import picks
from clusterwright.validation.serving.picks import BARE, LEAVING_ROOM
from clusterwright.validation.serving.rows import ServeRun
from clusterwright.validation.serving.scoring import ServeResult
from clusterwright.validation.serving.tenths import seen_keys

OUTPUT = 101.0
LOOP = "server (closed-loop concurrency)"
Rows = tuple[list[ServeRun], list[ServeResult]]


def latency(
    name: str, metric: str, measured: float, predicted: float, worst: float = 1.0, **changes: object
) -> tuple[ServeRun, ServeResult]:
    """One row of a closed loop in ms, or tokens a second; ``worst``: the interval's upper end."""
    cells = {
        "id": f"{name}.{metric}",
        "scenario": LOOP,
        "output_len": OUTPUT,
        "measured_metric": metric,
        "measured_value": measured,
        **changes,
    }
    run = run_of(**cells)
    result = ServeResult(
        id=run.id,
        source=run.source,
        metric=metric,
        status="ok",
        model=run.model_name,
        accelerator=run.accelerator,
        engine="vllm",
        measured_value=measured,
        predicted_value=predicted,
        high=predicted * worst,
    )
    return run, result


def configuration(
    name: str,
    users: int,
    tpot: tuple[float, float],
    ttft: tuple[float, float] = (100.0, 100.0),
    worst: float = 1.0,
    **changes: object,
) -> list[tuple[ServeRun, ServeResult]]:
    """Both latencies of a run, measured and predicted. [ms]"""
    cells = {"batch_or_concurrency": str(users), **changes}
    return [
        latency(name, "tpot_ms", *tpot, worst, **cells),
        latency(name, "ttft_ms", *ttft, worst, **cells),
    ]


def table(*configurations: list[tuple[ServeRun, ServeResult]]) -> Rows:
    pairs = [pair for rows in configurations for pair in rows]
    return [run for run, _ in pairs], [result for _, result in pairs]


def chosen(
    rows: Rows, tpot: float, rule: picks.Rule = BARE, ttft: float = math.inf
) -> picks.Choice:
    """The choice under one promise. [s]"""
    [one] = [
        choice
        for choice in picks.choices_of(*rows)
        if choice.rule == rule and choice.limits == pytest.approx((tpot, ttft))
    ]
    return one


FEW, MANY, MOST = (
    configuration("few", 1, (9.0, 9.0)),
    configuration("many", 8, (18.0, 18.0)),
    configuration("most", 32, (45.0, 45.0)),
)


def rate(users: float, tpot: float, ttft: float = 0.1) -> float:
    """Little's law by hand: tokens a second of users who wait. [1/s]"""
    return users * OUTPUT / (ttft + (OUTPUT - 1.0) * tpot)


# The pick


def test_a_perfect_prediction_picks_the_best_and_loses_nothing():
    rows = table(FEW, MANY, MOST)
    for limit, name in ((0.01, "few"), (0.02, "many")):
        one = chosen(rows, limit)
        assert (one.pick, one.kept, one.loss) == (f"made{name}", True, 0.0)
    # 50 ms is kept by all, and 5 ms by none: neither decides anything.
    limits = sorted({choice.limits[0] for choice in picks.choices_of(*rows)})
    assert limits == pytest.approx([0.01, 0.02])


def test_a_pick_that_is_too_careful_loses_what_the_best_gave():
    slow = configuration("many", 8, (18.0, 21.0))
    one = chosen(table(FEW, slow, MOST), 0.02)
    assert (one.pick, one.kept) == ("madefew", True)
    assert one.loss == pytest.approx(1.0 - rate(1, 0.009) / rate(8, 0.018))


def test_a_pick_that_was_predicted_too_fast_breaks_its_promise_and_room_mends_it():
    hasty = configuration("most", 32, (22.0, 19.0), worst=1.2)
    rows = table(FEW, MANY, hasty)
    broken = chosen(rows, 0.02)
    assert (broken.pick, broken.kept) == ("mademost", False)
    assert broken.loss < 0.0
    kept = chosen(rows, 0.02, LEAVING_ROOM)
    assert (kept.pick, kept.kept, kept.loss) == ("mademany", True, 0.0)


def test_a_promise_that_nothing_is_predicted_to_keep_is_refused():
    one = chosen(table(configuration("few", 1, (9.0, 11.0)), MANY), 0.01)
    assert (one.pick, one.kept, one.loss) == ("", False, 0.0)


def test_the_first_token_is_promised_too():
    late = configuration("many", 8, (18.0, 18.0), (900.0, 450.0))
    rows = table(FEW, late, MOST)
    assert chosen(rows, 0.02).kept
    both = chosen(rows, 0.02, ttft=0.5)
    assert (both.pick, both.kept) == ("mademany", False)


# What is compared


def test_one_configuration_alone_is_no_group():
    assert picks.groups_of(*table(MANY)) == {}
    other = configuration("few", 1, (9.0, 9.0), model_name="Llama-3.1-70B")
    assert picks.choices_of(*table(other, MANY)) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"source": "other"},
        {"accelerator": "H200"},
        {"weight_precision": "fp8"},
        {"input_len": 512.0},
        {"output_len": 102.0},
    ],
)
def test_only_runs_that_answer_the_same_question_are_compared(change):
    assert picks.groups_of(*table(MANY, configuration("few", 1, (9.0, 9.0), **change))) == {}


def test_a_configuration_measured_again_is_one_with_the_mean():
    again = configuration("again", 8, (32.0, 18.0))
    [group] = picks.groups_of(*table(FEW, MANY, again)).values()
    assert len(group) == 2
    assert group[1].tpot.measured == pytest.approx(0.024)  # geometric: sqrt(18 * 32)


def test_a_printed_throughput_is_shared_by_accelerators_and_beats_littles_law():
    cells = {"n_accel": 2, "tp": 2, "batch_or_concurrency": "4"}
    printed = [
        latency("wide", "tpot_ms", 5.0, 5.0, **cells),
        latency("wide", "output_tokens_per_s", 600.0, 500.0, per="system", **cells),
    ]
    [group] = picks.groups_of(*table(MANY, printed)).values()
    assert group[0].rate.measured == pytest.approx(rate(8, 0.018))
    assert (group[1].rate.measured, group[1].rate.predicted) == (300.0, 250.0)
    assert group[1].ttft is None


def test_runs_without_a_rate_or_a_time_per_token_and_those_not_predicted_are_left_out():
    first = configuration("first", 4, (9.0, 9.0))[1:]
    static = configuration("static", 4, (9.0, 9.0), scenario="offline static batch")
    runs, results = table(MANY, configuration("lost", 2, (9.0, 9.0)), first, static)
    lost = [
        msgspec.structs.replace(one, status="unsupported") if "lost" in one.id else one
        for one in results
    ]
    assert picks.groups_of(runs, lost) == {}


def test_runs_that_factors_or_intervals_rest_on_do_not_judge():
    rows = table(*(configuration(f"n{n}", n, (9.0 + n, 9.0 + n)) for n in range(1, 21)))
    seen = seen_keys(rows[0])
    assert len(seen) == 4
    [group] = picks.groups_of(*rows).values()
    assert {one.run for one in group} == {f"maden{n}" for n in range(1, 21)} - seen


# Sums and words


def test_a_tally_counts_refusals_broken_promises_and_losses():
    base = {"source": "s", "limits": (0.02, math.inf), "rule": BARE}
    choices = [
        picks.Choice(**base, group="a", pick="x", kept=True, loss=0.0),
        picks.Choice(**base, group="a", pick="x", kept=True, loss=0.5),
        picks.Choice(**base, group="b", pick="x", kept=False, loss=-0.3),
        picks.Choice(**base, group="b"),
    ]
    [one] = picks.tallies_of(choices)
    assert (one.promise, one.groups, one.asked, one.refused) == ("TPOT", 2, 4, 1)
    assert one.kept == pytest.approx(2 / 3)
    assert (one.median_loss, one.p90_loss) == pytest.approx((0.25, 0.45))
    [nobody] = picks.tallies_of(choices[3:])
    assert (nobody.refused, nobody.kept, nobody.median_loss) == (1, None, None)
    assert picks.as_lines([]) == []
    assert "66.7 %" in picks.as_lines([one])[-1]


def test_the_upper_end_of_an_interval_is_what_a_promise_is_held_against():
    interval = ServingInterval(sort="TTFT", low=0.8, high=1.3)
    assert at_worst(2.0, interval) == pytest.approx(2.6)
    assert at_worst(2.0, None) == 2.0


def test_validate_prints_the_picks_and_has_one_entry_a_source(tmp_path, capsys):
    path = tmp_path / "runs.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, STATIC)
        writer.writeheader()
        for users, tpot in ((1, 7.0), (64, 21.0)):
            for metric, value in (("tpot_ms", tpot), ("ttft_ms", 40.0)):
                cells = {"id": f"{users}.{metric}", "batch_or_concurrency": users}
                cells |= {"scenario": LOOP, "measured_metric": metric, "measured_value": value}
                writer.writerow({**STATIC, **cells})
    assert main(["validate", str(path)]) == 0
    assert "Best configuration under a promise" in capsys.readouterr().out
    assert main(["validate", str(path), "--json"]) == 0
    [one] = json.loads(capsys.readouterr().out)["picks"]
    assert one["source"] == "made"
    assert {tally["rule"] for tally in one["tallies"]} == {BARE, LEAVING_ROOM}

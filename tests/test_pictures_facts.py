"""Pictures of facts: chips, claims, scorecards and measured runs, and what is not certain."""

from __future__ import annotations

import msgspec
import pytest
from pictured import check, rows_of

from clusterwright.catalogue.figures import Entry
from clusterwright.claims.checking import check_claims
from clusterwright.facts import shipped
from clusterwright.report.pictures.accuracy import INSIDE, OUTSIDE, accuracy
from clusterwright.report.pictures.chips import chips
from clusterwright.report.pictures.claims import claims
from clusterwright.report.pictures.fleets import WAYS, fleet
from clusterwright.report.pictures.scorecard import LAYERS, partial, scorecard, scorecard_layer
from clusterwright.report.pictures.theme import MOST_ROWS
from clusterwright.scorecard.records import (
    ChipScore,
    Equivalents,
    FleetPart,
    Layer,
    OperatorResult,
    Part,
    ScenarioResult,
    Scorecard,
    Weights,
)
from clusterwright.validation.scoring import Result


def entries():
    return shipped().entries("accelerators").values()


@pytest.mark.parametrize("of", ["peak", "memory", "bandwidth", "power", "peak-per-watt"])
def test_each_accelerator_with_a_date_and_the_figure_is_drawn(of):
    spec = chips(entries(), of)
    names = [row["name"] for row in spec["data"]["values"]]
    assert "NVIDIA H100 SXM5 80GB" in names
    assert len(names) > 50
    check(spec)


def test_figures_of_chips_are_those_of_the_catalogue():
    [row] = rows_of(chips(entries(), "peak", "fp8"), name="NVIDIA H100 SXM5 80GB")
    assert row["words"] == "1979 TFLOP/s"
    assert row["date"] == "2022-09-20"
    [row] = rows_of(chips(entries(), "peak-per-watt"), name="NVIDIA H100 SXM5 80GB")
    assert row["words"] == "1.41 TFLOP/s/W"


def test_where_sources_disagree_a_rule_reaches_from_the_least_to_the_most():
    others = [{"value": 3e9, "text": "3 GB"}, {"value": 1e9, "text": "1 GB"}]
    figure = {"value": 2e9, "text": "2 GB", "dimension": "B", "disagrees": others}
    data = {"name": "X1", "vendor": "X", "launch": "2024", "memory": figure}
    spec = chips([Entry(kind="accelerators", noun="accelerator", id="x1", data=data)], "memory")
    [row] = spec["data"]["values"]
    assert row["low"] / row["value"] == pytest.approx(0.5)
    assert row["high"] / row["value"] == pytest.approx(1.5)
    assert row["sources"] == "200% apart"
    check(spec)


def test_chips_without_a_date_are_no_picture():
    data = {"name": "X1", "memory": {"value": 1e9, "text": "1 GB", "dimension": "B"}}
    assert chips([Entry(kind="accelerators", noun="accelerator", id="x1", data=data)]) is None


def test_a_claim_is_drawn_at_its_ratio_with_our_interval():
    found = check_claims(shipped(), document="Colossus")
    spec = claims(found)
    drawn = {row["id"]: row for row in spec["data"]["values"]}
    known = {one.claim.id: one for one in found if one.ratio}
    assert drawn.keys() == known.keys()
    for name, row in drawn.items():
        one = known[name]
        assert row["ratio"] == one.ratio
        assert row["low"] / row["ratio"] == pytest.approx(one.ours.low / one.ours.middle)
        assert row["high"] / row["ratio"] == pytest.approx(one.ours.high / one.ours.middle)
    check(spec)


def test_claims_without_a_figure_are_no_picture():
    assert claims([one for one in check_claims(shipped(), name="C11") if one.ratio]) is None


def chip(name, ratio):
    return ChipScore(
        id=name,
        name=name,
        accelerator=name,
        operators=(
            OperatorResult(id="matmul", name="", unit="FLOP/s", ratio=ratio),
            OperatorResult(id="stream", name="", unit="B/s", why="nobody published it"),
        ),
        scenarios=(ScenarioResult(id="serve", name="", outcome="done", ratio=ratio),),
        parts=(Part(id="memory", weight=1.0, ratio=ratio),),
        performance=Layer(score=ratio, covered=0.5),
        scenario=Layer(score=ratio, covered=1.0),
        comprehensive=Layer(score=ratio, covered=1.0),
    )


def card(*ratios):
    weights = Weights(id="w", name="w", baseline="base", performance={}, scenarios={},
                      comprehensive={}, evidence={})  # fmt: skip
    others = (chip(f"chip-{place}", ratio) for place, ratio in enumerate(ratios))
    return Scorecard(
        version="",
        catalogue="",
        weights=weights,
        baseline="base",
        scenarios=("serve",),
        chips=(chip("base", 1.0), *others),
    )


@pytest.mark.parametrize("ratios", [(2.5,), (2.5, 0.3)], ids=["one", "two"])
def test_a_scorecard_draws_ratios_from_the_baseline_on(ratios):
    spec = scorecard(card(*ratios))
    assert [row["ratio"] for row in rows_of(spec, layer="scenario")] == list(ratios)
    check(spec)
    for layer in LAYERS:
        drawn = scorecard_layer(card(*ratios), layer)
        assert {row["ratio"] for row in drawn["data"]["values"] if "ratio" in row} == set(ratios)
        check(drawn)


def test_what_is_blank_in_a_scorecard_keeps_its_row_and_its_reason():
    [row] = rows_of(scorecard_layer(card(2.0), "performance"), layer="stream")
    assert (row["words"], row["why"]) == ("-", "nobody published it")
    assert "ratio" not in row


def test_a_score_that_rests_on_a_part_of_the_weights_says_so():
    [part] = rows_of(scorecard(card(2.0)), layer="performance")
    [whole] = rows_of(scorecard(card(2.0)), layer="scenario")
    assert (part["words"], whole["words"]) == ("2.00*", "2.00")
    assert partial(card(2.0)) == "* rests on a part of the weights: chip-0 performance on 50%"
    assert partial(card()) == ""


def test_a_fleet_is_drawn_as_counted_and_in_the_baselines():
    parts = (
        FleetPart(count=100.0, accelerator="base", by_peak=1.0, by_work=1.0),
        FleetPart(count=50.0, accelerator="other", by_peak=2.0, by_work=3.0),
    )
    made = Equivalents(
        name="both", count=150.0, parts=parts, by_peak=200.0, by_work=250.0, by_scenario={}
    )
    spec = fleet(made, "base")
    ends = {way: max(row["to"] for row in rows_of(spec, way=way)) for way in WAYS.values()}
    assert list(ends.values()) == [150.0, 200.0, 250.0]
    check(spec)
    alike = msgspec.structs.replace(made, by_peak=150.0, by_work=150.0)
    assert fleet(alike, "base") is None
    unknown = fleet(msgspec.structs.replace(made, by_work=None), "base")
    assert not rows_of(unknown, way=WAYS["by_work"])


def test_a_scorecard_of_the_baseline_alone_is_no_picture():
    assert scorecard(card()) is None


def result(place, *, complete=True):
    measured = 0.1 + place
    return Result(
        id=f"r{place}",
        source="s",
        metric="step_time_s",
        status="ok",
        accelerator="h100",
        measured_value=measured,
        measured_time=measured,
        predicted_time=1.1 * measured,
        inside=place % 2 == 0,
        complete=complete,
    )


def test_measured_runs_are_thinned_evenly_and_their_ends_are_kept():
    spec = accuracy([result(place) for place in range(5000)])
    rows = spec["data"]["values"]
    assert len(rows) == MOST_ROWS
    assert (rows[0]["id"], rows[-1]["id"]) == ("r0", "r4999")
    assert "5,000 measured runs, 2,000 of them drawn" in spec["description"]
    assert "below 10.0%, 50% of the runs" in spec["description"]
    check(spec)


def test_runs_whose_configuration_is_not_whole_are_drawn_only_when_asked_for():
    results = [result(1), result(2, complete=False)]
    assert [row["inside"] for row in accuracy(results)["data"]["values"]] == [OUTSIDE]
    every = accuracy(results, complete=False)["data"]["values"]
    assert [row["inside"] for row in every] == [OUTSIDE, INSIDE]
    assert accuracy([]) is None

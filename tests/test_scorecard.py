"""Accelerators in three layers: weights, blanks, what is refused, and fleets in H100s."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.cli import main
from clusterwright.errors import CatalogueError, InputError, UnknownNameError
from clusterwright.facts import shipped
from clusterwright.formulas.scores import fleet_equivalents, weighted_mean_ratio
from clusterwright.planner_scorecard import score
from clusterwright.report.scorecard_text import scorecard_text
from clusterwright.scorecard.asked import PARTS, operators_of, scenarios_of, weights_of
from clusterwright.scorecard.equivalents import fleet_of, looks_like_fleet
from clusterwright.scorecard.operators import bench_of, run_operator, runs_in
from clusterwright.scorecard.scoring import breadth_of, layer_of

QUICK = ["edge-1b", "finetune-70b"]
BETTER = """
[[accelerator]]
id = "like-h100"
name = "As an H100"
vendor = "NVIDIA"
kind = "gpu"
profile = "nvidia-hopper"
peaks.bf16 = "900 TFLOP/s"
peaks.fp8 = "1800 TFLOP/s"
memory = "80 GiB"
memory_bandwidth = "3.3 TB/s"
board_power = "700 W"
scaleup_kind = "nvlink"
scaleup_bandwidth = "400 GB/s"
scaleup_domain = "8"
scaleout_bandwidth = "40 GB/s"
price = "$25000"

[[accelerator]]
id = "better"
name = "Better in everything"
vendor = "NVIDIA"
kind = "gpu"
profile = "nvidia-hopper"
peaks.bf16 = "1200 TFLOP/s"
peaks.fp8 = "2400 TFLOP/s"
memory = "100 GiB"
memory_bandwidth = "4.5 TB/s"
board_power = "600 W"
scaleup_kind = "nvlink"
scaleup_bandwidth = "600 GB/s"
scaleup_domain = "16"
scaleout_bandwidth = "60 GB/s"
price = "$20000"
"""
WEIGHTS = """
[[scorecard]]
id = "mine"
name = "Mine"
baseline = "nv-h100-sxm"
performance = [{ of = "stream", weight = 0.5 }, { of = "matmul-bf16", weight = 0.5 }]
scenarios = [{ of = "edge-1b", weight = 1.0 }]
comprehensive = [{ of = "operators", weight = 0.25 }, { of = "scenarios", weight = 0.75 }]
evidence = [
  { of = "measured", weight = 1.0 }, { of = "anchored", weight = 0.5 }, { of = "borrowed", weight = 0.2 },
  { of = "A", weight = 1.0 }, { of = "B", weight = 0.8 }, { of = "C", weight = 0.5 }, { of = "D", weight = 0.2 },
]
"""  # noqa: E501


@pytest.fixture(scope="module")
def card():
    return score("a100", "mi300x", "enflame-t21", "enflame-s60", "metavertu", scenarios=QUICK)


def sheet(card, name):
    return next(chip for chip in card.chips if chip.id == name)


# The mean.


@given(
    st.lists(st.tuples(*[st.floats(0.01, 100.0)] * 3), min_size=1, max_size=8),
    st.floats(1.01, 10.0),
)
def test_the_mean_grows_with_each_ratio_and_does_not_depend_on_the_reference(rows, factor):
    own, other, weights = (np.array(column) for column in zip(*rows, strict=True))
    mean = weighted_mean_ratio(own, weights)
    assert own.min() * (1 - 1e-9) <= mean <= own.max() * (1 + 1e-9)
    raised = own.copy()
    raised[0] *= factor
    assert weighted_mean_ratio(raised, weights) > mean
    # a over b is a over c, over b over c.
    assert weighted_mean_ratio(own / other, weights) == pytest.approx(
        mean / weighted_mean_ratio(other, weights)
    )


def test_weights_count_relative_to_each_other():
    assert weighted_mean_ratio([8.0, 1.0], [1.0, 2.0]) == pytest.approx(2.0)
    assert weighted_mean_ratio([8.0, 1.0], [10.0, 20.0]) == pytest.approx(2.0)
    several = weighted_mean_ratio([[8.0, 1.0], [1.0, 1.0]], [1.0, 2.0])
    assert several == pytest.approx([2.0, 1.0])


def test_what_is_missing_has_no_weight_and_is_named():
    weights = {"a": 0.2, "b": 0.3, "c": 0.5}
    found = layer_of({"a": 4.0, "b": None, "c": 1.0}, weights)
    assert found.score == pytest.approx(4.0 ** (0.2 / 0.7))
    assert found.covered == pytest.approx(0.7)
    assert found.missing == ("b",)
    nothing = layer_of(dict.fromkeys(weights), weights)
    assert nothing.score is None
    assert nothing.covered == 0.0


# Chips.


def test_the_baseline_scores_one_in_everything(card):
    first = card.chips[0]
    assert first.id == card.baseline == "nv-h100-sxm"
    everything = [*first.operators, *first.scenarios, *first.parts]
    assert [one.ratio for one in everything] == pytest.approx([1.0] * len(everything))
    for layer in (first.performance, first.scenario, first.comprehensive):
        assert layer.score == pytest.approx(1.0)
        assert layer.covered == pytest.approx(1.0)


def test_better_in_all_is_better_in_each_layer_and_part(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(BETTER, encoding="utf-8")
    facts = shipped().with_files([own])
    found = score("better", baseline="like-h100", scenarios=QUICK, catalogue=facts)
    better = sheet(found, "better")
    assert all(one.ratio > 1.0 for one in better.operators)
    assert all(one.ratio > 1.0 for one in better.scenarios)
    parts = {part.id: part.ratio for part in better.parts}
    assert parts.pop("breadth") == parts.pop("evidence") == pytest.approx(1.0)
    assert all(ratio > 1.0 for ratio in parts.values())
    assert better.comprehensive.score > 1.0
    # The other way round is one over it: no chip is favoured for being the baseline.
    turned = score("like-h100", baseline="better", scenarios=QUICK, catalogue=facts)
    worse = sheet(turned, "like-h100")
    assert worse.comprehensive.score == pytest.approx(1.0 / better.comprehensive.score)


def test_what_is_achieved_stays_below_the_peak(card):
    for chip in card.chips:
        for one in chip.operators:
            if one.achieved is not None and not one.id.startswith("all-reduce"):
                assert 0.0 < one.achieved < one.peak


def test_a_rate_says_what_it_rests_on(card):
    basis = {one.id: one.basis for one in sheet(card, "nv-h100-sxm").operators}
    assert basis["matmul-bf16"] == basis["stream"] == "measured"
    assert basis["matmul-int8"] == "borrowed"  # no 8-bit integer was measured: 8-bit floats were
    theirs = {one.id: one.basis for one in sheet(card, "amd-mi300x").operators}
    assert theirs["matmul-bf16"] == "anchored"
    assert theirs["prefill-8k"] == "borrowed"
    evidence = {part.id: part.ratio for part in sheet(card, "amd-mi300x").parts}["evidence"]
    assert evidence < 1.0


def test_a_product_runs_in_the_next_wider_precision_that_a_chip_has():
    facts = shipped()
    assert runs_in(facts.accelerator("h100"), "fp4")[0] == "fp8"
    assert runs_in(facts.accelerator("b200"), "fp4")[0] == "fp4"
    assert runs_in(facts.accelerator("a100"), "fp8")[0] == "bf16"
    assert runs_in(facts.accelerator("kunlun-p800"), "bf16")[0] == "fp16"


def test_unpublished_figures_leave_blanks_that_are_named(card):
    chip = sheet(card, "enflame-t21")
    blank = [one for one in chip.operators if one.achieved is None]
    assert {one.id for one in blank} >= {"matmul-bf16", "prefill-8k"}
    assert all("no published bf16 rate" in one.why for one in blank)
    assert chip.performance.covered == pytest.approx(0.25)
    assert set(chip.performance.missing) == {one.id for one in blank}
    assert "energy" in chip.comprehensive.missing  # nobody published its power
    unknown = sheet(card, "enflame-s60")
    assert [one.outcome for one in unknown.scenarios] == ["unknown", "unknown"]
    assert unknown.scenario.score is None
    assert "nobody published the memory bandwidth" in scorecard_text(card)


def test_a_phone_does_what_one_user_asks_and_no_more(card):
    phone = sheet(card, "metavertu")
    assert [one.outcome for one in phone.scenarios] == ["done", "cannot"]
    assert phone.scenarios[0].ratio < 0.1
    assert "alone in its device" in phone.scenarios[1].why
    assert phone.scenario.missing == ("finetune-70b",)
    # What cannot be done is no zero in the mean; it counts in breadth: 5 of 15 hundredths.
    parts = {part.id: part.ratio for part in phone.parts}
    assert parts["breadth"] == pytest.approx(0.05 / 0.15)
    assert breadth_of(phone.scenarios, card.weights) == parts["breadth"]


# Weights.


def test_the_shipped_weights_weigh_all_that_there_is():
    facts = shipped()
    weights, _ = weights_of("usual", facts)
    assert {one.id for one in operators_of(weights, facts)} == set(facts.entries("operators"))
    assert {one.id for one in scenarios_of(weights, facts)} == set(facts.entries("scenarios"))
    assert set(weights.comprehensive) == set(PARTS)


def test_a_persons_own_weights(tmp_path):
    own = tmp_path / "mine.toml"
    own.write_text(WEIGHTS, encoding="utf-8")
    found = score("a100", weights=str(own))
    chip = sheet(found, "nv-a100-80-sxm")
    stream, product = (one.ratio for one in chip.operators)
    assert chip.performance.score == pytest.approx((stream * product) ** 0.5)
    assert [part.id for part in chip.parts] == ["operators", "scenarios"]
    whole = chip.performance.score**0.25 * chip.scenario.score**0.75
    assert chip.comprehensive.score == pytest.approx(whole)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"edge-1b", weight = 1.0', '"edge-1b", weight = 0.5', "add up to 0.5, but must to 1"),
        ('"edge-1b"', '"edge1b"', "did you mean edge-1b"),
        ('"matmul-bf16", weight', '"stream", weight', "has two weights"),
        ('"scenarios", weight', '"speed", weight', "known: operators"),
        ('of = "D", weight = 0.2', 'of = "D", weight = 1.2', "can be 1 at most"),
        (', { of = "D", weight = 0.2 }', "", "say what D is worth"),
    ],
)
def test_weights_that_cannot_be_are_refused(tmp_path, old, new, said):
    assert old in WEIGHTS
    own = tmp_path / "mine.toml"
    own.write_text(WEIGHTS.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        weights_of(str(own), shipped())


def test_a_file_without_weights_is_refused(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(BETTER, encoding="utf-8")
    with pytest.raises(InputError, match="holds 0 sets of weights"):
        weights_of(str(own), shipped())
    with pytest.raises(CatalogueError, match="no such file"):
        weights_of(str(tmp_path / "none.toml"), shipped())


# Fleets.


def test_metas_fleet_of_2024_is_six_hundred_thousand_h100():
    # 350,000 H100, and the rest "nearly 600,000 H100 equivalents": M. Zuckerberg, January 2024.
    for name in ("meta-fleet-2024", "350000xh100,250k"):
        (fleet,) = score(name, scenarios=["edge-1b"]).fleets
        assert fleet.by_peak == fleet.by_work == pytest.approx(600e3)


def test_equivalents_that_an_owner_states_stay_of_their_kind():
    (fleet,) = score("meta-fleet-2024", baseline="b200", scenarios=["edge-1b"]).fleets
    chips = [shipped().accelerator(name).peaks["bf16"] for name in ("h100", "b200")]
    assert fleet.by_peak == pytest.approx(600e3 * chips[0] / chips[1])


def test_colossus_by_peak_and_by_work():
    (fleet,) = score("colossus1-d", scenarios=QUICK).fleets
    peaks = {name: shipped().accelerator(name).peaks["bf16"] for name in ("h100", "h200", "gb200")}
    by_peak = (150e3 * peaks["h100"] + 50e3 * peaks["h200"] + 30e3 * peaks["gb200"]) / peaks["h100"]
    assert fleet.by_peak == pytest.approx(by_peak)
    assert 270e3 < fleet.by_peak < 280e3
    low, high = sorted(fleet.by_scenario.values())
    assert low < fleet.by_work < high
    assert fleet.by_work != pytest.approx(fleet.by_peak, rel=1e-3)


def test_numbers_may_be_written_with_commas():
    parts = fleet_of("100,000xh100, 500xmi300x,250,000", shipped()).parts
    assert [(one.count, one.accelerator) for one in parts] == [
        (100e3, "nv-h100-sxm"),
        (500.0, "amd-mi300x"),
        (250e3, ""),
    ]


def test_a_fleet_with_an_unknown_part_has_no_sum():
    (fleet,) = score("1000xh100,1000xenflame-s60", scenarios=["edge-1b"]).fleets
    assert fleet.by_peak is None
    assert fleet.by_work is None
    assert any("enflame-s60" in part.why for part in fleet.parts)


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(0.01, 10)), min_size=1, max_size=6))
def test_equivalents_add_up(parts):
    counts, ratios = zip(*parts, strict=True)
    whole = fleet_equivalents(counts, ratios)
    assert whole == pytest.approx(sum(fleet_equivalents([n], [r]) for n, r in parts))


@pytest.mark.parametrize(
    "text", ["100000xh100", "100k*h100", "100,000xh100", "5 h100,3 b200", "9 rtx4090", ","]
)
def test_what_looks_like_a_fleet(text):
    assert looks_like_fleet(text)


@pytest.mark.parametrize("text", ["h100", "mi300x", "rx-7900-xtx", "meta-24k", "colossus1-d"])
def test_what_looks_like_a_name(text):
    assert not looks_like_fleet(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (",", "is empty"),
        ("0xh100", "whole number of accelerators"),
        ("-5xh100,1xh200", "whole number of accelerators"),
        ("1.5xh100", "whole number of accelerators"),
        ("1e12xh100", "whole number of accelerators"),
        ("manyxh100,1xh200", "whole number of accelerators"),
        ("5xh1000", "did you mean h100"),
        ("meta-hyperion", "does not say how many"),
    ],
)
def test_fleets_that_cannot_be_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        fleet_of(text, shipped())


# Refusals, and what is printed.


def test_unknown_names_get_the_nearest():
    with pytest.raises(UnknownNameError, match=r"did you mean .*h100"):
        score("h1000")
    with pytest.raises(UnknownNameError, match=r"did you mean .*pretrain-70b"):
        score("h100", scenarios=["pretrain-70"])
    with pytest.raises(InputError, match="name an accelerator"):
        score()


def test_a_scenario_without_a_weight_is_refused(tmp_path):
    own = tmp_path / "mine.toml"
    own.write_text(WEIGHTS, encoding="utf-8")
    with pytest.raises(InputError, match="serve-8b has no weight in scorecard mine"):
        score("h100", weights=str(own), scenarios=["serve-8b"])


def test_too_many_chips_are_refused():
    with pytest.raises(InputError, match="too many for one scorecard"):
        score(*list(shipped().entries("accelerators"))[:40])


def test_a_collective_needs_more_than_a_phone():
    facts = shipped()
    weights, _ = weights_of("usual", facts)
    (one,) = [op for op in operators_of(weights, facts) if op.id == "all-reduce-8"]
    found = run_operator(one, bench_of(facts.any_cluster("soc-a17p-gpu", 1), facts))
    assert found.achieved is None
    assert found.why == "soc-a17p-gpu is alone in its device"


def test_the_page_fits_a_terminal(capsys):
    jobs = [word for name in QUICK for word in ("--scenario", name)]
    several = ["h200", "metavertu", "1000xh100,50xb200"]
    for names in (["mi300x"], several, ["h100"], ["graphcore-gc200"], ["enflame-t20"]):
        assert main(["scorecard", *names, *jobs]) == 0
        text = capsys.readouterr().out
        assert "= 1.00" in text
        assert max(map(len, text.splitlines())) <= 120
    assert main(["scorecard", "h200", *jobs, "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [chip["id"] for chip in read["chips"]] == ["nv-h100-sxm", "nv-h200-sxm"]


def test_a_price_needs_its_accelerator(capsys):
    assert main(["scorecard", "h100", "--price", "2.10"]) == 2
    assert "h100=2.10" in capsys.readouterr().err

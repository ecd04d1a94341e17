"""Power, energy, water and carbon against what was published, with the inputs of the catalogue."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.catalogue.figures import Entry
from clusterwright.errors import InputError
from clusterwright.facts import shipped, usual
from clusterwright.formulas.carbon import electricity_carbon, made_carbon, market_carbon
from clusterwright.formulas.power import (
    capped_speed,
    converter_input,
    device_energy,
    facility_power,
    part_load,
    step_speed,
)
from clusterwright.site.carbon import carbon_inputs, footprint
from clusterwright.site.climate import region_named, require_grid
from clusterwright.site.power import capped_step, check_cap, mean_power, power_inputs
from clusterwright.uncertain import draw, interval_of, intervals_of, known, likely

FACTS = shipped()
KWH, MWH, TONNE, HOUR, DAY = 3.6e6, 3.6e9, 1e3, 3600.0, 86_400.0
YEAR = 365.25 * DAY
H100 = {"accelerator_power": 700.0, "host_power": 575.0, "storage_power": 0.0}


def value(name: str, key: str = "value") -> float:
    return FACTS.figure("footprints", name, key).value


# A facility.


def test_a_hundred_thousand_h100_draw_what_was_published():
    host = value("pec-009")
    load = facility_power(
        num_accelerators=1,
        accelerator_power=FACTS.figure("accelerators", "nv-h100-sxm", "board_power").value,
        load=1.0,
        host_power=host,
        network_power=0.1 * (700.0 + host),
        storage_power=0.0,
        pue=1.294,
    )
    # SemiAnalysis (2024): 1,275 W of server and a tenth more, 1.402 kW of IT; 1.59 TWh a year.
    assert load / 1.294 == pytest.approx(1402, rel=1e-3)
    assert load == pytest.approx(1815, rel=1e-3)
    assert 1e5 * load * 8760 * HOUR / 3.6e15 == pytest.approx(1.59, rel=1e-3)
    # What stands at Memphis, by Epoch.
    assert 1e5 * load == pytest.approx(value("pec-019"), rel=0.01)


def test_epochs_rule():
    rule = 700.0 * value("pec-021-h100")
    assert rule == pytest.approx(value("pec-006-rated") / 8, rel=1e-3)
    assert 400.0 * value("pec-021-a100") == pytest.approx(value("pec-005-rated") / 8, rel=1e-3)
    facility = facility_power(
        num_accelerators=1e5, load=1.0, network_power=0.0, pue=value("pec-021-pue"), **H100
    )
    assert facility == pytest.approx(1e5 * rule * value("pec-021-pue"), rel=1e-3)


def test_what_is_drawn_is_not_what_is_rated():
    rated, seen = value("pec-006-rated"), value("pec-001")
    drawn, peak = usual(FACTS, "expected-power-share"), usual(FACTS, "power-drawn-peak")
    assert drawn.low <= value("pec-002") <= drawn.high
    assert seen / rated == pytest.approx(peak.value, abs=0.01)
    assert drawn.low <= value("pec-003") / value("pec-005-rated") <= drawn.high


def test_converters_of_frontier():
    behind = converter_input(2000.0, value("pec-096-sivoc-fixed"), value("pec-096-sivoc"))
    assert behind == pytest.approx((2000 + 13) / 0.98)
    mains = converter_input(behind, value("pec-096-rectifier-fixed"), value("pec-096-rectifier"))
    assert 2000 / mains == pytest.approx(0.927, abs=1e-3)


def test_us_data_centres_in_2023():
    share = value("pec-029-2023") / value("pec-029-share")
    assert share / 3.6e15 == pytest.approx(4000, rel=0.01)  # TWh of the United States
    assert value("pec-029-2023") / YEAR == pytest.approx(20.1e9, rel=0.01)  # W, on average


# Power of a chip.


def test_phases_of_the_chips_that_were_measured():
    for chip, row in (("nv-h100-sxm", "pec-008"), ("nv-a100-80-sxm", "pec-007")):
        watts = power_inputs(FACTS, chip)
        for key, phase in (("compute_power", "prompt"), ("memory_power", "token")):
            assert watts[key].low <= value(f"{row}-{phase}") <= watts[key].high
        assert watts["idle_power"].low <= value(f"{row}-idle") <= watts["idle_power"].high


def test_training_draws_what_was_seen_of_gpus():
    # A step that is bound by compute for 70 % of its time, by memory and by traffic for 10 % each.
    shares = {"compute_share": 0.7, "memory_share": 0.1, "traffic_share": 0.1}
    watts = power_inputs(FACTS, "nv-h100-sxm")
    mixed = mean_power({**likely(watts), **shares})
    assert mixed / 700 == pytest.approx(value("pec-022-gpu"), abs=0.05)
    drawn = interval_of(mean_power({**draw(watts), **shares}))
    assert drawn.low < mixed < drawn.high


def test_a_cap_of_a_sixth_costs_meta_a_twentieth():
    watts = power_inputs(FACTS, "nv-gb200")
    given = dict(draw(watts).items()) | {"compute_share": 0.75}
    lost = interval_of(1.0 - capped_step(given, 1000.0))
    # Published: 5 %. The interval is all that theory leaves open.
    assert lost.low < value("pec-012-speed") < lost.high
    assert value("pec-012-budget") / value("pec-012-rated") == pytest.approx(0.8)


def test_a_cap_on_an_h100_costs_less_than_a_web_page_says():
    # 10 to 15 % at 600 of 700 W, without the measurement; theory gives 5 to 9 %.
    lost = [1.0 - float(capped_speed(600.0, 75.0, 700.0, power)) for power in (3.0, 2.0)]
    assert lost == pytest.approx([0.055, 0.083], abs=0.002)
    assert max(lost) < FACTS.figure("footprints", "power-cap-h100-600", "value").low


def test_a_cap_at_or_below_idle_is_refused():
    watts = power_inputs(FACTS, "nv-h100-sxm")
    with pytest.raises(InputError, match="leaves nothing to work with: H100 draws 75 W idle"):
        check_cap(60.0, watts, "H100")
    assert check_cap(2000.0, watts, "H100").value == 700.0
    assert float(capped_speed(60.0, 75.0, 700.0, 3.0)) == 0.0


@given(cap=st.floats(10.0, 2000.0), more=st.floats(0.0, 500.0), compute=st.floats(0.0, 1.0))
def test_a_higher_cap_never_slows(cap, more, compute):
    low, high = (
        float(step_speed(capped_speed(one, 75.0, 700.0, 2.5) + 1e-12, compute))
        for one in (cap, cap + more)
    )
    assert low <= high + 1e-12 <= 1.0 + 1e-9


@given(
    idle=st.floats(0.0, 100.0),
    span=st.floats(0.0, 1000.0),
    loads=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
    pue=st.floats(1.0, 2.0),
)
def test_more_load_never_lowers_power(idle, span, loads, pue):
    few, many = (part_load(idle, idle + span, load) for load in sorted(loads))
    assert few <= many * (1 + 1e-12)
    lower, higher = (
        facility_power(num_accelerators=8, load=load, network_power=50.0, pue=pue, **H100)
        for load in sorted(loads)
    )
    assert lower <= higher


# Energy and carbon of models.

MODELS = [
    entry
    for entry in FACTS.entries("footprints").values()
    if entry.data["category"] == "model-carbon" and entry.figure("device_power") is not None
]


def energy_of(entry: Entry, pue: float) -> float:
    time = entry.value("device_time")
    if time is None:
        time = entry.require("device_count").value * entry.require("duration").value
    return device_energy(time, entry.require("device_power").value, pue)


@pytest.mark.parametrize("entry", MODELS, ids=lambda entry: entry.name)
def test_energy_and_carbon_of_published_models(entry):
    pue = entry.value("pue")
    energy = energy_of(entry, 1.0 if pue is None else pue)
    published = entry.value("energy")
    if published is not None:
        assert energy == pytest.approx(published, rel=0.1)
    factor = entry.value("grid_carbon")
    if factor is None:
        # Meta's cards from Llama 2 on give no factor: the United States' in the year, with a PUE
        # of Meta's and the sources' range, must hold what they imply.
        usa = region_named(FACTS, "usa")
        grid = require_grid(FACTS, usa)
        implied = entry.require("value").value / energy
        assert implied / value("pec-033") == pytest.approx(grid.value, rel=0.1)
        factor, energy = grid.value, energy * value("pec-033")
    carbon = electricity_carbon(energy, factor)
    assert carbon == pytest.approx(entry.require("value").value, rel=0.1)


def test_all_the_models_asked_for_are_there():
    names = " ".join(entry.name for entry in MODELS)
    wanted = ["GPT-3", "BLOOM", "LLaMA", "OPT", "T5", "GShard", "Switch", "XLM"]
    wanted += ["Llama 2 70B", "Llama 3 8B", "Llama 3 70B", "Llama 3.1", "Llama 4"]
    assert [name for name in wanted if name not in names] == []


def test_bloom_waited_for_more_than_half_of_what_it_worked():
    bloom, idle = FACTS.entry("footprints", "pec-054"), FACTS.entry("footprints", "pec-054-idle")
    factor = value("pec-093")
    for entry in (bloom, idle):
        carbon = electricity_carbon(entry.require("energy").value, factor)
        assert carbon == pytest.approx(entry.require("value").value, rel=0.01)
    share = idle.require("energy").value / bloom.require("energy").value
    assert share == pytest.approx(0.59, abs=0.005)


def test_the_whole_family_of_llama():
    entry = FACTS.entry("footprints", "pec-045")
    carbon = electricity_carbon(entry.require("energy").value, entry.require("grid_carbon").value)
    assert carbon == pytest.approx(1015 * TONNE, rel=2e-3)


def test_the_market_leaves_nothing_of_llama_3_1():
    energy = energy_of(FACTS.entry("footprints", "pec-051"), 1.0)
    assert energy / MWH == pytest.approx(27_510, rel=1e-3)
    assert market_carbon(energy, 0.4 / KWH, 1.0, 0.0) == 0.0
    assert market_carbon(energy, 0.4 / KWH, 0.0, 0.0) == electricity_carbon(energy, 0.4 / KWH)


def test_parts_of_a_prompt_of_gemini_add_up():
    shares = {key: value(f"pec-060-{key}") for key in ("accelerator", "host", "idle", "overhead")}
    assert math.fsum(shares.values()) == pytest.approx(1.01, abs=1e-9)  # as rounded by Google
    # The overhead is a PUE of 1.09 on the rest.
    assert 1 / (1 - shares["overhead"]) == pytest.approx(1.09, abs=0.005)
    energy = value("pec-060-energy")
    # Active accelerators alone: 0.10 of 0.24 Wh is less than their share of 58 %, for the latter
    # is reckoned with the share of time in which nothing is asked of them.
    assert value("pec-060-active") < shares["accelerator"] * energy
    # 0.26 mL over 0.24 Wh at the meter is 1.08 L/kWh: what Google's facilities drink.
    water = value("pec-060-water") / energy * KWH
    assert water == pytest.approx(value("pec-043") * KWH, rel=0.1)
    assert value("pec-060-carbon") / energy * KWH == pytest.approx(0.125)


# What was made.


def chip_and_memory() -> float:
    return made_carbon(
        value("die-h100") * 1e-6,
        value("llmcarbon-4nm") * 1e4,
        80e9,
        value("llmcarbon-dram") / 1e9,
        0.0,
    )


def test_chips_and_memory_are_as_llmcarbon_counts_them():
    assert chip_and_memory() == pytest.approx(14.65 + 32.0, abs=0.01)


@pytest.mark.xfail(strict=True, reason="0.28 of the maker's account: 47 of 164 kg")
def test_chips_and_memory_are_most_of_an_accelerator():
    assert chip_and_memory() > 0.5 * value("hgx-h100-pcf") / 8


def test_what_a_year_of_llama_3_costs_the_air_and_the_rivers():
    place = region_named(FACTS, "usa")
    inputs = carbon_inputs(FACTS, place, node_size=8, contracted=1.0)
    inputs |= {
        "energy": known(27_510 * MWH * 1.08, "J"),
        "it_energy": known(27_510 * MWH, "J"),
        "wue": known(0.2 / KWH, "L/J"),
        "accelerators": known(16_384.0),
        "duration": known(39.3e6 / 16_384 * HOUR, "s"),
    }
    found = intervals_of(footprint, inputs)
    assert found["location"].middle == pytest.approx(11_390 * TONNE, rel=0.1)
    assert found["market"].high == 0.0
    # Making the machines, over their life: a tenth of what their electricity emits, or less.
    assert 0.01 < found["made"].middle / found["location"].middle < 0.1
    assert found["water"].middle == pytest.approx(5.5e6, rel=0.01)
    assert found["grid_water"].low > found["water"].high


def test_the_default_holds_what_was_published_of_accelerators():
    made = usual(FACTS, "embodied-accelerator")
    for published in (value("hgx-h100-pcf") / 8, value("a100-chien"), 128.0):
        assert made.low <= published <= made.high

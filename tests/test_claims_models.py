"""Models of claims: what they give is what the verbs give, and what cannot be is told."""

from __future__ import annotations

import pytest

from clusterwright.asking_build import ask_build
from clusterwright.asking_site import ask_site
from clusterwright.claims.given import Given
from clusterwright.claims.models import MODELS
from clusterwright.errors import ClusterwrightError, InputError
from clusterwright.facts import shipped
from clusterwright.planner_build import plan_build
from clusterwright.site.outlook import look_at_site
from clusterwright.uncertain import Interval, interval_of

FACTS = shipped()
GPT3 = {"model": "gpt-3-175b", "accelerator": "h100", "accelerators": "1024", "tokens": "300B"}
HALL = {"region": "virginia", "cooling": "direct-liquid"}
SMALL = {"device": "iphone-16", "model": "qwen2.5-0.5b", "prompt": "100", "output": "50"}
SERVE = {"model": "llama-3.1-8b", "accelerator": "h100", "rate": "50/s"}
TOKENS = {"prompt": "200", "output": "100"}
MEASURED = {"rate": "800/s", "measured": "0.5/s"}
RUN = {"accelerator": "h100", "compute": "1e24 FLOP", "accelerators": "1000"}
GAIN = {
    "model": "llama-3.1-8b",
    "new_accelerator": "h200",
    "new_accelerators": "8",
    "old_accelerator": "h100",
    "old_accelerators": "8",
    "user_rate": "40/s",
    **TOKENS,
}


def results(model: str, /, **given) -> dict[str, Interval]:
    words = Given(given, FACTS)
    answer = MODELS[model](words)
    words.check_all_read()
    return {
        name: one if isinstance(one, Interval) else interval_of(one)
        for name, one in answer.results.items()
    }


def middle(model: str, name: str, /, **given) -> float:
    return results(model, **given)[name].middle


# What they give.


def test_a_site_is_that_of_the_command():
    question = ask_site("colossus")
    same = look_at_site(question, depth=False).results
    ours = results("site", cluster="colossus")
    assert ours["energy"] == same["energy"]
    assert ours["capex"] == same["capex"]
    assert ours["nameplate_energy"].low > ours["energy"].high


def test_any_input_of_a_site_may_be_given_by_name():
    usual = middle("site", "bill", cluster="colossus")
    dear = middle("site", "bill", cluster="colossus", energy_price="$0.30/kWh")
    assert dear > 2 * usual
    assert middle("site", "pue", cluster="colossus", pue=["1.2", "1.3", "1.4"]) == pytest.approx(
        1.3, abs=0.01
    )


def test_a_build_is_that_of_the_command():
    same = plan_build(ask_build("colossus", path="retrofit"), then="200000")
    ours = results("build", cluster="colossus", path="retrofit", then="200000")
    assert ours["time"] == same.finish
    assert ours["more"] == same.then.finish


def test_failures_lengthen_a_planned_run_and_an_assumed_one():
    planned = results("training-plan", **GPT3)
    assert planned["time"].middle == pytest.approx(
        planned["undisturbed"].middle / planned["goodput"].middle, rel=0.02
    )
    assumed = {"compute": "1e25 FLOP", "accelerator": "h100", "accelerators": "16384"}
    alone = middle("training-time", "time", mfu="40%", **assumed)
    broken = middle("training-time", "time", mfu="40%", goodput="modelled", **assumed)
    assert 1.02 * alone < broken < 1.3 * alone


def test_time_power_and_mfu_of_a_run_that_is_known():
    found = results("training-time", **RUN, time="30 d", power="1 kW")
    assert found["mfu"].middle == pytest.approx(1e24 / (1000 * 989.4e12 * 30 * 86400))
    assert found["energy"].middle == 1000 * 1000.0 * 30 * 86400


def test_a_larger_fleet_fails_more_often():
    small, large = (
        results("fleet", accelerator="h100", accelerators=count, days="30 d")
        for count in ("1024", "32768")
    )
    assert large["between"].middle < small["between"].middle
    assert large["goodput"].middle < small["goodput"].middle


def test_services_by_a_plan_by_what_was_measured_and_by_users():
    assert middle("serving-fleet", "accelerators", **MEASURED) == 1600
    by_users = {"users": "10", "answers": "0.1/s", "served_by": "2"}
    assert middle("serving-fleet", "rate", rate="800/s", **by_users) == 0.5
    paid = results("serving-fleet", price="$2/h", **MEASURED)
    assert paid["cost"].middle == pytest.approx(1600 * 2 * 8760)
    planned = results("serving-fleet", **SERVE, **TOKENS)["accelerators"]
    assert planned.low < planned.middle < planned.high


def test_a_service_has_the_rates_and_energy_of_its_plan():
    found = results("serving", **SERVE, **TOKENS, tpot="50ms")
    tokens = found["accelerator_rate"].middle * found["accelerators"].middle
    assert tokens == pytest.approx(50 * 100, rel=0.01)
    # Boards of 700 W, all of them on: the joules of a token out.
    each = 700.0 / found["accelerator_rate"].middle
    assert found["energy"].middle == pytest.approx(each, rel=0.01)


def test_more_memory_bandwidth_serves_more():
    found = results("serving-gain", **GAIN)
    assert found["gain"].middle > 1.0
    assert found["energy_gain"].middle == pytest.approx(found["gain"].middle)


def test_a_phone_with_tokens_and_without():
    short, long = (results("device", **{**SMALL, "output": output}) for output in ("50", "500"))
    assert long["time"].middle > 5 * short["time"].middle
    assert long["battery"].middle == pytest.approx(
        long["energy"].middle / FACTS.figure("devices", "iphone-16", "battery").value, rel=0.01
    )
    photo = {"device": "metavertu-2", "share": "30%", "memory": "1 GB"}
    light, heavy = (middle("device", "time", work=f"{n} GFLOP", **photo) for n in (10, 20))
    assert heavy == pytest.approx(2 * light, rel=0.05)


def test_prices_rents_and_servers():
    chip = {"accelerator": "h100", "day": "2024-06-17"}
    assert middle("prices", "total", accelerators="8", **chip) == pytest.approx(
        8 * middle("prices", "price", **chip)
    )
    assert middle("prices", "price", basis="servers", **chip) > middle("prices", "price", **chip)


def test_equivalents_by_peak_and_what_is_missing():
    fleet = {"fleet": "1000xh100,1000xa100", "to": "2000", "by": "a100"}
    found = results("h100-equivalents", **fleet)
    assert found["by_peak"].middle == pytest.approx(1000 * (1 + 312 / 989.4), rel=1e-3)
    assert found["missing"].middle == pytest.approx(
        (2000 - found["by_peak"].middle) * 989.4 / 312, rel=1e-3
    )


def test_growth_and_dates():
    found = results("growth", factor="1024", span="10 y", measured="1 y")
    assert found["doubling"].middle == pytest.approx(365.25 * 86400)
    assert found["grown"].middle == pytest.approx(1024)
    assert found["times"].middle == pytest.approx(1.0)
    assert middle("dates", "time", **{"from": "2024-02-01", "to": "2024-03-01"}) == 29 * 86400
    assert middle("dates", "after", **{"from": "2024-03-01", "to": "2024-02-01"}) == 0.0


def test_what_nobody_built_is_in_no_list():
    assert middle("clusters-known", "clusters", accelerators="4000000") == 0.0


def test_a_warmer_place_has_a_higher_pue():
    cool = middle("hall", "pue", region="inner-mongolia", cooling="air-economiser")
    warm = middle("hall", "pue", region="singapore", cooling="air-economiser")
    assert cool < warm


def test_a_source_goes_with_its_figure():
    words = Given({"x": {"value": "3", "source": "my book"}, "formula": "x"}, FACTS)
    assert MODELS["arithmetic"](words).results["value"] == 3.0
    assert "x 3 (my book)" in words.read


# What cannot be.


@pytest.mark.parametrize(
    ("model", "given", "says"),
    [
        ("arithmetic", {"formula": "x", "x": "4 B"}, "billions or bytes"),
        ("arithmetic", {"formula": "x", "x": {"value": "4"}}, "a value and its source alone"),
        ("build", {}, "gives no 'cluster'"),
        ("build", {"cluster": "colossus", "path": "retro"}, "retrofit"),
        ("build", {"cluster": "colossus", "racks_per_day": "many"}, "'racks_per_day' is 'many'"),
        ("clusters-known", {}, "gives no 'accelerators'"),
        ("dates", {"from": "soon", "to": "2024"}, "'soon' is no date"),
        ("dates", {"from": "@clusters/ms-gpt3/date", "to": "2024"}, "nobody published the date"),
        ("dates", {"from": "@clusters/ms-gpt3", "to": "2024"}, "write @kind/entry/figure"),
        ("device", {**SMALL, "device": "iphone-99"}, "iphone-1"),
        ("device", {"device": "iphone-16", "work": "1 GFLOP"}, "name a 'model' instead"),
        ("device", {**SMALL, "uses": "3"}, "'3' has no unit"),
        ("fleet", {"accelerator": "h100"}, "how many h100"),
        ("growth", {"factor": "1", "span": "10 y"}, "must be above 1"),
        ("hall", {**HALL, "cooling": "ice"}, "ice"),
        ("h100-equivalents", {"fleet": "many h100"}, "many h100"),
        ("model-size", {"accelerator": "nv-h1000"}, "nv-h100"),
        ("prices", {"accelerator": "h100", "day": "2024-06-17", "basis": "gift"}, "gift"),
        ("serving", {**SERVE, "prompt": "200"}, "--output is missing"),
        ("serving-fleet", {"rate": "800/s"}, "gives no 'users'"),
        ("serving-fleet", {**MEASURED, "peak": "high"}, "'peak' is 'high'"),
        ("serving-gain", {**GAIN, "user_rate": "1e6/s"}, "lower 'user_rate'"),
        ("site", {"cluster": "colossus", "pue": "0.9"}, "must be 1 to 5"),
        ("site", {"cluster": "colossus", "region": "atlantis"}, "atlantis"),
        ("training-plan", {"model": "gpt-3-175b", "accelerator": "h100"}, "gives no 'tokens'"),
        ("training-plan", {**GPT3, "precision": "bf61"}, "bf61"),
        ("training-time", {**RUN, "precision": "bf61"}, "bf61"),
    ],
)
def test_each_model_tells_what_it_cannot_use(model, given, says):
    with pytest.raises(ClusterwrightError, match=says):
        results(model, **given)


def test_lists_are_not_words():
    with pytest.raises(InputError, match="one word or number"):
        results("build", cluster=["a", "b"])

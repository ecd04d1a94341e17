"""The 64 claims of the catalogue: all have an answer, and the plain ones come out as on paper."""

from __future__ import annotations

import json

import pytest

from clusterwright.claims.checking import check, check_claims, claim_of
from clusterwright.cli import main
from clusterwright.facts import shipped
from clusterwright.report.claims_text import claims_text

FACTS = shipped()
SLOW = {"training-plan", "serving-fleet", "serving-gain", "h100-equivalents"}
CLAIMS = {name: claim_of(entry) for name, entry in FACTS.entries("claims").items()}
QUICK = [name for name, one in CLAIMS.items() if one.model not in SLOW]


def checked(name: str):
    return check(CLAIMS[name], FACTS)


def case_values(name: str) -> list[float]:
    return [case.value.middle for case in checked(name).cases]


def test_each_of_the_64_is_there_once_and_what_goes_with_it_has_its_number():
    whole = [name for name in CLAIMS if not name.endswith("b")]
    assert sorted(whole) == [f"C{number:02}" for number in range(1, 65)]
    assert {name.removesuffix("b") for name in CLAIMS} == set(whole)


def test_what_is_not_computed_is_words_or_a_forecast_and_says_why():
    for claim in CLAIMS.values():
        if claim.why_not:
            assert claim.nature in ("words", "forecast")
            assert len(claim.why_not) > 20
        else:
            assert claim.source


def test_no_claim_takes_what_was_said_as_what_is_given():
    told = {"C34"}  # a threshold, quoted from the licence itself
    for name, claim in CLAIMS.items():
        if claim.model == "arithmetic" and claim.given["formula"].isidentifier():
            only = claim.given[claim.given["formula"]]
            sourced = isinstance(only, dict) or str(only).startswith("@")
            assert sourced or name in told


@pytest.mark.parametrize("name", QUICK)
def test_each_quick_claim_has_a_verdict(name):
    found = checked(name)
    assert (found.verdict == "unchecked") == bool(found.claim.why_not)
    if found.said is not None:
        assert found.ours.low <= found.ours.middle <= found.ours.high


@pytest.mark.slow
def test_all_have_one_and_are_listed():
    found = check_claims(FACTS)
    assert {one.claim.id for one in found} == set(CLAIMS)
    for one in found:
        quantity = one.claim.nature in ("quantity", "comparison")
        assert one.ours is not None or not quantity
        assert one.verdict != "holds-if" or any(case.agrees for case in one.cases)
    lines = claims_text(found).splitlines()
    assert all(any(f"  {name} " in line for line in lines) for name in CLAIMS)
    assert max(len(line) for line in lines) <= 120


# As on paper.


@pytest.mark.slow
def test_gpt4_in_four_days_takes_fp8_at_35_per_cent_and_no_failures():
    found = checked("C03")
    assert found.verdict == "holds-if"
    by_name = {case.name: case for case in found.cases}
    fp8 = by_name["trained in FP8 at 35 % MFU, and nothing fails"]
    bf16 = by_name["trained in bf16 at 40 % MFU, and nothing fails"]
    assert (fp8.agrees, bf16.agrees) == (True, False)
    assert fp8.value.middle / 86_400 == pytest.approx(3.59, abs=0.005)
    assert bf16.value.middle / 86_400 == pytest.approx(6.29, abs=0.005)
    assert found.ours.low > bf16.value.middle


def test_1_59_terawatt_hours_are_rated_power_all_year():
    found = checked("C07")
    assert found.verdict == "holds-if"
    assert found.ours.high < 1.3e12 * 3600
    assert any(case.agrees and "rated" in case.name for case in found.cases)


def test_its_bill_and_the_price_of_350_000_are_right():
    assert checked("C08").verdict == "holds"
    assert checked("C08").ours.middle == pytest.approx(1.59e9 * 0.0771, rel=1e-9)
    assert checked("C31").verdict == "holds"
    assert case_values("C31") == pytest.approx([8.75e9, 10.5e9])


@pytest.mark.slow
def test_gpt3_on_v100_takes_as_long_as_said_at_the_rate_that_was_reached():
    found = checked("C43")
    assert found.verdict == "holds-if"
    assert found.cases[0].value.middle / 86_400 == pytest.approx(14.8, abs=0.1)


@pytest.mark.slow
def test_a_model_in_every_search_takes_as_many_as_was_reckoned():
    assert case_values("C44") == [4_102_568]
    cheap = checked("C45").cases[0]
    assert cheap.agrees
    assert cheap.value.middle == pytest.approx(4_102_568 * 8760)


def test_memories_of_h200_and_b200():
    for name in ("C58", "C58b", "C59", "C59b"):
        assert checked(name).verdict == "holds"
    assert checked("C59").ours.middle == pytest.approx(192 / 141 - 1)
    assert not checked("C59").cases[0].agrees


@pytest.mark.slow
def test_thirty_times_is_of_one_model_and_not_of_large_models_in_general():
    found = checked("C20")
    assert found.ours.high < 15.0
    assert any(case.agrees and "GPT-4-class" in case.name for case in found.cases)


# Facts decide.


def test_a_figure_of_ones_own_changes_the_answer(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        '[[region]]\nid = "usa"\nname = "United States"\ntariff.2024 = "$0.20/kWh"\n'
        "latitude = 39.8\nlongitude = -98.6\n"
    )
    mine = FACTS.with_files([own])
    found = check(CLAIMS["C08"], mine)
    assert found.verdict == "fails"
    assert found.ours.middle == pytest.approx(1.59e9 * 0.20)


def test_a_document_as_json(capsys):
    assert main(["claims", "--document", "colossus", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {one["claim"]["document"] for one in printed} == {
        "xAI Colossus goes online (press, 2024-09-03)"
    }
    assert all(one["verdict"] for one in printed)


@pytest.mark.parametrize(
    "name",
    [
        "blackwell-2000",
        "colossus",
        "colossus1-c",
        "enflame-1280",
        "fireflyer2",
        "h100-100k",
        "hopper-8000",
        "meta-fleet-2024",
        "ms-gpt3",
        "search-a100",
        "threshold-a100",
        "metavertu-2",
    ],
)
def test_every_machine_of_the_documents_has_a_page(name, capsys):
    assert main(["catalogue", "show", name]) == 0
    assert "source" in capsys.readouterr().out

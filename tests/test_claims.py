"""Claims: read as data, computed by models, never by what they say themselves."""

from __future__ import annotations

import numpy as np
import pytest

from clusterwright.catalogue.figures import Entry
from clusterwright.claims.arithmetic import evaluate
from clusterwright.claims.checking import agrees, check, check_claims, claim_of
from clusterwright.claims.given import Given, read_quantity
from clusterwright.claims.records import Claim
from clusterwright.cli import main
from clusterwright.errors import CatalogueError, InputError, UnknownNameError
from clusterwright.facts import shipped
from clusterwright.report.claims_text import claim_text
from clusterwright.uncertain import Interval

FACTS = shipped()


def a_claim(**changes) -> Claim:
    given = {"formula": "price * count", "price": "$25,000", "count": "350000"}
    usual = {
        "id": "X1",
        "document": "a paper",
        "quote": "it costs $8.75B",
        "about": "cost",
        "nature": "quantity",
        "said": "$8.75B",
        "dimension": "USD",
        "model": "arithmetic",
        "given": given,
    }
    return Claim(**{**usual, **changes})


# Arithmetic.


def test_a_formula_works_on_numbers_and_arrays():
    assert evaluate("(a + 2) * -b ** 2 / 4", {"a": 2.0, "b": 3.0}) == -9.0
    assert evaluate("maximum(a, 2)", {"a": np.array([1.0, 5.0])}).tolist() == [2.0, 5.0]


@pytest.mark.parametrize(
    ("formula", "says"),
    [
        ("a +", "is not a formula"),
        ("b * 2", "names 'b', which is not given"),
        ("__import__('os')", "write numbers, names"),
        ("a.real", "write numbers, names"),
        ("'x' * a", "write numbers, names"),
        ("True + a", "write numbers, names"),
        ("a / 0", "cannot be computed"),
        ("9.0 ** 9 ** 9", "cannot be computed"),
        ("a" * 501, "501 characters"),
    ],
)
def test_what_is_no_formula_is_refused(formula, says):
    with pytest.raises(InputError, match=says.replace("*", r"\*")):
        evaluate(formula, {"a": 1.0})


# What is given.


def test_quantities_ranges_and_figures_of_the_catalogue():
    assert read_quantity("4 d", "s", FACTS, "time").value == 4 * 86400
    spread = read_quantity(["1 kW", "2 kW", "4 kW"], "W", FACTS, "power")
    assert (spread.low, spread.value, spread.high) == (1e3, 2e3, 4e3)
    memory = read_quantity("@accelerators/nv-h100-sxm/memory_bandwidth", "B/s", FACTS, "bandwidth")
    assert memory.value == 3.35e12
    assert read_quantity("3.35 TB/s", "", FACTS, "any").dimension == "B/s"


@pytest.mark.parametrize(
    ("written", "dimension", "says"),
    [
        ("4", "s", "has no unit"),
        (["1 kW", "2 kW"], "W", "write low, likely and high"),
        (["3 kW", "2 kW", "4 kW"], "W", "does not rise"),
        ("@accelerators/nv-h100-sxm", "B", "write @kind/entry/figure"),
        ("@accelerators/nv-h100-sxm/memory_bandwidth", "B", "in B/s .* but B is needed"),
        ("@accelerators/nv-h1000/memory", "B", "nv-h100"),
        ("lots", "", "not a quantity in any unit"),
    ],
)
def test_what_cannot_be_read_is_told(written, dimension, says):
    with pytest.raises(InputError, match=says):
        read_quantity(written, dimension, FACTS, "x")


# Verdicts.


def test_a_claim_that_its_model_gives_holds():
    found = check(a_claim(), FACTS)
    assert found.verdict == "holds"
    assert found.ratio == pytest.approx(1.0)


def test_the_verdict_comes_from_what_is_given_not_from_what_was_said():
    ours = [check(a_claim(said=said), FACTS).ours.middle for said in ("$1B", "$8.75B")]
    assert ours == [8.75e9, 8.75e9]
    assert check(a_claim(said="$1B"), FACTS).verdict == "fails"


def test_a_case_may_rescue_a_claim():
    claim = a_claim(said="$10.5B", cases=({"name": "dear", "given": {"price": "$30,000"}},))
    found = check(claim_of(entry_of(claim)), FACTS)
    assert found.verdict == "holds-if"
    assert [case.agrees for case in found.cases] == [True]
    assert "holds only if dear" in claim_text(found)


def test_floors_and_ceilings():
    ours = Interval(low=2.0, middle=3.0, high=4.0)
    for relation, said, holds in (
        ("at-least", 3.9, True),
        ("at-least", 4.5, False),
        ("at-most", 2.1, True),
        ("at-most", 1.5, False),
        ("about", 4.1, True),
        ("about", 5.0, False),
    ):
        assert agrees(a_claim(relation=relation), (said, said), ours) is holds


def test_without_a_figure_it_is_computed_and_without_a_model_it_is_not():
    assert check(a_claim(said=""), FACTS).verdict == "computed"
    words = a_claim(said="", model="", given={}, why_not="a ranking without a number")
    assert check(words, FACTS).verdict == "unchecked"
    assert "a ranking without a number" in claim_text(check(words, FACTS))


# Mistakes in a file.


def entry_of(claim: Claim, **changes) -> Entry:
    import msgspec

    data = msgspec.to_builtins(claim)
    data.pop("id")
    return Entry(kind="claims", noun="claim", id=claim.id, data={**data, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"modle": "arithmetic"}, "did you mean 'model'"),
        ({"model": "arithmetics"}, "did you mean 'arithmetic'"),
        ({"model": ""}, "either a `model` that computes it or a `why_not`"),
        ({"nature": "rumour"}, "nature"),
        ({"why_not": "both"}, "either a `model`"),
    ],
)
def test_a_claim_that_cannot_be_read_is_refused(changes, says):
    with pytest.raises(CatalogueError, match=says):
        claim_of(entry_of(a_claim(), **changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"said": "8.75"}, "claim X1: '8.75' has no unit"),
        ({"said": ("$9B", "$8B")}, "write the lower first"),
        ({"result": "sum"}, "no result 'sum': one of value"),
        ({"given": {"formula": "a / a", "a": "0"}}, "cannot be computed|gives no number"),
        ({"model": "training-time"}, "gives no 'accelerator'"),
        (
            {"given": {"formula": "a", "a": "3 kW"}},
            "'value' in W, but the claim's dimension is USD",
        ),
        (
            {"model": "training-time", "given": {"accelerator": "h100", "typo": "3"}},
            "gives no 'compute'",
        ),
    ],
)
def test_what_a_claim_gives_wrongly_is_told_with_its_name(changes, says):
    with pytest.raises(InputError, match=says):
        check(a_claim(**changes), FACTS)


def test_what_no_model_asks_for_is_refused():
    given = Given({"accelerator": "h100", "colour": "red"}, FACTS)
    given.text("accelerator")
    with pytest.raises(InputError, match="'colour', which its model does not use"):
        given.check_all_read()


# By hand.


def test_one_by_name_and_a_document(capsys):
    assert main(["claims", "c59"]) == 0
    assert "B200 over an H200" in capsys.readouterr().out
    with pytest.raises(UnknownNameError):
        check_claims(FACTS, name="C999")
    with pytest.raises(InputError, match="no document has 'bible'"):
        check_claims(FACTS, document="bible")
    assert main(["claims", "C07", "--document", "bible"]) == 2
    assert "leave out --document" in capsys.readouterr().err


def test_a_persons_own_claim(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[claim]]\nid = "mine"\ndocument = "my vendor"\nquote = "half the price"\n'
        'about = "price"\n'
        'nature = "comparison"\nsaid = "50%"\nmodel = "arithmetic"\n'
        'given = { formula = "new / old", new = "$15,000", old = "$30,000" }\n'
    )
    assert main(["claims", "mine", "--catalogue", str(path)]) == 0
    assert "verdict      holds" in capsys.readouterr().out

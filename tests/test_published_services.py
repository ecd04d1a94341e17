"""How predictions of serving compare with the published figures that the repository ships."""

from __future__ import annotations

import pytest

from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.validation.published import SERVING, alike, published_serving
from clusterwright.validation.runs import default_runs_path
from clusterwright.validation.serving.grouping import by_sort, grouped
from clusterwright.validation.serving.scoring import ServeResult, score_serving, validate_serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found() -> tuple[ServeResult, ...]:
    try:
        path = default_runs_path("serving")
    except InputError:
        pytest.skip("PUBLISHED SERVICES NOT CHECKED: the table is not beside these tests")
    return validate_serving(path, shipped())


def test_the_results_that_are_shipped_are_those_of_this_model(found):
    complete = [one for one in found if one.status != "incomplete"]
    assert alike(published_serving().results, complete, SERVING), "run `make docs`"


def test_nearly_every_complete_row_is_predicted(found):
    score = score_serving(found)
    assert score.rows == 11413
    assert score.ok >= 0.95 * (score.ok + score.unsupported)


@pytest.mark.parametrize(
    ("sort", "most"),
    [("TPOT dense", 0.09), ("TPOT sparse", 0.17), ("TTFT", 0.25), ("throughput", 0.14)],
)
def test_errors_are_no_larger_than_they_were(found, sort, most):
    """Bars of the fourth issue for time to the first token; the others as `dev/BARS.md` has."""
    (one,) = (one for one in by_sort(found) if one.sort == sort)
    assert one.error <= most
    assert abs(one.bias) <= 0.06


@pytest.mark.parametrize("source", ["inferencex", "aic-silicon"])
def test_the_largest_sources_are_met(found, source):
    rows = [one for one in found if one.source == source]
    errors = {one.sort: one.median_abs_error for one in grouped(rows, lambda one: one.source)}
    assert errors["TTFT"] <= 0.25
    assert all(error <= 0.085 for sort, error in errors.items() if sort.startswith("TPOT"))


def test_intervals_hold_for_runs_that_they_do_not_rest_on(found):
    unseen = [one.inside for one in found if one.inside is not None and not one.seen]
    assert len(unseen) > 5000
    assert 0.75 <= sum(unseen) / len(unseen) <= 0.85

"""This machine, measured roughly and verified: predictions stay near what PyTorch really takes.

A test runs on machines that others share, where the same product takes half as long again from one
minute to the next, and twice as long while another program has one of the cores. The median over
the ten cases is reported by `clusterwright verify`; here the median of what was left in peace must
be right within a factor that noise does not reach, and that a unit or a pass taken wrongly does.
"""

from __future__ import annotations

from statistics import median

import pytest

from clusterwright.asking import catalogue_with
from clusterwright.calibrate.measure.api import measure_machine
from clusterwright.errors import InputError
from clusterwright.verify.api import verify_machine

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.against, pytest.mark.slow]

FACTOR = 2.0
MINUTES = 12.0
"""A quiet machine takes two; one whose cores are taken is given up."""
MEASURED = ("data-narrow", "fsdp-narrow", "tensor-wide", "pipeline-deep", "decode-deep")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("measured") / "here.toml"
    try:
        measure_machine(path, name="here", device="cpu", processes=2, minutes=MINUTES, quick=True)
    except InputError as error:
        pytest.skip(f"too busy a machine to measure in {MINUTES:g} minutes: {error}")
    return path


def test_a_second_run_measures_little_and_says_the_same_machine(path):
    journal = path.with_suffix(".journal.jsonl")
    before = journal.read_bytes()
    again = measure_machine(path, name="here", device="cpu", processes=2, minutes=0.0, quick=True)
    assert journal.read_bytes() == before
    assert again.toml == path.read_text()


def test_a_journal_of_another_precision_is_refused(path):
    with pytest.raises(InputError, match="precision: fp32, now bf16"):
        measure_machine(path, device="cpu", processes=2, precision="bf16", quick=True)


def test_steps_take_what_is_predicted(path):
    found = verify_machine(catalogue_with([path]), cases=MEASURED, repeats=2)
    ratios = {one.case.name: round(one.ratio, 2) for one in found.cases if not one.disturbed}
    print(ratios, f"median error {found.median:.1%}")
    if not ratios:
        pytest.skip("other programs took the cores all the time")
    assert 1.0 / FACTOR < median(ratios.values()) < FACTOR, ratios

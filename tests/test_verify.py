"""Verification without PyTorch: what is run, what is predicted, what is refused."""

from __future__ import annotations

import os
import sys

import msgspec
import pytest
from measured_cases import MACHINE, imagined

from clusterwright.asking import catalogue_with
from clusterwright.calibrate.measure import watching
from clusterwright.calibrate.measure.entry import entry_of
from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.model.parameters import count_parameters
from clusterwright.report.verify_text import entry_text, verification_text
from clusterwright.verify import api
from clusterwright.verify.api import Verification, Verified, verified, verify_machine
from clusterwright.verify.cases import CASES, TRAINING, chosen_cases
from clusterwright.verify.predicting import Prediction, machine_of, predict
from clusterwright.verify.program import Result


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "imagined.toml"
    entry = entry_of(MACHINE, imagined(), name="imagined", checked="2026-11-22")
    path.write_text(entry.toml, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def machine(path):
    return machine_of(catalogue_with([path]))


def test_the_ten_are_every_way_twice():
    assert sorted(case.way for case in CASES) == sorted([*TRAINING, "decode"] * 2)
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_planner_reads_the_model_that_is_run(case):
    shape = case.shape
    width = shape.hidden // shape.heads
    attention = 2 * shape.hidden * width * (shape.heads + shape.kv_heads)
    layer = attention + 3 * shape.hidden * shape.inner + 2 * shape.hidden
    ends = 2 * shape.vocabulary * shape.hidden + shape.hidden
    assert count_parameters(case.model()).total == shape.layers * layer + ends


@pytest.mark.parametrize("case", chosen_cases(("data", "fsdp", "tensor", "pipeline", "prefill")))
def test_no_case_is_predicted_quicker_than_its_products_at_the_peak(case, machine):
    chip = machine.catalogue.accelerator("imagined")
    ranks = machine.processes if case.trains else 1
    weights = count_parameters(case.model()).total - case.shape.vocabulary * case.shape.hidden
    tokens = case.batch * case.length
    head = case.shape.vocabulary * case.shape.hidden
    flops = 6.0 * weights * tokens if case.trains else 2.0 * (weights - head) * tokens
    assert predict(case, machine).seconds > flops / ranks / chip.peaks["fp32"]


@pytest.mark.parametrize("case", chosen_cases(("decode",)))
def test_no_token_is_decoded_quicker_than_its_weights_are_read(case, machine):
    chip = machine.catalogue.accelerator("imagined")
    weights = count_parameters(case.model()).total - case.shape.vocabulary * case.shape.hidden
    assert predict(case, machine).seconds > 4.0 * weights / chip.memory_bandwidth


def test_parts_of_a_prediction_are_its_whole(machine):
    for case in CASES:
        found = predict(case, machine)
        assert sum(found.parts.values()) == pytest.approx(found.seconds), case.name


def test_a_misspelt_case_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean data-narrow"):
        chosen_cases(("data-narow",))


def test_cases_are_chosen_by_way_once():
    assert [case.name for case in chosen_cases(("decode", "decode-deep"))] == [
        "decode-deep",
        "decode-grouped",
    ]


def test_a_catalogue_without_a_measured_machine_is_refused():
    with pytest.raises(InputError, match=r"no measured machine.*calibrate measure"):
        machine_of(shipped())


def test_a_machine_that_the_file_does_not_have_is_refused(path):
    with pytest.raises(InputError, match="no machine called 'other': it has imagined"):
        machine_of(catalogue_with([path]), "other")


class Processor:
    """As much of PyTorch as is asked before anything runs."""

    __version__ = "2.13.0"

    class cuda:  # noqa: N801 - PyTorch's name
        @staticmethod
        def is_available():
            return False

        @staticmethod
        def device_count():
            return 0


@pytest.fixture
def torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", Processor)
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def test_another_machines_file_is_refused(torch, path):
    with pytest.raises(InputError, match="was measured on 'Imagined processor', but this is"):
        verify_machine(catalogue_with([path]))


def test_too_few_cores_are_refused(torch, path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with pytest.raises(InputError, match="--processes is 2, but must be 1 to 1"):
        verify_machine(catalogue_with([path]))


def test_a_gpu_that_is_not_there_is_refused(torch, capsys, tmp_path):
    out = str(tmp_path / "my.toml")
    assert main(["calibrate", "measure", "--device", "cuda", "--out", out]) == 2
    assert "PyTorch sees no GPU here" in capsys.readouterr().err


def test_more_processes_than_cores_are_refused(torch, capsys, tmp_path):
    out = str(tmp_path / "my.toml")
    assert main(["calibrate", "measure", "--processes", "3", "--out", out]) == 2
    assert "must be 1 to 2: there are 2 cores" in capsys.readouterr().err


def test_the_tables_say_what_was_found(machine):
    case = CASES[0]
    one = Verified(
        case=case,
        predicted=1.1,
        measured=1.0,
        ratio=1.1,
        disturbed=True,
        parts={"ideal": 1.1},
        steps=(1.0,),
    )
    other = msgspec.structs.replace(one, predicted=0.98, ratio=0.98, disturbed=False)
    found = Verification(
        machine="imagined",
        processor="Imagined processor",
        processes=2,
        threads=1,
        cases=(one, other),
        median=0.06,
    )
    text = verification_text(found)
    assert "1100 ms" in text
    assert "1.10" in text
    assert "median error 6.0 % over 2 cases" in text
    assert "median error 2.0 % over the 1 left in peace" in text
    assert f"other programs took the cores all the time of {case.name}" in text


def test_steps_left_in_peace_count_before_quicker_ones_of_others():
    case = CASES[0]
    turns = [
        Result(case=case.name, seconds=(2.0, 2.0), disturbed=(True, True)),
        Result(case=case.name, seconds=(3.0, 9.0), disturbed=(False, True)),
    ]
    one = verified(case, Prediction(3.3, {}), turns)
    assert (one.measured, one.disturbed) == (3.0, False)
    assert one.ratio == pytest.approx(1.1)
    all_of_them = verified(case, Prediction(3.3, {}), turns[:1])
    assert (all_of_them.measured, all_of_them.disturbed) == (2.0, True)


def test_the_time_that_all_have_used_grows(monkeypatch, tmp_path):
    stat = tmp_path / "stat"
    monkeypatch.setattr(watching, "STAT", stat)
    assert watching.used_time() == 0.0
    stat.write_text("cpu  100 10 20 4000 5 0 10 60 0 0\ncpu0 1 1 1\n")
    assert watching.used_time() == pytest.approx(200 / os.sysconf("SC_CLK_TCK"))


@pytest.mark.parametrize(("ticks", "disturbed"), [(2, False), (200, True)])
def test_what_others_take_disturbs_and_a_miscounted_tick_does_not(
    ticks, disturbed, monkeypatch, tmp_path
):
    class Alone:
        summed = slowest = staticmethod(lambda value: value)

    stat = tmp_path / "stat"
    monkeypatch.setattr(watching, "STAT", stat)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    stat.write_text("cpu  100 0 0 4000 0 0 0 0 0 0\n")
    with watching.Watch(Alone()) as watch:
        stat.write_text(f"cpu  {100 + ticks} 0 0 4000 0 0 0 0 0 0\n")
    assert watch.disturbed is disturbed


def test_a_machine_of_one_process_is_verified_by_what_does_not_train(monkeypatch, tmp_path):
    own = tmp_path / "alone.toml"
    alone = msgspec.structs.replace(MACHINE, processes=1)
    own.write_text(entry_of(alone, imagined(processes=1), name="alone", checked="2026-11-22").toml)
    asked = []

    def measured(machine, cases, repeats, *, alone, watch):
        asked.extend(cases)
        return {
            one.name: Result(case=one.name, seconds=(1.0,), disturbed=(False,)) for one in cases
        }

    monkeypatch.setattr(api, "_check", lambda *_: None)
    monkeypatch.setattr(api, "_measured", measured)
    found = verify_machine(catalogue_with([own]))
    assert {case.way for case in asked} == {"decode"}
    assert "training cases take two processes" in verification_text(found)


def test_what_was_measured_is_told_with_its_errors():
    entry = entry_of(MACHINE, imagined(quick=True), name="imagined", checked="2026-11-22")
    text = entry_text(entry)
    assert "imagined: 2 x Imagined processor" in text
    assert "attention backward" in text


def test_what_is_measured_becomes_json(machine):
    entry = entry_of(MACHINE, imagined(quick=True), name="imagined", checked="2026-11-22")
    assert msgspec.json.decode(msgspec.json.encode(entry))["name"] == "imagined"

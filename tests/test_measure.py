"""A machine measured: what is swept, how it is timed and kept, and the entry it becomes."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from measured_cases import (
    ALL_REDUCE,
    BANDWIDTH,
    GATHER,
    LATENCY,
    MACHINE,
    RATE,
    SCATTER,
    SLOWDOWN,
    imagined,
    seconds_of,
    timing,
)

from clusterwright.asking import catalogue_with
from clusterwright.calibrate.measure import api as measure_api
from clusterwright.calibrate.measure.api import check_name, check_target, measure_machine
from clusterwright.calibrate.measure.entry import entry_of
from clusterwright.calibrate.measure.fits import rows_of
from clusterwright.calibrate.measure.journal import Journal, Measured
from clusterwright.calibrate.measure.launching import environment, launch
from clusterwright.calibrate.measure.program import alive
from clusterwright.calibrate.measure.tasks import Task, sweep
from clusterwright.calibrate.measure.timing import settle
from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.facts import links_on, profile_of
from clusterwright.report.verify_text import entry_text

DAY = "2026-11-22"


@pytest.fixture(scope="module")
def entry():
    return entry_of(MACHINE, imagined(), name="imagined", checked=DAY)


@pytest.fixture(scope="module")
def facts(entry, tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "imagined.toml"
    path.write_text(entry.toml, encoding="utf-8")
    return catalogue_with([path])


def test_a_busy_spell_does_not_move_what_is_timed():
    times = iter([1e-3] * 6 + [5e-3] * 4 + [1e-3] * 100)

    def sample(runs):
        return sum(next(times) for _ in range(runs))

    assert settle(sample).lower == pytest.approx(1e-3)


def test_short_operators_are_timed_many_at_once_and_long_ones_not_for_ever():
    assert settle(lambda runs: 1e-6 * runs).runs >= 1000
    long = settle(lambda runs: 2.0 * runs)
    assert (long.runs, long.lower) == (1, 2.0)
    assert long.samples <= 7


def test_a_quick_sweep_is_the_beginning_of_the_whole_one():
    whole = [task.key for task in sweep(processes=2)]
    quick = [task.key for task in sweep(processes=2, quick=True)]
    assert len(whole) == len(set(whole)) > 2 * len(quick)
    assert whole[: len(quick)] == quick


def test_one_process_has_nobody_to_talk_to():
    families = {task.family for task in sweep(processes=1)}
    assert not families & {"collective", "overlap"}
    alone = msgspec.structs.replace(MACHINE, processes=1)
    found = entry_of(alone, imagined(processes=1), name="alone", checked=DAY)
    assert found.link_bandwidth is None


def test_a_quick_sweep_of_one_gpu_tells_of_products_of_few_rows_too():
    gpu = msgspec.structs.replace(MACHINE, device="cuda", processes=1, precision="bf16")
    tasks = sweep(processes=1, large=True, quick=True)
    measured = tuple(Measured(task=one, timing=timing(seconds_of(one))) for one in tasks)
    found = entry_of(gpu, measured, name="gpu", checked=DAY)
    assert found.residuals["gemm, serving"][2] == 40
    assert "threads each" not in entry_text(found)


def test_a_gpus_cache_is_read_back_as_its_kernels_were_fitted_with_it(tmp_path):
    gpu = msgspec.structs.replace(MACHINE, device="cuda", processes=1, cache_bytes=60e6)
    path = tmp_path / "gpu.toml"
    path.write_text(entry_of(gpu, imagined(processes=1), name="gpu", checked=DAY).toml)
    assert catalogue_with([path]).cluster("gpu").accelerator.cache_bytes == 60e6


@pytest.mark.parametrize("name", ["h100-sxm", "nv-h100-sxm"])
def test_a_name_that_would_hide_one_of_the_catalogue_is_refused(name):
    with pytest.raises(InputError, match="which the catalogue has already"):
        check_name(name)


def test_a_stopped_sweep_says_that_it_goes_on(monkeypatch, tmp_path, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(measure_api, "measure_machine", stopped)
    assert main(["calibrate", "measure", "--out", str(tmp_path / "my.toml")]) == 130
    assert "stopped; the same command goes on" in capsys.readouterr().err


def test_what_another_launcher_has_said_is_not_passed_on(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert not {"RANK", "WORLD_SIZE"} & set(environment(1))
    assert environment(2)["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize("minutes", [-3.0, float("nan")])
def test_minutes_that_are_none_are_refused_before_anything_is_written(minutes, tmp_path):
    with pytest.raises(InputError, match=r"--minutes is .* must be 0 or more"):
        measure_machine(tmp_path / "my.toml", minutes=minutes)
    assert not list(tmp_path.iterdir())


def test_of_two_turns_the_quicker_one_counts():
    task = Task(family="host", way="operator", sizes={"elements": 8.0})
    turns = [msgspec.structs.replace(task, turn=turn) for turn in (1, 2)]
    measured = [
        Measured(task=one, timing=timing(time))
        for one, time in zip(turns, (3e-6, 2e-6), strict=True)
    ]
    rows = rows_of(measured, "host", "operator")
    assert rows.seconds.tolist() == [2e-6]


class TestJournal:
    @pytest.fixture
    def journal(self, tmp_path):
        journal = Journal(tmp_path / "my.journal.jsonl")
        journal.open_for(MACHINE)
        for one in imagined(quick=True)[:3]:
            journal.add(one)
        return journal

    def test_what_was_measured_is_not_measured_again(self, journal):
        assert list(journal.open_for(MACHINE)) == [one.task.key for one in imagined(quick=True)[:3]]

    def test_a_line_cut_by_a_kill_is_dropped_and_written_anew(self, journal):
        whole = journal.path.read_bytes()
        journal.path.write_bytes(whole[:-40])
        assert len(journal.open_for(MACHINE)) == 2
        journal.add(imagined(quick=True)[2])
        assert journal.path.read_bytes() == whole

    def test_what_others_disturbed_is_replaced_by_what_they_did_not(self, journal):
        one = imagined(quick=True)[0]
        busy = msgspec.structs.replace(timing(1e-9), disturbed=7)
        other = Journal(journal.path.with_name("other.jsonl"))
        other.open_for(MACHINE)
        other.add(msgspec.structs.replace(one, timing=busy))
        assert other.read()[1][one.task.key].timing.busy
        other.add(one)
        assert other.read()[1][one.task.key] == one

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"name": "Another processor"}, "name: Imagined processor, now Another processor"),
            ({"torch": "2.4.0"}, "torch: 2.13.0, now 2.4.0"),
            ({"threads": 2}, "threads: 1, now 2"),
        ],
    )
    def test_that_of_another_machine_is_refused_and_kept(self, journal, change, said):
        before = journal.path.read_bytes()
        with pytest.raises(InputError, match=said):
            journal.open_for(msgspec.structs.replace(MACHINE, **change))
        assert journal.path.read_bytes() == before

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"{}\n", "no journal"),
            (b"my notes\n", "no journal"),
            (b"", "no journal"),
            (b'{"version": 99, "machine": {}}\n', "version 99"),
            (b'{"version": 2, "machine": {}}\n', "broken"),
        ],
    )
    def test_another_file_is_refused(self, journal, content, said):
        journal.path.write_bytes(content)
        with pytest.raises(InputError, match=said):
            journal.open_for(MACHINE)
        assert journal.path.read_bytes() == content


class TestEntry:
    def test_it_says_what_the_machine_is(self, entry, facts):
        chip = facts.accelerator("imagined")
        assert chip.memory_bandwidth == pytest.approx(BANDWIDTH, rel=0.01)
        assert chip.peaks["fp32"] == pytest.approx(entry.peak_flops, rel=1e-3)
        assert facts.cluster("imagined").count == 2
        assert facts.entry("accelerators", "imagined").text("kind") == "cpu"

    def test_its_fits_follow_what_was_measured(self, entry):
        for what in ("products", "attention forward", "attention backward", "memory", "message"):
            median, _, rows = entry.residuals[what]
            assert median < 0.03, what
            assert rows >= 8, what

    @pytest.mark.parametrize(
        ("way", "inverse"),
        [("gather", GATHER), ("scatter", SCATTER), ("all_reduce", ALL_REDUCE)],
    )
    def test_its_collectives_take_what_they_took(self, facts, way, inverse):
        links = links_on(facts.cluster("imagined"), catalogue=facts)
        size = 2.0**22
        time = float(getattr(links, way)(2.0, 1.0).time(size))
        assert time == pytest.approx(LATENCY + inverse * size, rel=0.02)

    def test_a_message_takes_what_it_took(self, facts):
        links = links_on(facts.cluster("imagined"), catalogue=facts)
        time = float(links.point_to_point(1.0).time(2.0**24))
        assert time == pytest.approx(LATENCY + 2.0**24 / RATE, rel=0.02)

    def test_what_traffic_costs_the_products_beside_it_is_kept(self, facts):
        library = profile_of(facts, facts.cluster("imagined")).communication
        assert library.overlap_slowdown == pytest.approx(SLOWDOWN, rel=0.05)

    def test_calls_are_timed_once(self, entry, facts):
        # 3 us with autograd for an operator both ways: two kernels of 1 us, half a us more each.
        assert entry.host.launch_time == pytest.approx(0.5e-6)
        floor = profile_of(facts, facts.cluster("imagined")).memory.floor
        assert entry.host.small_kernels * floor == pytest.approx(5e-5, rel=1e-3)

    def test_a_quick_sweep_is_enough_for_one(self):
        found = entry_of(MACHINE, imagined(quick=True), name="quick", checked=DAY)
        assert "gemm, serving" in found.residuals

    def test_too_little_is_refused_with_what_is_missing(self):
        some = [one for one in imagined() if one.task.family != "stream"]
        with pytest.raises(InputError, match=r"nothing was measured of stream add .* --minutes"):
            entry_of(MACHINE, tuple(some), name="imagined", checked=DAY)

    def test_a_faster_machine_is_never_slower(self, facts, tmp_path):
        quick = tuple(
            msgspec.structs.replace(one, timing=timing(0.5 * one.timing.lower))
            for one in imagined()
        )
        path = tmp_path / "quick.toml"
        path.write_text(entry_of(MACHINE, quick, name="imagined", checked=DAY).toml)
        profiles = [
            profile_of(one, one.cluster("imagined")) for one in (facts, catalogue_with([path]))
        ]
        floors = [one.memory.floor for one in profiles]
        assert floors[1] == pytest.approx(0.5 * floors[0], rel=0.01)


class TestRefusals:
    def test_without_torch_one_sentence_says_how_to_get_it(self, monkeypatch, tmp_path, capsys):
        monkeypatch.setitem(sys.modules, "torch", None)
        code = main(["calibrate", "measure", "--out", str(tmp_path / "my.toml")])
        said = capsys.readouterr().err
        assert code == 2
        assert "pip install 'clusterwright[measure]'" in said
        assert len(said.splitlines()) == 1
        assert not list(tmp_path.iterdir())

    def test_a_place_that_is_no_toml_file(self, tmp_path):
        with pytest.raises(InputError, match="name a TOML file"):
            check_target(tmp_path)

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match="there is no folder"):
            measure_machine(tmp_path / "nowhere" / "my.toml")

    def test_a_file_that_somebody_wrote_is_kept(self, tmp_path):
        target = tmp_path / "my.toml"
        target.write_text("mine = true\n")
        with pytest.raises(InputError, match="was not measured here"):
            measure_machine(target)
        assert target.read_text() == "mine = true\n"

    @pytest.mark.parametrize(
        ("name", "said"), [("My Machine", "lower-case"), ("", "lower-case"), ("pytorch", "already")]
    )
    def test_a_name_that_no_entry_can_have(self, tmp_path, name, said):
        with pytest.raises(InputError, match=said):
            measure_machine(tmp_path / "my.toml", name=name)

    def test_a_folder_that_is_not_ones_own(self, tmp_path, monkeypatch):
        monkeypatch.setattr("os.access", lambda *_: False)
        with pytest.raises(InputError, match="not yours to write to"):
            check_target(tmp_path / "my.toml")

    def test_processes_that_fail_name_their_error_and_their_log(self, tmp_path):
        log = tmp_path / "log"
        with pytest.raises(InputError, match=r"No module named .*see"):
            launch("clusterwright.no_such", tmp_path, processes=1, threads=1, log=log)
        assert log.exists()


def test_a_sweep_ends_with_whoever_began_it():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert alive(os.getpid())
    assert not alive(child.pid)


def test_times_are_written_with_enough_digits(entry):
    rates = [line for line in entry.toml.splitlines() if line.startswith("memory_bandwidth")]
    value = float(rates[0].split('"')[1].split()[0])
    assert np.isclose(value * 1e9, entry.memory_bandwidth, rtol=1e-4)

"""Power of a planned job over time: phases from the step, swings, what smooths them."""

from __future__ import annotations

import json

import pytest

from clusterwright.asking import ask_training
from clusterwright.cli import main
from clusterwright.errors import InputError, UnitError
from clusterwright.planner import plan_training
from clusterwright.planner_power import power_over_time
from clusterwright.saving import save_plan


@pytest.fixture(scope="module")
def plan():
    question = ask_training("llama-3.1-70b", cluster="meta-24k", accelerators=2048, tokens="1T")
    return plan_training(question)


@pytest.fixture(scope="module")
def followed(plan):
    return power_over_time(plan)


def test_phases_add_up_to_the_step(plan, followed):
    report, _ = followed
    assert sum(time for _, time, _ in report.phases) == pytest.approx(plan.best.step_time)


def test_the_mean_is_that_of_the_phases(followed):
    report, trace = followed
    total = sum(time for _, time, _ in report.phases)
    mean = sum(time * power for _, time, power in report.phases) / total
    assert report.mean == pytest.approx(mean, rel=0.01)
    assert trace.times[-1] == pytest.approx(60.0, abs=0.01)


def test_it_swings_once_a_step(plan, followed):
    report, _ = followed
    powers = [power for _, _, power in report.phases]
    assert report.swing == pytest.approx(max(powers) - min(powers), rel=0.15)
    # The strongest line of the spectrum is a whole multiple of the rate of steps.
    cycles = report.frequency * plan.best.step_time
    assert cycles == pytest.approx(round(cycles), abs=0.1)
    assert round(cycles) >= 1


def test_power_stays_between_idle_and_the_most_that_was_seen(followed):
    from clusterwright.asking_site import ask_site
    from clusterwright.site.outlook import look_at_site

    report, _ = followed
    site = look_at_site(ask_site("meta-24k", accelerators=2048), depth=False).likely
    assert site["idle"] < report.mean < site["observed_peak"] * 1.001


def test_rated_power_is_above_the_most_that_was_seen(plan, followed):
    report, trace = followed
    assert trace.power.max() < report.rated < 2.0 * trace.power.max()


def test_longer_windows_see_less_of_the_peaks(followed):
    powers = [power for _, power in sorted(followed[0].windows)]
    assert powers == sorted(powers, reverse=True)


def test_a_floor_and_storage_smooth(plan, followed):
    swing = followed[0].swing
    floor = power_over_time(plan, floor=0.95)[0]
    store = power_over_time(plan, storage="20 kJ")[0]
    assert floor.swing < 0.6 * swing
    assert store.swing < 0.5 * swing
    assert floor.mean > followed[0].mean  # burning costs energy
    assert store.mean == pytest.approx(followed[0].mean, rel=0.02)  # storage gives it back


def test_a_little_storage_rounds_edges_and_leaves_the_swing(plan, followed):
    """65 J an accelerator, as GB300's supplies hold, is far less than a step's swing takes."""
    little = power_over_time(plan, storage="65 J")[0]
    assert little.largest_ramp < followed[0].largest_ramp
    assert little.swing > 0.5 * followed[0].swing


def test_a_ramp_without_storage_burns_where_the_load_falls(plan, followed):
    gentle = power_over_time(plan, ramp="100 kW/s")[0]
    assert gentle.mean > followed[0].mean
    assert gentle.swing < followed[0].swing


def test_the_same_seed_gives_the_same_power(plan):
    first, second = power_over_time(plan)[1], power_over_time(plan)[1]
    assert (first.power == second.power).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"floor": 1.5}, "--floor is 1.5"),
        ({"seconds": 0.0}, "--seconds is 0"),
        ({"seconds": 0.5}, "shorter than two steps"),
        ({"seconds": 1e9}, "at most 3600"),
        ({"storage": "65"}, "--storage: '65' has no unit"),
        ({"ramp": "1 m/s"}, "--ramp"),
        ({"jitter": "-1ms"}, "--jitter: .* is negative"),
        ({"jitter": "1h"}, "--jitter is 1h, but nodes wait for each other in each step"),
        ({"seed": -1}, "--seed is -1"),
    ],
)
def test_what_cannot_be_is_refused(plan, given, says):
    with pytest.raises((InputError, UnitError), match=says):
        power_over_time(plan, **given)


def test_the_command_writes_columns(plan, tmp_path, capsys):
    path, table = tmp_path / "plan.json", tmp_path / "power.csv"
    save_plan(plan, path)
    assert main(["simulate", "power", str(path), "--seconds", "20", "--csv", str(table)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{plan.question.model.name} on 2,048 x ")
    assert "would smooth a step" in text
    lines = table.read_text().splitlines()
    assert lines[0] == "time_s,power_w"
    assert len(lines) == 20_001
    assert main(["simulate", "power", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"] > 0
    assert main(["simulate", "power", str(path), "--csv", str(tmp_path / "no" / "x.csv")]) == 2
    assert "cannot write" in capsys.readouterr().err

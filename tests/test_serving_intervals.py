"""Intervals of serving: set on runs that no factor saw, chosen by what is alike, and they cover."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from serving_cases import STATIC, asked

from clusterwright.calibrate.intervals import LEVEL
from clusterwright.calibrate.serving_intervals import (
    ServeResidual,
    fit_serving_intervals,
)
from clusterwright.calibrate.serving_writing import intervals_as_toml, stacks_as_toml
from clusterwright.cli import main
from clusterwright.errors import CatalogueError
from clusterwright.facts import shipped
from clusterwright.inference import Deployment
from clusterwright.planner_serving import estimate_serving
from clusterwright.serving.intervals import ServingInterval, interval_of, intervals_in
from clusterwright.validation.serving.rows import ServeRun, read_serve_runs
from clusterwright.validation.serving.tenths import FEWEST, fitted_keys, run_key

COLUMNS = tuple(STATIC)


def residual(log_ratio: float, **where: str) -> ServeResidual:
    place = {"source": "one", "sort": "TTFT", "engine": "vllm", "profile": "hopper", **where}
    return ServeResidual(log_ratio=log_ratio, **place)  # type: ignore[arg-type]


def run(number: int, source: str = "one") -> ServeRun:
    return ServeRun(
        line=number,
        id=f"{source}-{number}.ttft_ms",
        source=source,
        model_name="m",
        accelerator="a",
        measured_metric="ttft_ms",
        measured_value=1.0,
        config_complete=True,
    )


@pytest.mark.parametrize("count", [1, 20, 400])
def test_an_interval_covers_its_share_of_runs_like_its_own(count):
    random = np.random.default_rng(3)
    covered = []
    for _ in range(200 if count > 1 else 0):
        seen = random.normal(0.1, 0.3, count)
        [one, *_] = fit_serving_intervals([residual(x) for x in seen])
        new = random.normal(0.1, 0.3, 50)
        covered.append(np.mean((new >= np.log(one.low)) & (new <= np.log(one.high))))
    if count > 1:
        assert abs(np.mean(covered) - LEVEL) < 0.03
    else:
        [one, *_] = fit_serving_intervals([residual(0.2)])
        assert one.low == one.high == pytest.approx(np.exp(0.2), rel=5e-3)


def test_a_sweep_does_not_speak_for_everybody():
    rows = [residual(0.0, source="sweep") for _ in range(400)]
    rows += [residual(0.5, source=f"other-{i}") for i in range(10)]
    [one, *_] = fit_serving_intervals(rows)
    assert one.high == pytest.approx(np.exp(0.5), rel=5e-3)
    assert one.sources == 11


def test_few_rows_of_a_group_move_its_interval_a_little_and_many_set_it():
    spread = np.linspace(-1.0, 1.0, 101)
    rest = [residual(x, engine="other", source=f"o{i}") for i, x in enumerate(spread)]

    def highest(count: int) -> float:
        rows = rest + [residual(0.0, source=f"s{i}") for i in range(count)]
        found = fit_serving_intervals(rows)
        return float(np.log(interval_of(found, "TTFT", engine="vllm", profile="hopper").high))  # type: ignore[union-attr]

    few, more, many = highest(2), highest(12), highest(1000)
    assert 0.7 < few <= 0.9
    assert few > more > many
    assert many == pytest.approx(0.0, abs=1e-3)


def test_what_was_never_seen_has_the_interval_of_its_sort():
    found = fit_serving_intervals([residual(x) for x in np.linspace(-1.0, 1.0, 30)])
    other = interval_of(found, "TTFT", engine="another", profile="ampere")
    assert other is not None
    assert (other.engine, other.profile) == ("", "")


def test_the_most_special_interval_that_holds_is_chosen():
    intervals = [
        ServingInterval(sort="TTFT", low=0.5, high=2.0),
        ServingInterval(sort="TTFT", low=0.6, high=1.8, engine="vllm"),
        ServingInterval(sort="TTFT", low=0.9, high=1.1, engine="vllm", profile="hopper"),
    ]
    lows = [
        interval_of(intervals, "TTFT", engine=engine, profile=profile).low  # type: ignore[union-attr]
        for engine, profile in (("sglang", "hopper"), ("vllm", "ampere"), ("vllm", "hopper"))
    ]
    assert lows == [0.5, 0.6, 0.9]
    assert interval_of(intervals, "prefill", engine="vllm", profile="hopper") is None


def test_an_interval_that_is_none_is_refused():
    with pytest.raises(CatalogueError, match="low 2 and high 1 are no interval"):
        ServingInterval(sort="TTFT", low=2.0, high=1.0)


def test_factors_and_intervals_are_set_on_different_runs():
    runs = [run(number) for number in range(50)] + [run(i, "few") for i in range(FEWEST - 1)]
    first, second = fitted_keys(runs), fitted_keys(runs, part=1)
    assert len(first) == len(second) == 5
    assert not first & second
    assert all(key.startswith("one") for key in first | second)
    assert {run_key(one) for one in runs} > first


def test_the_shipped_intervals_hold_for_every_sort_and_are_read_back(tmp_path):
    shipped_ones = intervals_in(shipped())
    assert {one.sort for one in shipped_ones} == {
        "TTFT", "TPOT dense", "TPOT sparse", "throughput", "prefill", "latency",
    }  # fmt: skip
    path = tmp_path / "own.toml"
    path.write_text(intervals_as_toml(shipped_ones, checked="2026-11-22"))
    assert intervals_in(shipped().with_files([path])) == shipped_ones


def test_an_estimate_says_how_sure_it_is():
    found = estimate_serving(asked(), Deployment())
    assert {one.sort for one in found.intervals} == {"TTFT", "TPOT dense", "throughput"}
    assert all(one.low < one.high for one in found.intervals)


def table(path: Path, count: int = 16) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number in range(count):
            changed = {"id": f"made-{number}.tpot_ms", "batch_or_concurrency": 1 + number}
            writer.writerow({**STATIC, **changed, "measured_value": 9.0 + number})
    return path


def test_the_command_fits_and_sets_and_writes_files_of_the_catalogue(tmp_path, capsys):
    runs = table(tmp_path / "runs.csv")
    stacks, intervals = tmp_path / "stacks.toml", tmp_path / "intervals.toml"
    assert main(["calibrate", "serving", str(runs), "--stacks", str(stacks)]) == 0
    assert main(["calibrate", "serving", str(runs), "--intervals", str(intervals)]) == 0
    said = capsys.readouterr().out
    assert "1 engines fitted" in said
    assert "3 intervals set" in said
    own = shipped().with_files([intervals])
    assert len(read_serve_runs(runs)) == 16
    assert intervals_in(own)[-1].rows == 2
    assert 'id = "vllm' in stacks.read_text()


def test_fitted_engines_are_written_as_they_are_read():
    entry = {
        "id": "vllm", "step_time": 0.001, "corrections": [{"decode": 1.1, "rows": 3}], "rows": 3,
    }  # fmt: skip
    text = stacks_as_toml([entry], checked="2026-11-22")
    assert "    { decode = 1.1, rows = 3 }," in text
    assert "step_time = 0.001" in text

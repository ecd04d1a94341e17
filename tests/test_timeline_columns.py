"""A played-out step as columns: what a page adds up again is the step."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from training_cases import ACCELERATORS

from clusterwright import ask_training
from clusterwright.engines.schedule import BOTH
from clusterwright.errors import InputError
from clusterwright.planner import simulate_training
from clusterwright.report import timeline_columns as module
from clusterwright.report.timeline_columns import DRAWN, FULL, timeline_columns
from clusterwright.units import format_time


@pytest.fixture(scope="module")
def question():
    return ask_training(
        "llama-3.1-8b",
        accelerator="h100",
        accelerators=ACCELERATORS,
        batch_sequences="128",
        sequence_length="4096",
    )


CASES = {
    "interleaved": {"tp": 2, "pp": 4, "vpp": 2, "schedule": "interleaved"},
    "zero-bubble": {"tp": 2, "pp": 4, "schedule": "zero-bubble", "jitter": 0.05},
    "dualpipe": {"tp": 2, "pp": 4, "schedule": "dualpipe"},
    "one rank": {"tp": 2},
}


@pytest.fixture(scope="module", params=CASES)
def played(question, request):
    return simulate_training(question, **CASES[request.param])


def read(columns):
    """The columns as a page reads them: from JSON."""
    again = msgspec.json.decode(msgspec.json.encode(columns))
    return again, {
        name: np.frombuffer(base64.b64decode(one["data"]), dtype=f"<{one['type']}")
        for name, one in again["columns"].items()
    }


def added_up(sent, found):
    """Starts and ends as a page adds them up, rank by rank."""
    starts, ends, first = [], [], 0
    for count in sent["counts"]:
        own = slice(first, first + count)
        steps = np.stack([found["wait"][own], found["duration"][own]], axis=1).astype(float)
        times = np.cumsum(steps.ravel()).reshape(-1, 2)
        starts, ends, first = [*starts, *times[:, 0]], [*ends, *times[:, 1]], first + count
    return np.array(starts), np.array(ends)


def test_waits_and_durations_add_up_to_every_start_and_end(played):
    sent, found = read(timeline_columns(played))
    line = played.timeline
    starts, ends = added_up(sent, found)
    assert starts == pytest.approx(line.start, abs=1e-7 * line.makespan)
    assert ends == pytest.approx(line.end, abs=1e-7 * line.makespan)
    assert sent["end_time"] == played.end_time
    assert sent["pipeline_time"] == line.makespan
    assert sent["counts"] == np.diff(line.schedule.first).tolist()


def test_every_operation_keeps_its_kind_stage_and_micro_batch(played):
    sent, found = read(timeline_columns(played))
    kind, stage, micro, other, its_micro = played.timeline.schedule.ops.T
    assert found["kind"].tolist() == kind.tolist()
    assert found["stage"].tolist() == stage.tolist()
    assert found["micro_batch"].tolist() == micro.tolist()
    both = kind == BOTH
    assert ("other_stage" in found) == both.any()
    if both.any():
        assert sent["kinds"][sent["fused"]] == "forward & backward"
        assert found["other_stage"][both].tolist() == other[both].tolist()
        assert found["other_micro_batch"][both].tolist() == its_micro[both].tolist()


def test_a_stage_knows_its_chunk_and_its_way(question):
    looped = timeline_columns(simulate_training(question, **CASES["interleaved"]))
    assert looped.chunks == (0, 0, 0, 0, 1, 1, 1, 1)
    assert set(looped.ways) == {0}
    twice = timeline_columns(simulate_training(question, **CASES["dualpipe"]))
    assert twice.ways == (0, 0, 0, 0, 1, 1, 1, 1)


def test_memory_is_within_half_a_step_of_its_column(played):
    sent, found = read(timeline_columns(played))
    step = sent["peak_bytes"] / FULL
    during, after = played.timeline.memory
    assert found["during"] * step == pytest.approx(during, abs=0.51 * step)
    assert found["after"] * step == pytest.approx(after, abs=0.51 * step)
    assert found["during"].max() == FULL


def test_the_words_say_how_many_how_long_and_who_works_most(played):
    words = timeline_columns(played).summary
    line = played.timeline
    assert f"{len(line.schedule):,} operations" in words
    assert f"{line.busy.max() / line.makespan:.1%}" in words
    assert ("Rank " in words) == (line.schedule.num_ranks > 1)
    missing = played.report.step_time - played.end_time
    said = f"The step has {format_time(missing)} more, which is not drawn"
    assert (said in words) == (missing > DRAWN * played.report.step_time)


def test_a_hundred_thousand_even_operations_take_little(question):
    even = simulate_training(question, **CASES["interleaved"])
    sent = timeline_columns(even)
    operations = len(even.timeline.schedule)
    assert sum(len(one.data) for one in sent.columns.values()) < 23 * operations


def test_more_than_a_page_takes_is_refused(played, monkeypatch):
    monkeypatch.setattr(module, "MOST_SENT", 5)
    with pytest.raises(InputError, match="smaller batch"):
        timeline_columns(played)


STATIC = Path(module.__file__).parents[1] / "web" / "static"
SCRIPTS = ("timeline.js", "timeline_painter.js")


def test_the_page_reads_every_field_and_column_that_is_sent(question):
    sent = timeline_columns(simulate_training(question, **CASES["dualpipe"]))
    read_there = " ".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)
    names = [*sent.columns, *sent.__struct_fields__]
    assert [one for one in names if not re.search(rf"\b{one}\b", read_there)] == []


@pytest.mark.parametrize("name", [*SCRIPTS, "timeline.css", "cluster_map.css"])
def test_a_strict_page_may_hold_the_static_files(name):
    text = (STATIC / name).read_text(encoding="utf-8")
    for barred in ("innerHTML", "eval(", "new Function", "http:", "https:", "@import", "url("):
        assert barred not in text
    assert len(text.splitlines()) <= 400

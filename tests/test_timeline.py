"""Traces and pictures of a step: sound, self-contained, and of the very events."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from training_cases import ACCELERATORS

from clusterwright import ask_training
from clusterwright.cli import main
from clusterwright.engines.schedule import BOTH
from clusterwright.errors import InputError
from clusterwright.planner import simulate_training
from clusterwright.report import timeline
from clusterwright.report.timeline import timeline_svg, write_timeline
from clusterwright.report.trace import TAIL_NAME, check_trace, trace_events, write_trace


@pytest.fixture(scope="module")
def question():
    return ask_training(
        "llama-3.1-8b",
        accelerator="h100",
        accelerators=ACCELERATORS,
        batch_sequences="128",
        sequence_length="4096",
    )


@pytest.fixture(scope="module", params=["1f1b", "zero-bubble", "dualpipe"])
def played(question, request):
    return simulate_training(question, tp=2, pp=4, schedule=request.param)


def test_a_trace_has_every_operation_on_its_rank(played, tmp_path):
    write_trace(played, tmp_path / "step.json")
    events = json.loads((tmp_path / "step.json").read_text())["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    line = played.timeline
    operations = [event for event in slices if event["cat"] != "tail"]
    assert [event["tid"] for event in operations] == line.schedule.rank.tolist()
    assert [event["ts"] for event in operations] == pytest.approx(line.start * 1e6, abs=1e-3)
    assert [event["dur"] for event in operations] == pytest.approx(
        (line.end - line.start) * 1e6, abs=2e-3
    )
    tails = [event for event in slices if event["name"] == TAIL_NAME]
    assert [event["tid"] for event in tails] == list(range(4))
    assert tails[0]["ts"] + tails[0]["dur"] == pytest.approx(played.end_time * 1e6, abs=1e-2)
    held = max(event["args"]["GiB"] for event in events if event["ph"] == "C")
    assert held * 2**30 == pytest.approx(line.peak_bytes.max(), rel=1e-5)


TRACK = {"ph": "M", "pid": 0, "tid": 0, "name": "thread_name", "args": {"name": "rank 0"}}


def slice_at(start, length, **changes):
    return {"ph": "X", "pid": 0, "tid": 0, "ts": start, "dur": length, "name": "one", **changes}


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([slice_at(0.0, 1.0)], "track 0 has no name"),
        ([TRACK, slice_at(5.0, 1.0), slice_at(2.0, 1.0)], "begins before the event ahead"),
        ([TRACK, slice_at(0.0, 2.0), slice_at(1.0, 2.0)], "reaches beyond"),
        ([TRACK, slice_at(0.0, -1.0)], "ends before it begins"),
        ([TRACK, slice_at(0.0, 1.0, ph="Q")], "unknown kind"),
        ([TRACK, {"ph": "X", "tid": 0, "name": "one"}], "KeyError"),
        ([TRACK, slice_at(0.0, 0.0, ph="C", args={"GiB": -1})], "is negative"),
    ],
)
def test_an_unsound_trace_is_refused(events, message):
    with pytest.raises(InputError, match=message):
        check_trace(events)


def test_nested_and_adjacent_events_are_sound():
    check_trace([TRACK, slice_at(0.0, 4.0), slice_at(1.0, 2.0), slice_at(3.0, 1.0)])
    check_trace([TRACK, slice_at(0.0, 4.0), slice_at(4.0, 1.0)])


def test_every_real_trace_is_sound(played):
    check_trace(trace_events(played))


def boxes(drawn, *, style):
    root = ET.fromstring(drawn)
    return [
        one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("class") == style
    ]


def test_a_picture_has_a_bar_for_every_operation(played):
    drawn = timeline_svg(played)
    kinds = played.timeline.schedule.ops[:, 0].tolist()
    for kind, style in enumerate(timeline.CLASSES[:5]):
        shown = boxes(drawn, style=style)
        legend = 1 if kind in kinds else 0
        assert len(shown) == kinds.count(kind) + legend
    if BOTH in kinds:
        assert "OVERLAP_F_B" in drawn
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme:dark" in drawn


def test_many_operations_are_drawn_as_outlines(played, monkeypatch):
    before = timeline_svg(played)
    monkeypatch.setattr(timeline, "MOST_TOOLTIPS", 10)
    after = timeline_svg(played)
    assert len(after) < 0.7 * len(before)
    assert len(boxes(after, style="f")) == 1


def test_a_page_says_what_it_shows(question, played, tmp_path):
    write_timeline(question, played, tmp_path / "step.html")
    page = (tmp_path / "step.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "llama-3.1-8b: one training step, played out" in page
    assert page.count("<tr>") == 1 + 4
    write_timeline(question, played, tmp_path / "step.svg")
    assert (tmp_path / "step.svg").read_text(encoding="utf-8") == timeline_svg(played)
    with pytest.raises(InputError, match="must end in"):
        write_timeline(question, played, tmp_path / "step.png")


JOB = "simulate train llama-3.1-8b --accelerator h100 --accelerators 64 --seq-len 4096"
CUT = "--batch-sequences 128 --tp 2 --pp 4"


def run(words):
    return main(f"{JOB} {CUT} {words}".split())


def test_the_command_prints_and_writes(tmp_path, capsys):
    files = [tmp_path / name for name in ("step.json", "step.html", "order.csv")]
    names = ("--trace", "--timeline", "--schedule-csv")
    assert run(" ".join(f"{n} {f}" for n, f in zip(names, files, strict=True))) == 0
    printed = capsys.readouterr().out
    assert "1F1B, 16 micro-batches, 128 operations played out" in printed
    assert "by closed form" in printed
    assert all(file.stat().st_size > 500 for file in files)
    assert run(f"--schedule {files[2]} --json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schedule"] == "order"
    assert len(report["ranks"]) == 4
    assert run("--jitter 0.1 --straggler 1:1.5 --seed 3") == 0
    printed = capsys.readouterr().out
    assert "rank 1 takes 1.5 x; operations vary by 0.1 (seed 3)" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--schedule sideways", "no schedule is called 'sideways'"),
        ("--schedule none.csv", "there is no schedule"),
        ("--straggler 1", "must be a rank and a factor"),
        ("--straggler 9:2", "there is no rank 9"),
        ("--straggler 1:-2", "a factor above 0"),
        ("--jitter -1", "from 0 to 2"),
        ("--jitter nan", "from 0 to 2"),
        ("--seed -3", "must be 0 or more"),
        ("--timeline step.pdf", "must end in"),
        ("--trace /nowhere/step.json", "cannot use '/nowhere/step.json'"),
        ("--schedule-csv /nowhere/step.csv", "cannot write"),
    ],
)
def test_bad_input_gets_one_sentence(words, message, capsys):
    assert run(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_what_would_not_end_is_refused(capsys, monkeypatch):
    assert main(f"{JOB} --batch-sequences 900000000 --tp 2 --pp 4 --dp 1".split()) == 2
    assert "too many to play out" in capsys.readouterr().err
    monkeypatch.setattr("clusterwright.report.trace.MOST_TRACED", 10)
    assert run("--trace step.json") == 2
    assert "more than a viewer opens (10)" in capsys.readouterr().err

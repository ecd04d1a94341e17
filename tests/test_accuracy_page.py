"""The accuracy page: its parts, what a person wrote that must stay, and the peers beside ours."""

from __future__ import annotations

import statistics
import tomllib
from pathlib import Path
from typing import Any

import pytest

from clusterwright.calibrate.intervals import Coverage
from clusterwright.catalogue.store import Catalogue
from clusterwright.cli import main
from clusterwright.errors import InputError
from clusterwright.report import accuracy, accuracy_parts, gaps
from clusterwright.report.accuracy_pictures import panels
from clusterwright.validation.api import Validation
from clusterwright.validation.peers import (
    DataSet,
    Peer,
    Peers,
    Reached,
    fitted_error,
    peers_of,
    reached,
    reached_by_formula,
)
from clusterwright.validation.runs import default_runs_path, read_runs
from clusterwright.validation.scoring import Result, score

ROOT = Path(__file__).parents[1]
TERMS = {"ideal": 0.5, "kernels": 0.25, "tp": 0.125, "dp": 0.0}


def made(name: str, source: str, error: float | None, **changes: Any) -> Result:
    """A result that was predicted, or not."""
    ok = error is not None
    fields: dict[str, Any] = {
        "id": name,
        "source": source,
        "metric": "step_time_s",
        "status": "ok" if ok else "unsupported",
        "accelerator": "chip",
        "measured_value": 2.0,
        "measured_time": 2.0 if ok else None,
        "predicted_time": 2.0 * (1.0 + error) if ok else None,
        "predicted_low": 1.0,
        "predicted_high": 2.0,
        "error": error,
        "flat_error": -0.5 if ok else None,
        "inside": abs(error) <= 0.2 if ok else None,
        "fits": True if ok else None,
        "terms": TERMS if ok else {},
    }
    return Result(**{**fields, **changes})


RESULTS = (
    *(made(f"slow-{i}", "slow", 0.3) for i in range(6)),
    *(made(f"even-{i}", "even", 0.05 * (-1) ** i) for i in range(6)),
    *(made(f"tail-{i}", "tail", error) for i, error in enumerate((0.0, 0.01, -0.01, -0.7, -0.9))),
    made("lost", "even", None),
    made("part", "half-known", 0.4, complete=False),
)
SETS = (
    DataSet(id="a", name="Set A", prefixes=("slow-",), runs=6, headline=True),
    DataSet(id="b", name="Set B", prefixes=("even-", "part"), runs=9, headline=True, note="fewer"),
    DataSet(id="c", name="Set C", prefixes=("nowhere-",), runs=1),
)
PEERS = Peers(
    sets=SETS,
    tools=(
        Peer(
            id="good",
            name="Good tool",
            source="made",
            notes="As it is.",
            results=(
                Reached(set="a", error=0.1, bias=-0.1, fitted=0.02),
                Reached(set="b", error=0.9, bias=0.9, fitted=0.5),
                Reached(set="c", note="cannot"),
            ),
        ),
    ),
)


def found(results: tuple[Result, ...] = RESULTS) -> Validation:
    return Validation(path="made.csv", results=results, score=score(results))


def page(results: tuple[Result, ...] = RESULTS, reasons: dict[str, str] | None = None) -> Any:
    return accuracy.accuracy_page(
        found(results),
        peers=PEERS,
        without_stacks=list(results),
        coverage={"of unseen runs": Coverage(rows=0.75, sources=0.5)},
        reasons=reasons or {},
    )


def row(part: str, start: str) -> list[str]:
    """The cells of the table row that starts so."""
    line = next(line for line in part.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_part_has_a_title_and_every_picture_is_shown():
    made_page = page()
    assert list(made_page.parts) == list(accuracy_parts.TITLES)
    text = "".join(made_page.parts.values())
    for name in made_page.pictures:
        assert f"](accuracy/{name})" in text


def test_an_empty_validation_makes_a_page_too():
    made_page = page(())
    assert "No run" in made_page.parts["headline"]
    assert "- none" in made_page.parts["unexplained"]
    assert made_page.parts["peers"].startswith("None of these runs")


def test_sources_come_worst_first_with_their_figures():
    part = page().parts["sources"]
    lines = [line for line in part.splitlines() if line.startswith("| ")][2:]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == ["slow", "even", "tail"]
    assert row(part, "slow") == [
        "slow", "time", "6", "30.0 %", "30.0 %", "+30.0 %", "0.0 %", "50.0 %", "0.0 %",
    ]  # fmt: skip


def test_few_runs_share_a_panel():
    few = [made(f"f{i}", f"few {i}", 0.1) for i in range(3)]
    titles = [panel.title for panel in panels([*RESULTS, *few], lambda r: r.source)]
    assert titles[-1] == "4 others of fewer than 5 runs"
    assert {"slow", "even", "tail"} == set(titles[:-1])


def test_coverage_is_of_rows_and_of_sources():
    part = page().parts["coverage"]
    known = [r for r in RESULTS if r.complete and r.inside is not None]
    rows = sum(bool(r.inside) for r in known) / len(known)
    sources = statistics.fmean([0.0, 1.0, 0.6])
    assert row(part, "of all runs")[1:] == [f"{100 * sources:.1f} %", f"{100 * rows:.1f} %"]
    assert row(part, "of unseen runs")[1:] == ["50.0 %", "75.0 %"]
    assert "slow (0 % of 6)" in part
    assert "2.00 in the median run" in part


def test_peers_stand_beside_ours_and_the_nearest_is_bold():
    part = page().parts["peers"]
    assert row(part, "Set A")[1:] == [
        "6", "30.0 (+30.0)", "30.0 (+30.0)", "50.0 (−50.0)", "**10.0** (−10.0)",
    ]  # fmt: skip
    assert row(part, "Set B")[1] == "9 (ours 7)"
    assert "Set C" not in part
    assert "- Set A: Good tool, 10.0 against 30.0" in part
    assert "Set B: Good tool" not in part
    assert "- Set B: fewer." in part


def test_the_mean_over_sets_leaves_out_what_is_no_headline():
    cells = row(page().parts["peers"], "**mean of these 2**")
    ours = statistics.fmean([0.3, statistics.fmean([0.05] * 6 + [0.4])])
    assert cells[2] == f"**{100 * ours:.1f}**"
    assert cells[5] == "50.0"


def test_regret_is_shown_by_source_of_a_sweep():
    sweep = [
        made(f"j{i}", "sweep", 0.1 * i, job="job", predicted_time=9.0 - i, measured_time=8.0 + i)
        for i in range(4)
    ]
    part = page((*RESULTS, *sweep)).parts["choosing"]
    assert row(part, "sweep") == ["sweep", "1", "4", "0 %", "37.5 %", "37.5 %"]
    assert "Nobody" in page().parts["choosing"]


def test_runs_of_a_set_count_whether_complete_or_not():
    ours = reached(SETS[1], RESULTS)
    assert ours.runs == 7
    assert ours.error == pytest.approx((6 * 0.05 + 0.4) / 7)
    assert reached_by_formula(SETS[1], RESULTS).bias == pytest.approx(-0.5)
    assert reached(SETS[2], RESULTS).note == "no rows"


def test_one_factor_takes_the_level_away_and_leaves_structure():
    assert fitted_error([-0.4, -0.4]) == 0.0
    assert fitted_error([0.0, 1.0]) == pytest.approx(0.25)
    by_scan = min(
        statistics.fmean(abs((1 + e) / (0.5 + k / 1000) - 1) for e in (-0.2, 0.1, 0.4))
        for k in range(1000)
    )
    assert fitted_error([-0.2, 0.1, 0.4]) == pytest.approx(by_scan, abs=1e-3)


def test_what_is_not_explained_is_found_by_rule():
    listed = gaps.unexplained([r for r in RESULTS if r.complete], {"slow": "known"})
    assert [(g.kind, g.summary.source) for g in listed] == [("bias", "slow"), ("tail", "tail")]
    assert listed[0].terms == (("kernels", 0.25), ("tp", 0.125))
    assert (listed[0].reason, listed[1].reason) == ("known", "")
    assert (listed[1].far, listed[1].too_fast, listed[1].worst) == (2, 2, "tail-4")


def test_a_small_or_two_sided_error_needs_no_explanation():
    small = [made(f"s{i}", "small", 0.07) for i in range(9)]
    both = [made(f"b{i}", "both", 0.3 * (-1) ** i) for i in range(10)]
    assert gaps.unexplained([*small, *both], {}) == []


def test_the_term_that_goes_with_the_error_is_named_from_enough_rows_on():
    def rows(number: int) -> list[Result]:
        return [
            made(f"r{i}", "s", -0.2 - i / 100, terms={"ideal": 0.5, "tp": i / 100, "pp": 0.1})
            for i in range(number)
        ]

    (few,), (many,) = (gaps.unexplained(rows(n), {})[:1] for n in (gaps.LEAST_ROWS - 1, 30))
    assert few.goes_with is None
    assert many.goes_with == ("tp", pytest.approx(-1.0))
    part = accuracy_parts.gaps([many])
    assert "The larger the share of *tp*, the more it is predicted too fast" in part


@pytest.mark.parametrize(
    ("first", "second", "rank"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 1, 1], [1, 2, 3], 0.0),
        ([1, 1, 2, 2], [1, 1, 2, 2], 1.0),
    ],
)
def test_rank_correlation(first, second, rank):
    assert gaps.rank_correlation(first, second) == pytest.approx(rank)


def test_reasons_by_source_or_by_source_and_metric():
    results = [made("a", "s", 0.5), made("b", "s", 0.6, metric="mfu")]
    listed = gaps.unexplained(results, {"s": "all", "s: mfu": "one"})
    assert {g.summary.metric: g.reason for g in listed} == {"step_time_s": "all", "mfu": "one"}


def test_what_a_person_wrote_stays(tmp_path):
    page().write(tmp_path)
    file = tmp_path / "accuracy.md"
    own = file.read_text("utf-8").replace("# Accuracy\n", "# Mine\n\nOwn words.\n", 1)
    own = own.replace("| slow | time | 6 |", "| slow | time | 7 |")
    file.write_text(own + "\n<!-- generate written unknown -->\nkept\n<!-- end -->\n", "utf-8")
    page(reasons={"slow": "Because."}).write(tmp_path)
    text = file.read_text("utf-8")
    assert text.startswith("# Mine\n\nOwn words.\n")
    assert "| slow | time | 6 |" in text
    assert "*Because.*" in text
    assert "\nkept\n" in text
    again = page(reasons={"slow": "Because."})
    again.write(tmp_path)
    assert file.read_text("utf-8") == text
    assert {p.name for p in (tmp_path / "accuracy").iterdir()} == set(again.pictures)


@pytest.mark.parametrize("text", ["reasons = 3 =", "[other]\na = 'b'", "[reasons]\na = 3"])
def test_a_file_of_reasons_that_is_none_is_refused(tmp_path, text):
    file = tmp_path / "accuracy.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"accuracy\.toml"):
        gaps.read_reasons(file)
    assert gaps.read_reasons(tmp_path / "none.toml") == {}


def test_the_command_writes_a_page_of_ones_own_runs(tmp_path, capsys):
    folder = tmp_path / "out"
    runs = ROOT / "docs" / "examples" / "my-runs.csv"
    assert main(["validate", str(runs), "--page", str(folder)]) == 0
    assert "predicted" in capsys.readouterr().out
    text = (folder / "accuracy.md").read_text("utf-8")
    assert "![Predicted against measured" in text
    assert (folder / "accuracy" / "errors.svg").read_text("utf-8").startswith("<svg")


def test_a_model_is_asked_the_same_question_once():
    asked = []

    def predict(*question: object, software: object) -> int:
        asked.append((question, software))
        return len(asked)

    known = accuracy.Remembered(predict)
    first = known("m", "c", "w", "s", software="x")
    assert known("m", "c", "w", "s", software="x") == first
    assert known("m", "c", "w", "s", software="y") != first
    assert len(asked) == 2


def test_the_shipped_peers_name_known_sets_and_rows_that_are_there():
    peers = peers_of(Catalogue())
    assert len([one for one in peers.sets if one.headline]) == 7
    assert all(tool.on(one) for tool in peers.tools for one in peers.sets if one.headline)
    ids = [run.id for run in read_runs(default_runs_path())]
    for one in peers.sets:
        ours = [name for name in ids if name.startswith(one.prefixes)]
        assert 0 < len(ours) <= one.runs
        assert (len(ours) < one.runs) == bool(one.note)


def test_hand_written_reasons_name_sources_of_the_shipped_table():
    table = tomllib.loads((ROOT / "docs" / "explanation" / "accuracy.toml").read_text("utf-8"))
    runs = read_runs(default_runs_path())
    known = {run.source for run in runs} | {f"{run.source}: {run.measured_metric}" for run in runs}
    assert set(table["reasons"]) <= known


def test_terms_are_shares_of_the_predicted_time(tmp_path):
    out = tmp_path / "rows.csv"
    runs = ROOT / "docs" / "examples" / "my-runs.csv"
    assert main(["validate", str(runs), "--out", str(out)]) == 0
    head, first, *_ = out.read_text("utf-8").splitlines()
    assert head.endswith(",terms")
    shares = [float(part.split("=")[1]) for part in first.rsplit(",", 1)[1].split("; ")]
    assert sum(shares) == pytest.approx(1.0, abs=1e-4)

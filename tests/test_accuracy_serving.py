"""The accuracy page of serving: its groups, its parts, and what the command writes."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from serving_cases import STATIC

from clusterwright.cli import main
from clusterwright.report import serving_accuracy
from clusterwright.report.pictures.accuracy import MOST_SERVED, accuracy_of_serving
from clusterwright.validation.published import SERVING, decode, encode
from clusterwright.validation.serving.grouping import by_sort, grouped
from clusterwright.validation.serving.picks import Tally
from clusterwright.validation.serving.scoring import ServeResult


def made(source: str, error: float | None, **changes: Any) -> ServeResult:
    """A row that was predicted, or not."""
    ok = error is not None
    fields: dict[str, Any] = {
        "id": f"{source}.{error}.ttft_ms",
        "source": source,
        "metric": "ttft_ms",
        "status": "ok" if ok else "unsupported",
        "reason": "" if ok else "too large",
        "model": "m",
        "accelerator": "chip",
        "engine": "vllm",
        "sort": "TTFT",
        "measured_value": 100.0,
        "predicted_value": 100.0 * (1.0 + error) if ok else None,
        "low": 90.0 if ok else None,
        "high": 120.0 if ok else None,
        "error": error,
    }
    return ServeResult(**{**fields, **changes})


RESULTS = (
    *(made("slow", 0.3 + 0.01 * place, seen=place < 2, low=110.0) for place in range(6)),
    *(made("even", 0.1 * (-1) ** place, id=f"even-{place}") for place in range(4)),
    made("even", -0.5, sort="throughput", metric="output_tokens_per_s", accelerator="other"),
    made("lost", None),
    made("part", None, status="incomplete", reason="the source does not say enough"),
)
TALLY = Tally(
    source="even", promise="TPOT", rule="bare", groups=2, asked=7, refused=1, kept=0.75,
    median_loss=None, p90_loss=None,
)  # fmt: skip


def test_groups_weigh_rows_and_sorts_weigh_sources():
    slow, even, other = grouped(RESULTS, lambda one: one.source)
    assert [(one.name, one.sort, one.rows) for one in (slow, even, other)] == [
        ("slow", "TTFT", 6), ("even", "TTFT", 4), ("even", "throughput", 1),
    ]  # fmt: skip
    assert slow.median_abs_error == pytest.approx(0.325)
    assert slow.p90_abs_error == pytest.approx(0.345)
    assert (slow.coverage, even.coverage) == (0.0, 1.0)
    first, second = by_sort(RESULTS)
    assert (first.sort, first.rows, first.sources) == ("TTFT", 10, 2)
    assert first.error == pytest.approx((0.325 + 0.1) / 2)
    assert first.coverage == pytest.approx(0.4)
    assert (second.sort, second.error, second.bias) == ("throughput", 0.5, -0.5)


def test_what_was_seen_is_told_apart():
    first, _ = by_sort(RESULTS)
    assert first.judged == pytest.approx((0.335 + 0.1) / 2)
    assert first.judged_coverage == pytest.approx(0.5)
    only = [made("slow", 0.1, seen=True)]
    assert (by_sort(only)[0].judged, by_sort(only)[0].judged_coverage) == (None, None)


def test_a_row_without_an_interval_is_neither_inside_nor_outside():
    assert made("a", 0.1, low=None).inside is None
    assert made("a", 0.1).inside
    assert not made("a", 0.1, low=105.0).inside
    assert grouped([made("a", 0.1, low=None)], lambda one: one.source)[0].coverage is None


def test_the_page_has_every_part_and_its_picture():
    page = serving_accuracy.serving_page(RESULTS, [TALLY])
    assert list(page.parts) == list(serving_accuracy.TITLES)
    assert "11 of 12 rows whose configuration is complete" in page.parts["headline"]
    assert "1 are not complete" in page.parts["headline"]
    assert "| TTFT | slow | 6 | 32.5 % | 34.5 % | +32.5 % | 0.0 % |" in page.parts["sources"]
    assert "| throughput | other | 1 |" in page.parts["chips"]
    assert "| even | TPOT | bare | 2 | 7 | 1 | 75.0 % | – | – |" in page.parts["choosing"]
    assert "slow (TTFT: 0 % of 6)" in page.parts["coverage"]
    assert "| too large | 1 |" in page.parts["refused"]
    assert page.pictures["by-metric.svg"].startswith("<svg")


def test_a_page_of_nothing_says_so():
    parts = serving_accuracy.serving_page([made("lost", None)], []).parts
    assert parts["headline"] == "No run could be predicted.\n"
    assert parts["coverage"] == "No run has an interval.\n"
    assert parts["choosing"].startswith("Nobody measured")


def test_pictures_thin_rows_and_count_all_of_them():
    rows = [made("s", 0.1, id=f"r{n}", measured_value=1.0 + n) for n in range(900)]
    spec = accuracy_of_serving(rows, "TTFT")
    assert len(spec["data"]["values"]) == MOST_SERVED
    assert "900 measured runs, 700 of them drawn" in spec["description"]
    assert spec["data"]["values"][0]["measured"] == pytest.approx(1e-3)
    assert accuracy_of_serving(rows, "prefill") is None


def test_results_come_back_as_they_were_kept():
    complete = [one for one in RESULTS if one.status == "ok"]
    again = decode(encode(complete, SERVING, catalogue="abc"), SERVING).results
    assert [one.error for one in again] == pytest.approx([one.error for one in complete])
    assert [one.seen for one in again] == [one.seen for one in complete]
    assert {one.engine for one in again} == {"vllm"}


def test_the_command_writes_a_page_of_ones_own_services(tmp_path, capsys):
    table = tmp_path / "services.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(STATIC))
        writer.writeheader()
        writer.writerow(STATIC)
    assert main(["validate", str(table), "--page", str(tmp_path / "page")]) == 0
    assert "1 rows: 1 predicted" in capsys.readouterr().out
    text = (tmp_path / "page" / "accuracy-serving.md").read_text("utf-8")
    assert text.startswith("# Accuracy of serving\n")
    assert "| TPOT dense | made | 1 |" in text
    kept = decode((tmp_path / "page/accuracy-serving/results.json").read_bytes(), SERVING)
    assert [one.id for one in kept.results] == [STATIC["id"]]


def test_which_published_runs_is_no_question_beside_a_table(tmp_path, capsys):
    (tmp_path / "own.csv").write_text("id\n", encoding="utf-8")
    assert main(["validate", str(tmp_path / "own.csv"), "--of", "serving"]) == 2
    assert "leave it out beside a table" in capsys.readouterr().err

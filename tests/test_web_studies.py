"""The page of a study: read as it was asked, looked at again while it runs, written to never."""

from __future__ import annotations

from sweep_cases import SITES, study_of
from test_web_saved import get, text
from web_cases import DRAWN

from clusterwright.cli.answers import as_json
from clusterwright.sweep.answered import read_answers
from clusterwright.sweep.summing import summed
from clusterwright.sweep.sweeping import sweep
from clusterwright.web.folder import listed

DRAWN_WITH_PUE = DRAWN + 'pue = ["1.1", "1.2", "1.4"]\n'


def test_a_study_that_draws_is_read_as_it_was_asked(tmp_path):
    study = study_of(tmp_path, DRAWN_WITH_PUE)
    path = tmp_path / "study.sqlite"
    with sweep(study, path, workers=1) as store:
        meant = summed(store)
        grid = list(store.table.names)
    assert grid != sorted(grid)
    with read_answers(path) as found:
        assert list(found.table.names) == grid
        assert as_json(summed(found)) == as_json(meant)


def test_a_study_can_be_looked_at_while_it_runs_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.sqlite"
    store = sweep(study_of(tmp_path, SITES), path, workers=1, limit=8, chunk=8)
    before = {one.name: one.stat().st_mtime_ns for one in tmp_path.iterdir()}
    del before["study.sqlite-shm"]
    (one,) = listed(tmp_path).studies
    assert one.running
    assert (one.done, one.rows) == (8, 120)
    page = text("/saved/study", study="study.sqlite")
    assert "it still runs: 8 of 120 questions are answered" in page
    again = 'hx-get="/saved/study?study=study.sqlite" hx-trigger="every 3s"'
    fragment = get("/saved/study", "fragment", study="study.sqlite").body.decode()
    assert page.count(again) == fragment.count(again) == 1
    assert {n: (tmp_path / n).stat().st_mtime_ns for n in before} == before
    store.close()
    fragment = get("/saved/study", "fragment", study="study.sqlite").body.decode()
    assert "112 of 120 questions are left: sweep goes on" in fragment
    assert "hx-get" not in fragment
    assert {path.name for path in tmp_path.iterdir()} == {"study.toml", "study.sqlite"}


def test_a_large_study_that_runs_is_looked_at_less_often(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    many = DRAWN_WITH_PUE.replace("samples = 4", "samples = 4096")
    study = study_of(tmp_path, many)
    with sweep(study, tmp_path / "study.sqlite", workers=1, limit=1, chunk=1) as store:
        assert store.table.count > 30_000
        page = text("/saved/study", study="study.sqlite")
    assert f'hx-trigger="every {3 + store.table.count // 10_000}s"' in page

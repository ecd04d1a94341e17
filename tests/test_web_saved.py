"""Pages about the folder that is served: what they say is what commands say of the same files."""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import time
import zipfile
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import msgspec
import pytest
import web_cases
from sweep_cases import PRICES, study_of

from clusterwright.cli import ask, main
from clusterwright.cli.answers import as_json
from clusterwright.errors import InputError
from clusterwright.launch.folder import write_launch
from clusterwright.planner import load_plan
from clusterwright.report.paper.api import report_plan
from clusterwright.sweep.sweeping import sweep
from clusterwright.web import folder as folders
from clusterwright.web.answering import answer
from clusterwright.web.folder import listed, names_in
from clusterwright.web.keeping import plan_file
from clusterwright.web.pages import PAGES
from clusterwright.web.wire import Task

SMALL = {"model": "llama-3.1-8b", "accelerator": "h100", "accelerators": "8", "tokens": "1B"}
CHAT = {"model": "llama-3.1-8b", "accelerator": "h100", "rate": "4/s", "input": "500",
        "output": "100", "ttft": "1s", "tpot": "50ms"}  # fmt: skip


def words_of(words: str, query: dict[str, str]) -> list[str]:
    model, *rest = query.items()
    return [*words.split(), model[1], *(f"--{name}={value}" for name, value in rest)]


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan of each kind, one of them below, and a study."""
    here = tmp_path_factory.mktemp("served")
    (here / "below").mkdir()
    ask([*words_of("plan train", SMALL), f"--save={here / 'small.json'}"])
    ask([*words_of("plan serve", CHAT), f"--save={here / 'below' / 'chat.json'}"])
    sweep(study_of(here, PRICES, "prices.toml"), here / "prices.sqlite", workers=1).close()
    return here


@pytest.fixture
def served(stocked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(stocked)
    return stocked


def get(path: str, form="page", **query: str):
    return answer(Task(path=path, query=tuple(query.items()), form=form))


def text(path: str, **query: str) -> str:
    reply = get(path, **query)
    assert reply.status == 200, reply.body.decode()[-2000:]
    return reply.body.decode()


def said_by(page: str) -> str:
    """A page without the marks around the words of its command."""
    return re.sub("</?span>", "", page)


def refusal(path: str, **query: str) -> str:
    reply = get(path, form="json", **query)
    assert reply.status == 422, reply.body
    return json.loads(reply.body)["error"]


def test_the_list_has_plans_and_studies_and_nothing_else(served):
    found = listed(served)
    assert {one.path for one in found.plans} == {"small.json", "below/chat.json"}
    assert [one.path for one in found.studies] == ["prices.sqlite"]
    plan = load_plan(served / "small.json")
    small = next(one for one in found.plans if one.kind == "training")
    assert small.model == plan.question.model.name
    assert small.machine == f"8 x {plan.question.cluster.accelerator.name}"
    assert f"dp {plan.best.strategy.dp}" in small.how
    assert small.made_by == "this version"
    assert (found.studies[0].done, found.studies[0].rows) == (8, 8)
    page = text("/saved")
    assert "/saved/plan?plan=below%2Fchat.json" in page
    assert "/saved/study?study=prices.sqlite" in page


def test_a_saved_plan_shows_the_words_of_its_command(served):
    page = text("/saved/plan", plan="small.json")
    words = ask(words_of("plan train", SMALL)).words()
    for line in words.splitlines()[2:8]:
        assert msgspec.json.encode(line).decode().strip('"').replace("&", "&amp;") in page
    assert (
        get("/saved/plan", "json", plan="small.json").body + b"\n"
        == (served / "small.json").read_bytes()
    )
    for link in ("/launch?", "/simulate/power?", "/fleet?target=", "/site?target="):
        assert f'href="{link}' in page
    assert "clusterwright replay small.json" in said_by(page)


def test_links_of_a_saved_plan_lead_to_answers(served):
    assert get("/simulate/power", plan="small.json").status == 200
    assert get("/fleet", target="small.json", draws="10").status == 200
    assert get("/site", target="small.json").status == 200
    assert get("/launch", plan="below/chat.json", to="vllm").status == 200


def test_a_plan_of_other_facts_says_so(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = load_plan(served / "small.json")
    other = msgspec.structs.replace(plan, catalogue="0" * 64)
    (tmp_path / "other.json").write_bytes(as_json(other))
    assert "this version, with other facts (catalogue 000000000000): replay tells" in text(
        "/saved/plan", plan="other.json"
    )
    older = (served / "small.json").read_bytes().replace(b'"version":"', b'"version":"0.0.', 1)
    (tmp_path / "older.json").write_bytes(older)
    by_path = {one.path: one for one in listed(tmp_path).plans}
    assert by_path["older.json"].made_by.startswith("version 0.0.")


def test_a_plan_is_kept_as_save_writes_it(served):
    reply = get("/plan/train", "save", **SMALL)
    assert reply.body == (served / "small.json").read_bytes()
    assert reply.attachment == "llama-3.1-8b-on-8xnv-h100-sxm.json"
    served_plan = get("/plan/serve", "save", **CHAT)
    assert served_plan.body == (served / "below" / "chat.json").read_bytes()
    assert get("/site", "save", target="8xh100").status == 404
    assert plan_file(ask(["scorecard", "h100"])) is None


def test_a_plan_is_kept_as_report_writes_it(served):
    pytest.importorskip("vl_convert")
    pytest.importorskip("typst")
    plan = load_plan(served / "small.json")
    asked = get("/plan/train", "report", **SMALL)
    assert (asked.body, asked.media) == (report_plan(plan), "text/html; charset=utf-8")
    assert asked.attachment == "llama-3.1-8b-on-8xnv-h100-sxm.html"
    saved = get("/saved/plan", "report", plan="small.json")
    assert saved.body == report_plan(plan, file=Path("small.json"))
    assert b"small.json" in saved.body
    pages = get("/saved/plan", "pdf", plan="below/chat.json")
    assert (pages.body[:5], pages.media) == (b"%PDF-", "application/pdf")
    assert get("/site", "report", target="8xh100").status == 404
    for address in ("/plan/train.report", "/plan/train.pdf"):
        assert f'href="{address}?' in text("/plan/train", **SMALL)


def test_a_study_says_what_sweep_says(served, capsys):
    assert main(["sweep", "prices.toml", "--json"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(get("/saved/study", "json", study="prices.sqlite").body) == json.loads(
        printed
    )
    main(["sweep", "prices.toml"])
    page = text("/saved/study", study="prices.sqlite")
    for line in capsys.readouterr().out.splitlines():
        assert line in page
    assert page.count('<tr class="marked">') == 1
    assert page.index(">best<") < page.index(">2<")


def test_a_launch_is_what_the_command_writes_and_nothing_is_written(served, tmp_path):
    before = sorted(served.rglob("*"))
    reply = get("/launch", "zip", plan="small.json", to="megatron", on="slurm", partition="big")
    assert sorted(served.rglob("*")) == before
    found = ask(["launch", "small.json", str(tmp_path / "out"), "--to=megatron", "--on=slurm",
                 "--partition=big"])  # fmt: skip
    assert reply.attachment == "small-megatron.zip"
    with zipfile.ZipFile(io.BytesIO(reply.body)) as archive:
        archive.extractall(tmp_path)
        runs = {n for n in archive.namelist() if archive.getinfo(n).external_attr >> 16 & 0o100}
    assert runs == {f"small-megatron/{file.path}" for file in found.value.files if file.executable}
    for file in found.value.files:
        ours = (tmp_path / "small-megatron" / file.path).read_text("utf-8")
        assert ours == (tmp_path / "out" / file.path).read_text("utf-8")
    page = text("/launch", plan="small.json", to="megatron", on="slurm", partition="big")
    assert "clusterwright launch small.json small-megatron --to megatron --on slurm" in said_by(
        page
    )
    with pytest.raises(InputError, match="earlier launch"):
        write_launch(found.value, tmp_path / "out")


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("/launch", {"plan": "small.json"}, "name the tool that runs it with --to: megatron"),
        ("/launch", {"to": "megatron"}, "plan is missing"),
        ("/launch", {"plan": "small.json", "to": "vllm"}, "a plan for training"),
        ("/launch", {"plan": "small.json", "to": "megatron", "per-host": "two"}, "--per-host is"),
        ("/saved/plan", {"plan": "prices.toml"}, "not a saved plan"),
        ("/saved/plan", {"plan": "nowhere.json"}, "no such file"),
        ("/saved/plan", {"plan": "../small.json"}, "must lie in the folder"),
        ("/saved/plan", {"plan": "/etc/passwd"}, "must lie in the folder"),
        ("/saved/plan", {"plan": "below"}, "no such file"),
        ("/saved/study", {"study": "small.json"}, "no file of a sweep's answers"),
        ("/saved/study", {"study": "../x.sqlite"}, "must lie in the folder"),
        ("/simulate/power", {"plan": "below/chat.json"}, "plan for serving"),
        ("/saved/plan", {"file": "small.json"}, "no field is called 'file'"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_words(served, path, query, said):
    assert said in refusal(path, **query)


HOSTILE = "<img src=x onerror=alert(1)> & '\"; rm -rf .json"


@pytest.fixture
def doubtful(stocked, tmp_path, monkeypatch) -> Path:
    """A folder of files that only look like ours."""
    (tmp_path / HOSTILE.replace("/", "")).write_bytes((stocked / "small.json").read_bytes())
    (tmp_path / "head.json").write_bytes(b'{"version":"0.1')
    (tmp_path / "wrong.json").write_bytes(b'{"version":"1","catalogue":7,"question":[],"best":{}}')
    deep = b'{"version":"1","question":' + b"[" * 100_000
    (tmp_path / "deep.json").write_bytes(deep)
    (tmp_path / "head.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    sqlite3.connect(tmp_path / "other.sqlite").executescript("CREATE TABLE study (key, value)")
    broken = bytearray((stocked / "prices.sqlite").read_bytes())
    broken[4096:8192] = os.urandom(4096)
    (tmp_path / "broken.sqlite").write_bytes(broken)
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "link.json").symlink_to(stocked / "small.json")
    (tmp_path / "round.json").symlink_to("round.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "new\nline.json").write_bytes((stocked / "small.json").read_bytes())
    (tmp_path / os.fsdecode(b"\xff.json")).write_bytes((stocked / "small.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_that_only_look_like_ours_are_passed_over_and_names_are_text(doubtful):
    found = listed(doubtful)
    assert [one.path for one in found.plans] == [HOSTILE]
    assert found.studies == ()
    page = text("/saved")
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror" in page
    assert "<img src=x" not in text("/saved/plan", plan=HOSTILE)
    reply = get("/launch", "zip", plan=HOSTILE, to="megatron")
    assert reply.attachment.isascii()
    assert not set(reply.attachment) & set('"/\\<> ;')


@pytest.mark.parametrize(
    "name",
    ["head.json", "wrong.json", "deep.json", "pipe.json", "link.json", "round.json", "folder.json",
     "new\nline.json"],
)  # fmt: skip
def test_a_file_that_only_looks_like_a_plan_is_refused_in_one_sentence(doubtful, name):
    for path in ("/saved/plan", "/simulate/power", "/launch"):
        said = refusal(path, plan=name)
        assert "fault of clusterwright" not in said
        assert "\n" not in said


@pytest.mark.parametrize(
    "where",
    [
        ("alternatives", 0, "estimate", "likeness", "low"),
        ("best", "waterfall", 0, "time"),
        ("best", "strategy", "vpp"),
        ("best", "step_time"),
        ("question", "cluster", "count"),
        ("question", "workload", "global_batch"),
    ],
)
@pytest.mark.parametrize("value", [0, -1, 10**15, "x", None])
def test_a_plan_that_was_edited_is_shown_or_refused(served, tmp_path, monkeypatch, where, value):
    *above, last = where
    plan = json.loads((served / "small.json").read_bytes())
    part = plan
    for step in above:
        part = part[step]
    assert last in part
    part[last] = value
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edited.json").write_text(json.dumps(plan), "utf-8")
    for path, more in (("/saved/plan", {}), ("/launch", {"to": "megatron"}), ("/saved", {})):
        query = {"plan": "edited.json", **more} if path != "/saved" else {}
        assert get(path, **query).status in {200, 422}


@pytest.mark.parametrize("name", ["head.sqlite", "other.sqlite", "broken.sqlite", "head.json"])
def test_a_file_that_only_looks_like_a_study_is_refused_in_one_sentence(doubtful, name):
    said = refusal("/saved/study", study=name)
    assert "fault of clusterwright" not in said
    assert "\n" not in said


def test_a_folder_behind_a_name_with_blanks_is_still_outside(served, tmp_path):
    link = served / "a link"
    link.symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "secret.json").write_bytes((served / "small.json").read_bytes())
    try:
        assert "must lie in the folder" in refusal("/saved/plan", plan="a link/secret.json")
    finally:
        link.unlink()


def test_a_folder_of_ten_thousand_files_is_listed_quickly(stocked, tmp_path):
    plan = (stocked / "small.json").read_bytes()
    for place in range(10_000):
        (tmp_path / f"{place}.json").write_bytes(
            plan if place % 20 == 0 else b'{"name": "no plan"}'
        )
    start = time.perf_counter()
    found = listed(tmp_path)
    assert time.perf_counter() - start < 2.0
    assert len(found.plans) == folders.MOST_HEADS // 20 == folders.MOST_SHOWN
    assert found.more


def test_a_file_too_large_to_be_a_plan_is_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "large.json").open("wb") as file:
        file.write(b'{"version":"')
        file.truncate(2**31)
    start = time.perf_counter()
    assert listed(tmp_path).plans == ()
    assert "reads 64 MiB at most" in refusal("/saved/plan", plan="large.json")
    assert time.perf_counter() - start < 1.0


def test_what_rests_on_a_file_is_asked_anew(served):
    assert not get("/saved").lasting
    assert not get("/saved/plan", plan="small.json").lasting
    assert not get("/site", target="small.json").lasting
    assert get("/plan/train", **SMALL).lasting


def test_fields_that_name_files_offer_those_of_the_folder(served):
    assert names_in(served, "training files") == ["small.json"]
    assert names_in(served, "serving files") == ["below/chat.json"]
    assert set(names_in(served, "plan files")) == {"small.json", "below/chat.json"}
    assert names_in(served, "study files") == ["prices.sqlite"]
    page = text("/launch")
    assert "<option>below/chat.json</option>" in page


def test_an_empty_folder_has_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "0 plans and 0 studies" in text("/saved")
    assert "none is here" in text("/launch")


def test_every_page_has_its_form_and_stands_where_it_is_listed():
    for page in PAGES:
        assert set(page.open) <= page.form.fields.keys(), page.path
        assert page.files.keys() <= page.form.fields.keys(), page.path


def test_a_download_has_a_name_and_nothing_else_may_be_kept(served):
    with web_cases.served(served) as address:
        with urlopen(f"{address}/launch.zip?plan=small.json&to=megatron") as kept:
            said = kept.headers["content-disposition"]
            assert said == 'attachment; filename="small-megatron.zip"'
            assert kept.headers["content-type"] == "application/zip"
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{address}/site.zip?target=8xh100")

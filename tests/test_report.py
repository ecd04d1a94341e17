"""Reports: the words of the command line in every form, and names that stay text."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace
from report_cases import (
    TAME,
    Read,
    flat,
    hostile_serving,
    hostile_training,
    read_markdown,
    serving,
    training,
)

import clusterwright
from clusterwright.asking_service import with_service_account
from clusterwright.cli import main
from clusterwright.inference import Deployment
from clusterwright.report import serving_text, text
from clusterwright.report.cluster_map import DARK
from clusterwright.report.paper.api import report_plan
from clusterwright.report.paper.contents import paper_of
from clusterwright.report.paper.ink import dark_rules, svg_of
from clusterwright.report.pictures.theme import picture as picture_of
from clusterwright.report.shown.picture import Picture
from clusterwright.report.shown.summary import RANGES
from clusterwright.saving import save_plan
from clusterwright.serving.intervals import BORROWED
from clusterwright.serving.plan import ServingPlan
from clusterwright.units import format_quantity

PLANS = {"training": training, "serving": serving}
HOSTILES = {"training": hostile_training, "serving": hostile_serving}


@pytest.fixture(params=PLANS)
def plan(request):
    return PLANS[request.param]()


@pytest.fixture(params=HOSTILES)
def hostile(request):
    return HOSTILES[request.param]()


@pytest.fixture
def saved(tmp_path):
    save_plan(training(), tmp_path / "plan.json")
    return tmp_path / "plan.json"


def words_of(plan):
    return (serving_text if isinstance(plan, ServingPlan) else text).plan_text(plan)


def said_in(paper):
    """Every text that each form of a report must hold."""
    yield from (paper.kind, paper.title, *paper.asked, paper.summary, RANGES, paper.replay)
    for one in paper.figures:
        yield from (one.label, one.figure, one.note, *one.more)
    for one in paper.bases:
        yield from (one.label, *one.said)


def html_of(plan):
    pytest.importorskip("vl_convert")
    return report_plan(plan).decode()


def pdf_of(plan):
    pytest.importorskip("vl_convert")
    pytest.importorskip("typst")
    return pytest.importorskip("pypdf").PdfReader(io.BytesIO(report_plan(plan, "pdf")))


def test_the_decision_is_in_the_words_of_the_command_line(plan):
    paper, words = paper_of(plan), flat(words_of(plan))
    assert len(paper.figures) > 5
    for one in paper.figures:
        assert flat(f"{one.label} {one.figure}") in words
        assert all(flat(line) in words for line in one.more)
    assert flat(paper.words) == words


def test_the_decision_begins_with_what_payers_ask_for():
    labels = [one.label for one in paper_of(training()).figures]
    assert labels[:4] == ["wall clock", "whole run", "money", "energy"]
    assert labels.index("carbon") < labels.index("throughput") < labels.index("strategy")
    said, account = paper_of(training()).summary, training().account
    assert said.startswith("llama-3.1-8b on 64 x NVIDIA H100 SXM5 80GB is done in about ")
    for one, dimension in ((account.cost, "USD"), (account.energy, "J")):
        for end in (one.low, one.middle, one.high):
            assert format_quantity(end, dimension) in said


def test_a_plan_without_an_account_says_what_is_not_counted():
    alone = replace(training(), account=None)
    assert "failures, money and energy are not counted" in paper_of(alone).summary
    assert "nobody said of how many tokens" in paper_of(replace(alone, totals=None)).summary
    assert "money, energy and carbon are not counted" in paper_of(serving()).summary


def test_a_service_says_where_its_money_is_counted():
    paper = paper_of(with_service_account(serving()))
    rests = {one.label: " ".join(one.said) for one in paper.bases}
    assert "no place named: means of the world" in rests["assumed"]
    assert rests["site"].startswith("World; cooling: ")
    assert "a year" in paper.summary


def test_too_few_runs_alike_are_said_to_have_borrowed_their_range():
    few = [one for one in serving().best.intervals if one.rows < BORROWED]
    assert few
    rests = {one.label: one.said for one in paper_of(serving()).bases}["measured runs"]
    for one in few:
        said = next(words for words in rests if words.startswith(one.sort))
        assert "too few runs alike (" in said
        assert f"is taken mostly from {one.lent_rows} runs of " in said
        assert "80 %" not in said


def test_a_caption_names_a_part_that_is_drawn():
    from clusterwright.report.pictures.memory import PARTS, memory

    spec = memory(training().best)
    largest = spec["description"].rpartition(" is ")[2].partition(" with ")[0]
    assert largest in PARTS


def test_html_and_markdown_hold_all_that_is_said(plan):
    page = Read(html_of(plan))
    shown, _ = read_markdown(report_plan(plan, "md").decode())
    for said in said_in(paper_of(plan)):
        assert flat(said) in page.text
        assert flat(said) in shown
    for picture in paper_of(plan).pictures:
        assert any(
            at.get("aria-label") == picture.said for tag, at in page.elements if tag == "svg"
        )
        assert flat(picture.said) in shown
    assert flat(words_of(plan)) in page.text
    assert flat(words_of(plan)) in shown


def test_html_asks_nobody_for_anything_and_runs_nothing(plan):
    page = html_of(plan)
    assert set(re.findall(r"\w+://[^\s\"']+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\((?!#)|@import|\b(src|href|data)=", page)
    kinds = {tag for tag, _ in Read(page).elements}
    assert not kinds & {"script", "link", "iframe", "object", "embed", "img", "a", "form"}
    assert "default-src 'none'" in page


def test_inner_names_of_pictures_are_apart(plan):
    page = html_of(plan)
    names = re.findall(r' id="([^"]*)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= set(names)


def test_words_of_a_picture_stay_as_they_were_written():
    pytest.importorskip("vl_convert")
    words = '1.23456 s id="a" class="b" "url(#c)'
    spec = picture_of(
        [{"name": words}], height=50, description="One word.", mark="text",
        encoding={"text": {"field": "name", "type": "nominal"}},
    )  # fmt: skip
    assert Read(svg_of(Picture(title="", spec=spec))).text == words


def test_every_colour_of_a_picture_has_one_for_the_dark():
    pytest.importorskip("vl_convert")
    rules = dark_rules()
    for plan in (training(), serving()):
        for picture in paper_of(plan).pictures:
            colours = set(re.findall(r'(fill|stroke)="(#[^"]*)"', svg_of(picture)))
            assert colours
            for part, colour in colours:
                assert f'svg [{part}="{colour}"]{{' in rules
            assert not re.search(r'="(rgb|hsl)', svg_of(picture))


def test_the_map_is_as_dark_in_reports_as_on_pages():
    sheet = Path(clusterwright.__file__).parent / "web" / "static" / "cluster_map.css"
    found = re.findall(r"--map-(\w+): light-dark\(#\w+, (#\w+)\)", sheet.read_text("utf-8"))
    assert dict(found) == DARK


def test_a_pdf_is_pages_of_a4_whose_text_can_be_read(plan):
    pdf = pdf_of(plan)
    pages = [flat(page.extract_text()) for page in pdf.pages]
    paper = paper_of(plan)
    assert pdf.metadata.title == f"{paper.kind}: {paper.title}"
    for number, (page, shown) in enumerate(zip(pdf.pages, pages, strict=True), 1):
        assert (round(page.mediabox.width), round(page.mediabox.height)) == (595, 842)
        assert f"{number} / {len(pages)}" in shown
    shown = re.sub(r"\s", "", "".join(pages))
    for one in paper.figures:
        assert re.sub(r"\s", "", one.figure) in shown
    for line in words_of(plan).splitlines():
        assert re.sub(r"\s", "", line) in shown


def test_a_picture_is_one_sheet():
    pytest.importorskip("vl_convert")
    pytest.importorskip("typst")
    png = report_plan(training(), "png")
    width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
    assert png.startswith(b"\x89PNG")
    assert width == pytest.approx(210 / 25.4 * 144, abs=1)
    assert height > 2 * width
    svg = report_plan(training(), "svg").decode()
    assert svg.count("<svg") >= 1
    assert "<script" not in svg


@pytest.mark.parametrize("to", ["html", "md", "pdf"])
def test_the_same_plan_gives_the_same_bytes(plan, to):
    if to != "md":
        pytest.importorskip("vl_convert")
    if to == "pdf":
        pytest.importorskip("typst")
    assert report_plan(plan, to) == report_plan(plan, to)


def test_hostile_names_are_text_in_html(hostile):
    page = Read(html_of(hostile))
    assert flat(TAME) in page.text
    kinds = {tag for tag, _ in page.elements}
    assert not kinds & {"script", "img", "a"}
    assert not any(name.startswith("on") for _, at in page.elements for name in at)


def test_hostile_names_are_text_in_markdown(hostile):
    shown, kinds = read_markdown(report_plan(hostile, "md").decode())
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open"}
    assert "table_open" in kinds
    assert flat(TAME) in shown


def test_hostile_names_are_text_in_a_pdf(hostile):
    shown = re.sub(r"\s", "", "".join(page.extract_text() for page in pdf_of(hostile).pages))
    assert "<script>alert(1)</script><imgsrc=http://evil.test/xonerror=alert(1)>" in shown
    assert '#eval("1")$x$' in shown
    assert all("/Annots" not in page for page in pdf_of(hostile).pages)


def test_a_name_cannot_add_a_figure_to_the_decision():
    told = [one.label for one in paper_of(training()).figures]
    assert [one.label for one in paper_of(hostile_training()).figures] == told
    assert hostile_training()._repr_html_().count("<tr") == training()._repr_html_().count("<tr")


def test_a_page_and_a_report_show_the_same_pictures():
    from clusterwright.cli.answers import Answer
    from clusterwright.web.views import serving as serving_view
    from clusterwright.web.views import training as training_view

    for plan, view in ((training(), training_view), (serving(), serving_view)):
        seen = view.plan(Answer(plan, lambda: words_of(plan)), {}).pictures  # noqa: B023 - at once
        assert [one.said for one in seen] == [one.said for one in paper_of(plan).pictures]


def test_a_plan_without_a_length_still_has_its_decision_first():
    from clusterwright.report.labelled import labelled

    words = words_of(training()).replace(
        "\n  whole run", "\n  (give --tokens for the length of the whole run)\n  whole run"
    )
    assert labelled(words)[1].label == "step time"


# The command.


def run(capsys, *words):
    code = main(["report", *map(str, words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command_writes_beside_the_plan_and_says_where(capsys, saved):
    pytest.importorskip("vl_convert")
    code, out, _ = run(capsys, saved)
    assert code == 0
    assert out.startswith(f"{saved.with_suffix('.html')}: html, ")
    assert saved.with_suffix(".html").read_bytes() == report_plan(training(), file=saved)


def test_a_report_names_the_bytes_of_its_plan(capsys, plan, tmp_path):
    saved = tmp_path / "plan.json"
    save_plan(plan, saved)
    assert run(capsys, saved, "--to", "md")[0] == 0
    digest = sha256(saved.read_bytes()).hexdigest()
    assert f"plan.json, SHA-256 {digest}" in saved.with_suffix(".md").read_text("utf-8")


def test_the_form_goes_by_the_ending_of_the_file(capsys, saved):
    assert run(capsys, saved, "--out", saved.with_name("a.MD"))[0] == 0
    assert saved.with_name("a.MD").read_bytes().startswith(b"# Training plan: llama-3.1-8b")
    for words in (["--out", saved.with_name("a.markdown")], ["--to", "MarkDown"]):
        assert run(capsys, saved, *words)[0] == 0
    assert saved.with_name("a.markdown").read_bytes() == saved.with_suffix(".md").read_bytes()


def test_a_file_that_is_there_is_replaced_only_when_told(capsys, saved):
    there = saved.with_suffix(".md")
    there.write_text("mine", "utf-8")
    code, _, err = run(capsys, saved, "--to", "md")
    assert (code, there.read_text("utf-8")) == (2, "mine")
    assert err == f"error: {str(there)!r} is there: name another file, or give --overwrite\n"
    assert run(capsys, saved, "--to", "md", "--overwrite")[0] == 0
    assert there.read_bytes() == report_plan(training(), "md", file=saved)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "docx"], "--to is 'docx', which is no form of a report: give one of html, pdf"),
        (["--to", "md", "--out", "a.pdf"], "--to is 'md', but the ending of 'a.pdf' says pdf"),
        (["--out", "a.docx"], "the ending of 'a.docx' tells no form of a report: give one of html"),
        (["--to", "md", "--out", "."], "cannot save to the folder '.': name a file"),
        (["--to", "md", "--out", "no/a.md"], "there is no folder 'no'"),
        (["--to", "md", "--out", "/proc/a.md"], "cannot save '/proc/a.md': "),
        (["--to", "md", "--out", "plan.json", "--overwrite"], "'plan.json' is the plan itself"),
    ],
)
def test_what_cannot_be_is_refused_in_words(capsys, monkeypatch, saved, words, message):
    monkeypatch.chdir(saved.parent)
    code, _, err = run(capsys, saved, *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "is not a saved plan"),
        (b"\xff\xfe", "is not a saved plan"),
        (b'{"version":"0.0.1","catalogue":"x","question":{"a":1}}', "was written by version 0.0.1"),
    ],
)
def test_a_file_that_is_no_plan_of_ours_is_refused(capsys, tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    code, _, err = run(capsys, tmp_path / "a.json")
    assert code == 2
    assert message in err
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(("to", "library"), [("html", "vl-convert-python"), ("pdf", "typst")])
def test_without_the_extra_a_person_is_told_what_to_install(
    capsys, monkeypatch, saved, to, library
):
    module = library.removesuffix("-python").replace("-", "_")
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = run(capsys, saved, "--to", to)
    assert code == 1
    assert f"needs {library}: pip install 'clusterwright[report]'" in err
    assert not saved.with_suffix(f".{to}").exists()
    assert run(capsys, saved, "--to", "md")[0] == 0


# Notebooks.


@pytest.mark.parametrize("best", [False, True])
def test_a_notebook_shows_the_decision_and_where_a_step_goes(plan, best):
    shown = plan.best if best else plan
    html = shown._repr_html_()
    page = Read(html)
    lasting = ("strategy", "step time", "replicas", "first token", "throughput")
    for one in paper_of(plan).figures:
        if not best or one.label in lasting:
            assert flat(one.figure) in page.text
    assert not {tag for tag, _ in page.elements} & {"script", "style", "link", "img"}
    assert "http" not in html
    assert len(html) < 12_000
    if not best:
        assert paper_of(plan).title in page.text
        assert flat(paper_of(plan).summary) in page.text


def test_a_notebook_shows_a_phone_too():
    from clusterwright.asking_serving import ask_serving
    from clusterwright.planner_serving import estimate_serving

    question = ask_serving("llama-3.2-3b", device="iphone-16-pro", users=1, prompt=500, output=100)
    found = estimate_serving(question, Deployment(weights="q4-k-m"))
    shown = Read(found._repr_html_()).text
    assert "that an app may take" in shown
    assert "battery" in shown


def test_nothing_is_made_for_a_notebook_before_it_looks():
    program = (
        "import sys, clusterwright as cw\n"
        "q = cw.ask_training('llama-3.1-8b', accelerator='h100', accelerators=8)\n"
        "plan = cw.plan_training(q)\n"
        "assert not [m for m in sys.modules if m.startswith('clusterwright.report')]\n"
        "assert plan.question.model.name in plan._repr_html_()\n"
        "assert 'vl_convert' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

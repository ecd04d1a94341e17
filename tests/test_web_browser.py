"""Every page in a real browser: nothing on its console, nothing asked of others, nothing amiss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sweep_cases import study_of
from web_cases import DRAWN, OTHERS, QUICK, chromium, example_of, served, stocked

from clusterwright.sweep.asking import Chunk
from clusterwright.sweep.running import executor_named
from clusterwright.sweep.store import Store
from clusterwright.sweep.sweeping import sweep
from clusterwright.web.pages import BY_PATH

sync_api = pytest.importorskip("playwright.sync_api")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="no chromium here: apt-get install chromium"),
    pytest.mark.xdist_group("browser"),
]
expect = sync_api.expect
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
LOOKS = [("light", 1440), ("light", 390), ("dark", 1440), ("dark", 390)]
PLAN = BY_PATH["/plan/train"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stocked(tmp_path_factory.mktemp("folder"))


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield found
        found.close()


class Watched:
    """A page of the browser, and what went wrong on it."""

    def __init__(self, browser: Any, server: str, scheme: str = "light", width: int = 1440) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, base_url=server
        )
        self.page = context.new_page()
        self.width = width
        self.wrong: list[str] = []
        self.sent = 0
        self.page.on("console", lambda said: self.wrong.append(f"console: {said.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("request", self._outside)
        self.server = server

    def _outside(self, request: Any) -> None:
        if not request.url.startswith((self.server, "data:")):
            self.wrong.append(f"asks {request.url}")

    def open(self, address: str) -> Any:
        self.page.goto(address)
        self.page.wait_for_load_state("networkidle")
        return self.page

    def close(self) -> None:
        self.page.context.close()


@pytest.fixture
def watched(browser: Any, server: str) -> Iterator[Watched]:
    found = Watched(browser, server)
    yield found
    found.close()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("address", ["/", *map(example_of, QUICK), *OTHERS])
def test_a_page_is_quiet_accessible_and_fits_its_width(browser, server, address, scheme, width):
    watched = Watched(browser, server, scheme, width)
    page = watched.open(address)
    assert page.locator(".refused").count() == 0
    pictures = page.locator(".vega")
    for index in range(pictures.count()):
        pictures.nth(index).locator("svg").wait_for()
    assert watched.wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe_api.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    watched.close()


def test_every_group_of_pages_is_in_sight_on_a_phone(browser, server):
    watched = Watched(browser, server, width=390)
    links = watched.open("/site").locator(".top nav a, .second a")
    boxes = [links.nth(place).bounding_box() for place in range(links.count())]
    assert len(boxes) > 5
    assert max(box["x"] + box["width"] for box in boxes) <= 390
    watched.close()


def test_on_paper_a_page_has_its_question_and_nothing_to_click(watched):
    page = watched.open(example_of(PLAN))
    page.emulate_media(media="print")
    for part in (".top", ".second", ".asking", ".examples", ".next", ".same", ".end"):
        expect(page.locator(part).first).to_be_hidden()
    asked, made_by = page.locator(".printed").all_inner_texts()
    assert asked.startswith("Asked: clusterwright plan train llama-3.1-405b --cluster meta-24k")
    assert made_by.endswith(example_of(PLAN))


def test_changing_a_field_changes_the_answer_and_the_address(watched):
    page = watched.open(example_of(PLAN))
    title = page.locator("#answer h2")
    page.fill("#field-accelerators", "8192")
    page.press("#field-accelerators", "Tab")
    expect(title).to_contain_text("8,192 x")
    assert "accelerators=8192" in page.url
    assert "tokens=15.6T" in page.url
    assert watched.wrong == []
    page.go_back()
    expect(title).to_contain_text("16,384 x")


def test_a_refusal_stands_beside_its_field_and_nothing_typed_is_lost(watched):
    page = watched.open(example_of(PLAN))
    wrong = page.locator("#wrong-accelerators")
    page.fill("#field-accelerators", "a lot")
    page.press("#field-accelerators", "Tab")
    expect(wrong).to_contain_text("--accelerators")
    assert page.locator(".refused").inner_text() == wrong.inner_text()
    assert page.input_value("#field-accelerators") == "a lot"
    assert page.input_value("#field-tokens") == "15.6T"
    assert page.get_attribute("#field-accelerators", "aria-invalid") == "true"
    page.fill("#field-accelerators", "64")
    page.press("#field-accelerators", "Tab")
    expect(wrong).to_be_empty()


def test_a_point_of_the_front_leads_to_its_estimate(watched):
    page = watched.open(example_of(PLAN))
    picture = page.locator(".picture", has_text="a point is a strategy")
    picture.locator("summary").click()
    picture.locator(".points a").nth(2).click()
    page.wait_for_url("**/estimate/train?**")
    assert page.locator(".refused").count() == 0


def test_the_load_curve_comes_once_the_deployment_is_there(watched):
    page = watched.open(example_of(BY_PATH["/estimate/serve"]))
    page.locator(".later .vega svg").nth(1).wait_for()
    assert page.locator(".working").count() == 0
    assert page.locator(".later .refused").count() == 0
    assert watched.wrong == []


def test_a_plan_and_a_launch_are_taken_along_as_files(watched):
    page = watched.open(example_of(PLAN))
    with page.expect_download() as kept:
        page.click("text=Save this plan")
    assert kept.value.suggested_filename.endswith(".json")
    page = watched.open("/launch?plan=small.json&to=megatron&on=slurm")
    with page.expect_download() as kept:
        page.click("text=All files as a .zip")
    assert kept.value.suggested_filename == "small-megatron.zip"


def test_a_saved_plan_leads_on_to_its_launch(watched):
    page = watched.open("/saved")
    page.click("text=small.json")
    page.click("text=Launch it")
    assert page.input_value("#field-plan") == "small.json"
    page.select_option("#field-to", "torchtitan")
    expect(page.locator("#answer h2")).to_contain_text("torchtitan on torchrun")
    page.click(".texts summary >> nth=0")
    assert "llama-3.1-8b" in page.locator(".texts pre").first.inner_text()


def test_a_long_table_is_narrowed_to_what_is_typed(watched):
    page = watched.open("/catalogue/list?kind=accelerators")
    page.fill(".narrow input", "Gaudi")
    rows = page.locator("tbody tr:visible")
    assert 0 < rows.count() < 20
    assert all("gaudi" in text.lower() for text in rows.all_inner_texts())
    expect(page.locator(".narrow [role=status]")).to_contain_text(f"{rows.count()} of ")
    page.fill(".narrow input", "")
    assert page.locator("tbody tr:visible").count() > 100


def grow(store: Store, first: int, end: int) -> None:
    """Answer rows of a study, as the sweep that holds it does."""
    for chunk, found in executor_named("local", 1).run(store.study, [Chunk(first, end - first)]):
        store.add(chunk, found)


MARK = "for (const one of document.querySelectorAll('.found, .vega')) one.mark = true"
MARKED = "[...document.querySelectorAll('.found, .vega')].filter((one) => one.mark).length"


def test_a_study_that_runs_is_renewed_and_what_a_reader_did_stays(folder, watched):
    study = study_of(folder, DRAWN, "grows.toml")
    store = sweep(study, folder / "grows.sqlite", workers=1, limit=8, chunk=8)
    page = watched.open("/saved/study?study=grows.sqlite")
    said = page.locator("#answer .asked").nth(1)
    expect(said).to_contain_text("it still runs: 8 of 42 ")
    expect(page.locator(".vega svg")).to_have_count(2)
    page.click(".words summary")
    page.set_viewport_size({"width": 1440, "height": 400})
    page.evaluate("scrollTo(0, 300)")
    page.evaluate(MARK)
    grow(store, 8, 14)
    expect(said).to_contain_text("it still runs: 14 of 42 ", timeout=10_000)
    expect(page.locator(".vega svg")).to_have_count(4)
    assert page.evaluate(MARKED) == 1, "the one picture that is as it was is not drawn again"
    expect(page.locator(".words pre")).to_be_hidden()
    assert page.evaluate("scrollY") == 300
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.evaluate(MARK)
    with page.expect_response("**/saved/study?study=grows.sqlite") as looked:
        pass
    looked.value.finished()
    assert page.evaluate(MARKED) == 5, "what says the same is not put into the page again"
    assert axe_api.Axe().run(page).violations_count == 0
    grow(store, 14, 42)
    store.close()
    expect(page.locator(".again")).to_have_count(0, timeout=10_000)
    assert page.locator("#answer .asked").count() == 1
    assert page.locator(".working").count() == 0
    assert watched.wrong == []


def test_a_study_is_not_looked_at_while_nobody_looks(folder, watched):
    study = study_of(folder, DRAWN, "waits.toml")
    with sweep(study, folder / "waits.sqlite", workers=1, limit=8, chunk=8) as store:
        page = watched.open("/saved/study?study=waits.sqlite")
        hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
        page.evaluate(hide % "true")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        grow(store, 8, 14)
        page.wait_for_timeout(4_000)
        assert asked == []
        page.evaluate(hide % "false")
        expect(page.locator("#answer .asked").nth(1)).to_contain_text("14 of 42", timeout=10_000)


def test_a_page_works_without_scripts(browser, server):
    context = browser.new_context(java_script_enabled=False, base_url=server)
    page = context.new_page()
    page.goto(example_of(PLAN))
    page.fill("#field-accelerators", "4096")
    page.click("form button")
    assert "4,096 x" in page.locator("#answer h2").inner_text()
    context.close()


def test_all_of_a_page_can_be_reached_by_keys(watched):
    page = watched.open(example_of(PLAN))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"field-model", "field-accelerators", "SUMMARY", "BUTTON", "A", "PRE"} <= seen


def test_a_page_is_light(browser, server):
    watched = Watched(browser, server)
    finished: list[Any] = []
    watched.page.on("requestfinished", lambda one: finished.append(one))  # noqa: PLW0108 - it wants a function
    watched.open(example_of(PLAN))
    size = sum(request.sizes()["responseBodySize"] for request in finished)
    assert 100_000 < size < 400_000, "what goes over the wire, compressed"
    watched.close()


def test_what_takes_long_says_how_far_it_is_and_can_be_stopped(watched):
    page = watched.open("/claims")
    page.fill("#field-document", "marathon")
    page.press("#field-document", "Enter")
    working = page.locator(".working")
    expect(working).to_contain_text("checking C", timeout=20_000)
    working.get_by_role("button", name="Stop").click()
    expect(working).to_have_count(0)
    assert page.input_value("#field-document") == "marathon"
    page.fill("#field-document", "")
    page.fill("#field-name", "C01")
    page.press("#field-name", "Enter")
    expect(page.locator("#answer h2")).to_contain_text("C01", timeout=20_000)

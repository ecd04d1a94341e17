"""The examples of the README and the pages are run, and print what they say.

In a fenced block, a line that begins with ``$ clusterwright`` is run (a backslash continues it).
Lines below it are what it prints: each must come, in order, and ``…`` stands for anything. A
command that is to be refused says so: ``# exit 2``. The commands of one page run in order in one
folder that holds a copy of ``docs/examples``, and of the page itself in ``page``: where a command
writes there, it must write what the page says already, with its pictures. A block marked ``no-run``
after its language is only shown. Python blocks with ``>>>`` are doctests; the blocks of one page
share their names.
"""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from clusterwright.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Example(NamedTuple):
    """One command of one page, and what the page says it prints."""

    page: Path
    line: int
    command: str
    expected: list[str]


def blocks(page: Path) -> list[tuple[int, str]]:
    """Return line number and text of every fenced block that is to be run."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start()) + 2, match["body"])
        for match in FENCE.finditer(text)
        if "no-run" not in match["info"].split()
    ]


def commands(page: Path) -> list[Example]:
    """Return every ``$ clusterwright`` of a page."""
    found: list[Example] = []
    for first, body in blocks(page):
        lines = re.sub(r"\\\n\s*", lambda m: " " * len(m[0]), body)
        current: Example | None = None
        for number, line in enumerate(lines.splitlines(), first):
            if line.startswith("$ "):
                ours = line.startswith("$ clusterwright")
                current = Example(page, number, line[2:], []) if ours else None
                found += [current] if current else []
            elif current and line.strip():
                current.expected.append(line.strip())
    return found


def missing_line(expected: list[str], printed: str) -> str | None:
    """Return the first expected line that does not come in its turn."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for wanted in expected:
        if wanted in {"…", "..."}:
            continue
        parts = re.split(r"…|\.\.\.", " ".join(wanted.split()))
        pattern = re.compile(".*".join(re.escape(part) for part in parts))
        if not any(pattern.fullmatch(line) for line in lines):
            return wanted
    return None


def exit_code(command: str) -> int:
    found = re.search(r"# exit (\d+)$", command)
    return int(found[1]) if found else 0


@pytest.mark.parametrize(
    "page", [page for page in PAGES if commands(page)], ids=lambda page: page.name
)
def test_commands(page, capsys, monkeypatch, tmp_path):
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "examples")
    copy = tmp_path / "page" / page.name
    copy.parent.mkdir()
    for file in (page, page.with_suffix(".toml")):
        if file.exists():
            shutil.copy(file, copy.parent)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    for example in commands(page):
        code = main(shlex.split(example.command, comments=True)[1:])
        out, err = capsys.readouterr()
        assert code == exit_code(example.command), f"line {example.line}: {err}"
        missing = missing_line(example.expected, out + err)
        assert missing is None, (
            f"line {example.line}: {missing!r} is not printed (in this place) by:\n{out}{err}"
        )
    assert copy.read_text("utf-8") == page.read_text("utf-8"), "stale: run `make docs`"
    for picture in copy.parent.rglob("*.svg"):
        shown = page.parent / picture.relative_to(copy.parent)
        assert picture.read_bytes() == shown.read_bytes(), f"{shown.name} is stale: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks(page):
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
    names: dict[str, object] = {}
    for line, body in blocks(page):
        if ">>> " in body:
            test = parser.get_doctest(body, names, page.name, str(page), line - 1)
            runner.run(test, clear_globs=False)
            names.update(test.globs)
    assert runner.summarize(verbose=False).failed == 0


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        text = re.sub(FENCE, "", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize(
    ("expected", "missing"),
    [
        (["one", "three"], None),
        (["…", "t…e   4"], None),
        (["three 4", "one"], "one"),
        (["four"], "four"),
    ],
)
def test_expected_lines_come_in_order(expected, missing):
    printed = "one\ntwo\nthree  4\n" if "three" not in expected else "one\nthree\n"
    assert missing_line(expected, printed) == missing

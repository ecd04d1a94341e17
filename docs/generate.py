"""Keep the generated parts of the pages fresh: ``python docs/generate.py [--check]``.

A generated part stands between two comments of a page::

    <!-- generate rules -->
    <!-- end -->

`KINDS` lists what can be generated. ``run`` shows what a command prints: ``run blocks=1-2 | plan
train …`` keeps the first two paragraphs of its output. The commands of one page run in one folder,
in order, with a copy of ``docs/examples``, and of the page itself in ``page``; ``written`` shows
what a command of the page wrote there. With ``--check`` nothing is written, and a stale part gives
exit code 1; what commands print and write is left to ``tests/test_docs.py``, which runs them.
"""
# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
EXAMPLES = DOCS / "examples"
ACCURACY = DOCS / "explanation" / "accuracy.md"
DATA = ROOT / "src" / "clusterwright" / "data"
"""Results of the published runs, for the web product's page."""
PART = re.compile(
    r"(?P<head><!-- generate (?P<what>[^\n]+) -->\n)(?P<body>.*?)(?P<tail><!-- end -->)", re.DOTALL
)
WIDTH = 96
FORMULAS = ROOT / "src" / "clusterwright" / "formulas"
MODULES = (
    "asking", "asking_account", "asking_build", "asking_run", "asking_service", "asking_serving",
    "asking_site", "asking_sites", "buildout.plan", "catalogue.store", "claims.checking",
    "claims.given", "claims.models", "claims.records", "communication", "engines.bidirectional",
    "engines.controllable", "engines.costs", "engines.executor", "engines.failures",
    "engines.orders", "engines.power_trace", "engines.requests.simulator", "engines.schedule",
    "engines.torch_table", "errors", "facts", "fleet.outlook", "fleet.records", "hardware",
    "inference", "kernels.kinds", "kernels.library", "launch.api", "launch.folder",
    "launch.records", "links", "model.config",
    "model.parameters", "observe.api", "observe.findings", "observe.records", "planner",
    "planner_build", "planner_limits", "planner_power", "planner_scorecard",
    "planner_serving", "planner_sites",
    "report.notebook", "report.paper.api",
    "saved_plans", "scorecard.records", "serving.server", "simulation.inputs",
    "simulation.refining",
    "simulation.step", "site.carbon", "site.climate", "site.cooling", "site.machine", "site.money",
    "site.network", "site.outlook", "site.prices", "site.run", "site.service", "software",
    "strategy", "sweep.study", "sweep.summing", "sweep.sweeping", "traces.reading", "traces.trace",
    "training.api", "training.checks", "training.estimate", "training.intervals", "training.plan",
    "training.rules", "uncertain", "validation.api", "workload",
)  # fmt: skip
"""Modules whose public names are listed, sorted."""


def pages() -> list[Path]:
    """Every page that may hold a generated part."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def fenced(text: str, language: str) -> str:
    """Put a text into a fenced block."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Make a Markdown table."""
    lines = [list(header)]
    lines += [["---"] * len(lines[0])]
    lines += [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(text: object) -> str:
    """Set a word in code, nothing where there is none."""
    return f"`{text}`" if str(text) else ""


# Parts that depend on the code and the catalogue.


def show_file(name: str) -> str:
    """Show one file of ``docs/examples``."""
    path = EXAMPLES / name
    return fenced(path.read_text(encoding="utf-8"), path.suffix.lstrip("."))


def rules(_: str) -> str:
    """List the rules, each under its id."""
    from clusterwright.training.rules import RULES

    return "\n".join(
        f"## {rule.id}\n\n**It checks that** {rule.checks}.\n\n"
        f"**Why:** {rule.why}.\n\n**What to do:** {rule.fix}.\n"
        for _, rule in sorted(RULES.items())
    )


def commands(_: str) -> str:
    """List every command with its arguments and options."""
    from clusterwright.cli.tree import COMMANDS, build

    root = build()
    parts = []
    for command in sorted(COMMANDS, key=lambda one: one.words):
        app: Any = root
        for word in command.words.split():
            app = app[word]
        below = [name for name in app if not name.startswith("-")]
        if not below:
            parts.append(_command(command.words, app))
        parts += [_command(f"{command.words} {name}", app[name]) for name in sorted(below)]
    return "\n".join(parts)


def _command(words: str, app: Any) -> str:  # noqa: ANN401 - cyclopts' App, untyped here
    found = [one for one in app.assemble_argument_collection(parse_docstring=True) if one.show]
    usage = ["clusterwright", words]
    rows = []
    for one in found:
        if one.names[0] == "*":
            continue
        name = " ".join(n for n in one.names if not n.startswith(("--empty-", "--no-")))
        if one.index is not None:
            name = name.strip("-").upper()
        if one.index is not None:
            many = "..." if one.is_var_positional() else ""
            usage.append(name + many if one.required else f"[{name}{many}]")
        choices = ", ".join(code(choice) for choice in one.get_choices() or ())
        default = one.field_info.default
        plain = "" if default in (None, (), False, inspect.Parameter.empty) else code(default)
        text = _markdown(one.parameter.help or "")
        rows.append([code(name), text, choices, "required" if one.required else plain])
    listed = table(["argument", "meaning", "choices", "default"], rows)
    what = _markdown((app.help or "").split("\n\n")[0].strip())
    return f"## {words}\n\n{what}\n\n{fenced(' '.join([*usage, '[OPTIONS]']), 'text')}\n{listed}"


def api(_: str) -> str:
    """List public names: what `import clusterwright` promises, then modules, then formulas."""
    import clusterwright

    promised = ", ".join(code(name) for name in clusterwright.__all__)
    parts = [f"`import clusterwright` itself offers {promised}.\n"]
    parts += [_module(f"clusterwright.{name}") for name in MODULES]
    rows = [
        [code(f"{name}.{one.__name__}"), _markdown(_summary(one))]
        for name in sorted(path.stem for path in FORMULAS.glob("[!_]*.py"))
        for one in _public(f"clusterwright.formulas.{name}")
    ]
    parts.append("## clusterwright.formulas\n\n" + table(["formula", "what it gives [unit]"], rows))
    return "\n".join(parts)


def _module(name: str) -> str:
    module = importlib.import_module(name)
    lines = [f"## {name}\n", _markdown(_summary(module)) + "\n"]
    for one in _public(name):
        lines.append(f"### {one.__name__}\n")
        if inspect.isclass(one):
            fields = ", ".join(code(field) for field in getattr(one, "__struct_fields__", ()))
            lines.append(_markdown(_summary(one)) + "\n")
            lines += [f"Fields: {fields}.\n"] if fields else []
        else:
            names = list(inspect.signature(one).parameters.values())
            shown = ", ".join(str(p).split(":")[0].split(" =")[0] for p in names)
            lines += [fenced(f"{one.__name__}({shown})", "text"), _markdown(_summary(one)) + "\n"]
    return "\n".join(lines)


def _public(name: str) -> list[Any]:
    """Public classes and functions that a module defines itself, sorted."""
    found = vars(importlib.import_module(name)).items()
    return [
        value
        for key, value in sorted(found)
        if not key.startswith("_")
        and (inspect.isclass(value) or callable(value))
        and getattr(value, "__module__", "") == name
    ]


def _summary(one: object) -> str:
    return (inspect.getdoc(one) or "").split("\n\n")[0].replace("\n", " ")


def _markdown(text: str) -> str:
    """Turn the little reStructuredText of docstrings into Markdown."""
    text = re.sub(r":math:`([^`]*)`", r"$\1$", text)
    return text.replace("``", "`")


def catalogue(_: str) -> str:
    """List what may stand in a catalogue file, from ``catalogue/schema``."""
    folder = ROOT / "catalogue" / "schema"
    read = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in folder.glob("*.toml")}
    shared = {name: read.pop(name) for name in ("common", "figure")}
    parts = [
        f"## What every entry carries\n\n{_attributes(shared['common'])}",
        f"## A figure\n\n{shared['figure']['doc']}\n\n{_attributes(shared['figure'])}",
    ]
    for name, kind in sorted(read.items()):
        body = _attributes(kind) if kind.get("attribute") else ""
        head = f"## {name}\n\nHeaded `[[{kind['table']}]]`. {kind['doc']}\n"
        parts.append(f"{head}\n{body}" if body else head)
    return "\n".join(parts)


def _attributes(kind: dict[str, Any]) -> str:
    rows = [
        [
            code(name),
            one["type"] + (f" [{one['dimension']}]" if "dimension" in one else ""),
            ("yes, but not in a file of one's own" if one.get("provenance") else "yes")
            if one.get("required")
            else "",
            one["doc"] + _allowed(one),
        ]
        for name, one in _flat(kind["attribute"])
    ]
    return table(["key", "type", "required", "meaning"], rows)


def _flat(
    attributes: list[dict[str, Any]], above: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in attributes:
        yield above + one["name"], one
        yield from _flat(one.get("attribute", []), f"{above}{one['name']}.")


def _allowed(one: dict[str, Any]) -> str:
    words = [*one.get("choices", ()), *one.get("keys", ())]
    return f" One of: {', '.join(map(code, words))}." if words else ""


def accuracy(_: str) -> str:
    """Say how sure the predictions are, in the figures of the accuracy page."""
    text = ACCURACY.read_text(encoding="utf-8")
    runs = re.search(r"^(\d+) runs: (\d+) predicted", text, re.MULTILINE)
    errors = re.search(
        r"median error: ([\d.]+ %) \(one-line formula: ([\d.]+ %)\)"
        r"; predicted not to fit although it ran: ([\d.]+ %)",
        text,
    )
    if not runs or not errors:
        sys.exit("docs/explanation/accuracy.md does not show what `clusterwright validate` prints")
    total, predicted = (f"{int(number):,}" for number in runs.groups())
    ours, flat, alarms = errors.groups()
    return (
        f"Of {total} published runs with a complete configuration it predicts {predicted}.\n"
        f"The mean over sources of the median error of the step time is **{ours}**;\n"
        f"a one-line formula (half of the peak) has {flat}.\n"
        f"{alarms} of the runs are said not to fit, although they ran.\n"
    )


# What commands print.


def run(words: str) -> str:
    """Run one command and show (a part of) what it prints."""
    choice, command = (part.strip() for part in words.rpartition("|")[::2])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        from clusterwright.cli import main

        exit_code = main(shlex.split(command, comments=True))
    wanted = re.search(r"# exit (\d+)$", command)
    if exit_code != (int(wanted[1]) if wanted else 0):
        sys.exit(f"{command!r} gives exit code {exit_code}: {err.getvalue()}")
    printed = re.sub(r"catalogue [0-9a-f]{12}", "catalogue …", out.getvalue() + err.getvalue())
    shown = _chosen(printed, choice)
    return fenced(f"$ {_wrapped('clusterwright ' + command)}\n{shown}", "console")


def written(name: str) -> str:
    """Show a part that a command wrote into the copy of the page."""
    (copy,) = Path("page").glob("*.md")
    parts = {match["what"]: match["body"] for match in PART.finditer(copy.read_text("utf-8"))}
    return parts[f"written {name}"]


def _chosen(text: str, choice: str) -> str:
    """Keep the blocks (``blocks=1-2,4``) or first lines (``head=8``) that a page asks for."""
    if found := re.search(r"head=(\d+)", choice):
        lines = text.rstrip("\n").split("\n")
        number = int(found[1])
        return "\n".join(lines[:number] + (["…"] if len(lines) > number else []))
    blocks = text.strip("\n").split("\n\n")
    found = re.search(r"blocks=([\d,-]+)", choice)
    if not found:
        return "\n\n".join(blocks)
    kept: set[int] = set()
    for part in found[1].split(","):
        first, dash, last = part.partition("-")
        end = int(last) if last else len(blocks) if dash else int(first)
        kept |= set(range(int(first), end + 1))
    shown: list[str] = []
    for number, block in enumerate(blocks, 1):
        if number in kept:
            shown.append(block)
        elif not shown or shown[-1] != "…":
            shown.append("…")
    return "\n\n".join(shown)


def _wrapped(command: str) -> str:
    """Break a long command before options."""
    lines = [""]
    for piece in re.split(r" (?=--|#)", command):
        longer = f"{lines[-1]} {piece}".strip() if lines[-1] else piece
        if len(longer) > WIDTH and lines[-1]:
            lines.append("    " + piece)
        else:
            lines[-1] = longer if not lines[-1].startswith("    ") else f"{lines[-1]} {piece}"
    return " \\\n".join(lines)


KINDS: dict[str, Callable[[str], str]] = {
    "accuracy": accuracy,
    "api": api,
    "catalogue": catalogue,
    "cli": commands,
    "file": show_file,
    "rules": rules,
    "run": run,
    "written": written,
}
COMMANDED = ("run", "written")
"""Those that need commands to be run."""
"""What may stand after ``generate``."""


def fresh(page: Path, *, check: bool) -> str:
    """Return a page with its generated parts made anew; with ``check`` commands are not run."""

    def part(match: re.Match[str]) -> str:
        kind, _, rest = match["what"].partition(" ")
        if kind not in KINDS:
            sys.exit(f"{page.name}: unknown part {kind!r}; known: {', '.join(KINDS)}")
        kept = check and kind in COMMANDED
        body = match["body"] if kept else KINDS[kind](rest)
        return match["head"] + body + match["tail"]

    return PART.sub(part, page.read_text(encoding="utf-8"))


@contextlib.contextmanager
def folder_of_examples(page: Path) -> Iterator[None]:
    """Work in a folder of one's own that holds a copy of the examples and of the page."""
    with tempfile.TemporaryDirectory() as folder:
        copy_for(page, Path(folder))
        with contextlib.chdir(folder):
            yield


def copy_for(page: Path, folder: Path) -> None:
    """Put the examples into a folder, and the page with what a person wrote beside it."""
    shutil.copytree(EXAMPLES, folder / "examples")
    (folder / "page").mkdir()
    for file in (page, page.with_suffix(".toml")):
        if file.exists():
            shutil.copy(file, folder / "page")


def pictures(folder: Path) -> list[Path]:
    """Pictures that the commands of a page drew for it, relative to the page."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*.svg"))


def keep_results() -> None:
    """Ship the results that an accuracy page was written from, if they are not as they were."""
    from clusterwright.validation.published import SERVING, TRAINING, alike, decode

    for kept in (TRAINING, SERVING):
        shipped = DATA / kept.file
        fresh = Path("page") / shipped.stem / "results.json"
        if not fresh.exists():
            continue
        written = fresh.read_bytes()
        found = decode(written, kept).results
        if shipped.exists() and alike(decode(shipped.read_bytes(), kept).results, found, kept):
            continue
        today = datetime.now(tz=UTC).date().isoformat()
        shipped.write_bytes(written.replace(b'"date":""', f'"date":"{today}"'.encode(), 1))


def main(words: list[str]) -> int:
    """Write the pages, or with ``--check`` name those that are stale."""
    check = "--check" in words
    chosen = [Path(word).resolve() for word in words if not word.startswith("-")]
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    stale = []
    # The accuracy page first: others quote it.
    for page in sorted(chosen or pages(), key=lambda page: page != ACCURACY):
        with folder_of_examples(page):
            text = fresh(page, check=check)
            for picture in pictures(Path("page")):
                (page.parent / picture).parent.mkdir(exist_ok=True)
                shutil.copy(Path("page") / picture, page.parent / picture)
            if not check:
                keep_results()
        if text != page.read_text(encoding="utf-8"):
            stale.append(page.relative_to(ROOT).as_posix())
            if not check:
                page.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"stale: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The face of the package: small, sorted, lazy, quick."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import clusterwright

HEAVY = ("numpy", "numba", "msgspec", "rich", "cyclopts")


def run_python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def imported_by(statement: str) -> set[str]:
    done = run_python(
        "-c", f"import sys\n{statement}\nprint(*sorted(sys.modules), file=sys.stderr)"
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def names_for_type_checkers() -> set[str]:
    tree = ast.parse(Path(clusterwright.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imported = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imported for alias in node.names}


def test_public_names_are_sorted_and_unique():
    assert clusterwright.__all__ == sorted(set(clusterwright.__all__))


def test_the_three_lists_of_public_names_agree():
    assert {*clusterwright._HOME, "__version__"} == set(clusterwright.__all__)
    assert names_for_type_checkers() == set(clusterwright._HOME)


@pytest.mark.parametrize("name", sorted(clusterwright._HOME))
def test_public_name_comes_from_its_home(name):
    home = import_module(clusterwright._HOME[name])
    assert getattr(clusterwright, name) is getattr(home, name)
    assert name in dir(clusterwright)


def test_unknown_attribute_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        clusterwright.nonsense  # noqa: B018 - the look-up is the test


def test_version_is_that_of_the_installed_package():
    done = run_python("-m", "clusterwright", "--version")
    assert done.stdout.strip() == clusterwright.__version__


def test_import_is_light():
    loaded = imported_by("import clusterwright")
    assert loaded.isdisjoint(HEAVY)
    assert not any(name.startswith("clusterwright.") for name in loaded)


@pytest.mark.parametrize("words", [["--help"], ["plan", "--help"], ["plan", "trian"]])
def test_help_and_typing_errors_do_not_wait_for_numpy(words):
    loaded = imported_by(f"from clusterwright.cli import main; main({words})")
    assert loaded.isdisjoint({"numpy", "numba"})


def test_help_is_quick():
    def one_run() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "plan" in run_python("-m", "clusterwright", "--help").stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # The first run may still write bytecode; other work on the machine only ever adds.
    assert min(one_run() for _ in range(4)) < 0.5

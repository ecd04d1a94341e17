"""How soon a person sees something: importing the package, asking for help."""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks.registry import BenchSpec, register

HEAVY = ("numpy", "numba", "msgspec")
"""Modules that a first line of output must not wait for."""


def child_cpu_time(*words: str) -> float:
    """CPU time of a Python process of its own, user and system. [s]"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def heavy_modules(statement: str) -> float:
    """Count the heavy modules that a statement leaves imported. [1]"""
    code = f"import sys\n{statement}\nsys.exit(sum(m in sys.modules for m in {HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL)
    return float(done.returncode)


def _nothing() -> None:
    """Make nothing: these specs start processes of their own."""


HELP = "from clusterwright.cli import main; main(['--help'])"

register(
    BenchSpec(
        name="start.import",
        build=_nothing,
        run=lambda _: child_cpu_time("-c", "import clusterwright"),
        unit="s",
        goal=0.06,
        doc="A Python process that imports clusterwright, interpreter included.",
    )
)
register(
    BenchSpec(
        name="start.help",
        build=_nothing,
        run=lambda _: child_cpu_time("-m", "clusterwright", "--help"),
        unit="s",
        goal=0.5,
        doc="`clusterwright --help`, whole process.",
    )
)
register(
    BenchSpec(
        name="start.import-heavy",
        build=_nothing,
        run=lambda _: heavy_modules("import clusterwright"),
        unit="modules",
        goal=0,
        doc=f"Heavy modules ({', '.join(HEAVY)}) imported by `import clusterwright`.",
    )
)
register(
    BenchSpec(
        name="start.help-heavy",
        build=_nothing,
        run=lambda _: heavy_modules(HELP),
        unit="modules",
        goal=0,
        doc=f"Heavy modules ({', '.join(HEAVY)}) imported by `clusterwright --help`.",
    )
)

"""``clusterwright verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.asking import catalogue_with
from clusterwright.cli.answers import Answer
from clusterwright.cli.options import Whole
from clusterwright.cli.progress import tell


def verify(
    *,
    catalogue: Annotated[tuple[Path, ...], Parameter(negative=())],
    machine: str = "",
    cases: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=True)] = (),
    processes: Whole | None = None,
    repeats: Whole = 4,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Run small training and inference steps here, and print predicted against measured.

    Parameters
    ----------
    catalogue
        The file that `calibrate measure` wrote on this machine.
    machine
        Which machine of it, where there are several.
    cases
        Cases by name, or all of a way: data, fsdp, tensor, pipeline, decode, prefill [default: the
        ten that ship].
    processes
        That train together: as many as were measured.
    repeats
        Steps of each case, after warming up, in each of two turns.
    json
        Print everything as JSON.
    """
    from clusterwright.report.verify_text import verification_text
    from clusterwright.verify.api import verify_machine

    facts = catalogue_with(catalogue)
    found = verify_machine(
        facts,
        machine=machine,
        cases=cases,
        processes=processes,
        repeats=repeats,
        watch=tell,
    )
    tell("")
    return Answer(found, lambda: verification_text(found), json=json)

"""``clusterwright sweep``: one kind of question, many times over."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from clusterwright.cli.answers import Answer
from clusterwright.cli.options import Whole
from clusterwright.cli.progress import tell
from clusterwright.report.sweep_text import begun_text, left_text, progress_words, summary_text
from clusterwright.sweep.designs import Table
from clusterwright.sweep.exporting import check_target, export_csv
from clusterwright.sweep.study import read_study
from clusterwright.sweep.summing import summed
from clusterwright.sweep.sweeping import Progress
from clusterwright.sweep.sweeping import sweep as sweep_study

FAILED = 1


def sweep(
    study: Path,
    /,
    *,
    out: Path | None = None,
    on: str = "local",
    workers: Whole | None = None,
    chunk: Whole | None = None,
    limit: Whole | None = None,
    csv: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Ask one kind of question many times over: a grid, a Monte-Carlo study or a Sobol' design.

    Parameters
    ----------
    study
        A TOML file that says what is asked, what differs, what is drawn.
    out
        Where answers go as they come, SQLite [default: beside the study]; run again, it goes on.
    on
        local processes, ray (on this machine), or ray://address of a cluster.
    workers
        Processes [default: as many as cores].
    chunk
        Questions that are answered, and written, together [default: those that share a plan].
    limit
        Stop after so many questions; the same command goes on with the rest.
    csv
        Write all answers to this file, too.
    dry_run
        Say how many questions there are and what the first ones are, and ask none.
    json
        Print the summary as JSON.
    """
    asked = read_study(study)
    if dry_run:
        return Answer(None, lambda: begun_text(asked, Table(asked)))
    if csv is not None:
        check_target(csv)
    target = out or study.with_suffix(".sqlite")
    try:
        store = sweep_study(
            asked, target, on=on, workers=workers, chunk=chunk, limit=limit, tell=_tell
        )
    except KeyboardInterrupt:
        print(f"\nstopped; the same command goes on from {target}", file=sys.stderr)
        raise
    finally:
        tell("")
    with store:
        found = summed(store)
        if csv is not None:
            export_csv(store, csv)
    code = FAILED if found.failed or found.broke or not found.answered else 0
    words = summary_text(found, asked) + left_text(found, target)
    return Answer(found, lambda: words, json=json, code=code)


def _tell(progress: Progress) -> None:
    tell(progress_words(progress))

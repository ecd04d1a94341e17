"""``clusterwright calibrate measure``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from clusterwright.cli.answers import Answer
from clusterwright.cli.options import Whole
from clusterwright.cli.progress import tell_count


def measure_command(
    *,
    out: Path = Path("my-machine.toml"),
    name: str = "my-machine",
    device: Literal["cpu", "cuda"] | None = None,
    processes: Whole | None = None,
    precision: Literal["fp32", "bf16", "fp16"] | None = None,
    minutes: float = 15.0,
    quick: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> Answer:
    """Measure this machine with PyTorch: products, attention, memory, collectives, the framework.

    Stopped or killed, it goes on where it was when it is run again.

    Parameters
    ----------
    out
        The catalogue file to write; a journal of all times stands beside it.
    name
        Id of the machine in it.
    device
        The processor, or GPUs (cuda: NVIDIA's and AMD's) [default: GPUs where PyTorch sees one].
    processes
        That compute, and communicate, at once [default: 2, or as many as there are cores or GPUs].
    precision
        Of all tensors [default: fp32 on processors, bf16 on GPUs].
    minutes
        After which nothing more is begun in this run.
    quick
        A coarse sweep of a minute or two.
    json
        Print what was derived as JSON.
    """
    from clusterwright.calibrate.measure.api import measure_machine
    from clusterwright.report.verify_text import entry_text

    try:
        found = measure_machine(
            out,
            name=name,
            device=device,
            processes=processes,
            precision=precision,
            minutes=minutes,
            quick=quick,
            watch=partial(tell_count, of="measured"),
        )
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on where it was", file=sys.stderr)
        raise
    return Answer(
        found,
        lambda: entry_text(found) + f"\nwritten to {out}: use it with --catalogue {out}\n",
        json=json,
    )

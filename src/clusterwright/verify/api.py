"""The door to verification: run cases on this machine, predict them, hold both together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import msgspec
import numpy as np

from clusterwright.calibrate.measure.api import check_processes
from clusterwright.calibrate.measure.bench import import_torch
from clusterwright.calibrate.measure.launching import launch
from clusterwright.calibrate.measure.machine import describe
from clusterwright.calibrate.measure.timing import quartile
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError
from clusterwright.records import Record
from clusterwright.verify.cases import Case, chosen_cases
from clusterwright.verify.predicting import Machine, Prediction, machine_of, predict
from clusterwright.verify.program import Order, Result

PROGRAM = "clusterwright.verify.program"
REPEATS = 4
TURNS = 2
"""All cases are run in two turns, as the sweep is, and the quicker one counts: a busy spell of the
machine that lasts longer than a case spoils none."""
Watch = Callable[[str], None]


class Verified(Record, frozen=True, kw_only=True):
    """One case: what was predicted, and what was measured.

    ``measured``: the lower quartile of the quicker turn's steps. [s] ``ratio``: predicted over
    measured. [1] ``disturbed``: whether other programs ran during all of them. ``parts``: of the
    prediction. [s] ``steps``: every repeated step. [s]
    """

    case: Case
    predicted: float
    measured: float
    ratio: float
    disturbed: bool
    parts: dict[str, float]
    steps: tuple[float, ...]

    @property
    def error(self) -> float:
        """Absolute relative error of the prediction. [1]"""
        return abs(self.ratio - 1.0)


class Verification(Record, frozen=True, kw_only=True):
    """All cases on a machine; ``median``: of their absolute relative errors. [1]"""

    machine: str
    processor: str
    processes: int
    threads: int
    cases: tuple[Verified, ...]
    median: float


def verify_machine(
    catalogue: Catalogue,
    *,
    machine: str = "",
    cases: tuple[str, ...] = (),
    processes: int | None = None,
    repeats: int = REPEATS,
    watch: Watch | None = None,
) -> Verification:
    """Run small training steps and inference on this machine, and predict them.

    Parameters
    ----------
    catalogue
        With the file that `calibrate measure` wrote on this machine.
    machine
        Which machine of it, where there are several.
    cases
        Names or ways (``data``, ``decode`` …); by default the ten of `verify.cases.CASES`, of which
        a machine that was measured with one process runs those that do not train.
    processes
        That train together: as many as were measured, which is the default.
    repeats
        Steps of each case, after warming up, in each of two turns.
    watch
        Told what runs now.

    Raises
    ------
    InputError
        PyTorch is missing, the file is of another machine, or there are too few cores or GPUs.
    """
    found, wanted = machine_of(catalogue, machine), chosen_cases(cases)
    if not cases and found.processes < 2:
        wanted = tuple(case for case in wanted if not case.trains)
    _check(found, wanted, processes, repeats)
    # Predicted first: whatever cannot be predicted is refused before minutes are spent.
    predictions = {case.name: predict(case, found) for case in wanted}
    measured: dict[str, list[Result]] = {case.name: [] for case in wanted}
    for alone in (False, True) * TURNS:
        part = tuple(case for case in wanted if case.trains != alone)
        if part:
            for name, result in _measured(found, part, repeats, alone=alone, watch=watch).items():
                measured[name].append(result)
    rows = tuple(verified(case, predictions[case.name], measured[case.name]) for case in wanted)
    return Verification(
        machine=found.name,
        processor=found.processor,
        processes=found.processes,
        threads=found.threads,
        cases=rows,
        median=float(np.median([row.error for row in rows])),
    )


def _check(machine: Machine, cases: tuple[Case, ...], processes: int | None, repeats: int) -> None:
    """Refuse what cannot be run here, or would be another machine's."""
    if repeats < 1:
        raise InputError(f"--repeats is {repeats}, but must be 1 or more")
    torch = import_torch()
    device = cast("Literal['cpu', 'cuda']", machine.device)
    check_processes(torch, device, machine.processes)
    here = describe(
        torch,
        device=device,
        processes=machine.processes,
        threads=machine.threads,
        precision=machine.precision,
    )
    if here.name != machine.processor:
        raise InputError(
            f"{machine.name} was measured on {machine.processor!r}, but this is {here.name!r}: "
            f"run `clusterwright calibrate measure` here"
        )
    if processes is not None and processes != machine.processes:
        raise InputError(
            f"--processes is {processes}, but {machine.name} was measured with "
            f"{machine.processes}: measure with as many"
        )
    training = [case.name for case in cases if case.trains]
    if machine.processes < 2 and training:
        raise InputError(
            f"{training[0]} takes two processes, but {machine.name} was measured with one: "
            f"ask for --cases decode, or measure with two (two cores or GPUs are needed)"
        )
    cores = os.cpu_count() or 1
    if machine.device == "cpu" and machine.processes * machine.threads > cores:
        raise InputError(
            f"{machine.name} was measured with {machine.processes} processes of "
            f"{machine.threads} threads, but there are {cores} cores here: measure here"
        )


def _measured(
    machine: Machine, cases: tuple[Case, ...], repeats: int, *, alone: bool, watch: Watch | None
) -> dict[str, Result]:
    """Run cases in processes of PyTorch's launcher, or in one of its own."""
    with tempfile.TemporaryDirectory(prefix="clusterwright-") as folder:
        order = Order(
            device=cast("Literal['cpu', 'cuda']", machine.device),
            precision=machine.precision,
            threads=machine.threads,
            repeats=repeats,
            parent=os.getpid(),
            results=str(Path(folder) / "results.jsonl"),
            cases=cases,
        )
        told, results = Path(folder) / "order.json", Path(order.results)
        told.write_bytes(msgspec.json.encode(order))
        results.touch()

        def look() -> None:
            if watch is not None:
                done = results.read_bytes().count(b"\n")
                watch(cases[min(done, len(cases) - 1)].name)

        launch(
            PROGRAM,
            told,
            processes=1 if alone else machine.processes,
            threads=machine.threads,
            log=Path(folder) / "log",
            watch=look,
        )
        lines = results.read_bytes().splitlines()
        found = [msgspec.json.decode(line, type=Result) for line in lines]
    return {one.case: one for one in found}


def verified(case: Case, predicted: Prediction, measured: list[Result]) -> Verified:
    """Hold a prediction against turns of steps; those left in peace count before all others."""
    peaceful = [
        [time for time, busy in zip(one.seconds, one.disturbed, strict=True) if not busy]
        for one in measured
    ]
    turns = [turn for turn in peaceful if turn] or [list(one.seconds) for one in measured]
    quickest = min(quartile(turn, 0.25) for turn in turns)
    return Verified(
        case=case,
        predicted=predicted.seconds,
        measured=quickest,
        ratio=predicted.seconds / quickest,
        disturbed=not any(peaceful),
        parts=predicted.parts,
        steps=tuple(second for one in measured for second in one.seconds),
    )

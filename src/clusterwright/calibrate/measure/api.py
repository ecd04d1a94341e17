"""The door to measuring: sweep this machine, in minutes and resumably, into an entry of its own."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from clusterwright.calibrate.measure.bench import import_torch
from clusterwright.calibrate.measure.entry import Entry, entry_of
from clusterwright.calibrate.measure.journal import Journal
from clusterwright.calibrate.measure.launching import launch
from clusterwright.calibrate.measure.machine import DeviceKind, MachineFacts, describe
from clusterwright.calibrate.measure.program import Order
from clusterwright.calibrate.measure.tasks import sweep
from clusterwright.errors import InputError, TableError
from clusterwright.facts import shipped

PROGRAM = "clusterwright.calibrate.measure.program"
USUAL_PRECISION: dict[str, str] = {"cpu": "fp32", "cuda": "bf16"}
NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
Watch = Callable[[int, int], None]


def measure_machine(
    out: str | Path,
    *,
    name: str = "my-machine",
    device: DeviceKind | None = None,
    processes: int | None = None,
    precision: str | None = None,
    minutes: float = 15.0,
    quick: bool = False,
    watch: Watch | None = None,
) -> Entry:
    """Sweep this machine, or go on with a sweep, and write its entry.

    Parameters
    ----------
    out
        The catalogue file to write; the journal stands beside it.
    name
        Id of the entries in it.
    device
        ``cpu`` or ``cuda`` (GPUs of NVIDIA and AMD); by default a GPU where PyTorch sees one.
    processes
        That compute at once: by default two where there are two cores, or GPUs.
    precision
        ``fp32``, ``bf16`` or ``fp16``: by default 32 bits on processors, 16 on GPUs.
    minutes
        After which nothing more is measured in this run; 0: the entry of what was measured.
    quick
        A coarse sweep, tens of seconds.
    watch
        Told how many tasks are done, of how many.

    Raises
    ------
    InputError
        PyTorch is missing, there is no such device, a file cannot be written or is another
        machine's, or too little was measured to make an entry of.
    """
    target = Path(out)
    if not minutes >= 0.0:  # not a number is none either
        raise InputError(f"--minutes is {minutes:g}, but must be 0 or more")
    check_target(target)
    check_name(name)
    torch = import_torch()
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    many = check_processes(torch, kind, processes)
    threads = max(1, (os.cpu_count() or 1) // many) if kind == "cpu" else 1
    machine = describe(
        torch,
        device=kind,
        processes=many,
        threads=threads,
        precision=precision or USUAL_PRECISION[kind],
    )
    journal = Journal(target.with_suffix(".journal.jsonl"))
    known = journal.open_for(machine)
    tasks = sweep(processes=many, large=kind == "cuda", quick=quick)
    done = {key for key, one in known.items() if not one.timing.busy}
    left = tuple(task for task in tasks if task.key not in done)
    if left and minutes > 0.0:
        order = Order(
            device=kind,
            precision=machine.precision,
            threads=threads,
            minutes=minutes,
            parent=os.getpid(),
            journal=str(journal.path),
            tasks=left,
        )
        _run(order, machine, target, done=len(tasks) - len(left), of=len(tasks), watch=watch)
    head, found = journal.read()
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    try:
        entry = entry_of(head.machine, tuple(found.values()), name=name, checked=today)
    except TableError as error:
        raise InputError(
            f"{len(found)} of {len(tasks)} tasks are too few to make an entry of ({error}): run it "
            f"again with more --minutes, it goes on where it was"
        ) from None
    target.write_text(entry.toml, encoding="utf-8")
    return entry


def check_target(target: Path) -> None:
    """Refuse a place that no file can be written to, or that holds somebody else's.

    Raises
    ------
    InputError
        Says what is wrong with the place.
    """
    if target.suffix != ".toml":
        raise InputError(f"--out is {str(target)!r}: name a TOML file, such as my-machine.toml")
    if not target.parent.is_dir():
        raise InputError(f"cannot write {target}: there is no folder {str(target.parent)!r}")
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"cannot write {target}: the folder is not yours to write to")
    journal = target.with_suffix(".journal.jsonl")
    if target.exists() and not journal.exists():
        raise InputError(
            f"{target} exists and was not measured here (there is no {journal.name} beside it): "
            f"name another --out"
        )


def check_name(name: str) -> None:
    """Refuse a name that no entry can have, or that one of the catalogue has already.

    Raises
    ------
    InputError
        Says what would be right.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"--name is {name!r}: give lower-case letters, digits, '-' and '.', such as my-machine"
        )
    for kind in ("accelerators", "clusters", "efficiency", "software", "inference"):
        taken = shipped().entries(kind).values()
        if any(name in (one.id, *(alias.lower() for alias in one.aliases)) for one in taken):
            raise InputError(f"--name is {name!r}, which the catalogue has already: give another")


def check_processes(torch: object, device: DeviceKind, processes: int | None) -> int:
    """Return how many processes compute at once; refuse more than there are devices for.

    Raises
    ------
    InputError
        There is no such device, or there are too few.
    """
    cuda = torch.cuda  # type: ignore[attr-defined]
    if device == "cuda" and not cuda.is_available():
        raise InputError("--device cuda, but PyTorch sees no GPU here: give --device cpu")
    there = cuda.device_count() if device == "cuda" else os.cpu_count() or 1
    many = min(2, there) if processes is None else processes
    if many < 1 or many > there:
        what = "GPUs" if device == "cuda" else "cores"
        raise InputError(
            f"--processes is {many}, but must be 1 to {there}: there are {there} {what}"
        )
    return many


def _run(
    order: Order, machine: MachineFacts, target: Path, *, done: int, of: int, watch: Watch | None
) -> None:
    """Start the processes, and count the journal's lines while they run."""
    told = target.with_suffix(".journal.order.json")
    told.write_bytes(msgspec.json.encode(order))
    journal = Path(order.journal)
    before = journal.read_bytes().count(b"\n")

    def look() -> None:
        if watch is not None:
            watch(done + journal.read_bytes().count(b"\n") - before, of)

    log = target.with_suffix(".journal.log")
    many, threads = machine.processes, machine.threads
    try:
        launch(PROGRAM, told, processes=many, threads=threads, log=log, watch=look)
    finally:
        told.unlink(missing_ok=True)
    log.unlink(missing_ok=True)

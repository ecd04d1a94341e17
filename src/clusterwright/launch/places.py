"""Where a launch runs: by hand with torchrun, under Slurm, on Kubernetes, on Ray."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from clusterwright.errors import InputError
from clusterwright.launch.records import Ask, LaunchFile, Options, Part
from clusterwright.launch.yaml import Noted
from clusterwright.records import Record

PLACES = {
    "torchrun": "clusterwright.launch.byhand",
    "slurm": "clusterwright.launch.slurm",
    "kubernetes": "clusterwright.launch.kubernetes",
    "ray": "clusterwright.launch.ray",
}
"""Name → module, which has ``place(name, parts, options) -> Placed``."""


USES = {
    "partition": ("slurm",),
    "account": ("slurm",),
    "time": ("slurm",),
    "namespace": ("kubernetes",),
    "image": ("slurm", "kubernetes"),
    "mounts": ("slurm", "kubernetes"),
}
"""Option → places that heed it; one that is given elsewhere is refused, not forgotten."""


class Placed(Record, frozen=True, kw_only=True):
    """What a scheduler needs besides the programs.

    ``say``: where to say what the programs ask, a sentence. ``submit``, ``watch``, ``stop``: lines
    of the shell, run in the launch's folder.
    """

    files: tuple[LaunchFile, ...] = ()
    say: str
    submit: str
    watch: str
    stop: str
    notes: tuple[str, ...] = ()


MPI = ("torchrun", "slurm")
"""Places with a way to start one MPI job over several hosts."""

Place = Callable[[str, tuple[Part, ...], Options], Placed]


def place_named(name: str) -> Place:
    """The function that lays parts over a scheduler of that name."""
    found: Place = import_module(PLACES[name]).place
    return found


def check_used(on: str, options: Options) -> None:
    """Refuse what this place would pass over.

    Raises
    ------
    InputError
        An option that belongs to another place.
    """
    for key, places in USES.items():
        if getattr(options, key) and on not in places:
            flag = {"mounts": "mount"}.get(key, key)
            raise InputError(
                f"--{flag} says nothing to {on}: leave it out, or give --on {' or '.join(places)}"
            )


def asked_of(parts: tuple[Part, ...]) -> tuple[Ask, ...]:
    """What a person must say, each once; not the port, where the place itself says it."""
    asks = {ask.variable: ask for part in parts for ask in part.program.asks}
    return tuple(ask for ask in asks.values() if ask.variable != "PORT")


def said(asks: tuple[Ask, ...]) -> Noted:
    """Variables to fill in, with what they are above each."""
    notes = {ask.variable: ask.what if ask.default else f"Must be said: {ask.what}" for ask in asks}
    return Noted({ask.variable: ask.default for ask in asks}, notes)


def called(name: str, part: Part, parts: tuple[Part, ...]) -> str:
    """What a scheduler calls a part: as the launch, if it is the only one."""
    return name if len(parts) == 1 else f"{name}-{part.name}"


def first_port(part: Part, parts: tuple[Part, ...]) -> int:
    """Where a part's first replica answers: replicas of two parts may share a host."""
    before = parts[: parts.index(part)]
    return part.program.port + sum(other.replicas for other in before)


def trains(parts: tuple[Part, ...]) -> bool:
    """Whether this is a training run; servers have ports."""
    return any(part.program.port == 0 for part in parts)


def check_starts(on: str, parts: tuple[Part, ...]) -> None:
    """Refuse a job that a place has no way to start.

    Raises
    ------
    InputError
        One MPI job over several hosts, where nothing starts such.
    """
    if on not in MPI and any(part.program.start == "mpi" for part in parts):
        raise InputError(
            f"{parts[0].program.tool} over several hosts is one MPI job, which is not started on "
            f"{on} here: use --on slurm, or plan replicas of one host"
        )


def folder_of(part: Part, parts: tuple[Part, ...]) -> str:
    """Where a part's files lie in the launch's folder: beside each other, if there are several.

    Returns
    -------
    str
        ``""`` or ``"name/"``.
    """
    return f"{part.name}/" if len(parts) > 1 else ""

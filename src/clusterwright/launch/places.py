"""Where a launch runs: by hand with torchrun, under Slurm, on Kubernetes, on Ray."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from clusterwright.launch.records import LaunchFile, Options, Part
from clusterwright.records import Record

PLACES = {
    "torchrun": "clusterwright.launch.byhand",
    "slurm": "clusterwright.launch.slurm",
    "kubernetes": "clusterwright.launch.kubernetes",
    "ray": "clusterwright.launch.ray",
}
"""Name → module, which has ``place(name, parts, options) -> Placed``."""


class Placed(Record, frozen=True, kw_only=True):
    """What a scheduler needs besides the programs: files, the command that submits, notes."""

    files: tuple[LaunchFile, ...]
    submit: str
    notes: tuple[str, ...] = ()


Place = Callable[[str, tuple[Part, ...], Options], Placed]


def place_named(name: str) -> Place:
    """The function that lays parts over a scheduler of that name."""
    found: Place = import_module(PLACES[name]).place
    return found


def folder_of(part: Part, parts: tuple[Part, ...]) -> str:
    """Where a part's files lie in the launch's folder: beside each other, if there are several.

    Returns
    -------
    str
        ``""`` or ``"name/"``.
    """
    return f"{part.name}/" if len(parts) > 1 else ""

"""A launch that a person starts on each host, with nothing but bash."""

from __future__ import annotations

from clusterwright.launch.places import Placed, folder_of, trains
from clusterwright.launch.records import Options, Part


def place(name: str, parts: tuple[Part, ...], options: Options) -> Placed:
    """Nothing is needed but ``run.sh`` on every host."""
    del name, options
    return Placed(
        say="Export them on every host, before `run.sh`.",
        submit="\n".join(_lines(part, f"bash {folder_of(part, parts)}run.sh") for part in parts),
        watch="# Every host prints to its own terminal.",
        stop="# Ctrl-C on every host.",
        notes=_notes(parts),
    )


def _notes(parts: tuple[Part, ...]) -> tuple[str, ...]:
    notes = []
    if trains(parts) and any(part.hosts > 1 for part in parts):
        notes.append(
            "Folders that are named, for checkpoints too, must lie where every host sees them"
        )
    if any(part.replicas > 1 and not part.whole for part in parts):
        notes.append(
            "Replicas that share a host want a PORT each, a hundred apart, and their accelerators "
            "in CUDA_VISIBLE_DEVICES"
        )
    return tuple(notes)


def _lines(part: Part, script: str) -> str:
    lines = []
    if part.replicas > 1:
        lines.append(f"# {part.name}: {part.replicas:,} times, {_apart(part)}")
    if part.program.start == "mpi":
        script = f"mpirun -n {part.hosts * part.per_host} --hostfile hosts {script}"
    elif part.hosts > 1:
        lines.append(
            f"# on each of {part.hosts:,} hosts, with HOST_RANK from 0 to {part.hosts - 1}"
        )
        script = f"MASTER_ADDR=first-host HOST_RANK=0 {script}"
    return "\n".join([*lines, script])


def _apart(part: Part) -> str:
    if part.whole:
        return "each on hosts of its own"
    return "those on one host with a PORT and a CUDA_VISIBLE_DEVICES each"

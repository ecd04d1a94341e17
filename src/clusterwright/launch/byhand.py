"""A launch that a person starts on each host, with nothing but bash."""

from __future__ import annotations

from clusterwright.launch.places import Placed, folder_of
from clusterwright.launch.records import Options, Part


def place(name: str, parts: tuple[Part, ...], options: Options) -> Placed:
    """Nothing is needed but ``run.sh`` on every host."""
    del name, options
    return Placed(
        say="Export them on every host, before `run.sh`.",
        submit="\n".join(_lines(part, f"bash {folder_of(part, parts)}run.sh") for part in parts),
        watch="# Every host prints to its own terminal.",
        stop="# Ctrl-C on every host.",
    )


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

"""A launch that a person starts on each host, with nothing but bash."""

from __future__ import annotations

from clusterwright.launch.places import Placed, folder_of
from clusterwright.launch.records import Options, Part


def place(name: str, parts: tuple[Part, ...], options: Options) -> Placed:
    """Nothing is needed but ``run.sh`` on every host."""
    del name, options
    lines = []
    for part in parts:
        script = f"bash {folder_of(part, parts)}run.sh"
        if part.program.start == "mpi":
            script = f"mpirun -n {part.hosts * part.per_host} --hostfile <hosts> {script}"
        elif part.hosts > 1:
            script = f"MASTER_ADDR=<first host> HOST_RANK=<0 to {part.hosts - 1}> {script}"
        lines += [script if part.replicas == 1 else f"{script}   # {part.replicas} times"]
    return Placed(files=(), submit="\n".join(lines))

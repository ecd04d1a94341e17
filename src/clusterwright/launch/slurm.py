"""A launch as Slurm batch scripts: one job for a training run, an array for replicas.

Options: ``man sbatch`` of Slurm 22.05; scripts are given to ``sbatch --test-only`` in the tests.
"""

from __future__ import annotations

from clusterwright.errors import InputError
from clusterwright.launch.places import Placed, folder_of
from clusterwright.launch.records import LaunchFile, Options, Part


def place(name: str, parts: tuple[Part, ...], options: Options) -> Placed:
    """One batch script for each part.

    Raises
    ------
    InputError
        A name or an option that would end a line of ``#SBATCH``.
    """
    for key in ("partition", "account", "time"):
        given = getattr(options, key)
        if given and (given.split() != [given] or given.startswith("-")):
            raise InputError(f"--{key} is {given!r}, but must be one word, as sbatch takes it")
    files = tuple(_script(name, part, parts, options) for part in parts)
    return Placed(files=files, submit="\n".join(f"sbatch {file.path}" for file in files))


def _script(name: str, part: Part, parts: tuple[Part, ...], options: Options) -> LaunchFile:
    folder = folder_of(part, parts)
    called = name if len(parts) == 1 else f"{name}-{part.name}"
    directives = {
        "job-name": called,
        "nodes": str(part.hosts),
        "ntasks-per-node": str(part.per_host) if part.program.start == "mpi" else "1",
        "gpus-per-node": str(part.per_host),
        "exclusive": None,
        "output": "%x-%A_%a.log" if part.replicas > 1 else "%x-%j.log",
        "open-mode": "append",
        "requeue": None,
        "array": f"0-{part.replicas - 1}" if part.replicas > 1 else "",
        "partition": options.partition,
        "account": options.account,
        "time": options.time,
    }
    lines = ["#!/usr/bin/env bash"]
    lines += [
        f"#SBATCH --{key}" if value is None else f"#SBATCH --{key}={value}"
        for key, value in directives.items()
        if value is None or value
    ]
    lines += [
        "set -euo pipefail",
        'HOSTS="$(scontrol show hostnames "${SLURM_JOB_NODELIST}")"',
        "MASTER_ADDR=\"${HOSTS%%$'\\n'*}\"",
        "MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))",
        "export MASTER_ADDR MASTER_PORT",
        'cd "${SLURM_SUBMIT_DIR}"',
        *_start(part, folder),
    ]
    path = "job.sbatch" if len(parts) == 1 else f"{part.name}.sbatch"
    return LaunchFile(path=path, text="\n".join(lines) + "\n")


def _start(part: Part, folder: str) -> list[str]:
    if part.program.start == "mpi":
        run = f"srun --mpi=pmix --kill-on-bad-exit=1 bash {folder}run.sh"
        return ["# One task for each accelerator; all of them are one MPI job.", run]
    return [
        "# One task on each host starts that host's share.",
        f"srun --kill-on-bad-exit=1 bash -c 'HOST_RANK=\"${{SLURM_PROCID}}\" bash {folder}run.sh'",
    ]

"""A launch as Slurm batch scripts: one job for a training run, an array for replicas.

Options: ``man sbatch`` and ``man srun`` of Slurm 22.05; a real controller reads the scripts in the
tests. Containers are those of pyxis, a plugin of ``srun`` (its wiki, "Usage").
"""

from __future__ import annotations

import re

from clusterwright.errors import InputError
from clusterwright.launch.naming import (
    QUEUE,
    TIME,
    check,
    check_image,
    check_mounts,
)
from clusterwright.launch.places import Placed, called, first_port, folder_of, trains
from clusterwright.launch.records import LaunchFile, Options, Part
from clusterwright.launch.shell import quoted

FIRST_PORT, PORTS = 20_000, 20_000
"""Where ranks meet: a port by the job's number, so that jobs on one host do not meet each other."""


def place(name: str, parts: tuple[Part, ...], options: Options) -> Placed:
    """One batch script for each part.

    Raises
    ------
    InputError
        An option that would end a line of ``#SBATCH``, or that Slurm would not take.
    """
    check("--partition", options.partition, QUEUE, "one word, as sbatch takes it")
    check("--account", options.account, QUEUE, "one word, as sbatch takes it")
    check("--time", options.time, TIME, "minutes, hours:minutes:seconds or days-hours:minutes")
    if options.mounts and not options.image:
        raise InputError("--mount says what containers see, and there is none: give --image, too")
    files = tuple(_script(name, part, parts, options) for part in parts)
    mine = f'--user="${{USER}}" --name={",".join(called(name, part, parts) for part in parts)}'
    logs = " ".join(f"{called(name, part, parts)}-*.log" for part in parts)
    return Placed(
        files=files,
        say="Export them in the shell that submits; sbatch hands them on.",
        submit="\n".join(f"sbatch {file.path}" for file in files),
        watch=f"squeue {mine}\ntail -F {logs}",
        stop=f"scancel {mine}",
        notes=_notes(parts, options),
    )


def _notes(parts: tuple[Part, ...], options: Options) -> tuple[str, ...]:
    notes = ["The folder must lie where every host sees it"]
    if trains(parts):
        notes.append(
            "Slurm starts the job anew when a host fails; when a process fails, or the time is "
            "up, the job ends: run sbatch again, and it goes on from its newest checkpoint"
        )
    if any(part.hosts > 1 for part in parts):
        notes.append(
            "Variables of NCCL (NCCL_SOCKET_IFNAME, NCCL_IB_HCA) are the cluster's own: where it "
            "needs some, export them with the others"
        )
    notes.append(
        "What is not said here can be said to sbatch: --qos, --reservation, --exclude, --nodelist"
    )
    if options.image:
        notes.append(
            "--image needs pyxis, a plugin of Slurm, on the cluster; folders that are named "
            "must be in the image or in a --mount, as they are called there"
        )
    if any(not part.whole for part in parts):
        notes.append(
            "Replicas share hosts, with the CPUs and memory that the cluster gives unless told: "
            "add --cpus-per-gpu and --mem-per-gpu to sbatch"
        )
    if any(part.replicas > 1 for part in parts):
        notes.append(
            "Every replica answers at a host of Slurm's choosing: squeue says which, and a router "
            "before them must be told" + _ports(parts)
        )
    return tuple(notes)


def _ports(parts: tuple[Part, ...]) -> str:
    """At which ports replicas answer that may share a host."""
    first = [
        f"{first_port(part, parts)} ({part.name})"
        for part in parts
        if part.program.port and not part.whole
    ]
    return (
        f"; ports count from {' and '.join(first)} with their places in the array" if first else ""
    )


def _script(name: str, part: Part, parts: tuple[Part, ...], options: Options) -> LaunchFile:
    several = part.replicas > 1
    directives = {
        "job-name": called(name, part, parts),
        "nodes": str(part.hosts),
        "ntasks-per-node": str(part.per_host) if part.program.start == "mpi" else "1",
        "gpus-per-node": str(part.per_host),
        **({"exclusive": None, "mem": "0"} if part.whole else {}),
        "output": "%x-%A_%a.log" if several else "%x-%j.log",
        "open-mode": "append",
        "requeue": None,
        "array": f"0-{part.replicas - 1}" if several else "",
        "partition": options.partition,
        "account": options.account,
        "time": options.time,
    }
    lines = [
        "#!/usr/bin/env bash",
        *(
            f"#SBATCH --{key}" if value is None else f"#SBATCH --{key}={value}"
            for key, value in directives.items()
            if value is None or value
        ),
        "set -euo pipefail",
        *_meeting(part, parts),
        'cd "${SLURM_SUBMIT_DIR}"',
        *_found(folder_of(part, parts)),
        *_start(part, folder_of(part, parts), options),
    ]
    path = "job.sbatch" if len(parts) == 1 else f"{part.name}.sbatch"
    return LaunchFile(path=path, text="\n".join(lines) + "\n")


LINGER = 3
"""Between a host's failure and the end of the others [s]."""


def _share(folder: str) -> str:
    """What each task does, without quotes of its own."""
    start = f'HOST_RANK="${{SLURM_PROCID}}" bash {folder}run.sh'
    return f'{start} || {{ status=$?; sleep {LINGER}; exit "${{status}}"; }}'


def _found(folder: str) -> list[str]:
    """Stop with a sentence where somebody submits from elsewhere."""
    return [
        f"if [ ! -f {folder}run.sh ]; then",
        '  echo "error: run sbatch in the folder of the launch, not in ${PWD}" >&2',
        "  exit 2",
        "fi",
    ]


def _meeting(part: Part, parts: tuple[Part, ...]) -> list[str]:
    """Where ranks meet, and where a replica answers if others may be on its host."""
    lines = [
        'HOSTS="$(scontrol show hostnames "${SLURM_JOB_NODELIST}")"',
        "MASTER_ADDR=\"${HOSTS%%$'\\n'*}\"",
        f"MASTER_PORT=$(({FIRST_PORT} + SLURM_JOB_ID % {PORTS}))",
        "export MASTER_ADDR MASTER_PORT",
    ]
    if part.program.port and not part.whole and sum(one.replicas for one in parts) > 1:
        lines.append(f"export PORT=$(({first_port(part, parts)} + ${{SLURM_ARRAY_TASK_ID:-0}}))")
    return lines


def _srun(options: Options, *more: str) -> str:
    words = ["srun", *more, "--kill-on-bad-exit=1", "--cpu-bind=none"]
    mounts = [f"{what}:{where}" for where, what in check_mounts(options.mounts).items()]
    if options.image:
        here = "${SLURM_SUBMIT_DIR}"
        words += [
            f"--container-image={_enroot(options.image)}",
            f"--container-mounts={','.join([f'{here}:{here}', *mounts])}",
            f"--container-workdir={here}",
        ]
    return " \\\n  ".join(map(quoted, words)) + " \\\n  "


def _enroot(image: str) -> str:
    """An image as enroot names it, with ``#`` behind the registry; a file stays as it is.

    >>> _enroot("nvcr.io/nvidia/pytorch:25.09-py3"), _enroot("me/tool"), _enroot("/images/a.sqsh")
    ('nvcr.io#nvidia/pytorch:25.09-py3', 'me/tool', '/images/a.sqsh')
    """
    if re.fullmatch(r"[./][\w./@+-]*\.(sqsh|squashfs)", image):
        return image
    check_image(image.replace("#", "/", 1))
    registry, slash, rest = image.partition("/")
    named = slash and (set(registry) & set(".:") or registry == "localhost") and "#" not in image
    return f"{registry}#{rest}" if named else image


def _start(part: Part, folder: str, options: Options) -> list[str]:
    if part.program.start == "mpi":
        return [
            "# One task for each accelerator; all of them are one MPI job.",
            _srun(options, "--mpi=pmix") + f"bash {folder}run.sh",
        ]
    return [
        "# One task on each host starts that host's share, on all CPUs that the job has there;",
        "# its own shell, not this one, fills in its number. What fails lingers, so that srun",
        "# hands on what it printed last before it ends the others.",
        "# shellcheck disable=SC2016",
        _srun(options) + f"bash -c '{_share(folder)}'",
    ]

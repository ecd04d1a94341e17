"""``run.sh``: starts one host's share of one program, whatever brought it there."""

from __future__ import annotations

from clusterwright.launch.records import LaunchFile, Part
from clusterwright.launch.shell import NEEDED, asked, exports, quoted

PORT = 29500
"""Where ranks meet: torchrun's own default."""


def run_script(part: Part) -> LaunchFile:
    """The script that every host of a part runs; it reads where it is from the environment."""
    program = part.program
    lines = [
        "#!/usr/bin/env bash",
        f"# Starts one host's share of {part.name!r}. " + _where(part),
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")"',
        NEEDED,
        *asked(program.asks),
        *exports(program.environment),
        *exports({"PORT": str(program.port)} if program.port and not _asks_port(part) else {}),
        *_ranks(part),
        *(["source ./arguments.sh"] if program.arguments else []),
        _command(part),
    ]
    return LaunchFile(path="run.sh", text="\n".join(lines) + "\n", executable=True)


def files_of(part: Part) -> tuple[LaunchFile, ...]:
    """All files that a host of a part needs, by their places in the part's own folder."""
    return (*part.program.files, run_script(part))


def _asks_port(part: Part) -> bool:
    return any(ask.variable == "PORT" for ask in part.program.asks)


def _where(part: Part) -> str:
    if part.program.start == "mpi":
        return f"MPI runs it once for each of {part.hosts * part.per_host:,} accelerators."
    if part.hosts == 1:
        return "There is one host: run it there."
    return f"Run it on each of {part.hosts:,} hosts, with HOST_RANK and MASTER_ADDR set."


def _ranks(part: Part) -> list[str]:
    if part.program.start == "mpi" or (part.hosts == 1 and part.program.start == "plain"):
        return []
    if part.hosts == 1:
        return [
            'MASTER_ADDR="${MASTER_ADDR:-127.0.0.1}"',
            f'MASTER_PORT="${{MASTER_PORT:-{PORT}}}"',
        ]
    return [
        "needed MASTER_ADDR 'the name of the first host'",
        f"needed HOST_RANK 'the place of this host, 0 to {part.hosts - 1}'",
        f'MASTER_PORT="${{MASTER_PORT:-{PORT}}}"',
        "export MASTER_ADDR MASTER_PORT HOST_RANK",
    ]


def _command(part: Part) -> str:
    program = part.program
    words = _options(program.command)
    words += [f'"${{{name}[@]}}"' for name in program.arguments]
    if program.start != "torchrun":
        return "exec " + " \\\n  ".join(words)
    rendezvous = [
        "exec torchrun",
        f"--nnodes {part.hosts}",
        f"--nproc-per-node {part.per_host}",
    ]
    if part.hosts > 1:
        rendezvous += ['--node-rank "${HOST_RANK}"']
    rendezvous += ['--master-addr "${MASTER_ADDR}"', '--master-port "${MASTER_PORT}"']
    return " \\\n  ".join([*rendezvous, *words])


def _options(command: tuple[str, ...]) -> list[str]:
    """Words of a command, an option and its value together.

    >>> _options(("vllm", "serve", "${MODEL}", "--config", "serve.yaml"))
    ['vllm serve "${MODEL}"', '--config serve.yaml']
    """
    lines: list[list[str]] = []
    for word in command:
        if word.startswith("--") or not lines:
            lines.append([])
        lines[-1].append(quoted(word))
    return [" ".join(line) for line in lines]

"""A real Slurm on this machine: fictitious hosts to plan on, and two on loopback to run on.

Munge, the controller and two slurmd keep everything in a folder of the test and end with it; the
machine's own Slurm, if it has one, is not asked.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
SYSTEM = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
FICTITIOUS = 256
"""Hosts of eight accelerators that the partition ``main`` is said to have."""

CONFIG = """\
ClusterName=made
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={here}/munge.sock
SlurmctldPort={ports[0]}
SlurmctldPidFile={here}/slurmctld.pid
SlurmctldLogFile={here}/slurmctld.log
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool-%n
SlurmdPidFile={here}/slurmd-%n.pid
SlurmdLogFile={here}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1
GresTypes=gpu
ReturnToService=2
NodeName=gpu[001-{count:03}] CPUs=64 RealMemory=1000000 Gres=gpu:8 State=CLOUD
NodeName=localhost NodeHostname=localhost Port={ports[1]} CPUs=1 RealMemory=100 Gres=gpu:8
NodeName=worker NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=100 \
Gres=gpu:8
PartitionName=main Nodes=gpu[001-{count:03}] Default=YES
PartitionName=here Nodes=localhost,worker
"""
"""The first by name of those that run is one that every machine can call: ranks meet there."""


def why_not() -> str:
    """What this machine lacks for it; empty if nothing."""
    missing = [name for name in NEEDED if shutil.which(name, path=SYSTEM) is None]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)}): apt-get install slurmctld slurmd"
    return "" if os.geteuid() == 0 else "Slurm's daemons are started by root only"


@contextmanager
def cluster(here: Path) -> Iterator[dict[str, str]]:
    """A running cluster; the environment in which ``sbatch`` speaks to it."""
    environment = {**os.environ, "PATH": SYSTEM, "SLURM_CONF": str(here / "slurm.conf")}
    environment = {key: value for key, value in environment.items() if key != "SLURM_JOB_ID"}
    _configure(here)

    def start(*words: str) -> None:
        subprocess.run(words, env=environment, check=True, capture_output=True, timeout=60)

    files = [f"--{name}={here}/munge.{end}" for name, end in MUNGE.items()]
    try:
        start("munged", "--force", *files)
        start("slurmctld", "-f", f"{here}/slurm.conf")
        for name in ("localhost", "worker"):
            start("slurmd", "-f", f"{here}/slurm.conf", "-N", name)
        _wait(environment)
        yield environment
    finally:
        _end(here)


MUNGE = {
    "socket": "sock", "key-file": "key", "log-file": "log", "pid-file": "pid", "seed-file": "seed",
}  # fmt: skip


def _configure(here: Path) -> None:
    here.chmod(0o755)
    (here / "state").mkdir()
    key = here / "munge.key"
    key.write_bytes(os.urandom(64))
    key.chmod(0o600)
    for index in range(8):
        (here / f"gpu{index}").touch()
    config = CONFIG.format(here=here, ports=_ports(3), count=FICTITIOUS)
    (here / "slurm.conf").write_text(config)
    (here / "gres.conf").write_text(f"NodeName=localhost,worker Name=gpu File={here}/gpu[0-7]\n")


def _ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return found


def _wait(environment: dict[str, str]) -> None:
    """Until both hosts are there [at most 60 s]."""
    words = ["sinfo", "--noheader", "--partition=here", "--format=%t %D"]
    for _ in range(120):
        said = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if said.stdout.split() == ["idle", "2"]:
            return
        time.sleep(0.5)
    raise TimeoutError(f"Slurm's hosts did not come: {said.stdout}{said.stderr}")


def _end(here: Path) -> None:
    for path in sorted(here.glob("*.pid"), reverse=True):  # munge last
        with suppress(ProcessLookupError, ValueError):
            os.kill(int(path.read_text()), signal.SIGTERM)
    time.sleep(1.0)

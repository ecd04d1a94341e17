"""What a launch is made of: what each process runs, where, and the files that say so.

A *program* knows a tool and no scheduler; a scheduler knows programs and no tool. Between them
stands `run.sh`, which starts one host's part of one program.
"""

from __future__ import annotations

from typing import Literal

from clusterwright.records import Record

Start = Literal["torchrun", "plain", "mpi"]
"""Who starts the processes of a host: torchrun one for each accelerator, the tool itself, or MPI,
which runs ``run.sh`` once for each accelerator of all hosts."""


class LaunchFile(Record, frozen=True, kw_only=True):
    """One file of a launch; ``path`` is relative to its folder, with ``/``."""

    path: str
    text: str
    executable: bool = False


class Ask(Record, frozen=True, kw_only=True):
    """What a plan cannot know and a person must say, as a variable of the environment.

    ``what``: one line on it. ``default``: what is taken when nothing is said (empty: it must be
    said, and `run.sh` stops with ``what`` when it is not).
    """

    variable: str
    what: str
    default: str = ""


class Program(Record, frozen=True, kw_only=True):
    """What runs on each host of one part of a launch.

    ``tool``, ``version``: which reads the files, and the release they were checked against.
    ``command``: words of the shell, which may name variables as ``${…}``; after torchrun the script
    and its arguments, otherwise the whole command. ``arguments``: an array of the shell that
    ``arguments.sh`` defines, appended to the command. ``environment``: variables to set.
    ``image``: a container image that has the tool. ``notes``: what the tool cannot express, and the
    nearest that was taken. ``port``: where a server answers (0: none does); its command names it as
    ``${PORT}``, so that replicas that share a host can have one each. ``health``: the path there
    that answers once the weights are loaded.
    """

    tool: str
    version: str
    start: Start
    command: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    files: tuple[LaunchFile, ...] = ()
    environment: dict[str, str] = {}
    asks: tuple[Ask, ...] = ()
    image: str = ""
    notes: tuple[str, ...] = ()
    port: int = 0
    health: str = "/health"


class Part(Record, frozen=True, kw_only=True):
    """One program on its hosts: a training job, or the replicas of one pool of a service.

    ``name``: of the part, and of its folder where there are several. ``replicas``: copies, each on
    ``hosts`` hosts with ``per_host`` accelerators. ``device``: what Kubernetes and Slurm call the
    accelerator. ``whole``: whether it takes all accelerators of its hosts, and so has them alone.
    """

    name: str
    program: Program
    hosts: int
    per_host: int
    replicas: int = 1
    device: str = "gpu"
    whole: bool = True

    @property
    def accelerators(self) -> int:
        """Of all replicas."""
        return self.replicas * self.hosts * self.per_host


class Options(Record, frozen=True, kw_only=True):
    """What a person may say of where it runs.

    ``per_host``: accelerators of one host (0: as the catalogue or the machine says). ``image``:
    container image. ``mounts``: what its containers see, as ``WHAT:/where`` (a folder of the hosts
    under Slurm, a PersistentVolumeClaim on Kubernetes). ``partition``, ``account``, ``time``: of
    Slurm. ``namespace``: of Kubernetes.
    """

    name: str = ""
    per_host: int = 0
    image: str = ""
    mounts: tuple[str, ...] = ()
    partition: str = ""
    account: str = ""
    time: str = ""
    namespace: str = ""


class Launch(Record, frozen=True, kw_only=True):
    """A folder to be: its files, how it is started, and what a person should know.

    ``say``: where to say what the programs ask, a sentence. ``submit``, ``watch``, ``stop``: lines
    of the shell.
    """

    tool: str
    on: str
    parts: tuple[Part, ...]
    files: tuple[LaunchFile, ...]
    say: str
    submit: str
    watch: str
    stop: str
    notes: tuple[str, ...]

"""What the tests of launching share: programs that only say where they are, and random parts."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import strategies as st

from clusterwright.launch.folder import write_launch
from clusterwright.launch.places import Placed, folder_of, place_named
from clusterwright.launch.records import Ask, Launch, LaunchFile, Options, Part, Program
from clusterwright.launch.running import files_of
from clusterwright.launch.shell import quoted

IMAGE = "registry.example:5000/team/tool:1.0"
OPTIONS = {
    "torchrun": Options(),
    "slurm": Options(partition="main", time="1-00:00:00", image=IMAGE, mounts=("/data:/data",)),
    "kubernetes": Options(namespace="team-a", image=IMAGE, mounts=("shared:/shared",)),
    "ray": Options(),
}
"""Everything that a person may say, by place."""

DEVICES = ("nvidia.com/gpu", "amd.com/gpu", "habana.ai/gaudi")
WORDS = st.text(st.characters(exclude_characters="\0\r", codec="utf-8"), max_size=20)
VARIABLES = ("LR", "DATA_PATH", "CHECKPOINTS", "MODEL")


@st.composite
def asks(draw: st.DrawFn) -> tuple[Ask, ...]:
    """Variables to be said, some with defaults of any text."""
    names = draw(st.lists(st.sampled_from(VARIABLES), unique=True, max_size=3))
    line = WORDS.map(lambda text: " ".join(text.split()))
    return tuple(Ask(variable=name, what=draw(line), default=draw(WORDS)) for name in names)


@st.composite
def programs(draw: st.DrawFn, *, port: int) -> Program:
    """A program with any arguments, files and variables."""
    paths = draw(st.lists(st.sampled_from(["a.json", "conf/b c.yaml", "conf/d"]), unique=True))
    texts = [LaunchFile(path=path, text=draw(WORDS)) for path in paths]
    texts.append(LaunchFile(path="arguments.sh", text="ARGUMENTS=()\n"))
    return Program(
        tool="fake",
        version="fake 1",
        start=draw(st.sampled_from(["torchrun", "plain"])),
        command=("python3", *draw(st.lists(WORDS, max_size=3))),
        arguments=("ARGUMENTS",),
        files=tuple(texts),
        environment=draw(st.dictionaries(st.sampled_from(["A", "B_1"]), WORDS)),
        asks=draw(asks()),
        port=port,
    )


@st.composite
def launches(
    draw: st.DrawFn, *, most_hosts: int = 100_000, most_per_host: int = 16
) -> tuple[Part, ...]:
    """The part of a training run, or the pools of a service."""
    device = draw(st.sampled_from(DEVICES))
    per_host = draw(st.sampled_from([n for n in (1, 2, 4, 8, 16) if n <= most_per_host]))
    if draw(st.booleans()):
        sizes = [n for n in (1, 2, 3, 64, 256, 2048, 100_000) if n <= most_hosts]
        hosts = draw(st.sampled_from(sizes))
        program = draw(programs(port=0))
        return (Part(name="train", program=program, hosts=hosts, per_host=per_host, device=device),)
    names = draw(st.sampled_from([("serve",), ("prefill", "decode")]))
    return tuple(
        Part(
            name=name,
            program=draw(programs(port=8000)),
            hosts=draw(st.sampled_from([1, 1, 2, 4])),
            per_host=per_host,
            replicas=draw(st.sampled_from([1, 2, 40])),
            device=device,
            whole=draw(st.booleans()),
        )
        for name in names
    )


SAYING = """\
import os, socket, sys, time
rank, first = int(os.environ.get("HOST_RANK", 0)), os.environ["MASTER_ADDR"]
port, hosts = int(os.environ["MASTER_PORT"]), int(sys.argv[1])
if rank == 0:
    with socket.create_server(("", port)) as server:
        met = sorted([0] + [int(server.accept()[0].recv(9)) for _ in range(hosts - 1)])
    print("met", met, sys.argv[2:], [os.environ["WORD"], os.environ.get("PORT")], flush=True)
else:
    for _ in range(200):
        try:
            socket.create_connection((first, port)).sendall(str(rank).encode())
            break
        except OSError:
            time.sleep(0.1)
    else:
        sys.exit("nobody answers at " + first)
"""
"""A program whose hosts meet at the first one's, which prints who came and what it was told."""

TOLD = ("--two words", "it's $(not) run", "${WORD}")
"""Words that a shell would like to change."""

SAID = 'a "b" \\ $(c)\n# d: {e}'
"""What a person may say in a variable, with everything that a shell or YAML could trip over."""


def meeting(hosts: int, *, replicas: int = 1, port: int = 0, whole: bool = True) -> Part:
    """A part whose hosts meet, two accelerators each."""
    return Part(
        name="train" if port == 0 else "serve",
        program=Program(
            tool="fake",
            version="fake 1",
            start="plain",
            command=("python3", "meet.py", str(hosts)),
            arguments=("ARGUMENTS",),
            files=(
                LaunchFile(path="meet.py", text=SAYING),
                LaunchFile(path="arguments.sh", text=f"ARGUMENTS=({_words()})\n"),
            ),
            asks=(Ask(variable="WORD", what="a word"),),
            port=port,
        ),
        hosts=hosts,
        per_host=2,
        replicas=replicas,
        device="nvidia.com/gpu",
        whole=whole,
    )


def printed(hosts: int, port: int | None = None) -> str:
    """What the first of so many hosts prints when all came."""
    told = [*TOLD[:2], SAID]
    return f"met {list(range(hosts))} {told} {[SAID, port and str(port)]}"


def written(folder: Path, on: str, *parts: Part, options: Options | None = None) -> Placed:
    """A launch on disk, as `launch` writes it."""
    made = place_named(on)("job", parts, OPTIONS[on] if options is None else options)
    files = [
        msgspec.structs.replace(file, path=folder_of(part, parts) + file.path)
        for part in parts
        for file in files_of(part)
    ]
    blank = {"say": "", "submit": "", "watch": "", "stop": "", "notes": ()}
    whole = Launch(tool="fake", on=on, parts=parts, files=(*files, *made.files), **blank)
    write_launch(whole, folder)
    return made


def _words() -> str:
    return " ".join(map(quoted, TOLD))

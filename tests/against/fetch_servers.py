"""Fetch the Python files of vLLM and SGLang beside this environment, for the tests that read them.

To install either would bring gigabytes of compiled kernels and a PyTorch of its own, which nobody
here runs: their wheels are downloaded, and only what is written in Python is unpacked into a folder
of the environment. The machine and the Python of the wheels are named, so that every machine gets
the same files.

    python tests/against/fetch_servers.py vllm
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A wheel, the platform it is for, and folders that must be there though nothing is in them."""

    requirement: str
    platform: str
    empty: tuple[str, ...] = ()


SOURCES = {
    "vllm": Source("vllm==0.33.0", "manylinux_2_28_x86_64"),
    "sglang": Source(
        "sglang==0.5.23",
        "manylinux_2_34_x86_64",
        # It looks whether its CUDA sources are there before it reads a word.
        ("sglang/kernels/jit/include", "sglang/kernels/jit/csrc"),
    ),
}


def folder_of(name: str) -> Path:
    """Where a tool's files are put."""
    return Path(sys.prefix) / f"{name}-python"


def fetch(name: str) -> None:
    """Download a wheel and unpack it; raises `subprocess.CalledProcessError` where it cannot."""
    source, target = SOURCES[name], folder_of(name)
    with tempfile.TemporaryDirectory() as folder:
        pip = ["-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "download"]
        wanted = [
            "--retries=2",
            "--no-deps",
            "--only-binary=:all:",
            *("--python-version", "3.11"),
            *("--platform", source.platform),
            *("--dest", folder),
            source.requirement,
        ]
        subprocess.run([sys.executable, *pip, *wanted], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            written = [member for member in archive.namelist() if member.endswith(".py")]
            archive.extractall(target, members=written)
    for inner in source.empty:
        (target / inner).mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    try:
        fetch(sys.argv[1])
    except (subprocess.CalledProcessError, OSError, zipfile.BadZipFile):
        sys.exit(f"{SOURCES[sys.argv[1]].requirement} could not be fetched")

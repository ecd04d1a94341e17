"""Fetch Megatron's Python files beside this environment, for the tests that read them.

The release wanted asks for a newer Python than the environment may have, and to install it would
bring much that nobody here runs: its wheel is unpacked into a folder of the environment instead.
The machine and the Python of the wheel are named, so that every machine gets the same files.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "megatron-core==0.19.2"
FOLDER = Path(sys.prefix) / "megatron-core"
WANTED = ("--python-version", "3.12", "--platform", "manylinux_2_28_x86_64")


def fetch() -> None:
    """Download the wheel and unpack it; raises `subprocess.CalledProcessError` where it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        pip = ["-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "download"]
        wanted = [
            "--retries=2",
            "--no-deps",
            "--only-binary=:all:",
            *WANTED,
            "--dest",
            folder,
            REQUIREMENT,
        ]
        subprocess.run([sys.executable, *pip, *wanted], check=True)
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(FOLDER)


if __name__ == "__main__":
    try:
        fetch()
    except (subprocess.CalledProcessError, OSError, zipfile.BadZipFile):
        sys.exit(f"{REQUIREMENT} could not be fetched")

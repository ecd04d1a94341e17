"""Fetch Megatron-Bridge's files beside this environment, for the tests that read its recipes.

It asks for an older Megatron and an older transformers than the environment has: all of them are
unpacked into a folder of their own, which only a process of its own puts on its path.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = (
    "megatron-bridge==0.3.1",
    "megatron-core==0.16.1",
    "transformers==4.57.6",
    "huggingface-hub==0.36.2",
    "tokenizers==0.22.2",
)
FOLDER = Path(sys.prefix) / "megatron-bridge"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")
WANTED = ("--python-version", "3.12", *(f"--platform={name}" for name in PLATFORMS))


def fetch() -> None:
    """Download the wheels and unpack them; raises `subprocess.CalledProcessError`."""
    with tempfile.TemporaryDirectory() as folder:
        pip = ["-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "download"]
        wanted = ["--retries=2", "--no-deps", "--only-binary=:all:", *WANTED, "--dest", folder]
        subprocess.run([sys.executable, *pip, *wanted, *REQUIREMENTS], check=True)
        for wheel in sorted(Path(folder).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(FOLDER)


if __name__ == "__main__":
    try:
        fetch()
    except (subprocess.CalledProcessError, OSError, zipfile.BadZipFile):
        sys.exit(f"{REQUIREMENTS[0]} could not be fetched")

"""SGLang's own parser and resolution of arguments, without a GPU and without its compiled parts."""

from __future__ import annotations

import contextlib
import sys
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(sys.prefix) / "sglang-python"
WHY = f"SGLang's Python files are not in {FOLDER} (tests/against/fetch_servers.py fetches them)"


def present() -> bool:
    """Whether its files are there."""
    return (FOLDER / "sglang").is_dir()


class _Absent(ModuleType):
    """Stands in for a package of images, of which nothing is called here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@cache
def prepare() -> Any:
    """The entrance that ``python -m sglang.launch_server`` hands its words to."""
    from transformers import AutoProcessor  # so that it does not take the stand-in for the real one

    assert AutoProcessor
    sys.path.insert(0, str(FOLDER))
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        stand_in = _Absent(name)
        stand_in.__spec__ = ModuleSpec(name, None, is_package=True)
        stand_in.__path__ = []
        sys.modules.setdefault(name, stand_in)
    from sglang.srt.server_args import prepare_server_args

    return prepare_server_args


def parsed(words: list[str], folder: Path) -> Any:
    """What it reads; ``folder``: where ``serve.yaml`` lies."""
    assert words[:2] == ["-m", "sglang.launch_server"]
    reading = prepare()
    with contextlib.chdir(folder):
        return reading([*words[2:], "--skip-tokenizer-init", "--load-format", "dummy"])


def resolved(words: list[str], folder: Path) -> Any:
    """The arguments after its own checks and defaults."""
    made = parsed(words, folder)
    made.resolve_once()
    return made

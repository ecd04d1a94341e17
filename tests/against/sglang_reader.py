"""SGLang's own parser and resolution of arguments, without a GPU and without its compiled parts."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

FOLDER = Path(sys.prefix) / "sglang-python"
WHY = f"SGLang's Python files are not in {FOLDER} (tests/against/fetch_servers.py fetches them)"


ABSENT = ("sgl_kernel", "torchvision")


def present() -> bool:
    """Whether its files are there."""
    return (FOLDER / "sglang").is_dir()


class _Anything(type):
    """A class whose every attribute is another such class."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _Anything(name, (), {})
        setattr(cls, name, value)  # asked again, it is the same
        return value


class _Absent(ModuleType):
    """Stands in for compiled kernels and a package of images, of which nothing is called here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _Anything(name, (), {})
        setattr(self, name, value)
        return value


class _Finder(MetaPathFinder, Loader):
    """Finds stand-ins for what cannot be had without a GPU."""

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        if name.partition(".")[0] not in ABSENT:
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        del module


def _as_on_an_h100() -> None:
    """Answer what it asks of a GPU, of which there is none."""
    import torch

    torch.version.cuda = "12.9"
    facts = {
        "is_available": True,
        "device_count": 8,
        "current_device": 0,
        "get_device_capability": (9, 0),
        "get_device_name": "NVIDIA H100 80GB HBM3",
        "get_device_properties": SimpleNamespace(
            name="NVIDIA H100 80GB HBM3",
            major=9,
            minor=0,
            total_memory=80 << 30,
            multi_processor_count=132,
        ),
        "mem_get_info": (80 << 30, 80 << 30),
    }
    for name, fact in facts.items():
        setattr(torch.cuda, name, lambda *_, fact=fact, **__: fact)


@cache
def prepare() -> Any:
    """The entrance that ``python -m sglang.launch_server`` hands its words to."""
    from transformers import AutoProcessor  # so that it does not take the stand-in for the real one

    assert AutoProcessor
    sys.path.insert(0, str(FOLDER))
    sys.meta_path.append(_Finder())
    _as_on_an_h100()
    from sglang.srt.server_args import prepare_server_args

    return prepare_server_args


WITHOUT = ("--skip-tokenizer-init", "--load-format", "dummy", "--device", "cuda")
"""There is no tokenizer, there are no weights, and it would look for a driver."""


def parsed(words: list[str], folder: Path) -> Any:
    """What it reads; ``folder``: where ``serve.yaml`` lies."""
    assert words[:2] == ["-m", "sglang.launch_server"]
    reading = prepare()
    with contextlib.chdir(folder):
        return reading([*words[2:], *WITHOUT])


def resolved(words: list[str], folder: Path) -> Any:
    """The arguments after its own checks and defaults, as far as they are of simple types."""
    made = parsed(words, folder)
    made.resolve_once()
    simple = (int, float, str, bool, type(None))
    plain = {k: v for k, v in made.resolved_dict().items() if isinstance(v, simple)}
    return SimpleNamespace(**plain)


@cache
def _child() -> ProcessPoolExecutor:
    """A process of its own, as PyTorch is told there that it has GPUs."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


def resolved_apart(words: list[str], folder: Path) -> Any:
    """`resolved`, without a trace in this process."""
    return _child().submit(resolved, words, folder).result()

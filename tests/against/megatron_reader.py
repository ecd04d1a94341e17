"""Megatron's own parser, made to run without a GPU: the wheel of `fetch_megatron` on the path.

Python 3.11 lacks `typing.override`, which the release imports, and the parser asks the device for
its name and generation; stand-ins answer as an H100 does. Everything else is Megatron's.
"""

from __future__ import annotations

import os
import sys
import typing
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType, SimpleNamespace

from against.fetch_megatron import FOLDER

HOPPER = (9, 0)


@cache
def _arguments() -> ModuleType:
    import torch
    import typing_extensions

    if not hasattr(typing, "override"):
        typing.override = typing_extensions.override
    sys.path.insert(0, str(FOLDER))
    properties = SimpleNamespace(name="NVIDIA H100 80GB HBM3", major=9, minor=0)
    torch.cuda.get_device_properties = lambda *_: properties
    torch.cuda.get_device_capability = lambda *_: HOPPER
    torch.cuda.device_count = lambda: 8
    from megatron.core import utils
    from megatron.training import arguments
    from packaging.version import Version

    utils._te_version = Version("2.14.0")  # Transformer Engine is in every image
    return arguments


def read(words: Sequence[str], world_size: int, **environment: str) -> Namespace:
    """What Megatron makes of arguments; raises what it raises.

    `validate_args` checks them against each other, and the model's own configuration, built
    from them, checks the network, the layout of layers and the recompute.
    """
    arguments = _arguments()
    with _surroundings(words, world_size, environment):
        args = arguments.parse_args()
        arguments.validate_args(args)
        args.apply_rope_fusion = False  # needs Transformer Engine, which needs a GPU
        args.bias_swiglu_fusion = False
        arguments.core_transformer_config_from_args(args)
    return args


@contextmanager
def _surroundings(
    words: Sequence[str], world_size: int, environment: dict[str, str]
) -> Iterator[None]:
    kept, variables = sys.argv, dict(os.environ)
    sys.argv = ["pretrain_gpt.py", *words]
    os.environ |= {"WORLD_SIZE": str(world_size), "RANK": "1", **environment}
    try:
        yield
    finally:
        sys.argv = kept
        os.environ.clear()
        os.environ.update(variables)

"""Megatron-Bridge's own reading of scripts, in a process of its own: see `fetch_megatron_bridge`.

Transformer Engine needs a GPU to be installed: with two packages that a run needs and its
configuration does not, it has a stand-in here, whose names are there and do nothing. Everything
else is Megatron-Bridge's: its bridge makes the model's provider from ``config.json``, and
`runtime_config_update` checks it against all the rest, as a run does first.

Run: ``python bridge_reader.py FOLDER RANKS …`` prints a line of JSON for each script.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import json
import os
import runpy
import sys
import traceback
import types
import typing
from pathlib import Path
from types import SimpleNamespace

STANDING_IN = (
    *("transformer_engine", "transformer_engine_torch", "modelopt", "nvidia_resiliency_ext"),
)
SAID = {
    "DATA_PATH": "corpus",
    "TOKENIZER": "tokenizer",
    "PRETRAINED": "pretrained",
    "CHECKPOINTS": "checkpoints",
    "SAVE_INTERVAL": "1000",
    "LR": "3e-4",
    "MIN_LR": "3e-5",
    "WARMUP": "20",
}
TOLD = {
    "model": (
        *("seq_length", "tensor_model_parallel_size", "pipeline_model_parallel_size"),
        *("virtual_pipeline_model_parallel_size", "context_parallel_size", "sequence_parallel"),
        *("expert_model_parallel_size", "expert_tensor_parallel_size", "cp_comm_type"),
        *("recompute_granularity", "recompute_num_layers", "bf16", "fp16", "fp8", "fp4"),
        *("num_layers", "hidden_size", "num_moe_experts", "tp_comm_overlap"),
    ),
    "train": ("global_batch_size", "micro_batch_size", "train_iters"),
    "optimizer": ("optimizer", "use_distributed_optimizer", "optimizer_cpu_offload"),
    "ddp": (
        *("use_megatron_fsdp", "data_parallel_sharding_strategy", "grad_reduce_in_fp32"),
        "num_distributed_optimizer_instances",
    ),
}


class _Kind(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


class _Nothing(types.ModuleType):
    __path__: typing.ClassVar[list] = []
    __version__ = "2.10.0"

    def __call__(self, *args, **_):
        return args[0] if args else None

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Kind(name, (), {"__init__": lambda *_, **__: None})
        made = _Nothing(f"{self.__name__}.{name}") if name[0].islower() else made
        setattr(self, name, made)
        return made


class _FusedAdam:
    """Megatron asks which arguments the real one has."""

    def __init__(self, master_weight_dtype, exp_avg_dtype, exp_avg_sq_dtype, use_decoupled_grad):
        """Nothing is optimized here."""


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname, path=None, target=None):  # noqa: ARG002 - as Python asks
        if fullname.split(".")[0] in STANDING_IN:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Nothing(spec.name)

    def exec_module(self, module):
        """There is nothing to run."""


def prepare(folder: Path) -> None:
    """Put the unpacked wheels on the path, and a device of the Blackwell kind before them."""
    import torch
    import typing_extensions

    if not hasattr(typing, "override"):
        typing.override = typing_extensions.override
    sys.meta_path.insert(0, _Finder())
    sys.path.insert(0, str(folder))
    importlib.import_module("transformer_engine.pytorch.optimizers").FusedAdam = _FusedAdam
    torch.cuda.get_device_properties = lambda *_: SimpleNamespace(
        name="NVIDIA B200", major=10, minor=0
    )
    torch.cuda.get_device_capability = lambda *_: (10, 0)
    torch.cuda.device_count = lambda: 8
    os.environ |= SAID | {"RANK": "1", "CUDA_DEVICE_MAX_CONNECTIONS": "1"}


def read(script: Path, ranks: int) -> dict[str, object]:
    """What Megatron-Bridge makes of a script; raises what it raises."""
    from megatron.bridge.training.config import runtime_config_update

    os.environ["WORLD_SIZE"] = str(ranks)
    config = runpy.run_path(str(script), run_name="read")["configuration"]()
    runtime_config_update(config)
    told = {
        f"{part}.{name}": getattr(getattr(config, part), name)
        for part in TOLD
        for name in TOLD[part]
    }
    peft = config.peft
    return told | {"dp": config.data_parallel_size, "lora": 0 if peft is None else peft.dim}


def main() -> None:
    """Read every script that is named, each with its number of ranks."""
    prepare(Path(sys.argv[1]))
    kept = sys.stdout
    for script, ranks in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
        sys.stdout = sys.stderr
        try:
            told = read(Path(script), int(ranks))
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            told = {"refused": traceback.format_exc()}
        sys.stdout = kept
        print(json.dumps(told, default=str), flush=True)


if __name__ == "__main__":
    main()

"""The device that a process times operators on: its tensors, its clock, its neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from clusterwright.calibrate.measure.machine import DeviceKind
from clusterwright.errors import InputError

Run = Callable[[], Any]
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""Precision → what PyTorch calls it."""
ELEMENT_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}
NO_TORCH = "measuring needs PyTorch: pip install 'clusterwright[measure]'"


def import_torch() -> Any:  # noqa: ANN401 - the module
    """Return PyTorch.

    Raises
    ------
    InputError
        It is not installed.
    """
    try:
        import torch
    except ImportError:
        raise InputError(NO_TORCH) from None
    return torch


PARTING = 0.5
"""Until the slowest process has read its last message. [s]"""
TRIES = 2
LEAST_SHARE = 0.96
"""Of a core that a thread at work has when no other program takes turns with it. [1]"""


class Bench:
    """One process's device: a share of the cores, or one GPU.

    Parameters
    ----------
    device
        ``cpu``, or ``cuda`` for GPUs of NVIDIA and AMD alike.
    precision
        Of tensors.
    threads
        Of this process, on processors.
    rank, processes
        Which of the processes this is, that compute at once.
    """

    def __init__(
        self, device: DeviceKind, precision: str, *, threads: int, rank: int = 0, processes: int = 1
    ) -> None:
        self.torch = import_torch()
        self.kind = device
        self.precision = precision
        self.rank, self.processes, self.threads = rank, processes, threads
        self.dtype = getattr(self.torch, DTYPES[precision])
        self.element_bytes = ELEMENT_BYTES[precision]
        if device == "cuda":
            self.torch.cuda.set_device(rank)
        else:
            self.torch.set_num_threads(threads)
        self.device = self.torch.device(device, rank) if device == "cuda" else "cpu"
        self.torch.manual_seed(0)

    @property
    def large(self) -> bool:
        """Whether sizes are those of a large device."""
        return self.kind == "cuda"

    def tensor(self, *shape: float, grad: bool = False) -> Any:  # noqa: ANN401 - a tensor
        """Return a tensor of normal numbers."""
        whole = [int(size) for size in shape]
        made = self.torch.randn(*whole, dtype=self.dtype, device=self.device)
        return made.requires_grad_(grad)

    def seconds(self, run: Run, runs: int) -> float:
        """Return the time of so many runs in a row, the device's own where it has a clock. [s]"""
        if self.kind == "cpu":
            start = time.perf_counter()
            for _ in range(runs):
                run()
            return time.perf_counter() - start
        cuda = self.torch.cuda
        first, last = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        cuda.synchronize()
        first.record()
        for _ in range(runs):
            run()
        last.record()
        cuda.synchronize()
        return float(first.elapsed_time(last)) * 1e-3

    def slowest(self, value: float) -> float:
        """Return the largest of the processes' values."""
        if self.processes == 1:
            return value
        box = self.torch.tensor([value], dtype=self.torch.float64)
        dist = self.torch.distributed
        dist.all_reduce(box, op=dist.ReduceOp.MAX)
        return float(box[0])

    def summed(self, value: float) -> float:
        """Return the sum of the processes' values."""
        if self.processes == 1:
            return value
        box = self.torch.tensor([value], dtype=self.torch.float64)
        self.torch.distributed.all_reduce(box)
        return float(box[0])

    def join(self) -> None:
        """Meet the other processes: gloo for processors, NCCL beside it for GPUs."""
        if self.processes > 1:
            backend = "gloo" if self.kind == "cpu" else "cpu:gloo,cuda:nccl"
            self.torch.distributed.init_process_group(backend)

    def leave(self) -> None:
        """Part from the other processes, when all have come to their end."""
        if self.processes > 1:
            self.torch.distributed.barrier()
            # Gloo aborts a process that still reads what the others have closed already.
            time.sleep(PARTING)
            self.torch.distributed.destroy_process_group()


class Sampler:
    """What `timing.settle` asks: the time of so many runs on the slowest process.

    All processes begin together, as they do in training; what they agree on keeps them in step.

    Parameters
    ----------
    bench
        This process's device.
    run
        What is timed.
    watched
        Whether a process that waits is one that others have taken the core from: true of what
        computes. Such a sample is taken again, and counted as ``disturbed`` where that
        does not help.
    """

    def __init__(self, bench: Bench, run: Run, *, watched: bool) -> None:
        self.bench, self.run = bench, run
        self.watched = watched and bench.kind == "cpu"
        self.disturbed = 0

    def __call__(self, runs: int) -> float:
        """Return seconds of so many runs in a row."""
        for _ in range(TRIES):
            before = time.process_time()
            own = self.bench.seconds(self.run, runs)
            had = (time.process_time() - before) / max(own, 1e-9)
            seconds = self.bench.slowest(own)
            if not self.watched or self.bench.slowest(float(had < LEAST_SHARE)) == 0.0:
                return seconds
        self.disturbed += 1
        return seconds

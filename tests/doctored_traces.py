"""Traces and event files written from a plan, with one planted cause each; no chance in it."""

from __future__ import annotations

import gzip
import json
import struct

from doctored_runs import terms_of

from clusterwright.observe.tensorboard import masked_checksum


def event_file(rows):
    """A TensorBoard event file of (step, clock, {tag: value}), as writers of PyTorch make it."""
    raw = record(field(1, 1, struct.pack("<d", rows[0][1])) + field(3, 2, b"brain.Event:2"))
    for step, clock, values in rows:
        summary = b"".join(
            field(1, 2, field(1, 2, tag.encode()) + field(2, 5, struct.pack("<f", value)))
            for tag, value in values.items()
        )
        raw += record(
            field(1, 1, struct.pack("<d", clock)) + field(2, 0, varint(step)) + field(5, 2, summary)
        )
    return raw


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, wire, value):
    key = varint(number << 3 | wire)
    return key + (varint(len(value)) + value if wire == 2 else value)


def record(message):
    length = struct.pack("<Q", len(message))
    sums = [struct.pack("<I", masked_checksum(part)) for part in (length, message)]
    return length + sums[0] + message + sums[1]


class Trace:
    """Events of a profiler's trace of one rank, modelled on what PyTorch writes."""

    def __init__(self, *, rank=0, world=64, group=64):
        self.events, self.rank, self.world, self.group = [], rank, world, group
        self.clock = self.host = 1.0e9  # [us]
        self.link, self.waited = 1, 0.0

    def wait(self, spent):
        """Nothing runs, though the next kernel is launched: it waits for something else [us]."""
        self.clock += spent
        self.waited = spent

    def event(self, cat, name, start, spent, tid, **args):
        self.events.append(
            {"ph": "X", "cat": cat, "name": name, "pid": self.rank, "tid": tid,
             "ts": round(start, 3), "dur": round(spent, 3), "args": args}
        )  # fmt: skip

    def kernel(self, name, spent, *, stream=7, gap=0.0, beside=None, **args):
        """One kernel [us], launched just before it starts, or ``gap`` after the one before."""
        self.clock += gap
        start = self.clock if beside is None else beside
        launched = start - 4.0 if gap else start - 50.0 - self.waited
        self.waited = 0.0
        self.event("cuda_runtime", "cudaLaunchKernel", launched - 3.0, 3.0, 100,
                   correlation=self.link)  # fmt: skip
        self.event("kernel", name, start, spent, stream, stream=stream, correlation=self.link,
                   **args)  # fmt: skip
        self.link += 1
        if beside is None:
            self.clock = start + spent

    def collective(self, kind, spent, *, hidden=0.0):
        """A collective [us], the last part of which nothing hides."""
        self.kernel(f"ncclDevKernel_{kind}_RING_LL(ncclDevKernelArgsStorage<4096ul>)", spent,
                    stream=20, beside=self.clock - hidden,
                    **{"Collective name": kind, "Group size": self.group,
                       "Process Group Name": "0"})  # fmt: skip
        self.clock += spent - hidden

    def raw(self, *, packed=False, indent=None):
        whole = {
            "schemaVersion": 1,
            "deviceProperties": [{"id": 0, "name": "NVIDIA H100 80GB HBM3"}],
            "distributedInfo": {"backend": "nccl", "rank": self.rank, "world_size": self.world},
            "traceEvents": self.events,
            "traceName": "/tmp/trace.json",
        }
        data = json.dumps(whole, indent=indent).encode()
        return gzip.compress(data, mtime=0) if packed else data


def step_trace(plan, *, steps=3, pieces=40, slow=1.0, gaps=0.0, dp=0.0, data=0.0, rank=0):
    """A trace of some steps; planted shares are of a step as planned."""
    terms = terms_of(plan.best)
    whole = plan.best.step_time * 1e6
    trace = Trace(rank=rank, world=plan.best.accelerators, group=plan.best.strategy.dp)
    products = 1e6 * slow * sum(terms[n] for n in ("ideal", "extra work", "kernels", "recompute"))
    other = 1e6 * (terms["memory-bound"])
    shown = 1e6 * terms["dp"] + dp * whole
    late = 1e6 * terms["host"] + gaps * whole
    for number in range(steps):
        start = trace.clock
        if data:
            trace.event("user_annotation", "enumerate(DataLoader)#_MultiProcessingDataLoaderIter."
                        "__next__", trace.clock, data * whole, 100)  # fmt: skip
            trace.kernel(
                "void at::native::vectorized_elementwise_kernel<4>", 10.0, gap=data * whole
            )
        for _ in range(pieces):
            trace.kernel("nvjet_hsh_256x128_64x4_2x1_v_bz_coopA_NNT", 0.8 * products / pieces)
            trace.kernel("flash_fwd_kernel<Flash_fwd_kernel_traits<128>>", 0.2 * products / pieces)
            trace.kernel("void at::native::vectorized_elementwise_kernel<4>", other / pieces,
                         gap=late / pieces)  # fmt: skip
            trace.collective("ReduceScatter", shown / pieces + 400.0, hidden=400.0)
        trace.wait(1e6 * terms["stragglers"])
        trace.kernel("void multi_tensor_apply_kernel<AdamFunctor>", 1e6 * terms["optimizer"] + 1.0)
        trace.event(
            "user_annotation", f"ProfilerStep#{number + 5}", start, trace.clock - start, 100
        )
    return trace

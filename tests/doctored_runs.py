"""Logs, traces and results written from a plan, with one planted cause each; no chance in it."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path

from clusterwright.asking import ask_training
from clusterwright.asking_serving import ask_serving
from clusterwright.observe.as_run import AsRun, as_run
from clusterwright.observe.records import RunSettings
from clusterwright.planner import estimate_question, plan_training
from clusterwright.planner_serving import plan_serving

PINS = {"tp": 4, "pp": 4, "vpp": 1, "dp": 8, "micro_batch": 1, "recompute": "none"}


@cache
def training_plan():
    """Llama 3.1 70B with a pipeline on 128 H100."""
    question = ask_training(
        "llama-3.1-70b", accelerator="h100-sxm", accelerators=128, software="megatron-core",
        batch_sequences=256, pins=PINS,
    )  # fmt: skip
    return plan_training(question)


@cache
def sharded_plan():
    """Llama 3.1 8B fully sharded over 64 H100."""
    question = ask_training(
        "llama-3.1-8b", accelerator="h100-sxm", accelerators=64, software="torchtitan",
        batch_sequences=128, pins={"tp": 1, "pp": 1, "cp": 1, "dp": 64, "micro_batch": 1},
    )  # fmt: skip
    return plan_training(question)


@cache
def serving_plan():
    """Llama 3.1 8B for 8 requests a second that begin alike."""
    question = ask_serving(
        "llama-3.1-8b", accelerator="h100-sxm", rate="8/s", prompt=1000, output=250, ttft="1s",
        tpot="50ms", prefix=600,
    )  # fmt: skip
    return plan_serving(question)


def terms_of(estimate):
    return {term.name: term.time for term in estimate.waterfall}


class Spent:
    """Seconds of a step in the groups that timers have, with something planted."""

    def __init__(self, plan, *, estimate=None, slow=1.0, straggler=1.0, dp=0.0, waiting=0.0,
                 optimizer=0.0, data=0.0):  # fmt: skip
        estimate = estimate or plan.best
        terms = terms_of(estimate)
        busy = ("ideal", "extra work", "kernels", "memory-bound", "host", "recompute", "tp", "cp",
                "ep")  # fmt: skip
        target: AsRun = as_run(plan, RunSettings())
        whole = estimate.step_time
        most = slow * sum(terms[name] for name in busy)
        self.least = most * target.lightest
        self.most = most * straggler
        self.waiting = (
            terms["bubble"] + terms["pp"] + terms["stragglers"]
        ) * slow + waiting * whole
        self.dp = terms["dp"] + dp * whole
        self.optimizer = terms["optimizer"] + optimizer * whole
        self.data = data * whole
        self.step = self.most + self.waiting + self.dp + self.optimizer + self.data


def megatron_log(plan, spent, *, steps=60, every=1, settings=None, timers=True, checkpoints=None,
                 restart=None, prefix="", seed=0):  # fmt: skip
    """A log of Megatron-LM; ``checkpoints``: every so many steps, seconds of each.

    ``restart``: (after step, back to step, seconds of standing still).
    """
    chance = random.Random(seed)
    strategy, job = plan.best.strategy, plan.question.workload
    told = {
        "world_size": strategy.accelerators, "tensor_model_parallel_size": strategy.tp,
        "pipeline_model_parallel_size": strategy.pp, "data_parallel_size": strategy.dp,
        "micro_batch_size": strategy.micro_batch, "global_batch_size": job.global_batch,
        "seq_length": job.sequence_length, "bf16": True, **(settings or {}),
    }  # fmt: skip
    lines = ["------------------------ arguments ------------------------"]
    lines += [f"  {name} {'.' * (48 - len(name))} {value}" for name, value in told.items()]
    lines += ["-------------------- end of arguments ---------------------"]
    lines += ["[before the start of training step] datetime: 2026-03-01 12:00:00 "]
    clock = 12 * 3600.0
    sequence = list(range(1, steps + 1))
    if restart:
        after, back, _ = restart
        sequence = [*range(1, after + 1), *range(back + 1, steps + 1)]
    done = 0
    for number, step in enumerate(sequence):
        if restart and number and step <= sequence[number - 1]:
            clock += restart[2]
            lines.append(f" loading checkpoint from /checkpoints at iteration {restart[1]}")
            lines.append(f"[before the start of training step] datetime: {stamp(clock)} ")
        jitter = 1.0 + 0.004 * chance.gauss(0.0, 1.0)
        slow = 3.0 if number == 0 or (restart and sequence[number - 1] > step) else 1.0
        took = spent.step * jitter * slow
        clock += took
        done += 1
        if done % every:
            continue
        lines.append(
            f" [{stamp(clock)}] iteration {step:8d}/{steps:8d} | consumed samples: "
            f"{step * told['global_batch_size']:12d} | elapsed time per iteration (ms): "
            f"{1e3 * took:.1f} | learning rate: 3.000000E-04 | global batch size: "
            f"{told['global_batch_size']:5d} | lm loss: {8.0 / (1 + 0.01 * step):.6E} | loss "
            f"scale: 1.0 | grad norm: 1.000 | number of skipped iterations:   0 | number of nan "
            f"iterations:   0 |"
        )
        if timers:
            lines += timer_lines(spent, jitter)
        if checkpoints and step % checkpoints[0] == 0:
            clock += checkpoints[1]
            lines.append(f"saving checkpoint at iteration {step:7d} to /checkpoints")
            lines.append(
                f"  successfully saved checkpoint from iteration {step:7d} to /checkpoints"
            )
            lines.append("(min, max) time across ranks (ms):")
            lines.append(entry("save-checkpoint", checkpoints[1] * 0.99, checkpoints[1]))
    return "\n".join(prefix + line for line in lines) + "\n"


def stamp(clock):
    clock = int(clock)
    day, clock = 1 + clock // 86400, clock % 86400
    return f"2026-03-{day:02d} {clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}"


def entry(name, low, high):
    return f"    {(name + ' ').ljust(48, '.')}: ({1e3 * low:.2f}, {1e3 * high:.2f})"


def timer_lines(spent, jitter):
    """Megatron's timers of level 2: gradients within forward-backward, data within forward."""
    third = jitter / 3.0
    whole = jitter * (spent.most + spent.data + spent.waiting + spent.dp)
    return [
        "(min, max) time across ranks (ms):",
        entry("forward-backward", whole * 0.999, whole),
        entry("forward-compute", third * spent.least + jitter * spent.data,
              third * spent.most + jitter * spent.data),
        entry("backward-compute", 2 * third * spent.least, 2 * third * spent.most),
        entry("batch-generator", jitter * spent.data, jitter * spent.data),
        entry("all-grads-sync", jitter * spent.dp, jitter * spent.dp * 1.01),
        entry("optimizer-inner-step", *(jitter * spent.optimizer * 0.8,) * 2),
        entry("optimizer", jitter * spent.optimizer, jitter * spent.optimizer * 1.01),
    ]  # fmt: skip


def torchtitan_log(plan, *, factor=1.0, steps=120, freq=10, retry_rows=(), retry_factor=1.4,
                   slow_rows=(), slow_factor=2.0, memory=0.6, start=True, seed=1):  # fmt: skip
    """A log of torchtitan; rows with retries and slow rows take longer."""
    chance = random.Random(seed)
    strategy, job = plan.best.strategy, plan.question.workload
    head = "[rank0]:[titan] {} - root - INFO - "
    clock = 12 * 3600.0
    lines = []
    if start:
        lines += [
            head.format(milli(clock)) + "CUDA capacity: NVIDIA H100 80GB HBM3 with 79.10GiB memory",
            head.format(milli(clock)) + "Peak FLOPS used for computing MFU: 9.890e+14",
            head.format(milli(clock)) + f"Building device mesh with parallelism: pp=1, "
            f"dp_replicate=1, dp_shard={strategy.dp}, cp=1, tp=1, ep=1, etp=1",
            head.format(milli(clock)) + f"Training starts at step 1, with local batch size "
            f"{strategy.micro_batch}, global batch size {job.global_batch}, sequence length "
            f"{job.sequence_length}, total steps {steps} (warmup 200)",
        ]
    rows = [1, *range(freq, steps + 1, freq)]
    for index, step in enumerate(rows):
        count = step - (rows[index - 1] if index else 0)
        each = plan.best.step_time * factor * (1.0 + 0.004 * chance.gauss(0.0, 1.0))
        each *= 5.0 if index == 0 else 1.0
        each *= retry_factor if index in retry_rows else 1.0
        each *= slow_factor if index in slow_rows else 1.0
        clock += each * count
        if index in retry_rows:
            lines.append(f"[rank0]:[titan] {milli(clock)} - root - WARNING - 7 CUDA memory "
                         f"allocation retries.")  # fmt: skip
        tokens = job.global_batch * job.sequence_length / each / strategy.accelerators
        lines.append(
            head.format(milli(clock)) + f"\x1b[31mstep: {step:2d}  \x1b[32mloss: "
            f"{8.0 / (1 + 0.01 * step):7.4f}  \x1b[33mmemory: {memory * 79.10:5.2f}GiB"
            f"({100 * memory:.2f}%)  \x1b[34mtps: {tokens:,.0f}  \x1b[36mtflops: 400.00  "
            f"\x1b[35mmfu: {100 * plan.best.mfu_full * plan.best.step_time / each:.2f}%\x1b[39m"
        )
    return "\n".join(lines) + "\n"


def milli(clock):
    return f"{stamp(clock)},{int(1000 * (clock % 1.0)):03d}"


def deepspeed_log(plan, *, steps=40, allreduce=0.0, slow=1.0, seed=2):
    """A log of DeepSpeed with wall_clock_breakdown; ``allreduce``: exposed, of the step."""
    chance = random.Random(seed)
    terms = terms_of(plan.best)
    busy = slow * sum(terms[n] for n in ("ideal", "extra work", "kernels", "memory-bound", "host",
                                         "recompute", "tp", "cp", "ep", "stragglers"))  # fmt: skip
    shown = terms["dp"] + allreduce * plan.best.step_time
    batch = plan.question.workload.global_batch
    clock = 12 * 3600.0
    lines = [
        f"[{milli(clock)}] [INFO] [config.py:1003:print]   train_batch_size ............. {batch}"
    ]
    for step in range(1, steps + 1):
        jitter = 1.0 + 0.004 * chance.gauss(0.0, 1.0)
        forward, inner, update = (
            busy / 3 * jitter,
            2 * busy / 3 * jitter,
            terms["optimizer"] * jitter,
        )
        took = forward + inner + shown + update
        clock += took
        head = f"[{milli(clock)}] [INFO] [logging.py:128:log_dist] [Rank 0] "
        lines += [
            head + f"step={step}, skipped=0, lr=[0.0003], mom=[(0.9, 0.95)]",
            (
                f"[{milli(clock)}] [INFO] [timer.py:264:stop] epoch=0/micro_step={step}/"
                f"global_step={step}, RunningAvgSamplesPerSec={batch / took:.6f}, "
                f"CurrSamplesPerSec={batch / took:.6f}, MemAllocated=20.1GB, MaxMemAllocated=55.2GB"
            ),
            head + f"time (ms) | fwd: {1e3 * forward:.2f} | bwd: {1e3 * (inner + shown):.2f} | "
            f"bwd_inner: {1e3 * inner:.2f} | bwd_allreduce: {1e3 * shown:.2f} | "
            f"step: {1e3 * update:.2f}",
        ]
    return "\n".join(lines) + "\n"


def nemo_log(plan, *, factor=1.0, steps=50, seed=3):
    """A log of NeMo, as srun labels it."""
    chance = random.Random(seed)
    batch = plan.question.workload.global_batch
    lines = []
    for step in range(steps):
        took = plan.best.step_time * factor * (1.0 + 0.003 * chance.gauss(0.0, 1.0))
        took *= 6.0 if step == 0 else 1.0
        lines.append(
            f"  0: Training epoch 0, iteration {step}/{steps - 1} | lr: 3e-05 | global_batch_size: "
            f"{batch} | global_step: {step} | max_memory_reserved: 70000000000 | "
            f"reduced_train_loss: {9 - 0.01 * step:.3f} | train_step_timing in s: {took:.4f} | "
            f"consumed_samples: {(step + 1) * batch}"
        )
    return "\n".join(lines) + "\n"


def bench_of(plan, *, estimate=None, ttft=1.0, tpot=1.0, rate=None, served=None, prompt=None,
             output=None, sglang=False):  # fmt: skip
    """A result of ``vllm bench serve --save-result``, or a line of SGLang's."""
    found, job = estimate or plan.best, plan.question.workload
    rate = rate or job.rate
    served = served or rate * 0.995
    prompt, output = prompt or job.prompt, output or job.output
    result = {
        "date": "20260301-120000", "backend": "sglang" if sglang else "vllm",
        "model_id": "meta-llama/Llama-3.1-8B-Instruct", "num_prompts": 2000, "request_rate": rate,
        "max_concurrency": None, "duration": 2000 / served, "completed": 2000,
        "total_input_tokens": int(2000 * prompt), "total_output_tokens": int(2000 * output),
        "request_throughput": served, "output_throughput": served * output,
        "total_token_throughput": served * (prompt + output),
    }  # fmt: skip
    for name, one, factor in (("ttft", found.ttft, ttft), ("tpot", found.tpot, tpot)):
        for key, value in (("mean", one.mean), ("median", one.p50), ("p99", one.p99)):
            result[f"{key}_{name}_ms"] = 1e3 * value * factor
    if sglang:
        whole = found.ttft.mean * ttft + (output - 1) * found.tpot.mean * tpot
        result |= {"dataset_name": "random", "mean_e2e_latency_ms": 1e3 * whole,
                   "median_e2e_latency_ms": 1e3 * whole, "concurrency": served * whole}  # fmt: skip
    return json.dumps(result) + "\n"


def metrics_of(plan, *, ttft=1.0, tpot=1.0, preemptions=0, cache=0.6, reused=None, queue=0.001,
               waiting=0, requests=2000, estimate=None):  # fmt: skip
    """What vLLM exposes at /metrics after such a run."""
    found, job = estimate or plan.best, plan.question.workload
    reused = plan.best.reused if reused is None else reused
    label = '{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"}'
    lines = []

    def sample(name, value, kind="counter"):
        lines.extend((f"# TYPE vllm:{name} {kind}", f"vllm:{name}{label} {value}"))

    sample("num_requests_running", 20.0, "gauge")
    sample("num_requests_waiting", float(waiting), "gauge")
    sample("kv_cache_usage_perc", cache, "gauge")
    sample("num_preemptions_total", float(preemptions))
    sample("prompt_tokens_total", requests * job.prompt)
    sample("generation_tokens_total", requests * job.output)
    sample("prefix_cache_queries_total", requests * job.prompt)
    sample("prefix_cache_hits_total", requests * job.prompt * reused)
    for name, mean in (("time_to_first_token_seconds", found.ttft.mean * ttft),
                       ("request_time_per_output_token_seconds", found.tpot.mean * tpot),
                       ("request_queue_time_seconds", queue),
                       ("request_prompt_tokens", job.prompt),
                       ("request_generation_tokens", job.output)):  # fmt: skip
        lines.append(f"# TYPE vllm:{name} histogram")
        for edge in (0.5, 1.0, 2.0, 4.0):
            below = requests * (1.0 - 0.5**edge)
            lines.append(
                f'vllm:{name}_bucket{{engine="0",le="{edge * mean}",model_name="m"}} {below}'
            )
        lines.append(f'vllm:{name}_bucket{{engine="0",le="+Inf",model_name="m"}} {requests}')
        lines.append(f"vllm:{name}_sum{label} {requests * mean}")
        lines.append(f"vllm:{name}_count{label} {requests}")
    label_done = '{engine="0",finished_reason="length",model_name="m"}'
    lines.append(f"vllm:request_success_total{label_done} {requests}")
    return "\n".join(lines) + "\n"


def other_estimate(plan, **choices):
    """What the plan's job would take with other choices."""
    import msgspec

    strategy = {**msgspec.structs.asdict(plan.best.strategy), **choices}
    return estimate_question(plan.question, **strategy)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path

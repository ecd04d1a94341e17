"""Random plans to launch: any model on any machine, cut and run in any way that fits."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from clusterwright.asking import ask_training
from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.launch.job import TrainingJob, training_job
from clusterwright.launch.records import Program
from clusterwright.planner import estimate_question, run_totals
from clusterwright.training.plan import TrainingPlan, TrainingQuestion
from clusterwright.training.space import divisors

FAMILIES = (
    *("gpt2", "llama", "mistral", "qwen2", "qwen3", "mixtral", "qwen2_moe", "qwen3_moe"),
    *("deepseek_v2", "deepseek_v3", "kimi_k2"),
)
MACHINES = ("nv-a100-sxm-80g", "nv-h100-sxm", "nv-h200-sxm", "nv-b200", "amd-mi300x")
COUNTS = (8, 16, 24, 32, 64, 128, 256, 512, 1024)
LENGTHS = (2048, 4096, 8192, 32768)
PRECISIONS = ("bf16", "bf16", "bf16", "fp16", "fp32", "tf32", "fp8", "mxfp8", "nvfp4")


def all_families() -> tuple[str, ...]:
    """Every ``model_type`` of the catalogue."""
    entries = shipped().entries("models").values()
    return tuple(sorted({str(entry.data["config_json"].get("model_type")) for entry in entries}))


@cache
def models_of(families: tuple[str, ...]) -> tuple[str, ...]:
    """Names in the catalogue of models of these families."""
    entries = shipped().entries("models").items()
    return tuple(
        name for name, entry in entries if entry.data["config_json"].get("model_type") in families
    )


def random_jobs(
    seed: int, software: str, families: Sequence[str] = FAMILIES, **choices: Sequence[Any]
) -> Iterator[TrainingJob]:
    """Jobs without end, the same for the same seed; each fits its machine and breaks no rule.

    ``choices``: values to draw from instead of the usual, by name of a field of `Strategy` or of
    an argument of `ask_training`.
    """
    draw = random.Random(seed)
    while True:
        try:
            plan = _plan(draw, software, tuple(families), choices)
            job = training_job(plan, shipped()) if plan else None
        except InputError:
            continue  # sizes that do not multiply out, or a format that the chip has not
        if job:
            yield job


def _plan(
    draw: random.Random, software: str, families: tuple[str, ...], choices: dict[str, Any]
) -> TrainingPlan | None:
    def pick(name: str, *usual: Any) -> Any:
        return draw.choice(tuple(choices.get(name, usual)))

    count = pick("accelerators", *COUNTS)
    cut = {"tp": pick("tp", 1, 1, 2, 4, 8), "cp": pick("cp", 1, 1, 1, 2, 4)}
    cut["pp"] = pick("pp", 1, 1, 2, 3, 4, 8)
    dp = count // (cut["tp"] * cut["cp"] * cut["pp"])
    if dp < 1:
        return None
    micro_batch = pick("micro_batch", 1, 1, 2, 4)
    question = ask_training(
        pick("model", *models_of(families)),
        accelerator=pick("accelerator", *MACHINES),
        accelerators=count,
        software=software,
        sequence_length=pick("sequence_length", *LENGTHS),
        batch_sequences=dp * micro_batch * pick("num_micro_batches", 1, 2, 4, 8, 16, 32),
        tokens=pick("tokens", "1T", "20B", None),
        precision=pick("precision", *PRECISIONS),
        optimizer=pick("optimizer", "adam", "adam", "adam", "sgd", "muon"),
        method=pick("method", "full", "full", "full", "lora", "qlora"),
        optimizer_state=pick("optimizer_state", None, None, "bf16"),
    )
    strategy = cut | {"dp": dp, "micro_batch": micro_batch} | _run(draw, pick, question, cut, dp)
    best = estimate_question(question, **strategy)
    if not best.fits or best.breaks:
        return None
    return TrainingPlan(
        version="tests",
        catalogue="",
        question=question,
        best=best,
        totals=run_totals(best, question.workload.tokens),
        alternatives=(),
        front=(),
        sweeps=(),
        evaluated=1,
        rejected={},
    )


def _run(
    draw: random.Random, pick: Any, question: TrainingQuestion, cut: dict[str, int], dp: int
) -> dict[str, Any]:
    """How the cut is run: sharding, experts, schedule, recompute."""
    ranks = dp * cut["cp"]
    found = {
        "zero": pick("zero", 0, 1, 1) if cut["pp"] > 1 else pick("zero", 0, 1, 2, 3),
        "sequence_parallel": pick("sequence_parallel", True, True, False),
        "recompute": pick("recompute", "none", "selective", "full"),
        "offload": pick("offload", "none", "none", "none", *question.software.offloads),
        "schedule": pick("schedule", "1f1b", *question.software.schedules),
        "context_scheme": pick("context_scheme", *question.software.context_schemes),
    }
    if ranks > 1 and found["zero"] and draw.random() < 0.2:
        found["shard_group"] = draw.choice(divisors(ranks))
    if cut["pp"] > 1 and found["schedule"] == "1f1b":
        found["vpp"] = pick("vpp", 1, 1, 2, 3, 4)
    experts = [b.experts.num_experts for b in question.model.blocks if b.experts]
    if experts:
        found["ep"] = pick("ep", 1, 2, 4, 8, 16, 64)
        found["etp"] = pick("etp", 1, 1, 1, cut["tp"])
    if found["recompute"] == "full" and draw.random() < 0.2:
        found["recompute_layers"] = draw.randint(1, 1 + question.model.num_layers // cut["pp"])
    return found


Exporter = Callable[[TrainingJob], Program]


def launched(
    seed: int, count: int, software: str, exporter: Exporter, **choices: Sequence[Any]
) -> list[tuple[TrainingJob, Program]]:
    """The first jobs that an exporter takes, with what it makes of them.

    What it does not take it must refuse in words: another error is passed on.
    """
    found: list[tuple[TrainingJob, Program]] = []
    for job in random_jobs(seed, software, **choices):
        try:
            found.append((job, exporter(job)))
        except InputError:
            continue
        if len(found) == count:
            break
    return found


def words_of(program: Program, **variables: str) -> list[str]:
    """The program's array of arguments, as bash fills it in."""
    script = "\n".join(file.text for file in program.files if file.path == "arguments.sh")
    (name,) = program.arguments
    printed = subprocess.run(
        ["bash", "-euc", f"{script}\nprintf '%s\\0' \"${{{name}[@]}}\""],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return printed.split("\0")[:-1]

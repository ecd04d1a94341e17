"""Settings that we write, read by DeepSpeed itself; the script and the model beside them."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
from launch_cases import all_families, launched

from clusterwright.launch.deepspeed import program
from clusterwright.launch.deepspeed_script import SCRIPT
from clusterwright.launch.job import TrainingJob
from clusterwright.launch.records import Program

pytestmark = [pytest.mark.against, pytest.mark.slow]

pytest.importorskip("deepspeed", reason="DeepSpeed is not here: make against installs it")

SAID = {
    "DATASET": "corpus",
    "TEXT": "text",
    "TOKENIZER": "tokenizer",
    "CHECKPOINTS": "checkpoints",
    "SAVE_INTERVAL": "1000",
    "LR": "3e-4",
    "WARMUP": "200",
}

LIKELY: dict = {
    "pp": (1,),
    "ep": (1,),
    "etp": (1,),
    "zero": (0, 1, 2, 3),
    "recompute": ("none", "full"),
    "sequence_parallel": (False,),
    "context_scheme": ("all-to-all",),
    "precision": ("bf16", "bf16", "fp16", "fp32", "tf32"),
    "method": ("full", "full", "lora"),
    "offload": ("none", "optimizer"),
    "optimizer_state": (None,),
}
"""What DeepSpeed has; what it has not is refused, in the tests of the default run."""


@pytest.mark.parametrize(("software", "seed"), [("deepspeed", 1), ("any", 2)])
def test_deepspeed_takes_a_hundred_plans_and_reads_back_what_they_say(
    software, seed, tmp_path, monkeypatch
):
    from against.deepspeed_reader import read

    for name, value in SAID.items():
        monkeypatch.setenv(name, value)
    for job, made in launched(seed, 100, software, program, **LIKELY):
        settings, about = filled_in(made, tmp_path)
        config, unknown = read(settings, job.strategy.dp)
        assert not unknown
        assert config.optimizer_params["lr"] == 3e-4
        told = {name: config for name, config in told_by(config).items() if name in expected(job)}
        assert told == expected(job), job.strategy
        s = job.strategy
        assert about["tensor_parallel"] * about["sequence_parallel"] * s.dp == s.accelerators
        assert about["sequence_length"] == job.workload.sequence_length
        assert about["precision"] == job.workload.precision
        assert about["checkpoint_activations"] == (s.recompute == "full")


def filled_in(made: Program, folder: Path) -> tuple[dict, dict]:
    """What the script itself makes of the files beside it."""
    for file in made.files:
        path = folder / file.path
        path.parent.mkdir(exist_ok=True)
        path.write_text(file.text)
    names: dict = {"__file__": str(folder / "train.py"), "__name__": "train"}
    exec(compile((folder / "train.py").read_text(), "train.py", "exec"), names)
    job = names["read"]("job.json")
    return names["settings"](job), job


def told_by(config) -> dict[str, object]:
    """What DeepSpeed understood, by our names."""
    zero, offload = config.zero_config, config.zero_config.offload_optimizer
    narrow = {"bf16": config.bfloat16_config, "fp16": config.float16_config}
    return {
        "global_batch": config.train_batch_size,
        "micro_batch": config.train_micro_batch_size_per_gpu,
        "accumulation": config.gradient_accumulation_steps,
        "zero": int(config.zero_optimization_stage),
        "group": zero.zero_hpz_partition_size,
        "overlap": bool(zero.overlap_comm),
        "offload": "none"
        if offload is None
        else str(getattr(offload.device, "value", offload.device)),
        "tp": config.tensor_parallel_config.autotp_size or 1,
        "formats": [name for name, block in narrow.items() if block.enabled],
        "sums": config.grad_accum_dtype,
        "steps": config.scheduler_params["total_num_steps"],
        "optimizer": config.optimizer_name.lower(),
    }


def expected(job: TrainingJob) -> dict[str, object]:
    """What DeepSpeed must have understood of a job."""
    s, w = job.strategy, job.workload
    half = w.precision in ("bf16", "fp16")
    sums = {4.0: "fp32", 2.0: w.precision}[w.gradient_bytes] if half else None
    grouped = s.zero == 3 and 0 < s.shard_group < s.dp * s.cp
    return {
        "global_batch": w.global_batch,
        "micro_batch": s.micro_batch,
        "accumulation": w.global_batch // (s.dp * s.micro_batch),
        "zero": s.zero,
        "group": s.shard_group if grouped else 1,
        "overlap": s.overlap_dp,
        "offload": "cpu" if s.offload == "optimizer" else "none",
        "tp": s.tp,
        "formats": [w.precision] if half else [],
        "sums": sums,
        "steps": job.steps or 100,
        "optimizer": {"adam": "adamw"}.get(w.optimizer, w.optimizer),
    }


def test_transformers_reads_every_model_that_we_write(tmp_path):
    pytest.importorskip("datasets")
    transformers = pytest.importorskip("transformers")
    seen = set()
    for job, made in launched(3, 120, "deepspeed", program, families=all_families(), **LIKELY):
        (text,) = [file.text for file in made.files if file.path == "model/config.json"]
        if text in seen:
            continue
        seen.add(text)
        (tmp_path / "config.json").write_text(text)
        config = transformers.AutoConfig.from_pretrained(tmp_path)
        assert type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING, job.plan.question.model
    assert len(seen) > 40


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("read_before", [0, 3, 37, 90])
def test_a_run_that_goes_on_reads_what_it_had_not_read(ranks, read_before, tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    transformers = pytest.importorskip("transformers")
    rows = "".join(json.dumps({"text": str(index)}) + "\n" for index in range(50))
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.jsonl").write_text(rows)
    for name, value in {"DATASET": str(tmp_path / "rows"), "TEXT": "text", "TOKENIZER": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(transformers, "AutoTokenizer", Numbers)
    names: dict = {"__file__": str(tmp_path / "train.py"), "__name__": "train"}
    exec(compile(SCRIPT, "train.py", "exec"), names)

    def samples():
        return names["Samples"]({"sequence_length": 8}, ranks - 1, ranks)

    whole = list(islice(samples(), read_before + 60))
    stopped, again = samples(), samples()
    list(islice(stopped, read_before))
    stopped.keep(tmp_path)
    again.go_on(tmp_path)
    assert list(islice(again, 60)) == whole[read_before:]


class Numbers:
    """A tokenizer that makes three tokens of a number."""

    eos_token_id = -1

    @classmethod
    def from_pretrained(cls, _name):
        return cls()

    def __call__(self, text):
        return {"input_ids": [int(text)] * 3}

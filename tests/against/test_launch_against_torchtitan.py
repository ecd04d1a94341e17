"""Recipes that we write, read by torchtitan's own configuration manager and built on no device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from launch_cases import launched

from clusterwright.launch.job import TrainingJob
from clusterwright.launch.torchtitan import MODULE, program
from clusterwright.launch.torchtitan_model import FAMILIES
from clusterwright.launch.torchtitan_recipe import CHECKPOINTING, sharded_over
from clusterwright.model.parameters import count_parameters

pytestmark = [pytest.mark.against, pytest.mark.slow]

pytest.importorskip("torchtitan", reason="torchtitan is not here: make against installs it")

LIKELY: dict = {
    "families": tuple(FAMILIES),
    "optimizer": ("adam",),
    "precision": ("bf16", "bf16", "fp32", "fp8", "mxfp8", "nvfp4"),
    "method": ("full", "full", "full", "lora"),
    "context_scheme": ("all-gather",),
    "offload": ("none",),
    "tokens": ("1T", "20B"),
    "num_micro_batches": (2, 4, 8, 16),
}
"""What torchtitan has; what it has not is refused, in the tests of the default run."""

FORMATS = ("Float8Linear", "MXFP8Linear", "NVFP4Linear")


def read(made, folder):
    from against.torchtitan_reader import read as theirs

    (file,) = made.files
    (folder / file.path).write_text(file.text)
    return theirs(folder, MODULE)


@pytest.mark.parametrize(("software", "seed"), [("torchtitan", 1), ("any", 2)])
def test_torchtitan_takes_a_hundred_plans_and_reads_back_what_they_say(software, seed, tmp_path):
    pytest.importorskip("torchao", reason="torchao is not here: make against installs it")
    from torchtitan.distributed import ParallelDims

    for job, made in launched(seed, 100, software, program, **LIKELY):
        config = read(made, tmp_path)
        dims = ParallelDims.from_config(config.parallelism, job.strategy.accelerators)
        config.model_spec.model.update_from_config(config=config)
        assert told_by(config, dims) == expected(job), job.strategy
        if dims.pp > 1:
            check_schedule(config)


def check_schedule(config) -> None:
    """Make PyTorch's own schedule, of stages that know where they lie and nothing else."""
    from torch.distributed.pipelining.schedules import PipelineScheduleMulti, get_schedule_class
    from torchtitan.distributed import pipeline_parallel

    cut = config.parallelism
    size, name = cut.pipeline_parallel_degree, cut.pipeline_parallel_schedule
    count = len(cut.module_fqns_per_model_part)
    mapping = pipeline_parallel._get_pp_rank_to_stage_indices_mapping(0, size, name, count)
    stages = [stage(place, count, size) for place in mapping]
    made = get_schedule_class(name)
    looped = issubclass(made, PipelineScheduleMulti)
    assert looped or len(stages) == 1
    micro_batches = config.training.local_batch_size // cut.pipeline_parallel_microbatch_size
    made(stages if looped else stages[0], micro_batches, loss_fn=lambda *_: None)
    compiled = config.compile.enable and name == "InterleavedZeroBubble"
    assert not compiled  # it refuses compiled layers when it meets them


def stage(index, count, size):
    return SimpleNamespace(
        stage_index=index,
        num_stages=count,
        group_rank=0,
        group_size=size,
        has_backward=True,
        is_first=index == 0,
        is_last=index == count - 1,
        submod=None,
    )


def told_by(config, dims) -> dict[str, object]:
    """What torchtitan understood, by our names."""
    cut, training, model = config.parallelism, config.training, config.model_spec.model
    checkpointing = config.activation_checkpoint
    parts = cut.module_fqns_per_model_part
    data = dims.dp_replicate * dims.dp_shard
    piped = dims.pp > 1
    return {
        "world_size": dims.world_size,
        "tp": dims.tp,
        "cp": dims.cp,
        "pp": dims.pp,
        "ep": dims.ep,
        "dp": data,
        "group": dims.dp_shard * dims.cp,
        "resharded": cut.fsdp_reshard_after_forward,
        "sequence_parallel": cut.enable_sequence_parallel,
        "global_batch": training.global_batch_size,
        "micro_batch": cut.pipeline_parallel_microbatch_size
        if piped
        else training.local_batch_size,
        "accumulation": training.global_batch_size // (training.local_batch_size * data),
        "sequence_length": training.seq_len,
        "steps": training.steps,
        "layers": [sum("layers." in name for name in part) for part in parts or []],
        "schedule": cut.pipeline_parallel_schedule if piped else "",
        "recompute": type(checkpointing).__qualname__.split(".")[0] if checkpointing else "none",
        "wide": training.mixed_precision_param == "float32",
        "states": config.optimizer.implementation,
        "products": products(model),
        "num_layers": len(model.layers),
    }


def products(model) -> str:
    """What computes the first layer's output projection: its format, and whether it is adapted."""
    names = [kind.__name__ for kind in type(model.layers[0].attention.wo)._owner.__mro__]
    form = next((name for name in names if name in FORMATS), "Linear")
    return ("LoRA" if any(name.startswith("LoRA") for name in names) else "") + form


def expected(job: TrainingJob) -> dict[str, object]:
    """What torchtitan must have understood of a job."""
    s, w = job.strategy, job.workload
    schedules = {"gpipe": "GPipe", "zero-bubble": "InterleavedZeroBubble"}
    schedule = schedules.get(s.schedule, "1F1B" if s.vpp == 1 else "Interleaved1F1B")
    low = {"fp8": "Float8", "mxfp8": "MXFP8", "nvfp4": "NVFP4"}.get(w.precision, "")
    return {
        "world_size": s.accelerators,
        "tp": s.tp,
        "cp": s.cp,
        "pp": s.pp,
        "ep": s.ep,
        "dp": s.dp,
        "group": sharded_over(s),
        "resharded": "always" if s.zero == 3 else "never",
        "sequence_parallel": s.sequence_parallel,
        "global_batch": w.global_batch,
        "micro_batch": s.micro_batch,
        "accumulation": 1 if s.pp > 1 else w.global_batch // (s.dp * s.micro_batch),
        "sequence_length": w.sequence_length,
        "steps": job.steps,
        "layers": list(job.chunks) if s.pp > 1 else [],
        "schedule": schedule if s.pp > 1 else "",
        "recompute": CHECKPOINTING.get(s.recompute, "none"),
        "wide": w.precision == "fp32",
        "states": "fused_opt_states_bf16" if w.state_bytes == 2.0 else "fused",
        "products": ("LoRA" if w.method == "lora" else "") + f"{low}Linear",
        "num_layers": job.plan.question.model.num_layers,
    }


@pytest.mark.parametrize(
    "model",
    [
        "llama-3.2-1b",
        "mistral-7b",
        "qwen3-0.6b",
        "qwen3-30b-a3b",
        "deepseek-v2-lite",
        "deepseek-v3",
    ],
)
def test_the_network_that_torchtitan_builds_has_the_plans_weights(model, tmp_path):
    import torch

    choices = LIKELY | {"model": (model,), "method": ("full",), "precision": ("bf16",)}
    choices |= {"accelerators": (512,), "accelerator": ("nv-b200",), "pp": (1,)}
    ((job, made),) = launched(5, 1, "torchtitan", program, **choices)
    config = read(made, tmp_path)
    config.model_spec.model.update_from_config(config=config)
    with torch.device("meta"):
        network = config.model_spec.model.build()
    count = sum(one.numel() for one in network.parameters())
    assert count == pytest.approx(count_parameters(job.plan.question.model).total, rel=1e-3)

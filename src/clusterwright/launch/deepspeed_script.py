"""The training script that goes with ``ds_config.json``; it is the same for every plan."""

SCRIPT = '''"""Train the model of model/config.json: job.json and ds_config.json say how."""

import json
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent


def read(name: str) -> dict:
    """One of the files beside this script."""
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def settings(job: dict) -> dict:
    """DeepSpeed's settings, with what the environment says filled in."""
    found = read("ds_config.json")
    rate = float(os.environ["LR"])
    found["optimizer"]["params"]["lr"] = rate
    warmup = min(int(os.environ["WARMUP"]), max(job["steps"] - 1, 1))
    found["scheduler"]["params"]["warmup_num_steps"] = warmup
    return found


def network(job: dict, zero: int):
    """The model: fresh, or trained weights with adapters beside its linear layers."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    formats = {"bf16": torch.bfloat16, "fp16": torch.float16}
    options = {
        "dtype": formats.get(job["precision"], torch.float32),
        "attn_implementation": job["attention"],
    }
    if job["lora_rank"]:
        from peft import LoraConfig, get_peft_model

        model = AutoModelForCausalLM.from_pretrained(os.environ["WEIGHTS"], **options)
        adapters = LoraConfig(
            r=job["lora_rank"],
            lora_alpha=2 * job["lora_rank"],
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        model = get_peft_model(model, adapters)
    else:
        config = AutoConfig.from_pretrained(HERE / "model")
        model = AutoModelForCausalLM.from_config(config, **options)
    model.config.use_cache = False
    if job["checkpoint_activations"]:
        model.gradient_checkpointing_enable({"use_reentrant": zero == 3})
        model.enable_input_require_grads()
    return model


class Samples:
    """Token sequences of the job's length, packed, without end; each rank has its own."""

    def __init__(self, job: dict, rank: int, ranks: int) -> None:
        from datasets import load_dataset
        from datasets.distributed import split_dataset_by_node
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(os.environ["TOKENIZER"])
        rows = load_dataset(os.environ["DATASET"], split="train", streaming=True)
        self.rows = split_dataset_by_node(rows, rank=rank, world_size=ranks)
        self.length, self.tokens, self.times = job["sequence_length"], [], 0
        self.file = f"data-{rank}.json"

    def __iter__(self):
        while True:
            for row in self.rows:
                self.tokens += self.tokenizer(row[os.environ["TEXT"]])["input_ids"]
                self.tokens.append(self.tokenizer.eos_token_id)
                while len(self.tokens) >= self.length:
                    found, self.tokens = self.tokens[: self.length], self.tokens[self.length :]
                    yield found
            self.times += 1
            self.rows.set_epoch(self.times)

    def keep(self, folder: Path) -> None:
        """Write down, beside a checkpoint, what was read."""
        place = {"times": self.times, "tokens": self.tokens, "rows": self.rows.state_dict()}
        (folder / self.file).write_text(json.dumps(place), encoding="utf-8")

    def go_on(self, folder: Path) -> None:
        """Go on behind what was read before a checkpoint."""
        if not (folder / self.file).exists():
            print(f"{folder} has no {self.file}: data are read from the start again", flush=True)
            return
        place = json.loads((folder / self.file).read_text(encoding="utf-8"))
        self.times, self.tokens = place["times"], place["tokens"]
        self.rows.set_epoch(self.times)
        self.rows.load_state_dict(place["rows"])


def batches(job: dict, data: Samples):
    """Micro-batches of tensors."""
    import torch

    rows = iter(data)
    positions = torch.arange(job["sequence_length"])[None]
    while True:
        ids = torch.tensor([next(rows) for _ in range(job["micro_batch"])])
        yield {
            "input_ids": ids,
            "position_ids": positions.expand_as(ids).contiguous(),
            "labels": ids.clone(),
        }


def loss_of(engine, batch: dict, group):
    """The mean over predicted tokens; sequence-parallel ranks weigh in what they hold."""
    if group is None:
        return engine(**batch, use_cache=False).loss
    import torch
    import torch.distributed.nn

    labels = batch.pop("shift_labels")
    logits = engine(**batch, use_cache=False).logits
    part = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum"
    )
    count = (labels != -100).sum()
    torch.distributed.all_reduce(count, group=group)
    parts = torch.distributed.nn.functional.all_gather(part, group=group)
    return sum(parts) / count.clamp(min=1)


def step_folder(engine) -> Path:
    """Where the checkpoint of this step lies, as DeepSpeed names it."""
    return Path(os.environ["CHECKPOINTS"]) / f"global_step{engine.global_steps}"


def save(engine, job: dict, data: Samples, rank: int) -> None:
    """Write a checkpoint; only then let go of those that are too old to be needed."""
    import shutil

    folder = Path(os.environ["CHECKPOINTS"])
    engine.save_checkpoint(str(folder))
    if rank % job["tensor_parallel"] == 0:  # the others compute on the same sequences
        data.keep(step_folder(engine))
    if rank == 0:
        found = [path for path in folder.glob("global_step*") if path.is_dir()]
        found.sort(key=lambda path: int(path.name.removeprefix("global_step")))
        for path in found[: -job["checkpoints_kept"]]:
            shutil.rmtree(path)


def main() -> None:
    """Train."""
    import deepspeed
    import torch
    from transformers.integrations import HfDeepSpeedConfig

    job = read("job.json")
    found = settings(job)
    deepspeed.init_distributed()
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    torch.backends.cuda.matmul.allow_tf32 = job["precision"] == "tf32"
    copies = job["tensor_parallel"]  # ranks that compute on the same sequences
    data = Samples(job, rank // copies, ranks // copies)
    groups, group, feed = None, None, batches(job, data)
    if job["sequence_parallel"] > 1:
        from deepspeed.runtime.sequence_parallel.ulysses_sp import (
            UlyssesSPAttentionHF,
            UlyssesSPDataLoaderAdapter,
        )

        groups = UlyssesSPAttentionHF.register_with_transformers(
            model_name_or_path=str(HERE / "model"),
            core_attn_implementation=job["attention"],
            sequence_parallel_size=job["sequence_parallel"],
            micro_batch_size=job["micro_batch"],
            seq_length=job["sequence_length"],
            seq_length_is_variable=False,
        )
        group = groups.get_sequence_parallel_group()
    zero = found["zero_optimization"]["stage"]
    keep = HfDeepSpeedConfig(found)  # weights are sharded as they are made, while this lives
    model = network(job, zero)
    trained = [one for one in model.parameters() if one.requires_grad]
    engine, _, _, _ = deepspeed.initialize(
        model=model, model_parameters=trained, config=found, mpu=groups
    )
    del keep
    if job["compile"]:
        engine.compile()
    if group is not None:
        feed = UlyssesSPDataLoaderAdapter(
            feed,
            sp_rank=groups.get_sequence_parallel_rank(),
            sp_group=group,
            sp_world_size=groups.get_sequence_parallel_world_size(),
            device=engine.device,
        )
    feed, every = iter(feed), int(os.environ["SAVE_INTERVAL"])
    engine.load_checkpoint(os.environ["CHECKPOINTS"])
    if engine.global_steps:
        data.go_on(step_folder(engine))
    while engine.global_steps < job["steps"]:
        done = engine.global_steps
        batch = {key: value.to(engine.device) for key, value in next(feed).items()}
        loss = loss_of(engine, batch, group)
        engine.backward(loss)
        engine.step()
        if engine.global_steps == done:
            continue
        if rank == 0:
            where = f"step {engine.global_steps} of {job['steps']}"
            print(f"{where}: loss {float(loss):.4f}", flush=True)
        if engine.global_steps % every == 0 or engine.global_steps == job["steps"]:
            save(engine, job, data, rank)


if __name__ == "__main__":
    main()
'''

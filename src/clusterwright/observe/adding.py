"""A diagnosed run as a row of the user's own measurements, for `validate` and `calibrate`."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re
from pathlib import Path
from typing import Any

from clusterwright.errors import InputError, TableError
from clusterwright.model.records import Model
from clusterwright.observe.against_serving import nearest, per_token
from clusterwright.observe.api import Diagnosis
from clusterwright.observe.doubts import IMPOSSIBLE, OTHER_ACCELERATOR
from clusterwright.observe.records import ServingRun, TrainingRun
from clusterwright.observe.steady import pace_of
from clusterwright.saved_plans import Plan
from clusterwright.saving import write_text
from clusterwright.serving.plan import ServingPlan
from clusterwright.training.plan import TrainingPlan
from clusterwright.validation.runs import COLUMNS as TRAIN_COLUMNS
from clusterwright.validation.serving.rows import COLUMNS as SERVE_COLUMNS

NOT_OF_IT = (IMPOSSIBLE, OTHER_ACCELERATOR)
"""Causes for which a row would hold another run's configuration."""
LEAST_STEPS = 5
"""Steady steps of which a row is made at least."""


def add_run(found: Diagnosis, plan: Plan | None, path: Path, *, name: str | None) -> str:
    """Add a run to a table, and say so.

    Raises
    ------
    InputError
        There is no plan to take the configuration from, it is another run's, or there are too few
        steps to be a measurement.
    TableError
        The file is another table, or has a run of that name.
    """
    if plan is None:
        raise InputError(
            "--add-to needs --plan: a row of a table holds the whole configuration, of which logs "
            "tell a part"
        )
    title = name or re.sub(r"[^\w.-]+", "-", Path(found.paths[0]).stem) or "run"
    wrong = next((one for one in found.findings if one.cause in NOT_OF_IT), None)
    if wrong:
        raise InputError(f"nothing was added: {wrong.title} ({wrong.evidence})")
    if isinstance(plan, TrainingPlan):
        columns, rows = TRAIN_COLUMNS, [_training_row(found, plan, title)]
    else:
        columns, rows = SERVE_COLUMNS, _serving_rows(found, plan, title)
    header, old = _existing(path, columns)
    for row in rows:
        if row["id"] in old:
            raise TableError(
                f"{path}: there is a run called {row['id']!r} already; give another --name"
            )
    _write(path, header, rows, new=not old and not path.exists())
    many = f"{len(rows)} rows" if len(rows) > 1 else "one row"
    return f"{many} added to {path}: {', '.join(row['id'] for row in rows)}"


def _existing(path: Path, columns: tuple[str, ...]) -> tuple[list[str], set[str]]:
    """The columns of a table that is there, and the runs in it."""
    if path.is_dir():
        raise InputError(
            f"cannot add to the folder {str(path)!r}: name a file, such as my-runs.csv"
        )
    if not path.exists():
        return list(columns), set()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read as a table of runs: {error}") from None
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    header = next(csv.reader(io.StringIO(text, newline="")), [])
    names = [one.strip() for one in header]
    need = {"id", "model_name", "accelerator", "measured_metric", "measured_value"}
    if columns is SERVE_COLUMNS:
        need |= {"scenario"}
    if not need <= set(names) or (columns is not SERVE_COLUMNS and "scenario" in names):
        kind = "serving" if columns is SERVE_COLUMNS else "training"
        raise TableError(
            f"{path} is no table of {kind} runs (it has no columns {', '.join(sorted(need))}): "
            f"name another file, and it is made"
        )
    return names, {row.get("id") or "" for row in rows}


def _write(path: Path, header: list[str], rows: list[dict[str, Any]], *, new: bool) -> None:
    """Add rows below what is there."""
    made = io.StringIO(newline="")
    lines = csv.DictWriter(made, header, extrasaction="ignore", lineterminator="\n")
    if new:
        lines.writeheader()
    lines.writerows(rows)
    held = "" if new else path.read_text(encoding="utf-8-sig")
    gap = "\n" if held and not held.endswith("\n") else ""
    write_text(path, held + gap + made.getvalue())


def _training_row(found: Diagnosis, plan: TrainingPlan, title: str) -> dict[str, Any]:
    """The configuration that ran, and its median step."""
    if found.run is None:
        raise InputError("a trace alone is no measurement of a run: give its log as well")
    pace = pace_of(found.run)
    steps = sum(found.run.steps[row] for row in pace.rows)
    if not math.isfinite(pace.median) or steps < LEAST_STEPS:
        raise InputError(
            f"the log has {steps} steady steps, too few to be a measurement: {LEAST_STEPS} or more"
        )
    told, job, cluster = found.run.settings, plan.question.workload, plan.question.cluster
    strategy = plan.best.strategy
    used = told.world_size or strategy.accelerators
    axes = {
        axis: getattr(told, axis) or getattr(strategy, axis)
        for axis in ("tp", "cp", "pp", "vpp", "ep", "micro_batch")
    }
    if axes["pp"] == 1:
        axes["vpp"] = 1
    dp = told.dp or max(1, used // (axes["tp"] * axes["cp"] * axes["pp"]))
    memory = max((value for value in found.run.memory if math.isfinite(value)), default=math.nan)
    return {
        **_shape(plan.question.model),
        **axes,
        "id": title,
        "source": f"{found.tool} log, {title}",
        "url_or_path": Path(found.paths[0]).name,
        "date": _day(found.run),
        "seq_len": told.sequence_length or job.sequence_length,
        "accelerator": cluster.accelerator.name,
        "n_accel": used,
        "accel_per_node": cluster.levels[0].size,
        "framework": found.tool if found.tool != "TensorBoard" else plan.question.software.name,
        "precision": told.precision or job.precision,
        "dp": dp,
        "zero_stage": strategy.zero if told.zero is None else told.zero,
        "sequence_parallel": int(strategy.sequence_parallel),
        "recompute": told.recompute or strategy.recompute,
        "flash_attention": int(job.flash_attention),
        "global_batch_seqs": told.global_batch or job.global_batch,
        "measured_metric": "step_time_s",
        "measured_value": f"{pace.median:.6g}",
        "memory_gb_per_accel": f"{memory / 2**30:.2f}" if math.isfinite(memory) else "",
        "notes": f"median of {steps} steady steps; settings that the log does not tell are planned",
        "config_complete": 1,
    }


def _day(run: TrainingRun) -> str:
    """The day of the last step, or today where a log has no times: frameworks change by the year.

    A row without one would count as a run of a framework's first years.
    """
    known = [time for time in run.clock if math.isfinite(time)]
    day = dt.datetime.fromtimestamp(known[-1], dt.UTC) if known else dt.datetime.now(dt.UTC)
    return day.date().isoformat()


def _shape(model: Model) -> dict[str, Any]:
    """The columns that describe a model."""
    block = model.blocks[model.layout[-1]]
    core = block.cores[0] if block.cores else None
    experts, mlp = block.experts, block.mlp
    return {
        "model_name": model.name,
        "n_layers": model.num_layers,
        "d_model": model.hidden_size,
        "n_heads": core.num_heads if core else "",
        "n_kv_heads": core.num_kv_heads if core else "",
        "d_ff": experts.width if experts else mlp.width if mlp else "",
        "gated_ffn": int(mlp.gated) if mlp else "",
        "vocab": model.vocab_size,
        "n_experts": experts.num_experts if experts else "",
        "top_k": experts.top_k if experts else "",
    }


def _serving_rows(found: Diagnosis, plan: ServingPlan, title: str) -> list[dict[str, Any]]:
    """The deployment that was planned, and each mean that was measured: a row each."""
    run = nearest(found.serving, plan)
    pool = plan.best.pools[-1]
    one = pool.deployment
    common = {
        "source": f"{run.tool}, {title}",
        "model_name": plan.question.model.name,
        "accelerator": plan.question.cluster.accelerator.name,
        "n_accel": plan.best.accelerators,
        "engine": plan.question.engine.name,
        "weight_precision": one.weights,
        "kv_precision": one.cache,
        "tp": one.tp,
        "pp": one.pp,
        "ep": one.ep,
        "dp": pool.count,
        "disaggregated": int(len(plan.best.pools) > 1),
        "input_len": _known(run.prompt, plan.question.workload.prompt),
        "output_len": _known(run.output, plan.question.workload.output),
        "batch_or_concurrency": f"{run.most_users:.0f}" if math.isfinite(run.most_users) else "",
        "request_rate": _rate(run),
        "scenario": "online",
        "per": "system",
        "config_complete": 1,
    }
    measured = {
        "ttft_ms": (1e3 * run.ttft.mean, "mean"),
        "tpot_ms": (1e3 * per_token(run).mean, "mean"),
        "output_tokens_per_s": (run.output_rate, ""),
    }
    rows = [
        {**common, "id": f"{title}-{metric}", "measured_metric": metric,
         "measured_value": f"{value:.6g}", "percentile": percentile}
        for metric, (value, percentile) in measured.items()
        if math.isfinite(value) and value > 0.0
    ]  # fmt: skip
    if not rows:
        raise InputError("the files measure neither latencies nor tokens a second: nothing to add")
    return rows


def _known(value: float, planned: float) -> str:
    return f"{value if math.isfinite(value) else planned:.6g}"


def _rate(run: ServingRun) -> str:
    return "" if math.isnan(run.rate) else f"{run.rate:g}"

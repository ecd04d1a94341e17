"""Diagnosing runs that their plan is not of, that broke off, or that files hardly tell of."""

from __future__ import annotations

import gzip
import re

import pytest
from doctored_runs import (
    Spent,
    deepspeed_log,
    megatron_log,
    sharded_plan,
    torchtitan_log,
    training_plan,
    written,
)

from clusterwright.errors import InputError
from clusterwright.facts import shipped
from clusterwright.observe.adding import add_run
from clusterwright.observe.api import diagnose
from clusterwright.report.diagnosis_text import diagnosis_text
from clusterwright.validation.lookup import Lookup
from clusterwright.validation.runs import read_runs


def megatron_text(**planted):
    return megatron_log(training_plan(), Spent(training_plan()), **planted)


def test_a_plan_of_another_model_than_the_log_prints_is_refused(tmp_path):
    told = {"num_layers": 32, "hidden_size": 4096}
    log = written(tmp_path, "train.log", megatron_text(settings=told))
    with pytest.raises(InputError, match=r"32 layers of width 4,096.*80 of 8,192: give the plan"):
        diagnose([log], plan=training_plan())
    told = {"num_layers": 80, "hidden_size": 8192}
    log = written(tmp_path, "train.log", megatron_text(settings=told))
    assert diagnose([log], plan=training_plan()).verdict == "as planned"


def test_a_run_faster_than_the_peak_tells_of_a_wrong_plan_and_is_no_measurement(tmp_path):
    log = written(tmp_path, "titan.log", torchtitan_log(sharded_plan()))
    found = diagnose([log], plan=training_plan())
    assert found.findings[0].cause == "impossible"
    assert "size not known" not in diagnosis_text(found)
    table = tmp_path / "runs.csv"
    with pytest.raises(InputError, match="nothing was added: more than the accelerators can do"):
        add_run(found, training_plan(), table, name=None)
    assert not table.exists()


def test_another_accelerator_than_planned_is_named_first_and_is_no_measurement(tmp_path):
    text = torchtitan_log(sharded_plan(), factor=1.3)
    log = written(
        tmp_path, "a100.log", text.replace("NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB")
    )
    found = diagnose([log], plan=sharded_plan())
    assert found.findings[0].cause == "accelerator"
    assert "NVIDIA A100-SXM4-80GB, the plan is for NVIDIA H100" in found.findings[0].evidence
    with pytest.raises(InputError, match="another accelerator than planned"):
        add_run(found, sharded_plan(), tmp_path / "runs.csv", name=None)


def test_an_added_run_counts_for_the_framework_of_its_day(tmp_path):
    log = written(tmp_path, "train.log", megatron_text())
    table = tmp_path / "runs.csv"
    add_run(diagnose([log], plan=training_plan()), training_plan(), table, name=None)
    (run,) = read_runs(table)
    assert run.date == "2026-03-01"
    assert Lookup(shipped()).software_of(run, "NVIDIA").id == "megatron-core"


def test_a_run_that_ran_out_of_memory_says_so_before_all_else(tmp_path):
    end = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
    log = written(tmp_path, "train.log", megatron_text(steps=20) + end)
    first = diagnose([log], plan=training_plan()).findings[0]
    assert (first.cause, "out of memory" in first.evidence) == ("ended", True)
    assert "recompute" in first.advice


@pytest.mark.parametrize("tool", ["megatron", "torchtitan"])
def test_a_loss_that_is_not_a_number_is_named_with_the_step_from_which_it_is(tool, tmp_path):
    if tool == "megatron":
        lines = megatron_text(steps=20, timers=False).splitlines()
        lines[-8:] = [re.sub(r"lm loss: \S+", "lm loss: NAN", line) for line in lines[-8:]]
        plan, first = training_plan(), "step 13"
    else:
        lines = torchtitan_log(sharded_plan()).splitlines()
        lines[-2:] = [re.sub(r"(loss:\s*)[\d.]+", r"\1    nan", line) for line in lines[-2:]]
        plan, first = sharded_plan(), "step 110"
    found = diagnose([written(tmp_path, "train.log", "\n".join(lines))], plan=plan)
    assert found.findings[0].cause == "nan"
    assert first in found.findings[0].evidence


def test_the_first_step_alone_is_held_against_nothing(tmp_path):
    text = megatron_text(steps=1, timers=False)
    found = diagnose([written(tmp_path, "train.log", text)], plan=training_plan())
    assert (found.verdict, found.findings) == ("open", ())
    assert "of the first step alone, which warms up" in diagnosis_text(found)


def test_stages_of_a_pipeline_are_no_straggler_without_a_plan(tmp_path):
    log = written(tmp_path, "train.log", megatron_text())
    (found,) = diagnose([log]).findings
    assert (found.cause, found.sure) == ("straggler", "little")
    assert "stages of a pipeline differ by design" in found.evidence
    alone = written(
        tmp_path, "one.log", megatron_text(settings={"pipeline_model_parallel_size": 1})
    )
    (found,) = diagnose([alone]).findings
    assert found.sure == "strong"


def test_one_timer_of_all_passes_holds_the_waiting_of_the_pipeline(tmp_path):
    """As with ``--timing-log-level 1``, which ``launch`` writes."""

    def level_1(name, **planted):
        text = megatron_log(training_plan(), Spent(training_plan(), **planted))
        within = ("forward-compute", "backward-compute", "batch-generator")
        kept = [line for line in text.splitlines() if not line.strip().startswith(within)]
        return diagnose([written(tmp_path, name, "\n".join(kept))], plan=training_plan())

    assert level_1("planned.log").verdict == "as planned"
    assert level_1("planned.log").findings == ()
    slow = level_1("slow.log", slow=1.5).findings[0]
    assert (slow.cause, slow.sure) == ("kernels", "some")
    assert "waiting within them" in slow.evidence
    assert "--timing-log-level 2" in slow.advice


def test_faster_than_planned_is_not_called_within_what_the_plan_is_sure_of(tmp_path):
    log = written(tmp_path, "titan.log", torchtitan_log(sharded_plan(), factor=0.8))
    said = diagnosis_text(diagnose([log], plan=sharded_plan()))
    assert "faster than that interval" in said.replace("\n", " ")
    assert "no surer" not in said
    assert "Check that the plan is of this very job" in said


def test_advice_names_the_options_of_the_tool_that_ran(tmp_path):
    log = written(tmp_path, "ds.log", deepspeed_log(sharded_plan(), allreduce=0.2))
    advice = diagnose([log], plan=sharded_plan()).findings[0].advice
    assert "overlap_comm" in advice
    assert "--overlap-grad-reduce" not in advice


def test_what_a_file_holds_beside_what_was_read_is_noted(tmp_path):
    both = megatron_text() + torchtitan_log(sharded_plan())
    (note,) = diagnose([written(tmp_path, "both.log", both)]).notes
    assert "13 lines of torchtitan as well, which were not read" in note
    packed = gzip.compress(megatron_text().encode())
    (note,) = diagnose([written(tmp_path, "cut.log.gz", packed[: len(packed) // 2])]).notes
    assert "breaks off" in note


def test_decimal_commas_are_no_thousands(tmp_path):
    text = megatron_text(timers=False)
    comma = written(tmp_path, "comma.log", re.sub(r"(\(ms\): \d+)\.(\d)", r"\1,\2", text))
    plain = written(tmp_path, "plain.log", text)
    assert diagnose([comma]).run.step_time == diagnose([plain]).run.step_time


def test_lines_that_are_no_json_are_not_called_damaged_json(tmp_path):
    log = written(tmp_path, "hf.log", "{'loss': 2.1, 'grad_norm': 1.0, 'epoch': 0.1}\n" * 9)
    with pytest.raises(InputError, match="is of no known tool"):
        diagnose([log])

"""Profiler traces reduced by interval arithmetic, and event files that tools wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from doctored_runs import sharded_plan, terms_of, written
from doctored_traces import Trace, event_file, step_trace
from hypothesis import given
from hypothesis import strategies as st

from clusterwright.errors import InputError
from clusterwright.observe import kineto, kineto_events, tensorboard
from clusterwright.observe.against_training import axis_of
from clusterwright.observe.kernel_names import is_traffic, kind_of
from clusterwright.observe.reading import read_files
from clusterwright.observe.spans import Spans
from clusterwright.strategy import Strategy

DATA = Path(__file__).parent / "data"


def summary(trace, **how):
    return kineto.read(trace.raw(**how), "trace")


def lone_step(build):
    """A trace of one step of 10 ms."""
    trace = Trace()
    build(trace)
    trace.event("user_annotation", "ProfilerStep#3", 1.0e9, 10_000.0, 100)
    return summary(trace)


def test_communication_is_exposed_where_no_other_kernel_runs():
    def build(trace):
        trace.kernel("nvjet_gemm", 4000.0)
        trace.collective("AllGather", 3000.0, hidden=1000.0)

    found = lone_step(build)
    assert found.traffic == {"all-gather over 64": pytest.approx(3e-3)}
    assert found.exposed == {"all-gather over 64": pytest.approx(2e-3)}
    assert found.computing == pytest.approx(4e-3)
    assert found.idle == pytest.approx(4e-3)
    assert found.busy == {"matmul": pytest.approx(4e-3)}
    assert (found.rank, found.world_size, found.device) == (0, 64, "NVIDIA H100 80GB HBM3")


def test_a_device_is_starved_until_the_host_has_launched_and_no_longer():
    def build(trace):
        trace.kernel("nvjet_gemm", 2000.0)
        trace.kernel("nvjet_gemm", 2000.0, gap=1000.0)  # launched as late as it starts
        trace.wait(500.0)
        trace.kernel("nvjet_gemm", 2000.0)  # launched early

    found = lone_step(build)
    assert found.starved == pytest.approx(996e-6, rel=1e-3)


def test_waiting_for_data_is_apart_from_launching_slowly():
    found = kineto.read(step_trace(sharded_plan(), data=0.1, gaps=0.05).raw(), "t")
    whole = sharded_plan().best.step_time
    host = terms_of(sharded_plan().best)["host"]
    assert found.input_wait == pytest.approx(0.1 * whole, rel=0.02)
    assert found.starved - found.input_wait == pytest.approx(0.05 * whole + host, rel=0.03)


def test_steps_are_those_that_are_marked():
    found = kineto.read(step_trace(sharded_plan(), steps=4).raw(), "t")
    assert len(found.step_times) == 4
    assert found.step_times[1] == pytest.approx(sharded_plan().best.step_time, rel=0.02)


def test_without_marks_the_whole_trace_is_looked_at_and_that_is_said():
    trace = Trace()
    trace.kernel("nvjet_gemm", 4000.0)
    found = summary(trace)
    assert not found.steps_marked
    assert found.step_times == (pytest.approx(4e-3),)
    assert "no ProfilerStep" in found.notes[0]


@pytest.mark.parametrize("how", [{}, {"indent": 2}, {"packed": True}])
def test_however_it_is_laid_out_and_packed_it_is_the_same(how, tmp_path):
    trace = step_trace(sharded_plan(), steps=2)
    path = written(tmp_path, "t.json", trace.raw(**how))
    (found,) = read_files([path]).traces
    plain = kineto.read(trace.raw(), str(path))
    assert found == plain


def test_a_trace_read_in_many_pieces_is_the_same(monkeypatch):
    raw = step_trace(sharded_plan(), steps=2).raw(indent=1)
    whole = kineto.read(raw, "t")
    monkeypatch.setattr(kineto_events, "PIECE", 2000)
    assert kineto.read(raw, "t") == whole


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_truncated_trace_is_read_as_far_as_it_goes(kept, tmp_path):
    raw = step_trace(sharded_plan(), steps=3).raw(indent=1)
    (found,) = read_files([written(tmp_path, "t.json", raw[: int(kept * len(raw))])]).traces
    assert not found.whole
    assert "breaks off" in " ".join(found.notes)
    assert found.rank == 0
    assert found.events == pytest.approx(kept * len(json.loads(raw)["traceEvents"]), rel=0.05)


def test_a_truncated_packed_trace_too(tmp_path):
    raw = step_trace(sharded_plan(), steps=3).raw(packed=True)
    (found,) = read_files([written(tmp_path, "t.json.gz", raw[: len(raw) // 2])]).traces
    assert not found.whole
    assert found.computing > 0.0


def test_a_trace_that_breaks_off_in_its_first_event_is_refused(tmp_path):
    with pytest.raises(InputError, match="breaks off within its first event"):
        read_files([written(tmp_path, "t.json", '{"traceEvents": [{"ph": "X", "na')])


def test_events_of_odd_types_are_read(tmp_path):
    events = [
        {"ph": "X", "cat": "kernel", "name": "gemm", "ts": "5.0", "dur": "2000", "tid": "s 7",
         "args": {"correlation": "none", "Group size": "x", "Input Dims": [[1], [{}]]}},
        {"ph": "X", "cat": None, "name": 7, "ts": 1, "dur": 2, "args": []},
        {"ph": "X", "cat": "kernel", "name": "broken", "ts": None, "dur": {}},
        {"ph": "M"},
    ]  # fmt: skip
    path = written(tmp_path, "t.json", json.dumps({"traceEvents": events}))
    (found,) = read_files([path]).traces
    assert found.busy["matmul"] == pytest.approx(2e-3)
    assert found.events == 2


def test_a_list_of_events_alone_is_a_trace(tmp_path):
    events = json.loads(step_trace(sharded_plan(), steps=1).raw())["traceEvents"]
    (found,) = read_files([written(tmp_path, "t.json", json.dumps(events))]).traces
    assert found.computing > 0.0


def test_a_trace_that_pytorch_wrote_on_a_cpu():
    (found,) = read_files([DATA / "torch-2.13-cpu.trace.json.gz"]).traces
    raw = json.loads(gzip.decompress((DATA / "torch-2.13-cpu.trace.json.gz").read_bytes()))
    steps = [one for one in raw["traceEvents"] if str(one.get("name")).startswith("ProfilerStep#")]
    assert len(found.step_times) == len(steps) == 3
    assert not found.has_device
    assert {"matmul", "attention", "elementwise"} <= set(found.busy)
    last = sum(found.busy.values())
    assert 0.0 < last < 1.05 * max(found.step_times)
    assert found.whole


def test_kernels_are_told_apart_by_name():
    for name, kind in {
        "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)": "all-reduce",
        "ncclKernel_AllGather_RING_LL_Sum_int8_t(ncclWorkElem)": "all-gather",
        "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)": "send-recv",
        "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>": "all-reduce",
        "gloo:all_reduce": "all-reduce",
        "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64": "matmul",
        "Cijk_Alik_Bljk_BBS_BH_MT128x128x32": "matmul",
        "void cutlass::device_kernel<flash::FlashAttnFwdSm90<...>>": "attention",
        "void at::native::multi_tensor_apply_kernel<...>": "optimizer",
        "triton_poi_fused_add_mul_silu_3": "elementwise",
        "Memcpy DtoH (Device -> Pinned)": "copy",
    }.items():
        assert kind_of(name) == kind, name
    assert is_traffic("all-to-all")
    assert not is_traffic("matmul")


def test_a_collective_belongs_to_the_axis_whose_group_it_has():
    strategy = Strategy(tp=8, pp=4, dp=16, ep=4)
    assert axis_of("all-gather over 8", 8, strategy) == "tp"
    assert axis_of("reduce-scatter over 16", 16, strategy) == "dp"
    assert axis_of("send-recv over 4", 4, strategy) == "pp"
    assert axis_of("all-to-all", -1, strategy) == "ep"
    assert axis_of("all-reduce", -1, strategy) == "tp or dp"
    assert axis_of("all-gather", -1, Strategy(dp=64)) == "dp"
    assert axis_of("all-reduce", -1, Strategy(tp=8)) == "tp"


INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=12)


@given(INTERVALS, INTERVALS)
def test_interval_arithmetic_is_that_of_sets_of_moments(first, second):
    def moments(pairs):
        return {t for start, spent in pairs for t in range(start, start + spent)}

    def spans(pairs):
        start = np.array([a for a, _ in pairs], float)
        return Spans(start, start + np.array([b for _, b in pairs], float))

    a, b = spans(first), spans(second)
    assert a.total == len(moments(first))
    assert a.shared(b) == b.shared(a) == len(moments(first) & moments(second))
    assert a.gaps(0.0, 80.0).total == 80 - len(moments(first))


def test_an_event_file_that_pytorch_wrote_in_both_forms():
    run = read_files([DATA / "torch-2.13.tfevents"]).training
    assert run.iteration == tuple(range(1, 13))
    assert run.step_time == pytest.approx(
        [0.5 + 0.01 * (step % 3) for step in range(1, 13)], rel=1e-6
    )
    assert run.loss == pytest.approx([3.0 - 0.1 * step for step in range(1, 13)], rel=1e-6)
    assert run.clock[1] - run.clock[0] == pytest.approx(0.5)
    assert run.settings.global_batch == 64
    assert run.timers["forward-backward"][0] == pytest.approx((0.4, 0.4))


def test_every_record_of_an_event_file_bears_its_checksum():
    raw = (DATA / "torch-2.13.tfevents").read_bytes()
    notes = []
    assert len(list(tensorboard.scalars_of(raw, notes))) == 48
    assert notes == []
    assert tensorboard.is_event_file(raw)
    assert not tensorboard.is_event_file(raw[1:])


def test_a_damaged_event_file_is_read_up_to_there():
    raw = bytearray((DATA / "torch-2.13.tfevents").read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    run = tensorboard.read(bytes(raw[: len(raw) * 3 // 4]), "x")
    assert 0 < len(run.iteration) <= 12


def test_an_event_file_without_steps_is_refused_with_its_tags():
    raw = event_file([(1, 1.7e9, {"milk": 1.0})])
    with pytest.raises(InputError, match="it has: milk"):
        tensorboard.read(raw, "x")


def test_an_event_file_fills_what_a_log_does_not_say(tmp_path):
    from doctored_runs import nemo_log

    log = written(tmp_path, "nemo.log", nemo_log(sharded_plan(), steps=6))
    rows = [
        (step, 1.7e9 + step, {"lm loss": 1.0, "batch-generator-time": 0.02}) for step in range(6)
    ]
    run = read_files([log, written(tmp_path, "events", event_file(rows))]).training
    assert run.timers["batch-generator"][3] == pytest.approx((0.02, 0.02))
    assert run.tool == "NeMo"

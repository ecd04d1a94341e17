"""Our schedules against the orders of PyTorch's own classes, and our tables in its loader."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from clusterwright.engines import bidirectional, orders
from clusterwright.engines.costs import StageCosts
from clusterwright.engines.executor import execute
from clusterwright.engines.torch_table import parse_table, write_table

pytestmark = pytest.mark.against

torch_schedules = pytest.importorskip("torch.distributed.pipelining.schedules")

CHUNKS = 3
LEFT_OUT = ("UNSHARD", "RESHARD", "REDUCE_GRAD")


def stage(index, num_stages, size):
    """A stage that knows where it lies, and nothing else: orders ask for no more."""
    return SimpleNamespace(
        stage_index=index,
        num_stages=num_stages,
        group_rank=0,
        group_size=size,
        has_backward=True,
        is_first=index == 0,
        is_last=index == num_stages - 1,
        submod=None,
    )


def theirs(name, p, m, chunks, *, folded=False):
    made = getattr(torch_schedules, name)
    places = [0, 2 * p - 1] if folded else [p * chunk for chunk in range(chunks)]
    stages = [stage(place, p * chunks, p) for place in places]
    if chunks == 1:
        schedule = made.__new__(made)
        schedule._num_stages, schedule._n_microbatches = p, m
        return schedule, schedule._get_pipeline_order()
    schedule = made(stages, m, loss_fn=lambda *_: None)
    return schedule, schedule.pipeline_order


def cells(order):
    """Their table without pauses and transfers."""
    rows = [[str(one) for one in order[rank] if one is not None] for rank in sorted(order)]
    return [[cell for cell in row if not cell.endswith("REDUCE_GRAD")] for row in rows]


def ours(schedule):
    bounds = schedule.first
    return [
        [schedule.label(op) for op in range(bounds[rank], bounds[rank + 1])]
        for rank in range(schedule.num_ranks)
    ]


SINGLE = {
    "ScheduleGPipe": orders.gpipe,
    "Schedule1F1B": orders.one_forward_one_backward,
}
LOOPED = {
    "ScheduleInterleaved1F1B": orders.interleaved,
    "ScheduleLoopedBFS": orders.looped_breadth_first,
    "ScheduleInterleavedZeroBubble": orders.interleaved_zero_bubble,
}
FOLDED = {
    "ScheduleZBVZeroBubble": bidirectional.zero_bubble_v,
    "ScheduleDualPipeV": bidirectional.dualpipe_v,
}
SIZES = [(2, 4), (4, 8), (4, 20), (8, 16), (8, 64)]


@pytest.mark.parametrize(("p", "m"), [*SIZES, (4, 5)])
@pytest.mark.parametrize("name", sorted(SINGLE))
def test_one_stage_per_rank(name, p, m):
    expected = cells(theirs(name, p, m, 1)[1])
    if name == "Schedule1F1B":
        # Its description (not its run) numbers the last rank's forwards from 1.
        last = [re.sub(r"(?<=F)\d+", lambda found: str(int(found[0]) - 1), c) for c in expected[-1]]
        expected[-1] = last
    assert ours(SINGLE[name](p, m)) == expected


@pytest.mark.parametrize(("p", "m"), SIZES)
@pytest.mark.parametrize("name", sorted(LOOPED))
def test_looped_stages(name, p, m):
    assert ours(LOOPED[name](p, m, CHUNKS)) == cells(theirs(name, p, m, CHUNKS)[1])


@pytest.mark.parametrize(("p", "m"), [(4, 10), (4, 3), (3, 8)])
@pytest.mark.parametrize("name", ["ScheduleInterleaved1F1B", "ScheduleInterleavedZeroBubble"])
def test_groups_of_other_sizes_than_the_ranks(name, p, m):
    group = m // max(1, m // p)
    made = LOOPED[name](p, m, CHUNKS, group_size=group)
    assert ours(made) == cells(theirs(name, p, m, CHUNKS)[1])


@pytest.mark.parametrize(("p", "m"), [*SIZES, (4, 9)])
@pytest.mark.parametrize("name", sorted(FOLDED))
def test_folded_stages(name, p, m):
    assert ours(FOLDED[name](p, m)) == cells(theirs(name, p, m, 2, folded=True)[1])


@pytest.mark.parametrize("name", [*LOOPED, *FOLDED])
def test_pytorch_reads_and_lowers_our_table(name, tmp_path):
    p, m, folded = 4, 8, name in FOLDED
    chunks = 2 if folded else CHUNKS
    made = FOLDED[name](p, m) if folded else LOOPED[name](p, m, chunks)
    write_table(made, tmp_path / "ours.csv")
    stages = [stage(chunk * p, p * chunks, p) for chunk in range(chunks)]
    runtime = torch_schedules._PipelineScheduleRuntime(stages, m, loss_fn=lambda *_: None)
    runtime._load_csv(str(tmp_path / "ours.csv"), "compute_only")
    assert cells(runtime.pipeline_order) == ours(made)
    home = made.placement.rank_of
    assert runtime.stage_index_to_group_rank == dict(enumerate(home.tolist()))
    if name == "ScheduleDualPipeV":
        return  # its play-out does not know overlapped actions; the lowering above did
    # Its own play-out of computation and transfers runs through, so it cannot hang.
    lowered = {
        rank: [one for one in row if one.computation_type.value not in LEFT_OUT]
        for rank, row in runtime.pipeline_order_with_comms.items()
    }
    number = sum(map(len, lowered.values()))
    played = torch_schedules._simulate_comms_compute(lowered, home.tolist().__getitem__, p * chunks)
    assert sum(one is not None for row in played.values() for one in row) == number


@pytest.mark.parametrize("name", [*LOOPED, *FOLDED])
def test_we_read_what_pytorch_writes(name):
    p, m, folded = 4, 8, name in FOLDED
    schedule, order = theirs(name, p, m, 2 if folded else CHUNKS, folded=folded)
    plain = parse_table(name, cells(order))
    lowered = schedule.pipeline_order_with_comms
    whole = parse_table(name, [[str(one) for one in lowered[rank]] for rank in sorted(lowered)])
    costs = StageCosts.uniform(plain.placement.num_stages)
    assert execute(plain, costs).makespan == execute(whole, costs).makespan > 0.0

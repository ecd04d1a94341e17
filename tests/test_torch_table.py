"""PyTorch's schedule tables: written, read back, refused."""

from __future__ import annotations

import numpy as np
import pytest
from test_schedules import ORDERS, made

from clusterwright.engines.torch_table import parse_table, read_table, write_table
from clusterwright.errors import InputError, TableError


@pytest.mark.parametrize("name", sorted(set(ORDERS) - {"DualPipe"}))
def test_a_schedule_comes_back_as_it_was(name, tmp_path):
    schedule = made(name, 4, 8)
    path = tmp_path / "mine.csv"
    write_table(schedule, path)
    again = read_table(path)
    assert again.name == "mine"
    np.testing.assert_array_equal(again.ops, schedule.ops)
    np.testing.assert_array_equal(again.first, schedule.first)
    np.testing.assert_array_equal(again.placement.rank_of, schedule.placement.rank_of)


def test_transfers_and_pauses_are_left_out():
    row = ["0UNSHARD", "0F0", " 0SEND_F0", "", "0RECV_B0", " 0I0", "0W0", "0RESHARD"]
    row += ["0REDUCE_GRAD"]
    schedule = parse_table("one", [row, ["1F0", "1B0"], []])
    assert [schedule.label(op) for op in range(3)] == ["0F0", "0I0", "0W0"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([["0F0", "0X0"]], "row 1, column 2 of the schedule is '0X0'"),
        ([["0F", "0B0"]], "row 1, column 1"),
        ([["0F99999999999999999999", "0B0"]], "row 1, column 1"),
        ([["0F0", "0B0"], [], ["2F0"]], "gives rank 1 nothing to do"),
        ([], "gives rank 0 nothing to do"),
        ([["0F0", "0B0"], ["2F0", "2B0"]], "no forward of stage 1"),
    ],
)
def test_a_foreign_table_is_refused(cells, message):
    with pytest.raises(TableError, match=message):
        parse_table("bad", cells)


def test_no_such_file(tmp_path):
    with pytest.raises(InputError, match="there is no schedule"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / "bytes.csv")


def test_two_chains_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="DualPipeV"):
        write_table(made("DualPipe", 4, 8), tmp_path / "dual.csv")
    with pytest.raises(InputError, match="cannot write"):
        write_table(made("1F1B", 4, 8), tmp_path / "no" / "such.csv")

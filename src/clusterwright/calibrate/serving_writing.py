"""What was fitted of serving, as files of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from clusterwright.calibrate.writing import inline_table, toml_value
from clusterwright.serving.intervals import ServingInterval

SOURCE = "published serving runs, a tenth of those with a complete configuration"
STACKS_HEAD = """\
# What published runs took over what kernels, links and memory explain: written by
# `clusterwright calibrate serving --stacks`. Host times [s] and factors on the device's time [1];
# their meaning is in src/clusterwright/inference.py. A tenth of the runs was fitted on; `residual`
# is the median absolute relative error left on it, the mean over sources and metrics.
"""
INTERVALS_HEAD = """\
# 10 % and 90 % quantiles of measured over predicted, from a tenth of the published runs that no
# factor was fitted on: written by `clusterwright calibrate serving --intervals`. Their meaning is
# in src/clusterwright/serving/intervals.py.
"""


def stacks_as_toml(entries: Iterable[Mapping[str, Any]], *, checked: str) -> str:
    """Entries of ``serving_stacks`` as a file."""
    blocks = [STACKS_HEAD]
    for entry in entries:
        lines = ["[[serving_stacks]]"]
        for key, value in entry.items():
            if key == "corrections":
                lines += ["corrections = [", *(f"    {inline_table(one)}," for one in value), "]"]
            else:
                lines.append(f"{key} = {toml_value(value)}")
        lines += [f"checked = {checked}", f'source = "{SOURCE}"']
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def intervals_as_toml(groups: Iterable[ServingInterval], *, checked: str) -> str:
    """Intervals as the one entry of a file."""
    tables = [
        inline_table(
            {key: value for key, value in msgspec.structs.asdict(one).items() if value != ""}
        )
        for one in groups
    ]
    lines = ["[[serving_intervals]]", 'id = "published-runs"', "groups = ["]
    lines += [*(f"    {one}," for one in tables), "]", f"checked = {checked}"]
    return INTERVALS_HEAD + "\n" + "\n".join([*lines, f'source = "{SOURCE}"']) + "\n"

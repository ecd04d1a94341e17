"""Runs as tests ask for them, and rates of failures without the study that is to be predicted."""

from __future__ import annotations

from functools import cache

import msgspec

from clusterwright.asking_run import ask_run
from clusterwright.facts import shipped
from clusterwright.fleet.facts import pooled_rate
from clusterwright.fleet.outlook import look_ahead
from clusterwright.fleet.records import RunOutlook, RunQuestion


def a_run(accelerators: int = 16_384, chip: str = "h100", **other) -> RunQuestion:
    """So many accelerators, watched for thirty days unless told otherwise."""
    usual = {"days": "30d", "parameters": "405B"}
    if "work" in other:
        del usual["days"]
    return ask_run(accelerator=chip, accelerators=accelerators, **{**usual, **other})


def without(question: RunQuestion, *studies: str) -> RunQuestion:
    """The same run, its rates of failures pooled without some studies."""
    rates = {
        f"{regime}_rate": pooled_rate(shipped(), regime, without=studies)
        for regime in ("large", "small")
    }
    return msgspec.structs.replace(question, inputs={**question.inputs, **rates})


@cache
def looked(accelerators: int = 16_384, chip: str = "h100", **other) -> RunOutlook:
    """How such a run is likely to go."""
    return look_ahead(a_run(accelerators, chip, **other), depth=False)

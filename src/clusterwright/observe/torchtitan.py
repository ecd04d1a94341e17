"""Logs of torchtitan."""

from __future__ import annotations

import re
from collections.abc import Iterable

from clusterwright.observe.building import RunBuilder
from clusterwright.observe.opening import Line
from clusterwright.observe.records import TrainingRun
from clusterwright.observe.telling import number

ROW = re.compile(r"(?:INFO - |^\s*)step:\s*(?P<step>\d+)\s+loss:\s*(?P<loss>[-\d.naif]+)")
_PAIR = re.compile(r"(?P<name>[a-z_]+):\s*(?P<value>[\d.,]+)(?P<unit>GiB|%)?")
_START = re.compile(
    r"local batch size (?P<micro>\d+),.*?global batch size (?P<batch>\d+),.*?"
    r"sequence length (?P<length>\d+)"
)
_MESH = re.compile(r"device mesh with \[(?P<names>[^\]]*)\], \[(?P<sizes>[\d, ]+)\]")
_PARALLEL = re.compile(r"\b(?P<name>pp|dp_replicate|dp_shard|cp|tp|ep|etp)=(?P<size>\d+)")
_DEVICE = re.compile(r"\w+ capacity: (?P<name>.+?) with (?P<size>[\d.]+)GiB memory")
_PEAK = re.compile(r"Peak FLOPS used for computing MFU: (?P<peak>[\d.e+]+)")
_MODEL = re.compile(r"Model (?P<name>\S+(?: \S+)?) .*?size: (?P<size>[\d,]+) total parameters")
_SHAPE = re.compile(r"\b(?P<name>dim|n_layers|n_heads|n_kv_heads|vocab_size)=(?P<value>\d+)")
_COLUMNS = {"dim": "d_model", "vocab_size": "vocab"}


def read(lines: Iterable[Line], path: str) -> TrainingRun:
    """Read a log."""
    run = RunBuilder("torchtitan", path)
    for line in lines:
        found = ROW.search(line.text)
        if found:
            _row(run, line, int(found["step"]), number(found["loss"]))
            continue
        _settings(run, line.text)
        run.look(line)
    return run.finish()


def _row(run: RunBuilder, line: Line, step: int, loss: float) -> None:
    said = {found["name"]: found for found in _PAIR.finditer(line.text)}

    def value(*names: str) -> float:
        return next((number(said[name]["value"]) for name in names if name in said), float("nan"))

    memory = said.get("memory") or said.get("mmemory")  # versions of early 2025 coloured it so
    whole = memory is not None and memory["unit"] == "GiB"
    run.row(
        line,
        step,
        loss=loss,
        memory=number(memory["value"]) * 2**30 if memory and whole else float("nan"),
        device_rate=value("tps", "wps"),
        flops_rate=1e12 * value("tflops"),
        mfu=0.01 * value("mfu"),
        samples=float(run.settings.get("global_batch") or "nan"),
    )


def _settings(run: RunBuilder, text: str) -> None:
    """What torchtitan says at its start, in sentences of its own."""
    told = run.settings
    if found := _START.search(text):
        told.setdefault("micro_batch", int(found["micro"]))
        told.setdefault("global_batch", int(found["batch"]))
        told.setdefault("sequence_length", int(found["length"]))
    if found := _MESH.search(text):
        names = [name.strip(" '\"") for name in found["names"].split(",")]
        _axes(run, dict(zip(names, map(int, found["sizes"].split(",")), strict=False)))
    elif "mesh" in text and "dp_shard=" in text:
        _axes(run, {said["name"]: int(said["size"]) for said in _PARALLEL.finditer(text)})
    if found := _DEVICE.search(text):
        told.setdefault("accelerator", found["name"])
        told.setdefault("device_bytes", float(found["size"]) * 2**30)
    if found := _PEAK.search(text):
        told.setdefault("peak_flops", float(found["peak"]))
    if found := _MODEL.search(text):
        told.setdefault("model", found["name"])
    if "ModelArgs(" in text:
        for said in _SHAPE.finditer(text):
            run.shape.setdefault(_COLUMNS.get(said["name"], said["name"]), int(said["value"]))
    if "Applied FSDP" in text or "Applied HSDP" in text:
        told.setdefault("zero", 3)
    if "fallback to A100" in text:
        run.notes.append("the tool did not know the accelerator's peak and took that of an A100")


def _axes(run: RunBuilder, sizes: dict[str, int]) -> None:
    """Sizes of the device mesh: all of them multiply to the world."""
    told = run.settings
    for name in ("tp", "cp", "pp", "ep", "etp"):
        if sizes.get(name, 0) > 0:
            told.setdefault(name, sizes[name])
    data = max(1, sizes.get("dp_replicate", 1)) * max(1, sizes.get("dp_shard", 1))
    told.setdefault("dp", data)
    told.setdefault("world_size", data * told.get("tp", 1) * told.get("cp", 1) * told.get("pp", 1))

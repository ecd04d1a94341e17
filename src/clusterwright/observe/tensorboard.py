"""TensorBoard's event files: records of TFRecord, of whose messages a few fields are read.

A file is a row of records, each a length, a checksum of it, a message and a checksum of that. The
messages are protocol buffers: ``Event`` {1: wall_time, 2: step, 3: file_version, 5: summary},
``Summary`` {1: value}, ``Value`` {1: tag, 2: simple_value, 8: tensor}, ``TensorProto`` {1: dtype,
4: content, 5: floats, 6: doubles, 7: ints, 10: longs}.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from clusterwright.errors import InputError
from clusterwright.observe.building import COLUMNS
from clusterwright.observe.records import RunSettings, TrainingRun

_FLOAT, _DOUBLE, _INT32, _INT64 = 1, 2, 3, 9
"""TensorFlow's numbers of types."""

_TAGS: dict[str, tuple[str, ...]] = {
    "step_time": ("iteration-time", "train_step_timing in s", "time_metrics/end_to_end(s)"),
    "loss": (
        "lm loss", "loss_metrics/global_avg_loss", "reduced_train_loss",
        "Train/Samples/train_loss",
    ),
    "device_rate": ("throughput(tps)", "tokens_per_sec_per_gpu"),
    "flops_rate": ("throughput/tflops", "tflops", "TFLOPS_per_GPU", "throughput"),
    "mfu": ("mfu(%)",),
    "samples": ("batch-size", "global_batch_size"),
    "memory": ("memory/max_reserved(GiB)", "mem-max-reserved-bytes", "mem-reserved-bytes",
               "max_memory_reserved", "peak_memory_usage"),
    "input_time": ("time_metrics/data_loading(s)", "batch-generator-time"),
}  # fmt: skip
_SCALES = {
    "mfu(%)": 0.01,
    "memory/max_reserved(GiB)": float(2**30),
    "throughput/tflops": 1e12,
    "tflops": 1e12,
    "TFLOPS_per_GPU": 1e12,
    "throughput": 1e12,
}
_RETRIES = "memory/num_alloc_retries"


class Scalar(NamedTuple):
    """One value of one tag."""

    tag: str
    step: int
    clock: float
    value: float


def is_event_file(raw: bytes) -> bool:
    """Whether bytes begin with a record whose length bears its checksum."""
    if len(raw) < 16:
        return False
    (length,) = struct.unpack_from("<Q", raw)
    (check,) = struct.unpack_from("<I", raw, 8)
    return bool(0 < length < 2**40 and check == masked_checksum(raw[:8]))


def read(raw: bytes, path: str) -> TrainingRun:
    """Read the scalars of an event file.

    Raises
    ------
    InputError
        It holds no scalar that says how long a step takes.
    """
    notes: list[str] = []
    scalars = list(scalars_of(raw, notes))
    by_tag: dict[str, dict[int, Scalar]] = {}
    for one in scalars:
        by_tag.setdefault(one.tag, {})[one.step] = one
    chosen = {
        column: next((tag for tag in tags if tag in by_tag), "") for column, tags in _TAGS.items()
    }
    lead = chosen["step_time"] or chosen["device_rate"] or chosen["loss"]
    if not lead:
        tags = ", ".join(sorted(by_tag)[:8]) or "none"
        raise InputError(
            f"{path!r} is an event file without a training run's scalars (it has: {tags}): turn "
            f"on timing, such as Megatron's --log-timers-to-tensorboard"
        )
    return _run(by_tag, chosen, lead, path, notes)


def _run(
    by_tag: dict[str, dict[int, Scalar]],
    chosen: dict[str, str],
    lead: str,
    path: str,
    notes: list[str],
) -> TrainingRun:
    """Columns over the steps of the tag that leads."""
    steps = sorted(by_tag[lead])

    def column(name: str) -> tuple[float, ...]:
        tag = chosen[name]
        scale = _SCALES.get(tag, 1.0)
        held = by_tag.get(tag, {})
        return tuple(scale * held[step].value if step in held else math.nan for step in steps)

    counts = [b - a for a, b in itertools.pairwise(steps)]
    clock = tuple(by_tag[lead][step].clock for step in steps)
    times = column("step_time")
    if not chosen["step_time"]:
        between = [(b - a) / n for a, b, n in zip(clock, clock[1:], counts, strict=False)]
        times = (math.nan, *between)
        notes = [*notes, "no scalar says how long a step takes: from the times of writing"]
    timers = {
        tag.removesuffix("-time"): tuple(
            (held[step].value,) * 2 if step in held else (math.nan,) * 2 for step in steps
        )
        for tag, held in by_tag.items()
        if tag.endswith("-time") and tag != "iteration-time"
    }
    batch = [value for value in column("samples") if math.isfinite(value)]
    world = by_tag.get("world-size")
    none = (math.nan,) * len(steps)
    columns = {name: column(name) if name in _TAGS else none for name in COLUMNS}
    settings = RunSettings(
        global_batch=int(batch[-1]) if batch else None,
        world_size=int(next(iter(world.values())).value) if world else None,
    )
    run = TrainingRun(
        tool="TensorBoard",
        paths=(path,),
        iteration=tuple(steps),
        steps=(counts[0] if counts else 1, *counts),
        timers=timers,
        settings=settings,
        notes=tuple(notes),
    )
    columns.update(clock=clock, step_time=times)
    return msgspec.structs.replace(run, **columns)


def scalars_of(raw: bytes, notes: list[str]) -> Iterator[Scalar]:
    """All scalars in the order they were written; what is cut off at the end is noted."""
    position = 0
    while position < len(raw):
        if position + 12 > len(raw):
            notes.append("the file ends within a record: the rest was read")
            return
        (length,) = struct.unpack_from("<Q", raw, position)
        (check,) = struct.unpack_from("<I", raw, position + 8)
        end = position + 12 + length
        if check != masked_checksum(raw[position : position + 8]) or end > len(raw):
            notes.append(f"the file is damaged or cut off at byte {position:,}: read up to there")
            return
        try:
            yield from _event(raw[position + 12 : end])
        except (IndexError, struct.error, UnicodeDecodeError):
            notes.append(f"a record at byte {position:,} cannot be read: passed over")
        position = end + 4


def _event(message: bytes) -> Iterator[Scalar]:
    """The scalars of one event."""
    clock, step, summaries = math.nan, 0, []
    for field, wire, value in fields_of(message):
        if field == 1 and wire == 1:
            (clock,) = struct.unpack("<d", value)
        elif field == 2 and wire == 0:
            step = int.from_bytes(value, "little")
        elif field == 5 and wire == 2:
            summaries.append(value)
    for summary in summaries:
        for field, wire, value in fields_of(summary):
            if field == 1 and wire == 2:
                tag, number = _value(value)
                if tag and math.isfinite(number):
                    yield Scalar(tag, step, clock, number)


def _value(message: bytes) -> tuple[str, float]:
    """Tag and value, in either of the two ways that writers have."""
    tag, number = "", math.nan
    for field, wire, value in fields_of(message):
        if field == 1 and wire == 2:
            tag = value.decode()
        elif field == 2 and wire == 5:
            (number,) = struct.unpack("<f", value)
        elif field == 8 and wire == 2:
            number = _tensor(value)
    return tag, number


def _tensor(message: bytes) -> float:
    """A tensor of one number; nan: of more, or of text."""
    kind, content = 0, b""
    listed: dict[int, bytes] = {}
    for field, wire, value in fields_of(message):
        if field == 1 and wire == 0:
            kind = int.from_bytes(value, "little")
        elif field == 4 and wire == 2:
            content = value
        elif field in (5, 6, 7, 10):
            listed[field] = value
    shapes = {_FLOAT: ("<f", 5), _DOUBLE: ("<d", 6), _INT32: ("<i", 7), _INT64: ("<q", 10)}
    if kind not in shapes:
        return math.nan
    form, field = shapes[kind]
    if len(content) == struct.calcsize(form):
        return float(struct.unpack(form, content)[0])
    held = listed.get(field, b"")
    if kind in (_FLOAT, _DOUBLE) and len(held) == struct.calcsize(form):
        return float(struct.unpack(form, held)[0])
    return float(int.from_bytes(held, "little")) if held and kind in (_INT32, _INT64) else math.nan


def fields_of(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and bytes of each field; a varint as its little-endian bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(message, position)
            yield field, wire, value.to_bytes(10, "little")
            continue
        if wire == 2:
            size, position = _varint(message, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise IndexError(wire)
        if position + size > len(message):
            raise IndexError(position)
        yield field, wire, message[position : position + size]
        position += size


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if byte < 0x80:
            return value & (2**64 - 1), position
        if shift > 63:
            raise IndexError(position)


def _table() -> tuple[int, ...]:
    """CRC-32C (Castagnoli) of every byte."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC = _table()


def masked_checksum(data: bytes) -> int:
    """The checksum that TFRecord writes beside a record."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF

"""From what a person types to a question: names, files and quantities become records.

What is left unsaid is filled by a stated default, and every default is listed in the question's
``assumed``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from clusterwright.asking_model import find_config, find_model
from clusterwright.catalogue.store import Catalogue
from clusterwright.errors import InputError, UnitError
from clusterwright.facts import profile_of, shipped
from clusterwright.hardware import LOW_PRECISIONS, Accelerator, Cluster, peak_rate
from clusterwright.model.parameters import count_parameters
from clusterwright.model.records import Model
from clusterwright.software import Software
from clusterwright.training.api import intervals_of, settings_of, software_named
from clusterwright.training.pins import check_pins
from clusterwright.training.plan import Objective, TrainingQuestion
from clusterwright.units import format_count, parse
from clusterwright.workload import Method, Optimizer, Precision, TrainingWorkload

GENERAL_SOFTWARE = "pytorch"
STATE_BYTES = {"fp32": 4.0, "bf16": 2.0, "8bit": 1.0}
"""Formats of an optimizer moment. [B]"""

LONGEST_DEFAULT_SEQUENCE = 8192
REFERENCE_BATCH_TOKENS = 4 * 2**20
REFERENCE_PARAMETERS = 70e9
MOST = {
    "--accelerators": 10**8,
    "--batch-sequences": 10**9,
    "--per-rack": 10**6,
    "--seq-len": 10**9,
    "--spares": 10**8,
    "--tokens": 10**18,
}
"""More than this nobody has; a slip of the keyboard should not search for hours."""


def catalogue_with(files: Sequence[str | Path]) -> Catalogue:
    """The shipped catalogue, with a person's own files added."""
    return shipped().with_files(files) if files else shipped()


def find_cluster(
    cluster: str | None, accelerator: str | None, accelerators: int | None, catalogue: Catalogue
) -> Cluster:
    """A named cluster (or a part of it), or a number of accelerators joined as usual."""
    if cluster and accelerator:
        raise InputError(
            "--cluster and --accelerator both name the machine; give one of them, "
            "and --accelerators for how many"
        )
    if cluster:
        return catalogue.cluster(cluster, accelerators)
    if accelerator:
        if accelerators is None:
            catalogue.entry("accelerators", accelerator)  # a misspelt name comes first
            raise InputError(f"how many {accelerator}? give --accelerators, such as 64")
        return catalogue.any_cluster(accelerator, accelerators)
    raise InputError(
        "name the machine: --cluster meta-24k, or --accelerator h100 --accelerators 64"
    )


def quantity_of(given: str | float, dimension: str, option: str, *, above: bool = False) -> float:
    """A quantity as people write it, in SI; ``above``: zero will not do.

    Raises
    ------
    InputError
        Not a quantity of that dimension; the message names the option.
    """
    try:
        value = parse(given, dimension)
    except UnitError as error:
        raise UnitError(f"{option}: {error}") from None
    if above and not value > 0.0:
        raise InputError(f"{option} is {str(given)!r}, but must be above zero")
    return value


def whole_number(given: str | float, option: str) -> int:
    """A count as people write it: ``16384``, ``16,384``, ``16k``; or a number.

    Raises
    ------
    InputError
        Not a whole positive number, or more than anybody has.
    """
    try:
        value = parse(given if isinstance(given, str) else repr(given), "1")
    except UnitError as error:
        raise UnitError(f"{option}: {error}") from None
    value = _rounded(value)
    if value < 1 or value != int(value):
        raise InputError(f"{option} is {str(given)!r}, but must be a whole number of at least 1")
    if value > MOST.get(option, math.inf):
        raise InputError(f"{option} is {str(given)!r}, but can be {MOST[option]:,} at most")
    return int(value)


def _rounded(value: float) -> float:
    """A number without the last digits of a float, which 4.1M has.

    >>> _rounded(4.1 * 1e6), _rounded(4.5)
    (4100000.0, 4.5)
    """
    whole = float(round(value)) if math.isfinite(value) else value
    return whole if math.isclose(value, whole, rel_tol=1e-12) else value


def default_batch_tokens(model: Model, sequence_length: int, accelerators: int = 1) -> int:
    """Tokens per step where none are asked for: grows with the root of the active parameters.

    4 Mi tokens at 70 B; Llama 3 used 16 Mi at 405 B. As a number of sequences it is a power of two,
    times a small odd factor where that lets more of the accelerators be used.
    """
    active = count_parameters(model).active
    wanted = REFERENCE_BATCH_TOKENS * math.sqrt(active / REFERENCE_PARAMETERS) / sequence_length
    sequences = 2 ** max(0, math.ceil(math.log2(wanted)))
    odd = _feeding_factor(accelerators, sequences // 2)
    if odd > 1:
        sequences = odd * 2 ** max(0, math.ceil(math.log2(0.75 * sequences / odd)))
    return sequence_length * int(sequences)


def _feeding_factor(accelerators: int, largest: int) -> int:
    """The odd factor of a batch with which the most accelerators can be used, the least first.

    >>> _feeding_factor(24, 128), _feeding_factor(1000, 128), _feeding_factor(100_000, 512)
    (3, 125, 3)
    """
    own = accelerators // (accelerators & -accelerators)
    usable = {
        odd: odd * 2 ** int(math.log2(accelerators / odd))
        for odd in sorted({1, 3, 5, own})
        if odd <= min(accelerators, max(1, largest))
    }
    return max(usable, key=lambda odd: usable[odd])


def default_software(vendor: str, catalogue: Catalogue) -> str:
    """The framework that a vendor's accelerators are usually trained with."""
    entries = catalogue.entries("software")
    for name, entry in entries.items():
        if vendor in entry.data.get("default_for", ()):
            return name
    return GENERAL_SOFTWARE


def make_workload(
    model: Model,
    *,
    assumed: list[str],
    software: Software,
    accelerators: int,
    tokens: str | float | None = None,
    sequence_length: str | int | None = None,
    batch_tokens: str | float | None = None,
    batch_sequences: str | int | None = None,
    precision: Precision = "bf16",
    optimizer: Optimizer = "adam",
    optimizer_state: str | None = None,
    method: Method = "full",
    lora_rank: int = 16,
) -> TrainingWorkload:
    """The workload of a training run; ``assumed`` is told what was filled in."""
    if not 1 <= lora_rank <= model.hidden_size:
        raise InputError(
            f"--lora-rank is {lora_rank}, but must be 1 to {model.hidden_size} (the hidden size "
            f"of {model.name}), such as 16"
        )
    length = _sequence_length(model, sequence_length, assumed)
    if batch_tokens is None and batch_sequences is None:
        wanted = default_batch_tokens(model, length, accelerators)
        usual = default_batch_tokens(model, length)
        more = (
            "" if wanted == usual else ", which feeds more of the accelerators than a power of two"
        )
        said = f"{format_count(wanted)} tokens ({wanted // length:,} sequences{more})"
        assumed.append(f"batch of {said}")
        batch = wanted // length
    else:
        batch = _global_batch(length, batch_tokens, batch_sequences, assumed)
    return TrainingWorkload(
        sequence_length=length,
        global_batch=batch,
        tokens=None if tokens is None else float(whole_number(tokens, "--tokens")),
        precision=precision,
        optimizer=optimizer,
        state_bytes=_state_bytes(optimizer_state, software),
        gradient_bytes=software.gradient_bytes,
        master_weights=software.master_weights,
        method=method,
        lora_rank=lora_rank,
    )


def _state_bytes(name: str | None, software: Software) -> float:
    """Bytes of one optimizer moment: as asked for, or the framework's default."""
    if name is None:
        return software.state_bytes
    if name not in STATE_BYTES:
        raise InputError(f"--optimizer-state is {name!r}; choose from {', '.join(STATE_BYTES)}")
    return STATE_BYTES[name]


def _sequence_length(model: Model, given: str | int | None, assumed: list[str]) -> int:
    if given is not None:
        length = whole_number(given, "--seq-len")
        if model.max_positions and length > model.max_positions:
            assumed.append(
                f"positions extended to {length:,} (the model has {model.max_positions:,})"
            )
        return length
    longest = model.max_positions or LONGEST_DEFAULT_SEQUENCE
    length = min(longest, LONGEST_DEFAULT_SEQUENCE)
    assumed.append(f"sequence length {length:,}")
    return length


def _global_batch(
    length: int,
    tokens: str | float | None,
    sequences: str | int | None,
    assumed: list[str],
) -> int:
    """The batch in sequences, given as that or as tokens."""
    if tokens is not None and sequences is not None:
        raise InputError("--batch-tokens and --batch-sequences say the same; give one of them")
    if sequences is not None or tokens is None:
        return whole_number(sequences or 0, "--batch-sequences")
    wanted = whole_number(tokens, "--batch-tokens")
    batch = _divisible_near(whole_number(max(1, round(wanted / length)), "--batch-sequences"))
    if batch * length != wanted:
        assumed.append(
            f"batch of {batch:,} sequences x {length:,} = {format_count(batch * length)} tokens, "
            f"the nearest to {tokens}"
        )
    return batch


def _divisible_near(batch: int) -> int:
    """The number within half a per cent that has the most factors of two, the nearest first.

    >>> _divisible_near(15356), _divisible_near(1000)
    (15360, 1000)
    """
    reach = batch // 200
    for power in reversed(range(batch.bit_length())):
        step = 1 << power
        below = batch // step * step
        above = below + step
        near = below if below and batch - below <= above - batch else above
        if abs(near - batch) <= reach:
            return near
    return batch


def precision_notes(accelerator: Accelerator, precision: Precision) -> tuple[str, ...]:
    """What is assumed of a chip that does not publish the very rate of a precision.

    Raises
    ------
    InputError
        A format below 16 bits that the chip does not have: it would run as something else.
    """
    low = LOW_PRECISIONS.get(precision)
    if low is None:
        rate = peak_rate(accelerator, precision)
        if accelerator.peaks.get(precision):
            return ()
        used = next(name for name, peak in accelerator.peaks.items() if peak == rate)
        return (f"{precision} at the {used} rate of {accelerator.id}, which publishes no other",)
    if not accelerator.peaks.get(low):
        known = ", ".join(name for name in sorted(accelerator.peaks) if name in get_args(Precision))
        raise InputError(
            f"{accelerator.id} has no published {low} rate (known: {known or 'none'}); leave out "
            f"--precision {precision}, choose another chip, or add the rate to a catalogue file "
            f"of your own"
        )
    if precision == "mxfp8" and not accelerator.peaks.get("fp4"):
        return (f"mxfp8 at the fp8 rate: {accelerator.id} may lack block scaling in hardware",)
    return ()


def ask_training(
    model: str | Model,
    *,
    cluster: str | None = None,
    accelerator: str | None = None,
    accelerators: str | int | None = None,
    software: str | None = None,
    objective: Objective = "time",
    pins: Mapping[str, int | str | bool] | None = None,
    catalogue: Catalogue | None = None,
    **workload: Any,  # noqa: ANN401 - the keyword arguments of make_workload
) -> TrainingQuestion:
    """Put a training question together.

    Parameters
    ----------
    model
        A catalogue name, the path of a ``config.json``, or a `Model`.
    cluster, accelerator, accelerators
        A cluster by name (``accelerators`` of it), or a number of accelerators of one kind.
    software
        Framework whose features and defaults are assumed; ``any`` opens the whole space. By
        default the usual one for the accelerator's vendor.
    objective
        ``time`` of a step, ``cost`` (accelerator-seconds) or ``memory``.
    pins
        Fixed choices, named as the fields of `Strategy`.
    workload
        ``tokens``, ``sequence_length``, ``batch_tokens``, ``precision`` … of `make_workload`.

    Examples
    --------
    >>> question = ask_training("llama-3.1-8b", accelerator="h100", accelerators=64)
    >>> question.workload.global_batch * question.workload.sequence_length
    2097152
    """
    facts = catalogue or shipped()
    found = find_model(model, facts) if isinstance(model, str) else model
    count = None if accelerators is None else whole_number(accelerators, "--accelerators")
    machine = find_cluster(cluster, accelerator, count, facts)
    question = ask_on(
        found,
        machine,
        software=software,
        objective=objective,
        pins=pins,
        catalogue=facts,
        **workload,
    )
    return msgspec.structs.replace(question, config=find_config(model, facts))


def ask_on(
    model: Model,
    machine: Cluster,
    *,
    catalogue: Catalogue,
    software: str | None = None,
    objective: Objective = "time",
    pins: Mapping[str, int | str | bool] | None = None,
    **workload: Any,  # noqa: ANN401 - the keyword arguments of make_workload
) -> TrainingQuestion:
    """Put a training question together for a machine that is known; see `ask_training`."""
    vendor = machine.accelerator.vendor
    framework = software_named(catalogue, software or default_software(vendor, catalogue))
    check_pins(model, pins or {})
    assumed: list[str] = []
    notes = precision_notes(machine.accelerator, workload.get("precision", "bf16"))
    job = make_workload(
        model,
        assumed=assumed,
        software=framework,
        accelerators=machine.count,
        **workload,
    )
    return TrainingQuestion(
        model=model,
        cluster=machine,
        workload=job,
        software=framework,
        profile=profile_of(catalogue, machine),
        settings=settings_of(catalogue),
        intervals=intervals_of(catalogue).of_software(framework.id),
        objective=objective,
        pins=dict(pins or {}),
        assumed=(*assumed, *notes, *machine.assumed),
    )
